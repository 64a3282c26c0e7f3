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

// released is what every end of a worker's hold has in common.
func released(v *imaging.Version) {
	v.EndedLease = nil
	v.LeaseToken, v.LeaseHolder, v.LeaseSeconds, v.LeaseExpiresAt = nil, nil, nil, nil
	v.CancelRequested, v.ImagingEnded = false, &today
}

// ended is what a worker's own end adds to that.
func ended(v *imaging.Version) {
	released(v)
	v.EndedLease = &token
}

// What each step changes in a version, and that it changes nothing else.
func TestEffects(t *testing.T) {
	t.Parallel()
	silent := func(s *imaging.Step) { s.Message = "" }
	for name, test := range map[string]struct {
		action imaging.Action
		as     string
		from   imaging.Status
		before func(*imaging.Version)
		step   func(*imaging.Step)
		want   func(*imaging.Version)
		event  imaging.Action // "": the action
	}{
		"approve": {action: imaging.Approve, as: "reviewer", from: imaging.Pending, want: func(v *imaging.Version) {
			v.Status, v.DecidedBy, v.DecidedAt, v.DecisionMessage = imaging.Approved, ptr("reviewer"), &today, ptr("so")
		}},
		"approve without a word": {action: imaging.Approve, as: "admin", from: imaging.Pending, step: silent, want: func(v *imaging.Version) {
			v.Status, v.DecidedBy, v.DecidedAt = imaging.Approved, ptr("admin"), &today
		}},
		"deny": {action: imaging.Deny, as: "reviewer", from: imaging.Pending, want: func(v *imaging.Version) {
			v.Status, v.DecidedBy, v.DecidedAt, v.DecisionMessage, v.EndDate = imaging.Denied, ptr("reviewer"), &today, ptr("so"), &today
		}},
		"question again": {
			action: imaging.Question, as: "reviewer", from: imaging.Pending,
			before: func(v *imaging.Version) {
				v.QuestionedBy, v.QuestionedAt, v.QuestionText, v.AnsweredAt, v.AnswerText = ptr("x"), &born, ptr("old?"), &born, ptr("old")
			},
			want: func(v *imaging.Version) {
				v.Status, v.QuestionedBy, v.QuestionedAt, v.QuestionText = imaging.NeedsInfo, ptr("reviewer"), &today, ptr("so")
				v.AnsweredAt, v.AnswerText = nil, nil
			},
		},
		"answer": {action: imaging.Answer, as: "owner", from: imaging.NeedsInfo, want: func(v *imaging.Version) {
			v.Status, v.AnsweredAt, v.AnswerText = imaging.Pending, &today, ptr("so")
		}},
		"cancel": {action: imaging.Cancel, as: "owner", from: imaging.Approved, want: func(v *imaging.Version) {
			v.Status, v.EndDate = imaging.Cancelled, &today
		}},
		"cancel after the clock was set back": {
			action: imaging.Cancel, as: "owner", from: imaging.Approved,
			before: func(v *imaging.Version) { v.StartDate = tomorrow },
			want:   func(v *imaging.Version) { v.Status, v.EndDate = imaging.Cancelled, &tomorrow },
		},
		"ask to stop": {action: imaging.Cancel, as: "owner", from: imaging.Imaging, event: imaging.AskStop, want: func(v *imaging.Version) {
			v.CancelRequested = true
		}},
		"resubmit": {action: imaging.Resubmit, as: "owner", from: imaging.Denied, want: func(v *imaging.Version) {
			v.Status, v.DecidedBy, v.DecidedAt, v.DecisionMessage, v.EndDate = imaging.Pending, nil, nil, nil, nil
		}},
		"retry": {action: imaging.Retry, as: "reviewer", from: imaging.Failed, want: func(v *imaging.Version) {
			v.Status, v.EndDate, v.Attempt, v.ImagingStarted, v.ImagingEnded = imaging.Approved, nil, 0, nil, nil
			v.FailureCode, v.FailureMessage, v.FailureDetail, v.FailureRetryable = nil, nil, nil, nil
		}},
		"claim after a lost lease": {
			action: imaging.Claim, as: "worker", from: imaging.Approved,
			before: func(v *imaging.Version) {
				v.Attempt, v.Stage, v.Percent, v.ImagingStarted, v.ImagingEnded, v.Excluded = 1, ptr("copy"), ptr(40), &born, &born, []string{"/x"}
			},
			want: func(v *imaging.Version) {
				v.Status, v.Attempt, v.Stage, v.Percent, v.ImagingStarted, v.ImagingEnded, v.Excluded = imaging.Imaging, 2, nil, nil, &today, nil, nil
				v.LeaseToken, v.LeaseHolder, v.LeaseSeconds, v.LeaseExpiresAt = &token, ptr("worker"), ptr(60), ptr(today.Add(time.Minute))
			},
		},
		"report": {
			action: imaging.Report, as: "worker", from: imaging.Imaging, step: func(s *imaging.Step) { s.Excluded = []string{"/root/.ssh", "/etc/evil", " /root/.ssh/ ", "<b>"} },
			before: func(v *imaging.Version) { v.Exclude = ptr("/root/.ssh\n*.pem") },
			want: func(v *imaging.Version) {
				v.Stage, v.Percent, v.Excluded, v.LeaseExpiresAt = ptr("upload"), ptr(70), []string{"/root/.ssh"}, ptr(today.Add(time.Minute))
			},
		},
		"report a sign of life": {
			action: imaging.Report, as: "worker", from: imaging.Imaging, step: func(s *imaging.Step) { s.Stage, s.Percent = "", nil },
			want: func(v *imaging.Version) { v.LeaseExpiresAt = ptr(today.Add(time.Minute)) },
		},
		"complete": {action: imaging.Complete, as: "worker", from: imaging.Imaging, want: func(v *imaging.Version) {
			v.Status, v.Alias, v.Percent, v.Stage = imaging.Completed, "ami-9", ptr(100), nil
			ended(v)
		}},
		"complete, with what was left out": {
			action: imaging.Complete, as: "worker", from: imaging.Imaging, step: func(s *imaging.Step) { s.Excluded = []string{"/never/asked", "*.pem"} },
			before: func(v *imaging.Version) { v.Exclude, v.Excluded = ptr("/root/.ssh\n*.pem"), []string{"/root/.ssh"} },
			want: func(v *imaging.Version) {
				v.Status, v.Alias, v.Percent, v.Stage, v.Excluded = imaging.Completed, "ami-9", ptr(100), nil, []string{"*.pem"}
				ended(v)
			},
		},
		"complete although asked to stop": {
			action: imaging.Complete, as: "worker", from: imaging.Imaging, before: func(v *imaging.Version) { v.CancelRequested = true },
			want: func(v *imaging.Version) {
				v.Status, v.Alias, v.Percent, v.Stage = imaging.Completed, "ami-9", ptr(100), nil
				ended(v)
			},
		},
		"fail": {
			action: imaging.Fail, as: "worker", from: imaging.Imaging, step: func(s *imaging.Step) { s.Retryable = true },
			want: func(v *imaging.Version) {
				v.Status, v.EndDate = imaging.Failed, &today
				v.FailureCode, v.FailureMessage, v.FailureDetail, v.FailureRetryable = ptr("DISK_FULL"), ptr("so"), ptr("trace"), ptr(true)
				ended(v)
			},
		},
		"stop as asked": {
			action: imaging.Fail, as: "worker", from: imaging.Imaging, before: func(v *imaging.Version) { v.CancelRequested = true },
			want: func(v *imaging.Version) {
				v.Status, v.EndDate = imaging.Cancelled, &today
				v.FailureCode, v.FailureMessage, v.FailureDetail, v.FailureRetryable = ptr("DISK_FULL"), ptr("so"), ptr("trace"), ptr(false)
				ended(v)
			},
			event: imaging.Obey,
		},
		"release": {
			action: imaging.Release, as: "worker", from: imaging.Imaging, before: func(v *imaging.Version) { v.Attempt, v.Excluded = 3, []string{"/x"} },
			want: func(v *imaging.Version) {
				v.Status, v.Attempt = imaging.Approved, 2
				ended(v)
				v.Stage, v.Percent, v.ImagingStarted, v.ImagingEnded, v.Excluded = nil, nil, nil, nil, nil
			},
		},
		"release what is to be stopped": {
			action: imaging.Release, as: "worker", from: imaging.Imaging, before: func(v *imaging.Version) { v.CancelRequested = true },
			step:  func(s *imaging.Step) { s.Code = "" },
			want:  func(v *imaging.Version) { v.Status, v.EndDate = imaging.Cancelled, &today; ended(v) },
			event: imaging.Obey,
		},
		"approval by the provider itself": {
			action: imaging.AutoApproved, as: "service", from: imaging.Pending, step: silent,
			before: func(v *imaging.Version) { v.Provider.AutoApprove = true },
			want:   func(v *imaging.Version) { v.Status, v.DecidedAt = imaging.Approved, &today },
		},
		"lease runs out": {
			action: imaging.Expire, as: "service", from: imaging.Imaging, step: silent,
			want: func(v *imaging.Version) { v.Status = imaging.Approved; released(v) },
		},
		"lease runs out for the last time": {
			action: imaging.Expire, as: "service", from: imaging.Imaging, step: silent, event: imaging.GiveUp,
			before: func(v *imaging.Version) { v.Attempt = imaging.MaxAttempts },
			want: func(v *imaging.Version) {
				v.Status, v.EndDate = imaging.Failed, &today
				v.FailureCode, v.FailureMessage, v.FailureRetryable = ptr("LEASE_LOST"), ptr("The worker was lost during the last attempt."), ptr(true)
				released(v)
			},
		},
		"lease runs out after the wish to stop": {
			action: imaging.Expire, as: "service", from: imaging.Imaging, step: silent, event: imaging.Abandon,
			before: func(v *imaging.Version) { v.Attempt, v.CancelRequested = imaging.MaxAttempts, true },
			want:   func(v *imaging.Version) { v.Status, v.EndDate = imaging.Cancelled, &today; released(v) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, v := standing("owner", test.from)
			s := valid(test.action)
			if test.before != nil {
				test.before(v)
			}
			if test.step != nil {
				test.step(s)
			}
			wantR := *r
			wantV := *v
			wantV.ImageRequest, wantR.Versions = &wantR, []*imaging.Version{&wantV}
			test.want(&wantV)
			if s.Action == imaging.Report {
				wantR.Reports++
			} else {
				wantR.Revision++
			}
			wantR.Settle()
			events, err := imaging.Apply(r, v, s, players[test.as], today)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&wantR, r); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			event := test.action
			if test.event != "" {
				event = test.event
			}
			if len(events) != 1 || events[0].Action != event || s.Message != "" && *events[0].Message != s.Message {
				t.Errorf("events %+v, want one %s that tells what was said", events, event)
			}
		})
	}
}

