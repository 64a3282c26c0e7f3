package imaging

import (
	"slices"
	"time"
)

// Limits of a worker's steps.
const (
	MinLeaseSeconds = 10
	MaxLeaseSeconds = 3600
	MaxStage        = 256
	MaxAlias        = 256
	MaxCode         = 64
	MaxDetail       = 65536
	MaxPath         = 4096
	MaxExcluded     = 1000
)

// What the moves do to a version besides its status.

func decide(v *Version, s *Step, a Actor, now time.Time) {
	v.DecidedBy, v.DecidedAt, v.DecisionMessage = optional(a.Username), &now, optional(s.Message)
}

func ask(v *Version, s *Step, a Actor, now time.Time) {
	v.clearQuestion()
	v.QuestionedBy, v.QuestionedAt, v.QuestionText = &a.Username, &now, &s.Message
}

func answer(v *Version, s *Step, _ Actor, now time.Time) {
	v.AnsweredAt, v.AnswerText = &now, &s.Message
}

// revise is an answer, too, where one is waited for.
func revise(v *Version, s *Step, a Actor, now time.Time) {
	s.edit(v)
	if v.QuestionedAt != nil && v.AnsweredAt == nil {
		v.AnsweredAt = &now
	}
	if s.remakes && !slices.Contains(v.Authors, a.Username) {
		v.Authors = append(slices.Clone(v.Authors), a.Username)
	}
}

// resubmit keeps nothing of the refusal but the history: the next decision is made anew.
func resubmit(v *Version, _ *Step, _ Actor, _ time.Time) {
	v.DecidedBy, v.DecidedAt, v.DecisionMessage = nil, nil, nil
}

func askStop(v *Version, _ *Step, _ Actor, _ time.Time) { v.CancelRequested = true }

// release gives the attempt back: the worker went in good order, nothing was lost.
func release(v *Version, _ *Step, _ Actor, _ time.Time) {
	v.Attempt--
	v.Stage, v.Percent, v.ImagingStarted, v.ImagingEnded, v.Excluded = nil, nil, nil, nil, nil
}

func retry(v *Version, _ *Step, _ Actor, _ time.Time) {
	v.clearFailure()
	v.Attempt = 0
	v.Stage, v.Percent, v.ImagingStarted, v.ImagingEnded = nil, nil, nil, nil
}

func claim(v *Version, s *Step, a Actor, now time.Time) {
	v.LeaseToken, v.LeaseHolder, v.LeaseSeconds = &s.Lease, &a.Username, &s.LeaseSeconds
	v.extend(now)
	v.Attempt++
	v.Stage, v.Percent, v.ImagingStarted, v.ImagingEnded, v.Excluded = nil, nil, &now, nil, nil
}

func report(v *Version, s *Step, _ Actor, now time.Time) {
	v.extend(now)
	if s.Stage != "" {
		v.Stage = &s.Stage
	}
	if s.Percent != nil {
		v.Percent = s.Percent
	}
	if s.Excluded != nil {
		v.Excluded = LeftOut(v.ExcludePaths(), s.Excluded)
	}
}

func complete(v *Version, s *Step, _ Actor, _ time.Time) {
	whole := 100
	v.Alias, v.Percent, v.Stage = s.Alias, &whole, nil
	if s.Excluded != nil {
		v.Excluded = LeftOut(v.ExcludePaths(), s.Excluded)
	}
}

func fail(v *Version, s *Step, _ Actor, _ time.Time) {
	v.FailureCode, v.FailureMessage, v.FailureDetail, v.FailureRetryable = &s.Code, &s.Message, optional(s.Detail), &s.Retryable
}

// stop keeps what the worker said of its end, as what a stop leaves behind has to be cleared away by somebody.
func stop(v *Version, s *Step, a Actor, now time.Time) {
	if s.Code != "" {
		fail(v, s, a, now)
	}
}

func giveUp(v *Version, _ *Step, _ Actor, _ time.Time) {
	code, message, retryable := "LEASE_LOST", "The worker was lost during the last attempt.", true
	v.FailureCode, v.FailureMessage, v.FailureRetryable = &code, &message, &retryable
}

// settleEnd sets the end with which a status comes, and takes it back where the version goes on. It never lies before the start, also
// where a clock was set back.
func (v *Version) settleEnd(now time.Time) {
	switch v.Status {
	case Denied, Cancelled, Failed:
		if now.Before(v.StartDate) {
			now = v.StartDate
		}
		v.EndDate = &now
	default:
		v.EndDate = nil
	}
}

// extend holds the lease for one more term.
func (v *Version) extend(now time.Time) {
	expires := now.Add(time.Duration(*v.LeaseSeconds) * time.Second)
	v.LeaseExpiresAt = &expires
}

// letGo ends a worker's hold. The lease of one who ended it is kept, to know their word when it is sent again.
func (v *Version) letGo(byWorker bool, now time.Time) {
	v.EndedLease = nil
	if byWorker {
		v.EndedLease = v.LeaseToken
	}
	v.LeaseToken, v.LeaseHolder, v.LeaseSeconds, v.LeaseExpiresAt = nil, nil, nil, nil
	v.CancelRequested, v.ImagingEnded = false, &now
}

func (v *Version) clearQuestion() {
	v.QuestionedBy, v.QuestionedAt, v.QuestionText, v.AnsweredAt, v.AnswerText = nil, nil, nil, nil, nil
}

func (v *Version) clearFailure() {
	v.FailureCode, v.FailureMessage, v.FailureDetail, v.FailureRetryable = nil, nil, nil, nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
