package imaging_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"imagerequests/imaging"
)

// moves is the life cycle as the design draws it: where each step leads from each status, for whoever may take it. A dot is
// a CONFLICT. IMAGING behind cancel is the owner's wish, which the worker obeys.
const moves = `
            PENDING    NEEDS_INFO  DENIED   CANCELLED  APPROVED   IMAGING    COMPLETED  FAILED
approve     APPROVED   .           .        .          .          .          .          .
deny        DENIED     .           .        .          .          .          .          .
question    NEEDS_INFO .           .        .          .          .          .          .
answer      .          PENDING     .        .          .          .          .          .
cancel      CANCELLED  CANCELLED   .        .          CANCELLED  IMAGING    .          .
resubmit    .          .           PENDING  .          .          .          .          .
retry       .          .           .        .          .          .          .          APPROVED
claim       .          .           .        .          IMAGING    .          .          .
report      .          .           .        .          .          IMAGING    .          .
complete    .          .           .        .          .          COMPLETED  .          .
fail        .          .           .        .          .          FAILED     .          .
release     .          .           .        .          .          APPROVED   .          .
expire      .          .           .        .          .          APPROVED   .          .
edit        PENDING    PENDING     .        .          .          .          .          .
retire      .          .           .        .          .          .          COMPLETED  .
share       PENDING    NEEDS_INFO  DENIED   CANCELLED  APPROVED   IMAGING    COMPLETED  FAILED
transfer    PENDING    NEEDS_INFO  DENIED   CANCELLED  APPROVED   IMAGING    COMPLETED  FAILED
`

// may is who may do what, as the design's table of roles says, on a request that they see. The reviewer, the worker and
// "both", an owner who is a reviewer, are of the version's provider; reviewer2 and worker2 are of another one.
const may = `
            owner  stranger  listed  reviewer  reviewer2  worker  worker2  admin  both  service
approve     no     no        no      yes       no         no      no       yes    no    no
deny        no     no        no      yes       no         no      no       yes    no    no
question    no     no        no      yes       no         no      no       yes    no    no
answer      yes    no        no      no        no         no      no       yes    yes   no
cancel      yes    no        no      no        no         no      no       yes    yes   no
resubmit    yes    no        no      no        no         no      no       yes    yes   no
retry       no     no        no      yes       no         no      no       yes    yes   no
claim       no     no        no      no        no         yes     no       yes    no    no
report      no     no        no      no        no         yes     no       yes    no    no
complete    no     no        no      no        no         yes     no       yes    no    no
fail        no     no        no      no        no         yes     no       yes    no    no
release     no     no        no      no        no         yes     no       yes    no    no
expire      no     no        no      no        no         no      no       no     no    yes
edit        yes    no        no      no        no         no      no       yes    yes   no
retire      yes    no        no      no        no         no      no       yes    yes   no
share       yes    no        no      no        no         no      no       yes    yes   no
transfer    yes    no        no      no        no         no      no       yes    yes   no
`

var players = map[string]imaging.Actor{
	"owner":     {Username: "owner", Roles: []imaging.Role{imaging.Requester}},
	"stranger":  {Username: "stranger", Roles: []imaging.Role{imaging.Requester}},
	"listed":    {Username: "listed", Roles: []imaging.Role{imaging.Requester}},
	"reviewer":  {Username: "reviewer", Roles: []imaging.Role{imaging.Reviewer}, Providers: []int{1}},
	"reviewer2": {Username: "reviewer2", Roles: []imaging.Role{imaging.Reviewer}, Providers: []int{2}},
	"worker":    {Username: "worker", Roles: []imaging.Role{imaging.Worker}, Providers: []int{1}},
	"worker2":   {Username: "worker2", Roles: []imaging.Role{imaging.Worker}, Providers: []int{2}},
	"admin":     {Username: "admin", Roles: []imaging.Role{imaging.Admin}},
	"both":      {Username: "both", Roles: []imaging.Role{imaging.Requester, imaging.Reviewer}},
	"service":   imaging.Service(),
}

// steps are the table's rows as steps of a version; those of a request are in act.
var steps = map[string]imaging.Action{
	"approve": imaging.Approve, "deny": imaging.Deny, "question": imaging.Question, "answer": imaging.Answer, "cancel": imaging.Cancel,
	"resubmit": imaging.Resubmit, "retry": imaging.Retry, "claim": imaging.Claim, "report": imaging.Report, "complete": imaging.Complete,
	"fail": imaging.Fail, "release": imaging.Release, "expire": imaging.Expire,
}

var (
	born     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	today    = time.Date(2026, 3, 2, 12, 0, 0, 1000, time.UTC)
	tomorrow = today.AddDate(0, 0, 1)
	token    = uuid.MustParse("00000000-0000-4000-8000-00000000000a")
)