// What a step lacks or has too much of is told by field, and nothing is done.
func TestBadSteps(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("ß", n+1) }
	paths := make([]string, imaging.MaxExcluded+1)
	for i := range paths {
		paths[i] = "/x"
	}
	for _, test := range []struct {
		action imaging.Action
		as     string
		from   imaging.Status
		change func(*imaging.Step)
		want   string
	}{
		{imaging.Deny, "reviewer", imaging.Pending, func(s *imaging.Step) { s.Message = "" }, "message"},
		{imaging.Deny, "reviewer", imaging.Pending, func(s *imaging.Step) { s.Message = " \t\n" }, "message"},
		{imaging.Question, "reviewer", imaging.Pending, func(s *imaging.Step) { s.Message = "" }, "message"},
		{imaging.Question, "reviewer", imaging.Pending, func(s *imaging.Step) { s.Message = "  " }, "message"},
		{imaging.Answer, "owner", imaging.NeedsInfo, func(s *imaging.Step) { s.Message = "" }, "message"},
		{imaging.Approve, "reviewer", imaging.Pending, func(s *imaging.Step) { s.Message = long(imaging.MaxText) }, "message"},
		{imaging.Deny, "reviewer", imaging.Pending, func(s *imaging.Step) { s.Message = long(imaging.MaxText) }, "message"},
		{imaging.Question, "reviewer", imaging.Pending, func(s *imaging.Step) { s.Message = "a\x00" }, "message"},
		{imaging.Answer, "owner", imaging.NeedsInfo, func(s *imaging.Step) { s.Message = long(imaging.MaxText) }, "message"},
		{imaging.Cancel, "owner", imaging.Pending, func(s *imaging.Step) { s.Message = long(imaging.MaxText) }, "message"},
		{imaging.Cancel, "owner", imaging.Imaging, func(s *imaging.Step) { s.Message = "\xff" }, "message"},
		{imaging.Resubmit, "owner", imaging.Denied, func(s *imaging.Step) { s.Message = long(imaging.MaxText) }, "message"},
		{imaging.Retry, "reviewer", imaging.Failed, func(s *imaging.Step) { s.Message = "\x00" }, "message"},
		{imaging.Claim, "worker", imaging.Approved, func(s *imaging.Step) { s.LeaseSeconds = imaging.MinLeaseSeconds - 1 }, "leaseSeconds"},
		{imaging.Claim, "worker", imaging.Approved, func(s *imaging.Step) { s.LeaseSeconds = imaging.MaxLeaseSeconds + 1 }, "leaseSeconds"},
		{imaging.Report, "worker", imaging.Imaging, func(s *imaging.Step) { s.Percent = ptr(-1) }, "percent"},
		{imaging.Report, "worker", imaging.Imaging, func(s *imaging.Step) { s.Percent = ptr(101) }, "percent"},
		{imaging.Report, "worker", imaging.Imaging, func(s *imaging.Step) { s.Stage = long(imaging.MaxStage); s.Percent = ptr(101) }, "stage percent"},
		{imaging.Report, "worker", imaging.Imaging, func(s *imaging.Step) { s.Excluded = paths }, "excluded"},
		{imaging.Report, "worker", imaging.Imaging, func(s *imaging.Step) { s.Excluded = []string{"/x", " "} }, "excluded.1"},
		{imaging.Report, "worker", imaging.Imaging, func(s *imaging.Step) { s.Excluded = []string{long(imaging.MaxPath)} }, "excluded.0"},
		{imaging.Complete, "worker", imaging.Imaging, func(s *imaging.Step) { s.Alias = " " }, "alias"},
		{imaging.Complete, "worker", imaging.Imaging, func(s *imaging.Step) { s.Alias = long(imaging.MaxAlias) }, "alias"},
		{imaging.Complete, "worker", imaging.Imaging, func(s *imaging.Step) { s.Excluded = paths }, "excluded"},
		{imaging.Complete, "worker", imaging.Imaging, func(s *imaging.Step) { s.Alias = "ami\n1" }, "alias"},
		{imaging.Fail, "worker", imaging.Imaging, func(s *imaging.Step) { s.Code = "A\tB" }, "code"},
		{imaging.Fail, "worker", imaging.Imaging, func(s *imaging.Step) { s.Code, s.Message = "", "" }, "code message"},
		{imaging.Fail, "worker", imaging.Imaging, func(s *imaging.Step) { s.Code = long(imaging.MaxCode) }, "code"},
		{imaging.Fail, "worker", imaging.Imaging, func(s *imaging.Step) { s.Message = long(imaging.MaxText) }, "message"},
		{imaging.Fail, "worker", imaging.Imaging, func(s *imaging.Step) { s.Detail = long(imaging.MaxDetail) }, "detail"},
	} {
		t.Run(fmt.Sprintf("%s %s", test.action, test.want), func(t *testing.T) {
			t.Parallel()
			r, v := standing("owner", test.from)
			before, _ := standing("owner", test.from)
			s := valid(test.action)
			test.change(s)
			events, err := imaging.Apply(r, v, s, players[test.as], today)
			var problems imaging.Problems
			var fields []string
			if !errors.As(err, &problems) {
				t.Fatalf("no problems but %v", err)
			}
			for _, e := range problems {
				fields = append(fields, e.Field)
			}
			if got := strings.Join(fields, " "); got != test.want {
				t.Errorf("problems with %s, want %s", got, test.want)
			}
			untouched(t, before, r, events)
		})
	}
}

