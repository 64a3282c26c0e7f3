package db_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// byWorker are a worker's writes under a lease.
func byWorker(lease uuid.UUID) []imaging.Step {
	return []imaging.Step{
		{Action: imaging.Report, Lease: lease, Stage: "late"},
		{Action: imaging.Complete, Lease: lease, Alias: "ami-late"},
		{Action: imaging.Fail, Lease: lease, Code: "LATE", Message: "late"},
	}
}

// A lease that runs out brings the version back into the queue, with one more attempt each time it is claimed, until the
// last one; then it has failed. Whoever comes late is refused.
func TestLeaseRunsOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t).ID
	for attempt := 1; attempt <= imaging.MaxAttempts; attempt++ {
		v, lease := b.claim(t)
		same(t, []any{id, imaging.Imaging, attempt}, []any{v.ID, v.Status, v.Attempt})
		b.leases(t, b.Store, 0) // it has not run out yet
		b.expired(t)
		b.leases(t, b.Store, 1)
		b.leases(t, b.Store, 0)
		v = b.now(t, id)
		want := imaging.Approved
		if attempt == imaging.MaxAttempts {
			want = imaging.Failed
		}
		same(t, []any{want, attempt, (*uuid.UUID)(nil)}, []any{v.Status, v.Attempt, v.LeaseToken})
		b.unchanged(t, func() {
			for _, s := range byWorker(lease) {
				_, err := b.Step(t.Context(), admin, id, s)
				refused(t, err, refusal{imaging.Conflict, "leaseToken"})
				same(t, want, imaging.All(err)[0].Status)
			}
		})
	}
	v := b.now(t, id)
	same(t, []any{"LEASE_LOST", true, true}, []any{*v.FailureCode, *v.FailureRetryable, v.EndDate != nil})
	out, err := b.ClaimVersion(t.Context(), worker, imaging.ClaimVersionInput{Provider: 1, LeaseSeconds: 60})
	same(t, []any{&imaging.Outcome{}, error(nil)}, []any{out, err})
	b.take(t, reviewer, id, said(imaging.Retry, "the host is back"))
	again, _ := b.claim(t)
	same(t, []any{id, 1}, []any{again.ID, again.Attempt})
}

// While another worker has it, the first one's lease is worth nothing, even from the same user.
func TestLateWorker(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t).ID
	_, first := b.claim(t)
	b.expired(t)
	b.leases(t, b.Store, 1)
	_, second := b.claim(t)
	b.unchanged(t, func() {
		for _, s := range append(byWorker(first), byWorker(uuid.Nil)...) {
			_, err := b.Step(t.Context(), worker, id, s)
			refused(t, err, refusal{imaging.Conflict, "leaseToken"})
		}
	})
	b.take(t, worker, id, imaging.Step{Action: imaging.Complete, Lease: second, Alias: "ami-1"})
	same(t, []any{imaging.Completed, "ami-1"}, []any{b.now(t, id).Status, b.now(t, id).Alias})
	b.unchanged(t, func() { // a private image that is done is no longer the worker's to see
		for _, s := range append(byWorker(first), byWorker(second)...) {
			_, err := b.Step(t.Context(), worker, id, s)
			refused(t, err, refusal{imaging.NotFound, ""})
			_, err = b.Step(t.Context(), admin, id, s)
			refused(t, err, refusal{imaging.Conflict, "leaseToken"})
		}
	})
}

// Each report holds the lease for one more term by the database's clock, and keeps it from running out.
func TestReportExtendsTheLease(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t).ID
	_, lease := b.claim(t)
	b.expired(t)
	out := b.take(t, worker, id, imaging.Step{Action: imaging.Report, Lease: lease, Percent: new(5)})
	b.leases(t, b.Store, 0)
	same(t, []any{lease, false, 5}, []any{out.Lease.Token, out.CancelRequested, *out.Version.Percent})
	seconds := one[float64](t, b.sql, "SELECT extract(epoch FROM lease_expires_at - (SELECT max(at) FROM events))::float8 FROM versions")
	same(t, 60.0, seconds)
}

// Whoever looks for leases that ran out, at once and from several processes: each is taken back once.
func TestExpireLeasesAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.many(t, 60, 1)
	for range 60 {
		b.claim(t)
	}
	b.expired(t)
	counts, errs := all(t.Context(), 4, func(ctx context.Context, _ int) (int, error) { return b.ExpireLeases(ctx) })
	same(t, map[imaging.Code]int{"": 4}, codes(errs))
	same(t, 60, counts[0]+counts[1]+counts[2]+counts[3])
	same(t, 60, one[int](t, b.sql, "SELECT count(*) FROM events WHERE action = 'LEASE_EXPIRED' AND actor = '' AND seq = 3"))
	same(t, 60, one[int](t, b.sql, "SELECT count(*) FROM versions WHERE status = 'APPROVED' AND attempt = 1 AND lease_token IS NULL"))
	b.histories(t)
}

