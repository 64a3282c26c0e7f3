package db_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// position is a version's place in its queue, 0 for none.
func (b bench) position(t testing.TB, id uuid.UUID) int {
	t.Helper()
	n, err := b.QueuePosition(t.Context(), b.now(t, id))
	if err != nil {
		t.Fatal(err)
	}
	if n == nil {
		return 0
	}
	return *n
}

// seconds is how long a version will still take, -1 if nobody can say.
func (b bench) seconds(t testing.TB, id uuid.UUID) int {
	t.Helper()
	n, err := b.SecondsLeft(t.Context(), b.now(t, id))
	if err != nil {
		t.Fatal(err)
	}
	if n == nil {
		return -1
	}
	return *n
}

// Each provider has two queues, one for its reviewers and one for its workers; who leaves one moves the others up.
func TestQueuePosition(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var ids []uuid.UUID
	for range 4 {
		ids = append(ids, b.request(t, ann, image()).ID)
	}
	auto := image()
	auto.Provider = 2
	other := b.request(t, ann, auto).ID
	check := func(want ...int) {
		t.Helper()
		got := []int{b.position(t, other)}
		for _, id := range ids {
			got = append(got, b.position(t, id))
		}
		same(t, want, got)
	}
	check(1, 1, 2, 3, 4)
	b.take(t, reviewer, ids[2], on(1, imaging.Approve, ""))
	check(1, 1, 2, 1, 3)
	b.take(t, reviewer, ids[0], on(1, imaging.Approve, ""))
	check(1, 1, 1, 2, 2)
	b.claim(t)
	check(1, 0, 1, 1, 2)
	b.take(t, reviewer, ids[1], on(1, imaging.Question, "Why?"))
	check(1, 0, 0, 1, 1)
	b.take(t, ann, ids[3], said(imaging.Cancel, ""))
	check(1, 0, 0, 1, 0)
}

// Time left goes by the median of the provider's completed runs, and is not told before there are five of them.
func TestSecondsLeft(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	late := b.approved(t) // a worker is there, and will be free at any moment
	b.claim(t)
	execute(t, b.sql, "UPDATE versions SET imaging_started = now() - interval '1 day' WHERE id = $1", late.ID.String())
	waits := b.approved(t)
	execute(t, b.sql, "UPDATE versions SET start_date = now() + interval '1 day' WHERE id = $1", waits.ID.String()) // behind all others
	for i, took := range []int{100, 900, 300, 100_000, 200} {
		if got := b.seconds(t, waits.ID); got != -1 {
			t.Errorf("with %d runs: %d", i, got)
		}
		v := b.approved(t)
		_, lease := b.claim(t)
		b.take(t, worker, v.ID, imaging.Step{Action: imaging.Complete, Lease: lease, Alias: fmt.Sprint("ami-", i)})
		execute(t, b.sql, "UPDATE versions SET imaging_started = imaging_ended - $2 * interval '1 s' WHERE id = $1", v.ID.String(), took)
	}
	failed := b.approved(t)
	_, lease := b.claim(t)
	b.take(t, worker, failed.ID, imaging.Step{Action: imaging.Fail, Lease: lease, Code: "C", Message: "m"}) // no run to go by
	same(t, []int{300, -1}, []int{b.seconds(t, waits.ID), b.seconds(t, failed.ID)})
	ahead := b.approved(t)
	same(t, []int{300, 600}, []int{b.seconds(t, ahead.ID), b.seconds(t, waits.ID)})
	b.claim(t)
	execute(t, b.sql, "UPDATE versions SET imaging_started = now() - interval '1 day' WHERE id = $1", ahead.ID.String())
	same(t, []int{-1, 300}, []int{b.seconds(t, ahead.ID), b.seconds(t, waits.ID)})
	auto := image()
	auto.Provider = 2
	same(t, -1, b.seconds(t, b.request(t, ann, auto).ID)) // another provider's runs say nothing
	execute(t, b.sql, `UPDATE versions SET status = 'CANCELLED', end_date = now(), lease_token = NULL, lease_holder = NULL, lease_seconds = NULL,
		lease_expires_at = NULL WHERE status = 'IMAGING'`)
	same(t, -1, b.seconds(t, waits.ID)) // nobody is at work
}