// The limits themselves are within bounds.
func TestStepsAtTheirLimits(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("ß", n) }
	for action, s := range map[imaging.Action]*imaging.Step{
		imaging.Claim:    {LeaseSeconds: imaging.MaxLeaseSeconds},
		imaging.Report:   {Stage: long(imaging.MaxStage), Percent: ptr(100), Excluded: []string{long(imaging.MaxPath)}},
		imaging.Complete: {Alias: long(imaging.MaxAlias), Excluded: []string{}},
		imaging.Fail:     {Code: long(imaging.MaxCode), Message: long(imaging.MaxText), Detail: long(imaging.MaxDetail)},
	} {
		from := imaging.Imaging
		if action == imaging.Claim {
			from = imaging.Approved
		}
		r, v := standing("owner", from)
		s.Action, s.Lease = action, token
		if _, err := imaging.Apply(r, v, s, players["worker"], today); err != nil {
			t.Errorf("%s: %v", action, err)
		}
	}
}

// The owner's second wish to stop what is being imaged says nothing new.
func TestCancelTwice(t *testing.T) {
	t.Parallel()
	r, v := standing("owner", imaging.Imaging)
	for i, test := range []struct {
		message string
		events  int
	}{{"", 1}, {"", 0}, {"at once, please", 1}} { // what is said is kept
		events, err := imaging.Apply(r, v, &imaging.Step{Action: imaging.Cancel, Message: test.message}, players["owner"], today)
		if err != nil || len(events) != test.events || !v.CancelRequested {
			t.Errorf("wish %d: %v, %d events", i+1, err, len(events))
		}
	}
	if r.Revision != 9 {
		t.Errorf("revision %d", r.Revision)
	}
}

