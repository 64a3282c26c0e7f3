package main

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

// A reviewer asks, the owner answers, or changes what was asked about; only they and staff read of it.
func questionedLife(t *testing.T, d *demo) {
	id := d.request(t, "username", fields{"provider": d.provider(t, false), "visibility": "PUBLIC"})
	r := d.read(t, "username", id)
	version := r.newest().ID
	equal(t, "no question", []string{"INVALID message: " + blank}, d.try(t, "reviewer", "questionVersion", fields{"version": version, "revision": r.Revision, "message": " "}))
	d.decide(t, "reviewer", "questionVersion", id, "Which edition of R?")
	asked := d.read(t, "username", id).newest()
	equal(t, "asked", "NEEDS_INFO", asked.Status)
	equal(t, "the question", "reviewer: Which edition of R?", asked.Question.By+": "+asked.Question.Message)
	if open := d.read(t, "nobody", id); open.newest().Question != nil || open.History != nil || open.Events != nil {
		t.Errorf("everybody reads %+v", open)
	}
	equal(t, "answered by a reviewer", 1, len(d.try(t, "reviewer", "answerQuestion", fields{"version": version, "message": "4.3"})))
	d.do(t, "username", "answerQuestion", fields{"version": version, "message": "4.3"})
	answered := d.read(t, "reviewer", id).newest()
	equal(t, "answered", []string{"PENDING", "4.3"}, []string{answered.Status, answered.Question.Answer})

	d.decide(t, "reviewer", "questionVersion", id, "Please say so in the note.")
	d.do(t, "username", "editVersion", fields{"version": version, "software": "R 4.3"})
	d.decide(t, "reviewer", "approveVersion", id, "")
	end := d.read(t, "username", id)
	end.whole(t)
	equal(t, "the story", []string{
		"username asked for this image.", "reviewer asked the owner a question: Which edition of R?", "username answered the question: 4.3.",
		"reviewer asked the owner a question: Please say so in the note.", "username changed the version (software, status).", "reviewer approved the version.",
	}, end.story())
	equal(t, "its place in the workers' queue", 1, *end.newest().QueuePosition)
}

// A provider that approves by itself: recorded as such, then worked on by a worker that calls from outside.
func autoApprovedLife(t *testing.T, d *demo) {
	provider := d.provider(t, true)
	id := d.request(t, "username", fields{"provider": provider, "exclude": "/a\n/b"})
	r := d.read(t, "username", id)
	v := r.newest()
	equal(t, "at once", "APPROVED", v.Status)
	if v.Decision == nil || v.Decision.By != nil {
		t.Errorf("the decision: %+v", v.Decision)
	}
	h := d.claim(t, provider)
	equal(t, "claimed", v.ID, h.Version.ID)
	if none := d.claim(t, provider); none.Version != nil || none.Lease != nil {
		t.Errorf("claimed twice: %+v", none)
	}
	report := fields{"version": v.ID, "leaseToken": h.Lease.Token, "stage": "copy", "percent": 40, "excluded": []string{"/b"}}
	d.do(t, "worker", "reportVersion", report)
	v = d.read(t, "username", id).newest()
	equal(t, "progress", []any{"IMAGING", "copy", 40, 1, false}, []any{v.Status, *v.Progress.Stage, *v.Progress.Percent, v.Progress.Attempt, v.Progress.CancelRequested})
	equal(t, "left out", []string{"/b"}, v.Progress.Excluded)
	report["leaseToken"] = uuid.NewString()
	if lost := d.try(t, "worker", "reportVersion", report); len(lost) != 1 || !strings.HasPrefix(lost[0], "CONFLICT leaseToken:") {
		t.Errorf("with another lease: %q", lost)
	}
	d.do(t, "worker", "completeVersion", fields{"version": v.ID, "leaseToken": h.Lease.Token, "alias": "ami-" + v.ID})
	end := d.read(t, "username", id)
	end.whole(t)
	equal(t, "the story", []string{
		"username asked for this image.", "The service approved the version, as its provider always does.",
		"worker began to make the image.", "worker made the image.",
	}, end.story())
	equal(t, "REST alias", "ami-"+v.ID, d.rest(t, "username", id).Versions[0].Alias)
}

