package imaging

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// MaxAttempts is how often workers begin a version before a lost lease means that it has failed.
const MaxAttempts = 3

// Step is what somebody wants done to a version: an action, and what it needs.
type Step struct {
	Action   Action
	Revision *int   // of a decision: the revision it was made on
	Message  string // of a decision, a question, an answer: what is said; of a failure: to the owner

	Lease        uuid.UUID // of a worker's step: its lease; of a claim: the new one
	LeaseSeconds int       // of a claim: how long it holds, and again from each report on
	Stage        string    // of a report: what is being done
	Percent      *int      // of a report: how far it is
	Alias        string    // of a completion: the provider's name for the image
	Excluded     []string  // of a report or completion: the paths that were found and left out
	Code         string    // of a failure: for programs
	Detail       string    // of a failure: for staff
	Retryable    bool      // of a failure: whether it is worth to try again

	edit    func(*Version) // of an edit: what it changes
	remakes bool           // of an edit: whether that is what the image is made of
}

// move is a row of the life cycle: from where an action leads where, who may, and what it does besides.
type move struct {
	from    []Status
	to      Status // "": where it was
	may     func(Actor, *ImageRequest, *Version) bool
	decides bool // never on what one has asked for, and only on the revision that was read
	leased  bool // only with the version's lease
	check   func(*Step, *Problems)
	do      func(*Version, *Step, Actor, time.Time)
}

// life is the life cycle. Only what stands here moves a version.
var life = map[Action]move{
	AutoApproved:  {from: []Status{Pending}, to: Approved, may: approvesItself, do: decide},
	VersionEdited: {from: []Status{Pending, NeedsInfo}, to: Pending, may: owns, check: revised, do: revise},
	Approve:       {from: []Status{Pending}, to: Approved, may: reviews, decides: true, check: maySay, do: decide},
	Deny:          {from: []Status{Pending}, to: Denied, may: reviews, decides: true, check: mustSay, do: decide},
	Question:      {from: []Status{Pending}, to: NeedsInfo, may: reviews, decides: true, check: mustSay, do: ask},
	Answer:        {from: []Status{NeedsInfo}, to: Pending, may: owns, check: mustSay, do: answer},
	Resubmit:      {from: []Status{Denied}, to: Pending, may: owns, check: maySay, do: resubmit},
	Cancel:        {from: []Status{Pending, NeedsInfo, Approved}, to: Cancelled, may: owns, check: maySay},
	AskStop:       {from: []Status{Imaging}, may: owns, check: maySay, do: askStop},
	Retry:         {from: []Status{Failed}, to: Approved, may: reviews, check: maySay, do: retry},
	Claim:         {from: []Status{Approved}, to: Imaging, may: works, check: leaseTerm, do: claim},
	Report:        {from: []Status{Imaging}, may: works, leased: true, check: progress, do: report},
	Complete:      {from: []Status{Imaging}, to: Completed, may: works, leased: true, check: named, do: complete},
	Fail:          {from: []Status{Imaging}, to: Failed, may: works, leased: true, check: explained, do: fail},
	Obey:          {from: []Status{Imaging}, to: Cancelled, may: works, leased: true, check: lastWord, do: stop},
	Release:       {from: []Status{Imaging}, to: Approved, may: works, leased: true, check: maySay, do: release},
	Expire:        {from: []Status{Imaging}, to: Approved, may: service},
	GiveUp:        {from: []Status{Imaging}, to: Failed, may: service, do: giveUp},
	Abandon:       {from: []Status{Imaging}, to: Cancelled, may: service},
}

// Apply does the step to version v of request r, and answers the event; none if it changes nothing. Either all of it is done
// or r and v are as they were. UNAUTHENTICATED; FORBIDDEN; INVALID by field; CONFLICT with the current status, if the action
// does not lead on from it, the revision has moved on, or the lease is lost.
func Apply(r *ImageRequest, v *Version, s *Step, a Actor, now time.Time) ([]*Event, error) {
	action := s.Action.on(v)
	m, ok := life[action]
	if !ok {
		return nil, Errorf(Internal, "Something went wrong on our side.")
	}
	return m.apply(action, r, v, s, a, now)
}

func (m move) apply(action Action, r *ImageRequest, v *Version, s *Step, a Actor, now time.Time) ([]*Event, error) {
	if err := m.refusal(r, v, s, a); err != nil {
		return nil, err
	}
	before := *v
	if m.to != "" {
		v.Status = m.to
		v.settleEnd(now)
	}
	if before.Status == Imaging && v.Status != Imaging {
		v.letGo(m.leased, now)
	}
	if m.do != nil {
		m.do(v, s, a, now)
	}
	event := &Event{ImageRequestID: new(r.ID), At: now, Actor: a.Username, Action: action, Message: optional(s.Message), Changes: Changes{}}
	if err := event.concern(&before, v); err != nil {
		*v = before
		return nil, err
	}
	if len(event.Changes) == 0 && s.Message == "" && action != Report { // the owner wants again what is under way; a report is a sign of life
		return nil, nil
	}
	r.sign(event)
	return []*Event{event}, nil
}