// A worker's last word that is sent again is known by its lease, and only what was done then is it.
func TestRepeats(t *testing.T) {
	t.Parallel()
	for _, action := range []imaging.Action{imaging.Complete, imaging.Fail, imaging.Release} {
		for _, stop := range []bool{false, true} {
			r, v := standing("owner", imaging.Imaging)
			v.CancelRequested = stop
			s := valid(action)
			if v.Repeats(s, players["worker"]) {
				t.Errorf("%s repeats before it was done", action)
			}
			if _, err := imaging.Apply(r, v, s, players["worker"], today); err != nil {
				t.Fatal(err)
			}
			for name, other := range map[string]*imaging.Step{
				"another lease": {Action: action, Lease: uuid.UUID{9}, Alias: s.Alias, Code: s.Code},
				"a report":      {Action: imaging.Report, Lease: token},
				"another image": {Action: imaging.Complete, Lease: token, Alias: "ami-10"},
			} {
				if v.Repeats(other, players["worker"]) {
					t.Errorf("%s passes for %s", name, action)
				}
			}
			if !v.Repeats(s, players["worker"]) || v.Repeats(s, players["worker2"]) || v.Repeats(s, players["owner"]) {
				t.Errorf("%s (to be stopped: %v) is not known again by its worker alone", action, stop)
			}
		}
	}
}

