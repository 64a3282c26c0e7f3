package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// TestLivesInDemo goes with requests through all that the demonstration does to them.
func TestLivesInDemo(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "--demo-imaging=5s", "--demo-failures=0")
	for name, live := range map[string]func(*testing.T, *demo){
		"completed": completedLife, "denied and resubmitted": deniedLife, "questioned": questionedLife, "auto-approved": autoApprovedLife,
		"two versions": secondVersion, "retired": retirement, "shared": sharing, "transferred": transfer, "one's own": ownRequest,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			live(t, d)
		})
	}
}

// From PENDING to COMPLETED, by a reviewer and the pretending worker, with its progress seen.
func completedLife(t *testing.T, d *demo) {
	id := d.request(t, "username", fields{"exclude": "/root/.ssh\n/home/*/.ssh\n/nowhere\nand please be quick"})
	asked := d.read(t, "username", id)
	v := asked.newest()
	equal(t, "as asked", []string{"PENDING", v.ID, "1"}, []string{v.Status, v.Alias, v.Version})
	if v.QueuePosition == nil || *v.QueuePosition < 1 {
		t.Errorf("place in the reviewers' queue: %v", v.QueuePosition)
	}
	equal(t, "REST", restVersion{v.ID, "1", millis(&asked.StartDate), nil, 1}, d.rest(t, "username", id).Versions[0])
	d.hidden(t, "worker", id)
	d.hidden(t, "nobody", id)

	d.do(t, "username", "editImageRequest", fields{"imageRequest": id, "revision": asked.Revision, "description": "Described"})
	stale := fields{"version": v.ID, "revision": asked.Revision}
	for _, decision := range []string{"approveVersion", "denyVersion", "questionVersion"} {
		stale["message"] = "On what I have read."
		if refused := d.try(t, "reviewer", decision, stale); len(refused) != 1 || !strings.HasPrefix(refused[0], "CONFLICT revision:") || !strings.HasSuffix(refused[0], "PENDING") {
			t.Errorf("%s on a stale revision: %q", decision, refused)
		}
	}
	d.decide(t, "reviewer", "approveVersion", id, "Fine with me")
	var seen []int
	done := d.becomes(t, id, "COMPLETED", func(v stage) {
		if v.Status == "IMAGING" && v.Progress.Percent != nil && !slices.Contains(seen, *v.Progress.Percent) {
			seen = append(seen, *v.Progress.Percent)
		}
	})
	if len(seen) < 2 || !slices.IsSorted(seen) {
		t.Errorf("percents seen on the way: %v", seen)
	}
	done.whole(t)
	v = done.newest()
	equal(t, "the decision", []string{"reviewer", "Fine with me"}, []string{or(v.Decision.By), or(v.Decision.Message)})
	equal(t, "understood", []string{"/root/.ssh", "/home/*/.ssh", "/nowhere"}, v.ExcludePaths)
	equal(t, "left out", []string{"/root/.ssh", "/home/*/.ssh"}, v.Progress.Excluded)
	equal(t, "percent", 100, *v.Progress.Percent)
	if v.Progress.EndedAt == nil || v.EndDate != nil || v.QueuePosition != nil || v.Failure != nil || v.Alias == v.ID {
		t.Errorf("completed: %+v", v)
	}
	equal(t, "the story", []string{
		"username asked for this image.", "username changed the request (description).", "reviewer approved the version: Fine with me.",
		"worker began to make the image.", "worker made the image.",
	}, done.story())
	delivered := d.rest(t, "username", id).Versions[0]
	equal(t, "REST alias", v.Alias, delivered.Alias)
	equal(t, "REST end_date", nil, delivered.EndDate)
}