// cells reads a table: row, column, cell.
func cells(table string) map[string]map[string]string {
	lines := strings.Split(strings.TrimSpace(table), "\n")
	columns, all := strings.Fields(lines[0]), map[string]map[string]string{}
	for _, line := range lines[1:] {
		row := strings.Fields(line)
		all[row[0]] = map[string]string{}
		for i, column := range columns {
			all[row[0]][column] = row[i+1]
		}
	}
	return all
}

func ptr[T any](v T) *T { return &v }

// standing is a request with one version of provider 1 that stands in this status, with all that belongs to it.
func standing(owner string, status imaging.Status) (*imaging.ImageRequest, *imaging.Version) {
	r := &imaging.ImageRequest{
		ID: uuid.UUID{1}, Name: "Ubuntu", Tags: []string{}, CreatedBy: owner, Visibility: imaging.Users, SharedWith: []string{"listed"},
		StartDate: born, Revision: 7,
	}
	v := &imaging.Version{
		ID: uuid.UUID{2}, ImageRequestID: r.ID, ImageRequest: r, Ordinal: 1, Version: "1", Instance: uuid.UUID{3}, ProviderID: 1,
		Provider: &imaging.Provider{ID: 1, Active: true}, Sys: ptr(""), Exclude: ptr(""), RequestedBy: owner, Authors: []string{owner}, StartDate: born, Status: status,
	}
	v.Alias = v.ID.String()
	switch status {
	case imaging.NeedsInfo:
		v.QuestionedBy, v.QuestionedAt, v.QuestionText = ptr("reviewer"), ptr(born), ptr("Which disk?")
	case imaging.Denied:
		v.DecidedBy, v.DecidedAt, v.DecisionMessage, v.EndDate = ptr("reviewer"), ptr(born), ptr("Licensed."), ptr(born)
	case imaging.Cancelled:
		v.EndDate = ptr(born)
	case imaging.Approved, imaging.Imaging, imaging.Completed, imaging.Failed:
		v.DecidedBy, v.DecidedAt = ptr("reviewer"), ptr(born)
	default: // nothing has happened to it
	}
	switch status {
	case imaging.Imaging:
		v.LeaseToken, v.LeaseHolder, v.LeaseSeconds, v.LeaseExpiresAt = ptr(token), ptr("worker"), ptr(60), ptr(born.Add(time.Minute))
		v.Attempt, v.Stage, v.Percent, v.ImagingStarted = 1, ptr("copy"), ptr(40), ptr(born)
	case imaging.Completed:
		v.Alias, v.Attempt, v.Percent, v.ImagingStarted, v.ImagingEnded = "ami-1", 1, ptr(100), ptr(born), ptr(born)
	case imaging.Failed:
		v.FailureCode, v.FailureMessage, v.FailureDetail, v.FailureRetryable = ptr("DISK_FULL"), ptr("No space."), ptr("trace"), ptr(true)
		v.Attempt, v.ImagingStarted, v.ImagingEnded, v.EndDate = 2, ptr(born), ptr(born), ptr(born)
	default: // no worker has begun
	}
	r.Versions = []*imaging.Version{v}
	r.Settle()
	return r, v
}

// valid is a step with all that it can need.
func valid(action imaging.Action) *imaging.Step {
	s := &imaging.Step{
		Action: action, Message: "so", Lease: token, LeaseSeconds: 60, Stage: "upload", Percent: ptr(70), Alias: "ami-9", Code: "DISK_FULL",
		Detail: "trace",
	}
	if action == imaging.Approve || action == imaging.Deny || action == imaging.Question {
		s.Revision = ptr(7)
	}
	return s
}

// act takes a row's step.
func act(row string, r *imaging.ImageRequest, v *imaging.Version, a imaging.Actor) ([]*imaging.Event, error) {
	switch row {
	case "edit":
		return imaging.EditVersion(r, v, &imaging.EditVersionInput{Software: ptr("R")}, a, today)
	case "retire":
		return imaging.EditVersion(r, v, &imaging.EditVersionInput{EndDate: imaging.SetTo(ptr(today.AddDate(1, 0, 0)))}, a, today)
	case "share":
		return imaging.Edit(r, &imaging.EditImageRequestInput{Visibility: ptr(imaging.Users), SharedWith: []string{"listed", "more"}}, a, today)
	case "transfer":
		return imaging.Transfer(r, &imaging.TransferImageRequestInput{To: "heir"}, a, today)
	}
	return imaging.Apply(r, v, valid(steps[row]), a, today)
}

// wanted is a cell of the whole matrix: the new status, or the code of the refusal. Who may not do a thing learns nothing
// of the status.
func wanted(row, role string, status imaging.Status) string {
	if cells(may)[row][role] == "no" {
		return "FORBIDDEN"
	}
	if to := cells(moves)[row][string(status)]; to != "." {
		return to
	}
	return "CONFLICT"
}

func TestMatrix(t *testing.T) {
	t.Parallel()
	n := 0
	for row := range cells(moves) {
		for role, a := range players {
			for _, status := range imaging.Statuses {
				n++
				t.Run(fmt.Sprintf("%s %s as %s", row, status, role), func(t *testing.T) {
					t.Parallel()
					check(t, row, role, a, status)
				})
			}
		}
	}
	if n != 17*10*8 {
		t.Errorf("%d cells", n)
	}
}