// One more version of an image that exists; it is withdrawn, and the first one is as it was.
func secondVersion(t *testing.T, d *demo) {
	id, _ := d.made(t)
	in := fields{"imageRequest": id, "instance": uuid.NewString(), "provider": d.provider(t, false), "version": "1"}
	if taken := d.try(t, "username", "requestVersion", in); len(taken) != 1 || !strings.HasPrefix(taken[0], "CONFLICT version:") {
		t.Errorf("a label that is taken: %q", taken)
	}
	delete(in, "version")
	d.do(t, "username", "requestVersion", in)
	r := d.read(t, "username", id)
	equal(t, "versions", []string{"1", "COMPLETED", "2", "PENDING"}, []string{r.Versions[0].Version, r.Versions[0].Status, r.Versions[1].Version, r.Versions[1].Status})
	equal(t, "the request's status is the newest version's", "PENDING", r.Status)
	d.do(t, "username", "cancelVersion", fields{"version": r.newest().ID, "message": "Not needed"})
	r = d.read(t, "username", id)
	r.whole(t)
	rest := d.rest(t, "username", id).Versions
	equal(t, "REST end_date of the first", nil, rest[0].EndDate)
	equal(t, "REST end_date of the second", millis(r.newest().EndDate), rest[1].EndDate)
	equal(t, "cancelled, with an end", []any{"CANCELLED", true, "Not needed"}, []any{r.Status, rest[1].EndDate != nil, or(r.Events.Nodes[len(r.Events.Nodes)-1].Message)})
	d.do(t, "username", "requestVersion", in) // its instance is free again
	equal(t, "the next label", "3", d.read(t, "username", id).newest().Version)
}

// An end is planned and taken back, of the request and of a version; once it has come, lists leave the request out.
func retirement(t *testing.T, d *demo) {
	id, _ := d.made(t)
	version := d.read(t, "username", id).newest().ID
	const planned = "2100-01-02T03:04:05Z"
	whole, one := fields{"imageRequest": id, "endDate": planned}, fields{"version": version, "endDate": planned}
	d.do(t, "username", "editImageRequest", whole)
	d.do(t, "username", "editVersion", one)
	r := d.rest(t, "username", id)
	equal(t, "REST, planned", []string{"2100-01-02T03:04:05.000Z", "2100-01-02T03:04:05.000Z"}, []string{or(r.EndDate), or(r.Versions[0].EndDate)})
	equal(t, "still listed", true, d.lists(t, "username", id, fields{}))
	whole["endDate"], one["endDate"] = nil, nil
	d.do(t, "username", "editImageRequest", whole)
	d.do(t, "username", "editVersion", one)
	r = d.rest(t, "username", id)
	equal(t, "REST, taken back", []string{"", ""}, []string{or(r.EndDate), or(r.Versions[0].EndDate)})

	whole["endDate"] = d.read(t, "username", id).StartDate
	d.do(t, "username", "editImageRequest", whole)
	equal(t, "listed when retired", []bool{false, true}, []bool{d.lists(t, "username", id, fields{}), d.lists(t, "username", id, fields{"ended": true})})
	end := d.read(t, "username", id)
	end.whole(t)
	equal(t, "the status stays", "COMPLETED", end.Status)

	waiting := d.read(t, "username", d.request(t, "username", fields{"provider": d.provider(t, false)}))
	one = fields{"version": waiting.newest().ID, "endDate": planned}
	if refused := d.try(t, "username", "editVersion", one); len(refused) != 1 || !strings.HasPrefix(refused[0], "CONFLICT endDate:") {
		t.Errorf("the end of a version that waits: %q", refused)
	}
}