// A worker that completes just when its lease is taken back either has completed it or is told that it has not.
func TestCompleteAgainstExpiry(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 20 {
		id := b.approved(t).ID
		_, lease := b.claim(t)
		b.expired(t)
		_, errs := all(t.Context(), 2, func(ctx context.Context, i int) (any, error) {
			if i == 0 {
				return b.ExpireLeases(ctx)
			}
			return b.Step(ctx, worker, id, imaging.Step{Action: imaging.Complete, Lease: lease, Alias: "ami-" + id.String()})
		})
		v := b.now(t, id)
		if errs[0] != nil || (errs[1] == nil) != (v.Status == imaging.Completed) || (errs[1] != nil) != (v.Status == imaging.Approved) {
			t.Fatalf("%v, and it is %s", errs, v.Status)
		}
		if errs[1] != nil {
			refused(t, errs[1], refusal{imaging.Conflict, "leaseToken"})
			b.take(t, ann, id, said(imaging.Cancel, ""))
		}
	}
	b.histories(t)
}

// The owner's wish to stop reaches the worker with its next report, and the worker's end is then a cancellation.
func TestCancelWhileImaging(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t).ID
	_, lease := b.claim(t)
	out := b.take(t, ann, id, said(imaging.Cancel, "wrong disk"))
	same(t, []any{imaging.Imaging, true}, []any{out.Version.Status, out.Version.CancelRequested})
	if !b.take(t, worker, id, imaging.Step{Action: imaging.Report, Lease: lease}).CancelRequested {
		t.Error("the worker is not told")
	}
	out = b.take(t, worker, id, imaging.Step{Action: imaging.Fail, Lease: lease, Code: "STOPPED", Message: "stopped"})
	v := b.now(t, id)
	same(t, []any{imaging.Cancelled, false, true, "STOPPED"}, []any{v.Status, v.CancelRequested, v.EndDate != nil, *v.FailureCode})
	if out.Version != nil || out.ImageRequest != nil {
		t.Error("the worker still sees a private request that is no longer its own")
	}
}

// A worker that is gone when its owner wants it stopped leaves a cancellation behind, not another attempt.
func TestCancelOfALostWorker(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t).ID
	b.claim(t)
	b.take(t, ann, id, said(imaging.Cancel, ""))
	b.expired(t)
	b.leases(t, b.Store, 1)
	v := b.now(t, id)
	same(t, []any{imaging.Cancelled, false}, []any{v.Status, v.CancelRequested})
}

// A worker's last word, sent again because its answer was lost, is answered again and does nothing new, also where the
// version is out of the worker's sight by then.
func TestLastWordAgain(t *testing.T) {
	t.Parallel()
	for _, private := range []bool{true, false} {
		for _, step := range []imaging.Step{
			{Action: imaging.Complete, Alias: "ami-1"},
			{Action: imaging.Fail, Code: "DISK_FULL", Message: "No space."},
			{Action: imaging.Release},
		} {
			b := newBench(t)
			in := image()
			in.Provider = 2
			if !private {
				in.Visibility = imaging.Public
			}
			id := b.request(t, ann, in).ID
			out, err := b.ClaimVersion(t.Context(), worker, imaging.ClaimVersionInput{Provider: 2, LeaseSeconds: 60})
			if err != nil {
				t.Fatal(err)
			}
			step.Lease = out.Lease.Token
			first := b.take(t, worker, id, step)
			b.unchanged(t, func() {
				same(t, first, b.take(t, worker, id, step))
				if step.Action == imaging.Complete {
					other := step
					other.Alias = "ami-2"
					_, err := b.Step(t.Context(), admin, id, other)
					refused(t, err, refusal{imaging.Conflict, "leaseToken"})
				}
				_, err := b.Step(t.Context(), bob, id, step)
				refused(t, err, refusal{map[bool]imaging.Code{true: imaging.NotFound, false: imaging.Forbidden}[private], ""})
			})
		}
	}
}

// A worker that gives a version back costs it nothing: it is next in the queue, at the attempt that it had.
func TestRelease(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t).ID
	for range imaging.MaxAttempts + 2 {
		v, lease := b.claim(t)
		same(t, []any{id, 1}, []any{v.ID, v.Attempt})
		b.take(t, worker, id, imaging.Step{Action: imaging.Release, Lease: lease, Message: "the service stops"})
		same(t, []any{imaging.Approved, 0, true}, []any{b.now(t, id).Status, b.now(t, id).Attempt, b.now(t, id).Progress() == nil})
	}
}