func check(t *testing.T, row, role string, a imaging.Actor, status imaging.Status) {
	owner := "owner"
	if role == "both" {
		owner = "both"
	}
	r, v := standing(owner, status)
	before, _ := standing(owner, status)
	events, err := act(row, r, v, a)
	want := wanted(row, role, status)
	if want == "FORBIDDEN" || want == "CONFLICT" {
		if got := imaging.CodeOf(err); string(got) != want {
			t.Errorf("%v, want %s", err, want)
		}
		untouched(t, before, r, events)
		var e *imaging.Error
		if want == "CONFLICT" && (!errors.As(err, &e) || e.Status != status || !strings.Contains(e.Message, string(status))) {
			t.Errorf("the conflict does not name the status: %+v", e)
		}
		return
	}
	if err != nil {
		t.Fatalf("refused: %v, want %s", err, want)
	}
	if string(v.Status) != want || r.Status != v.Status {
		t.Errorf("it is %s (the request %s), want %s", v.Status, r.Status, want)
	}
	oneEvent(t, row, status, a, r, v, events)
}

// untouched fails if a refusal left a trace.
func untouched(t *testing.T, before, after *imaging.ImageRequest, events []*imaging.Event) {
	t.Helper()
	if diff := cmp.Diff(before, after); diff != "" || len(events) > 0 {
		t.Errorf("a refusal left %d events and changed (-before +after):\n%s", len(events), diff)
	}
}

// written is the event of each row.
var written = map[string]imaging.Action{
	"edit": imaging.VersionEdited, "retire": imaging.VersionEdited, "share": imaging.Edited, "transfer": imaging.Transferred,
}

func oneEvent(t *testing.T, row string, from imaging.Status, a imaging.Actor, r *imaging.ImageRequest, v *imaging.Version, events []*imaging.Event) {
	t.Helper()
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	type event struct {
		Request  uuid.UUID
		Version  *uuid.UUID
		Seq      int
		At       time.Time
		Actor    string
		Action   imaging.Action
		From, To *imaging.Status
	}
	want := event{Request: r.ID, Seq: 8, At: today, Actor: a.Username, Action: written[row]}
	if action, ok := steps[row]; ok {
		want.Action = action
	}
	if row == "cancel" && from == imaging.Imaging {
		want.Action = imaging.AskStop
	}
	if row != "share" && row != "transfer" { // these concern no version
		want.Version, want.From, want.To = &v.ID, &from, &v.Status
	}
	e := events[0]
	got := event{*e.ImageRequestID, e.VersionID, *e.Seq, e.At, e.Actor, e.Action, e.From, e.To}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the event (-want +got):\n%s", diff)
	}
	if r.Revision+r.Reports != 8 {
		t.Errorf("revision %d", r.Revision)
	}
	if len(e.Changes) == 0 {
		t.Error("the event tells no change")
	}
}

// Who has not signed in is asked to, whatever they want.
func TestMatrixOfNobody(t *testing.T) {
	t.Parallel()
	for row, action := range steps {
		for _, status := range imaging.Statuses {
			r, v := standing("owner", status)
			before, _ := standing("owner", status)
			events, err := imaging.Apply(r, v, valid(action), imaging.Actor{}, today)
			if imaging.CodeOf(err) != imaging.Unauthenticated {
				t.Errorf("%s %s: %v", row, status, err)
			}
			untouched(t, before, r, events)
		}
	}
}

// An action that is none of a version's steps is nobody's to take.
func TestNoSuchStep(t *testing.T) {
	t.Parallel()
	for _, action := range []imaging.Action{"", "X", imaging.Requested, imaging.Edited, imaging.VersionEdited, imaging.TokenCreated} {
		for _, a := range players {
			r, v := standing("owner", imaging.Pending)
			before, _ := standing("owner", imaging.Pending)
			events, err := imaging.Apply(r, v, valid(action), a, today)
			if err == nil {
				t.Errorf("%q was done", action)
			}
			untouched(t, before, r, events)
		}
	}
}

// What only the service's clock or a worker's end brings about cannot be asked for under its own name by anybody else.
func TestInnerStepsKeepTheirGuards(t *testing.T) {
	t.Parallel()
	guards := map[imaging.Action]map[string]bool{
		imaging.GiveUp:  {"service": true},
		imaging.Abandon: {"service": true},
		imaging.Obey:    {"worker": true, "admin": true},
		imaging.AskStop: {"owner": true, "admin": true},
	}
	for action, allowed := range guards {
		for role, a := range players {
			r, v := standing("owner", imaging.Imaging)
			_, err := imaging.Apply(r, v, valid(action), a, today)
			if got := imaging.CodeOf(err); (got == "") != allowed[role] || got != "" && got != imaging.Forbidden {
				t.Errorf("%s as %s: %v", action, role, err)
			}
		}
	}
}