// Shared and withdrawn, with effect on the very next read; what is for the owner stays the owner's.
func sharing(t *testing.T, d *demo) {
	id := d.request(t, "username", fields{"provider": d.provider(t, false), "exclude": "/secret"})
	d.hidden(t, "worker", id)
	d.do(t, "username", "editImageRequest", fields{"imageRequest": id, "visibility": "USERS", "sharedWith": []string{"worker"}})
	r := d.read(t, "worker", id)
	if r.SharedWith != nil || r.Events != nil || r.History != nil || r.newest().ExcludePaths != nil {
		t.Errorf("who it is shared with reads %+v", r)
	}
	equal(t, "REST", id, d.rest(t, "worker", id).ID)
	equal(t, "listed when shared", true, d.lists(t, "worker", id, fields{}))
	d.hidden(t, "nobody", id)
	d.do(t, "username", "editImageRequest", fields{"imageRequest": id, "visibility": "PRIVATE"})
	d.hidden(t, "worker", id)
	equal(t, "listed when withdrawn", false, d.lists(t, "worker", id, fields{}))
	r = d.read(t, "username", id)
	r.whole(t)
	var changes []string
	for _, e := range r.Events.Nodes[1:] {
		for _, c := range e.Changes {
			changes = append(changes, e.Action+" "+c.Field+" "+c.From+" "+c.To)
		}
	}
	equal(t, "what the owner reads of it", []string{
		`EDITED sharedWith [] ["worker"]`, `EDITED visibility "PRIVATE" "USERS"`, `EDITED sharedWith ["worker"] []`, `EDITED visibility "USERS" "PRIVATE"`,
	}, changes)
}

// Given away, it is the other's in all respects, and its history goes with it.
func transfer(t *testing.T, d *demo) {
	id := d.request(t, "username", fields{"provider": d.provider(t, false)})
	version := d.read(t, "username", id).newest().ID
	given := d.mutate(t, "username", "transferImageRequest", "imageRequest { id }", fields{"imageRequest": id, "to": "reviewer"})
	equal(t, "the answer to who may see it no longer", `{"data":{"done":{"imageRequest":null}}}`, withoutCost(given.body))
	d.hidden(t, "username", id)
	r := d.read(t, "reviewer", id)
	r.whole(t)
	equal(t, "the owner", []string{"reviewer", "reviewer"}, []string{r.CreatedBy, d.rest(t, "reviewer", id).CreatedBy})
	equal(t, "the story", []string{"username asked for this image.", "username gave the request to another owner (createdBy)."}, r.story())
	nobodys(t, d, "reviewer", version, r.Revision)
	equal(t, "taken back by who gave it", []string{"NOT_FOUND : Not found."}, d.try(t, "username", "transferImageRequest", fields{"imageRequest": id, "to": "username"}))
	d.do(t, "reviewer", "transferImageRequest", fields{"imageRequest": id, "to": "username", "revision": r.Revision})
	d.decide(t, "reviewer", "approveVersion", id, "")
	equal(t, "decided on by another", "APPROVED", d.read(t, "username", id).Status)
}

// Nobody decides on their own request, not even an admin; others do.
func ownRequest(t *testing.T, d *demo) {
	for owner, other := range map[string]string{"reviewer": "admin", "admin": "reviewer"} {
		id := d.request(t, owner, fields{"provider": d.provider(t, false)})
		r := d.read(t, owner, id)
		nobodys(t, d, owner, r.newest().ID, r.Revision)
		equal(t, "after that", r.Revision, d.read(t, owner, id).Revision)
		d.decide(t, other, "approveVersion", id, "")
		equal(t, "by "+other, "APPROVED", d.read(t, owner, id).Status)
	}
}

// nobodys fails unless each decision by the owner is refused.
func nobodys(t *testing.T, d *demo, owner, version string, revision int) {
	t.Helper()
	for _, decision := range []string{"approveVersion", "denyVersion", "questionVersion"} {
		equal(t, decision+" by "+owner, []string{"FORBIDDEN : Nobody decides on a version of their own request, or on one that they asked for or changed."},
			d.try(t, owner, decision, fields{"version": version, "revision": revision, "message": "Mine"}))
	}
}