// Only who shows the lease's token writes: a wrong one and none are refused alike.
func TestLeaseIsShown(t *testing.T) {
	t.Parallel()
	for _, action := range []imaging.Action{imaging.Report, imaging.Complete, imaging.Fail, imaging.Release} {
		for _, shown := range []uuid.UUID{{}, {0xff}} {
			for _, stop := range []bool{false, true} {
				r, v := standing("owner", imaging.Imaging)
				v.CancelRequested = stop
				s := valid(action)
				s.Lease = shown
				events, err := imaging.Apply(r, v, s, players["admin"], today)
				var e *imaging.Error
				if !errors.As(err, &e) || e.Code != imaging.Conflict || e.Field != "leaseToken" || e.Status != imaging.Imaging {
					t.Errorf("%s: %+v", action, e)
				}
				if v.Status != imaging.Imaging || *v.Percent != 40 || len(events) > 0 {
					t.Errorf("%s was done", action)
				}
			}
		}
	}
}

// An edit that answers the question brings the version back before a reviewer; one that changes nothing does not.
func TestEditOfWhatNeedsInfo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		in   imaging.EditVersionInput
		want imaging.Status
	}{
		"software":         {imaging.EditVersionInput{Software: ptr("R")}, imaging.Pending},
		"change log":       {imaging.EditVersionInput{ChangeLog: ptr("Smaller.")}, imaging.Pending},
		"the same again":   {imaging.EditVersionInput{Software: ptr(""), Exclude: ptr("")}, imaging.NeedsInfo},
		"nothing was said": {imaging.EditVersionInput{}, imaging.NeedsInfo},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, v := standing("owner", imaging.NeedsInfo)
			events, err := imaging.EditVersion(r, v, &test.in, players["owner"], today)
			if err != nil || v.Status != test.want || r.Status != test.want {
				t.Errorf("it is %s (%v), want %s", v.Status, err, test.want)
			}
			moved := test.want == imaging.Pending
			if moved != (len(events) == 1) || moved != (r.Revision == 8) {
				t.Errorf("%d events, revision %d", len(events), r.Revision)
			}
			if moved != (v.AnsweredAt != nil) || v.AnswerText != nil {
				t.Errorf("the question was answered at %v: %v", v.AnsweredAt, v.AnswerText)
			}
		})
	}
}