// Refused with a reason, brought back, and made after all.
func deniedLife(t *testing.T, d *demo) {
	id := d.request(t, "username", fields{"software": "A licensed program"})
	r := d.read(t, "username", id)
	version := r.newest().ID
	equal(t, "without a reason", []string{"INVALID message: " + blank}, d.try(t, "reviewer", "denyVersion", fields{"version": version, "revision": r.Revision}))
	d.decide(t, "reviewer", "denyVersion", id, "It holds licensed software.")
	denied := d.read(t, "username", id)
	v := denied.newest()
	equal(t, "denied", []string{"DENIED", "reviewer", "It holds licensed software."}, []string{v.Status, or(v.Decision.By), or(v.Decision.Message)})
	if v.EndDate == nil {
		t.Error("a denied version has no end")
	}
	equal(t, "REST end_date", millis(v.EndDate), d.rest(t, "username", id).Versions[0].EndDate)

	again := fields{"version": version, "message": "It is removed."}
	equal(t, "resubmitted by a reviewer", 1, len(d.try(t, "reviewer", "resubmitVersion", again)))
	d.do(t, "username", "resubmitVersion", again)
	if got := d.try(t, "username", "resubmitVersion", again); len(got) != 1 || !strings.HasPrefix(got[0], "CONFLICT") || !strings.HasSuffix(got[0], "PENDING") {
		t.Errorf("resubmitted twice: %q", got)
	}
	d.do(t, "username", "editVersion", fields{"version": version, "software": "R"})
	v = d.read(t, "username", id).newest()
	equal(t, "resubmitted", "PENDING", v.Status)
	if v.Decision != nil || v.EndDate != nil || d.rest(t, "username", id).Versions[0].EndDate != nil {
		t.Errorf("something of the refusal is left: %+v", v)
	}
	d.decide(t, "reviewer", "approveVersion", id, "")
	done := d.becomes(t, id, "COMPLETED")
	done.whole(t)
	equal(t, "the story", []string{
		"username asked for this image.", "reviewer refused the version: It holds licensed software.",
		"username brought the version before a reviewer again: It is removed.", "username changed the version (software).",
		"reviewer approved the version.", "worker began to make the image.", "worker made the image.",
	}, done.story())
}

// TestFailedLifeInDemo: a failure with its reason, for the owner and for staff; tried again in vain, and once more when
// the operator has mended the provider.
func TestFailedLifeInDemo(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	d := &demo{program: startServer(t, dir, "--demo", "--demo-imaging=200ms", "--demo-failures=1")}
	id := d.request(t, "username", fields{"visibility": "PUBLIC"})
	d.decide(t, "reviewer", "approveVersion", id, "")
	failed := d.becomes(t, id, "FAILED")
	failed.whole(t)
	v := failed.newest()
	if v.Failure == nil || v.Failure.Code != "SIMULATED" || !strings.HasPrefix(v.Failure.Message, "The pretended provider gave up") || !v.Failure.Retryable || v.Failure.Detail != nil {
		t.Errorf("the owner reads %+v", v.Failure)
	}
	if staff := d.read(t, "reviewer", id).newest().Failure; staff.Detail == nil || *staff.Detail == "" {
		t.Error("staff read no detail")
	}
	for _, e := range failed.Events.Nodes {
		for _, c := range e.Changes {
			if strings.Contains(c.Field, "etail") {
				t.Errorf("the owner reads in event %d: %+v", e.Seq, c)
			}
		}
	}
	if others := d.read(t, "nobody", id).newest(); others.Failure != nil || others.Status != "FAILED" {
		t.Errorf("others read %+v", others)
	}
	if story := failed.story(); story[len(story)-1] != "worker could not make the image: "+v.Failure.Message {
		t.Errorf("the story: %q", story)
	}
	equal(t, "REST end_date", millis(v.EndDate), d.rest(t, "nobody", id).Versions[0].EndDate)
	equal(t, "ended", true, v.EndDate != nil)
	equal(t, "REST alias", v.ID, d.rest(t, "nobody", id).Versions[0].Alias)

	again := fields{"version": v.ID, "message": "Once more"}
	if refused := d.try(t, "username", "retryVersion", again); len(refused) != 1 || !strings.HasPrefix(refused[0], "FORBIDDEN") {
		t.Errorf("retried by the owner: %q", refused)
	}
	d.do(t, "reviewer", "retryVersion", again)
	d.becomes(t, id, "FAILED")
	d.stop(t)

	d.program = startServer(t, dir, "--demo", "--demo-imaging=200ms", "--demo-failures=0")
	d.do(t, "reviewer", "retryVersion", fields{"version": v.ID, "message": "The disk is replaced"})
	done := d.becomes(t, id, "COMPLETED")
	done.whole(t)
	v = done.newest()
	if v.Failure != nil || v.EndDate != nil || v.Alias == v.ID || v.Progress.Attempt != 1 {
		t.Errorf("completed at last: %+v", v)
	}
	equal(t, "REST", []any{v.Alias, true}, []any{d.rest(t, "nobody", id).Versions[0].Alias, d.rest(t, "nobody", id).Versions[0].EndDate == nil})
	var actions []string
	for _, e := range done.Events.Nodes {
		if e.Action != "PROGRESSED" {
			actions = append(actions, e.Action)
		}
	}
	equal(t, "what happened", "REQUESTED APPROVED CLAIMED FAILED RETRIED CLAIMED FAILED RETRIED CLAIMED COMPLETED", strings.Join(actions, " "))
}