// Repeats tells whether the worker's step is the one that ended the version: its answer was lost, and it is sent again. The
// lease with which it ended is proof of that.
func (v *Version) Repeats(s *Step, a Actor) bool {
	if v.EndedLease == nil || *v.EndedLease != s.Lease || !a.WorksOn(v.ProviderID) {
		return false
	}
	switch s.Action {
	case Complete:
		return v.Status == Completed && v.Alias == s.Alias
	case Fail:
		return v.Status == Failed && *v.FailureCode == s.Code || v.Status == Cancelled
	case Release:
		return v.Status == Approved || v.Status == Cancelled
	default:
		return false
	}
}

// on is the action that is meant: cancelling what is being imaged asks the worker to stop, whose end is then a
// cancellation, not a failure; a lease that ran out for the last time is a failure.
func (action Action) on(v *Version) Action {
	switch {
	case action == Cancel && v.Status == Imaging:
		return AskStop
	case (action == Fail || action == Release) && v.CancelRequested:
		return Obey
	case action == Expire && v.CancelRequested:
		return Abandon
	case action == Expire && v.Attempt >= MaxAttempts:
		return GiveUp
	}
	return action
}

// refusal is why the step is not done, nil if it is.
func (m move) refusal(r *ImageRequest, v *Version, s *Step, a Actor) error {
	if !a.SignedIn() && !a.isService() {
		return ErrUnauthenticated()
	}
	if !m.may(a, r, v) {
		return ErrForbidden()
	}
	if m.decides && (a.Username == r.CreatedBy || slices.Contains(v.Authors, a.Username)) {
		return Errorf(Forbidden, "Nobody decides on a version of their own request, or on one that they asked for or changed.")
	}
	var problems Problems
	if m.decides && s.Revision == nil {
		problems.add("revision", "This field is required.")
	}
	if m.check != nil {
		m.check(s, &problems)
	}
	if err := problems.Err(); err != nil {
		return err
	}
	switch {
	case m.leased && (v.LeaseToken == nil || *v.LeaseToken != s.Lease):
		return conflict(v, "leaseToken", "The lease is lost: the version is %s.", v.Status)
	case !slices.Contains(m.from, v.Status):
		return conflict(v, "", "The version is %s; this can be done to one that is %s.", v.Status, either(m.from))
	case s.Revision != nil && *s.Revision != r.Revision:
		return staleRevision(*s.Revision, r, v)
	}
	return nil
}

func conflict(v *Version, field, format string, args ...any) error {
	e := Errorf(Conflict, format, args...)
	e.Field, e.Status = field, v.Status
	return e
}

func either(statuses []Status) string {
	names := make([]string, len(statuses))
	for i, s := range statuses {
		names[i] = string(s)
	}
	return strings.Join(names, " or ")
}

// Who may. A reviewer or worker confined to providers may where the version is made.

func reviews(a Actor, _ *ImageRequest, v *Version) bool { return a.Has(Reviewer) && a.On(v.ProviderID) }
func works(a Actor, _ *ImageRequest, v *Version) bool   { return a.WorksOn(v.ProviderID) }
func owns(a Actor, r *ImageRequest, _ *Version) bool    { return a.MayEdit(r) }
func service(a Actor, _ *ImageRequest, _ *Version) bool { return a.isService() }
func approvesItself(a Actor, _ *ImageRequest, v *Version) bool {
	return a.isService() && v.Provider.AutoApprove
}

// What a step must bring.

func maySay(s *Step, p *Problems)  { p.text("message", s.Message, MaxText) }
func mustSay(s *Step, p *Problems) { p.line("message", s.Message, MaxText) }

func revised(s *Step, p *Problems) {
	if s.edit == nil {
		p.add("version", "There is nothing to change.")
	}
}

func leaseTerm(s *Step, p *Problems) {
	if s.LeaseSeconds < MinLeaseSeconds || s.LeaseSeconds > MaxLeaseSeconds {
		p.add("leaseSeconds", "Ensure this value is between %d and %d.", MinLeaseSeconds, MaxLeaseSeconds)
	}
}

func progress(s *Step, p *Problems) {
	p.text("stage", s.Stage, MaxStage)
	if s.Percent != nil && (*s.Percent < 0 || *s.Percent > 100) {
		p.add("percent", "Ensure this value is between 0 and 100.")
	}
	p.excluded(s.Excluded)
}

func named(s *Step, p *Problems) {
	p.oneLine("alias", s.Alias, MaxAlias)
	p.excluded(s.Excluded)
}

func lastWord(s *Step, p *Problems) {
	if s.Action == Fail {
		explained(s, p)
		return
	}
	maySay(s, p)
}

func explained(s *Step, p *Problems) {
	p.oneLine("code", s.Code, MaxCode)
	p.line("message", s.Message, MaxText)
	p.text("detail", s.Detail, MaxDetail)
}