// A version's end can be planned, moved and taken back.
func TestRetirement(t *testing.T) {
	t.Parallel()
	r, v := standing("owner", imaging.Completed)
	for _, end := range []*time.Time{ptr(today.AddDate(1, 0, 0)), ptr(born), nil} {
		events, err := imaging.EditVersion(r, v, &imaging.EditVersionInput{EndDate: imaging.SetTo(end)}, players["owner"], today)
		if err != nil || len(events) != 1 || !cmp.Equal(v.EndDate, end) {
			t.Errorf("%v: %d events, ends %v, want %v", err, len(events), v.EndDate, end)
		}
	}
	_, err := imaging.EditVersion(r, v, &imaging.EditVersionInput{EndDate: imaging.SetTo(ptr(born.Add(-time.Second)))}, players["owner"], today)
	if e := imaging.All(err)[0]; e.Code != imaging.Invalid || e.Field != "endDate" || v.EndDate != nil {
		t.Errorf("an end before the start: %v, ends %v", err, v.EndDate)
	}
}

// A form that sends an end unchanged changes nothing, wherever the version stands.
func TestSameEnd(t *testing.T) {
	t.Parallel()
	for _, status := range imaging.Statuses {
		r, v := standing("owner", status)
		in := imaging.EditVersionInput{EndDate: imaging.SetTo(v.EndDate), ChangeLog: ptr("Smaller.")}
		if _, err := imaging.EditVersion(r, v, &in, players["owner"], today); err != nil || v.ChangeLog != "Smaller." {
			t.Errorf("%s: %v", status, err)
		}
	}
}

// A request that has ended takes no new version until its end is taken back. Who may ask for one may in every status.
func TestAnotherVersion(t *testing.T) {
	t.Parallel()
	for role, a := range players {
		for _, status := range imaging.Statuses {
			for end, over := range map[*time.Time]bool{nil: false, ptr(today.Add(time.Second)): false, ptr(today): true} {
				owner := "owner"
				if role == "both" {
					owner = role
				}
				r, v := standing(owner, status)
				r.EndDate = end
				in := &imaging.RequestVersionInput{Work: imaging.Work{Instance: uuid.UUID{9}, Provider: 1}}
				events, err := imaging.Another(r, in, uuid.UUID{8}, a, &imaging.Provider{ID: 1}, today)
				want := imaging.Code("")
				switch {
				case cells(may)["transfer"][role] == "no": // who may give it away may add to it
					want = imaging.Forbidden
				case over:
					want = imaging.Conflict
				}
				if imaging.CodeOf(err) != want || want == imaging.Conflict && imaging.All(err)[0].Status != status {
					t.Errorf("%s as %s, over %v: %v, want %s", status, role, over, err, want)
				}
				if done := want == ""; done != (len(events) == 1 && events[0].Action == imaging.VersionRequested && *events[0].To == imaging.Pending) || done != (len(r.Versions) == 2) || v.Status != status {
					t.Errorf("%s as %s: %d events, %d versions", status, role, len(events), len(r.Versions))
				}
			}
		}
	}
}

// The insides of a failure are for who is staff to this request: not for its owner, not even for one who is a worker
// elsewhere.
func TestWhoReadsTheInsidesOfAFailure(t *testing.T) {
	t.Parallel()
	ownerWhoWorks := imaging.Actor{Username: "owner", Roles: []imaging.Role{imaging.Worker}}
	for role, want := range map[string]bool{
		"owner": false, "stranger": false, "listed": false, "reviewer": true, "reviewer2": true, "worker": false, "worker2": false, "admin": true, "both": true, "": false,
	} {
		a := players[role]
		if role == "" {
			a = ownerWhoWorks
		}
		r, v := standing("owner", imaging.Failed)
		imaging.Redact(a, r)
		e := &imaging.Event{Changes: imaging.Changes{"version.failureDetail": {}, "version.failureCode": {}}}
		_, told := e.Show(a, r).Changes["version.failureDetail"]
		if told != want || (v.FailureDetail != nil) != want || len(e.Changes) != 2 {
			t.Errorf("%q: in the event %v, in the version %v, want %v", role, told, v.FailureDetail != nil, want)
		}
	}
}