// TestCancelledLifeInDemo: the owner cancels what is being imaged, and the worker obeys.
func TestCancelledLifeInDemo(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "--demo-imaging=20s", "--demo-failures=0") // it could not be done before it is cancelled
	instance := uuid.NewString()
	id := d.request(t, "username", fields{"instance": instance})
	version := d.read(t, "username", id).newest().ID
	d.decide(t, "reviewer", "approveVersion", id, "")
	d.becomes(t, id, "IMAGING")
	refused := d.try(t, "username", "requestImage", fields{"name": "Another", "instance": instance, "provider": 1, "visibility": "PRIVATE"})
	if len(refused) != 1 || !strings.HasPrefix(refused[0], "CONFLICT instance:") || !strings.HasSuffix(refused[0], "IMAGING") {
		t.Errorf("its instance, meanwhile: %q", refused)
	}
	cancel := d.mutate(t, "username", "cancelVersion", "version { status progress { cancelRequested } }", fields{"version": version, "message": "The instance is wrong"})
	equal(t, "marked", `{"data":{"done":{"version":{"status":"IMAGING","progress":{"cancelRequested":true}}}}}`, withoutCost(cancel.body))
	end := d.becomes(t, id, "CANCELLED")
	end.whole(t)
	v := end.newest()
	if v.EndDate == nil || v.Failure != nil || v.Alias != v.ID || v.Progress.EndedAt == nil || v.Progress.CancelRequested {
		t.Errorf("cancelled: %+v", v)
	}
	equal(t, "REST end_date", millis(v.EndDate), d.rest(t, "username", id).Versions[0].EndDate)
	equal(t, "the story", []string{
		"username asked for this image.", "reviewer approved the version.", "worker began to make the image.",
		"username asked for the imaging to be stopped: The instance is wrong.", "worker stopped the imaging, as the owner wanted: The imaging was stopped, as the owner wanted.",
	}, end.story())
	if twice := d.try(t, "username", "cancelVersion", fields{"version": version}); len(twice) != 1 || !strings.HasPrefix(twice[0], "CONFLICT") || !strings.HasSuffix(twice[0], "CANCELLED") {
		t.Errorf("cancelled twice: %q", twice)
	}
	d.request(t, "username", fields{"instance": instance}) // it is free again
	equal(t, "REST, for the worker", http.StatusNotFound, fetch(t, http.MethodGet, d.base+"/image_requests/"+id, "demo-worker", "").status)
}