// A version that cannot be taken back holds up no other.
func TestExpireLeasesPassesOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.many(t, 3, 1)
	for range 3 {
		b.claim(t)
	}
	b.expired(t)
	execute(t, b.sql, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF NEW.id = (SELECT id FROM versions ORDER BY start_date, id LIMIT 1) THEN RAISE EXCEPTION 'broken'; END IF; RETURN NEW; END $$`)
	execute(t, b.sql, "CREATE TRIGGER refuse BEFORE UPDATE ON versions FOR EACH ROW EXECUTE FUNCTION refuse()")
	n, err := b.ExpireLeases(t.Context())
	first := one[string](t, b.sql, "SELECT id::text FROM versions ORDER BY start_date, id LIMIT 1")
	if n != 2 || err == nil || !strings.Contains(err.Error(), first) {
		t.Errorf("%d were taken back, %v", n, err)
	}
	same(t, 2, one[int](t, b.sql, "SELECT count(*) FROM versions WHERE status = 'APPROVED'"))
}

// No two versions of a provider are the same image: the second is refused, and its worker still holds the lease.
func TestAliasIsUnique(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.approved(t)
	b.approved(t)
	first, lease := b.claim(t)
	second, lease2 := b.claim(t)
	b.take(t, worker, first.ID, imaging.Step{Action: imaging.Complete, Lease: lease, Alias: "ami-1"})
	b.unchanged(t, func() {
		_, err := b.Step(t.Context(), worker, second.ID, imaging.Step{Action: imaging.Complete, Lease: lease2, Alias: "ami-1"})
		refused(t, err, refusal{imaging.Conflict, "alias"})
	})
	b.take(t, worker, second.ID, imaging.Step{Action: imaging.Complete, Lease: lease2, Alias: "ami-2"})
}

// What stands in the table of moves and what the table of versions lets in are the same: no statement brings a version
// into a status without what belongs to it.
func TestChecksMirrorTheLife(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v := b.request(t, ann, image())
	for _, test := range []struct{ name, set string }{
		{"no such status", "status = 'DONE'"},
		{"denied by nobody", "status = 'DENIED', end_date = now(), decision = 'no', decided_at = now()"},
		{"denied at no time", "status = 'DENIED', end_date = now(), decision = 'no', decided_by = 'x'"},
		{"denied without a word", "status = 'DENIED', end_date = now(), decision = '', decided_by = 'x', decided_at = now()"},
		{"denied without an end", "status = 'DENIED', decision = 'no', decided_by = 'x', decided_at = now()"},
		{"cancelled without an end", "status = 'CANCELLED'"},
		{"approved without a decision", "status = 'APPROVED'"},
		{"completed without a decision", "status = 'COMPLETED'"},
		{"asked nothing", "status = 'NEEDS_INFO', questioned_by = 'x', questioned_at = now()"},
		{"asked by nobody", "status = 'NEEDS_INFO', question = '?', questioned_at = now()"},
		{"asked an empty question", "status = 'NEEDS_INFO', question = '', questioned_by = 'x', questioned_at = now()"},
		{"failed without a code", "status = 'FAILED', end_date = now(), failure_message = 'm', failure_retryable = true"},
		{"failed without a message", "status = 'FAILED', end_date = now(), failure_code = 'c', failure_retryable = true"},
		{"failed without an end", "status = 'FAILED', failure_code = 'c', failure_message = 'm', failure_retryable = true"},
		{"imaging without a lease", "status = 'IMAGING', decided_at = now()"},
		{"imaging without a token", "status = 'IMAGING', decided_at = now(), lease_holder = 'w', lease_seconds = 60, lease_expires_at = now()"},
		{"imaging without an expiry", "status = 'IMAGING', decided_at = now(), lease_holder = 'w', lease_seconds = 60, lease_token = gen_random_uuid()"},
		{"a lease while pending", "lease_holder = 'w', lease_seconds = 60, lease_expires_at = now(), lease_token = gen_random_uuid()"},
		{"an image before there is one", "alias = 'ami-1'"},
		{"more than all of it", "percent = 101"},
		{"fewer than no attempts", "attempt = -1"},
		{"a lease of a moment", "status = 'IMAGING', decided_at = now(), lease_holder = 'w', lease_seconds = 1, lease_expires_at = now(), lease_token = gen_random_uuid()"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := b.sql.ExecContext(t.Context(), "UPDATE versions SET "+test.set+" WHERE id = $1", v.ID.String())
			if err == nil || !strings.Contains(err.Error(), "23514") && !strings.Contains(err.Error(), "check constraint") {
				t.Errorf("%s: %v", test.set, err)
			}
		})
	}
}