// The insides of a failure are for staff: the owner reads them nowhere, whichever way they go.
func TestFailureDetailIsForStaff(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t).ID
	for _, detail := range []string{"SECRET-1", "SECRET-2"} {
		_, lease := b.claim(t)
		out := b.take(t, worker, id, imaging.Step{Action: imaging.Fail, Lease: lease, Code: "DISK_FULL", Message: "No space.", Detail: detail})
		if out.Version != nil {
			t.Error("the worker still sees it")
		}
		if detail == "SECRET-1" {
			b.take(t, reviewer, id, said(imaging.Retry, ""))
		}
	}
	for _, test := range []struct {
		a    imaging.Actor
		want string
	}{{ann, ""}, {reviewer, "SECRET-1 SECRET-2"}, {admin, "SECRET-1 SECRET-2"}} {
		read := strings.Join(b.everything(t, test.a, id), "\n")
		for _, secret := range []string{"SECRET-1", "SECRET-2"} {
			if strings.Contains(read, secret) != strings.Contains(test.want, secret) {
				t.Errorf("%s reads:\n%s\nwant %q", test.a.Username, read, test.want)
			}
		}
		for _, both := range []string{"No space.", "DISK_FULL"} {
			if !strings.Contains(read, both) {
				t.Errorf("%s does not read %s", test.a.Username, both)
			}
		}
	}
	out := b.take(t, reviewer, id, said(imaging.Retry, ""))
	b.take(t, ann, id, said(imaging.Cancel, ""))
	if strings.Contains(fmt.Sprintf("%+v", out.Version), "SECRET") {
		t.Error("a retried version still has its failure")
	}
}

// everything is all that the actor can read of a version's failure: the version, the events, the history.
func (b bench) everything(t testing.TB, a imaging.Actor, id uuid.UUID) (read []string) {
	t.Helper()
	v, err := b.Version(t.Context(), a, id)
	if err != nil {
		t.Fatal(err)
	}
	f := v.Failure()
	read = append(read, f.Code, f.Message)
	if f.Detail != nil {
		read = append(read, *f.Detail)
	}
	events, err := b.Events(t.Context(), a, v.ImageRequest, imaging.Slice{First: new(100)})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Nodes() {
		for _, c := range e.FieldChanges() {
			read = append(read, c.Field+" "+c.From+" "+c.To)
		}
	}
	history, err := b.History(t.Context(), a, v.ImageRequest)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range history {
		read = append(read, h.Text)
	}
	return read
}

// The history tells in sentences who did what and what was said; events and history are for the owner and staff alone.
func TestHistoryReads(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := image()
	in.Visibility = imaging.Public
	v := b.request(t, ann, in)
	id := v.ID
	b.take(t, reviewer, id, on(1, imaging.Question, "Which disk?"))
	b.take(t, ann, id, said(imaging.Answer, "The first"))
	b.take(t, reviewer, id, on(3, imaging.Deny, "Licensed software."))
	b.take(t, ann, id, said(imaging.Resubmit, "Removed it"))
	b.take(t, reviewer, id, on(5, imaging.Approve, ""))
	_, lease := b.claim(t)
	b.take(t, worker, id, imaging.Step{Action: imaging.Report, Lease: lease, Stage: "copy", Percent: new(40)})
	b.expired(t)
	b.leases(t, b.Store, 1)
	_, lease = b.claim(t)
	b.take(t, worker, id, imaging.Step{Action: imaging.Fail, Lease: lease, Code: "C", Message: "No space"})
	b.take(t, reviewer, id, said(imaging.Retry, "More space now"))
	_, lease = b.claim(t)
	b.take(t, worker, id, imaging.Step{Action: imaging.Complete, Lease: lease, Alias: "ami-1"})
	if _, err := b.EditImageRequest(t.Context(), ann, imaging.EditImageRequestInput{ImageRequest: v.ImageRequestID, Visibility: new(imaging.Private)}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ann asked for this image.",
		"reviewer asked the owner a question: Which disk?",
		"ann answered the question: The first.",
		"reviewer refused the version: Licensed software.",
		"ann brought the version before a reviewer again: Removed it.",
		"reviewer approved the version.",
		"worker began to make the image.",
		`worker told how far the imaging is (percent 40, stage "copy").`,
		"The service put the version back into the queue: the worker was gone.",
		"worker began to make the image.",
		"worker could not make the image: No space.",
		"reviewer let the version be imaged once more: More space now.",
		"worker began to make the image.",
		"worker made the image.",
		"ann changed the request (visibility).",
	}
	for _, a := range []imaging.Actor{ann, reviewer, admin} {
		r := b.now(t, id).ImageRequest
		history, err := b.History(t.Context(), a, r)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range history {
			got = append(got, h.Text)
		}
		same(t, want, got)
	}
	for _, a := range []imaging.Actor{bob, worker, nobody} {
		r := b.now(t, id).ImageRequest
		history, err := b.History(t.Context(), a, r)
		same(t, []any{[]*imaging.HistoryEntry(nil), error(nil)}, []any{history, err})
		events, err := b.Events(t.Context(), a, r, imaging.Slice{})
		if events != nil || err != nil {
			t.Errorf("%s reads the events (%v)", a.Username, err)
		}
	}
}
