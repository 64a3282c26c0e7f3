package db_test

import (
	"context"
	"crypto/md5"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// said is a step with a text.
func said(action imaging.Action, message string) imaging.Step {
	return imaging.Step{Action: action, Message: message}
}

// on is a decision on a revision.
func on(revision int, action imaging.Action, message string) imaging.Step {
	return imaging.Step{Action: action, Revision: &revision, Message: message}
}

// take takes a step that must not be refused.
func (b bench) take(t testing.TB, a imaging.Actor, version uuid.UUID, s imaging.Step) *imaging.Outcome {
	t.Helper()
	out, err := b.Step(t.Context(), a, version, s)
	if err != nil {
		t.Fatalf("%s: %v", s.Action, err)
	}
	return out
}

// approved is a new version of ann's that waits for a worker.
func (b bench) approved(t testing.TB) *imaging.Version {
	t.Helper()
	v := b.request(t, ann, image())
	return b.take(t, reviewer, v.ID, on(v.ImageRequest.Revision, imaging.Approve, "")).Version
}

// claim is the worker's next version with its lease; there must be one.
func (b bench) claim(t testing.TB) (*imaging.Version, uuid.UUID) {
	t.Helper()
	out, err := b.ClaimVersion(t.Context(), worker, imaging.ClaimVersionInput{Provider: 1, LeaseSeconds: 60})
	if err != nil || out.Version == nil {
		t.Fatalf("claimed %+v, %v", out, err)
	}
	return out.Version, out.Lease.Token
}

// now is the version as an admin reads it.
func (b bench) now(t testing.TB, version uuid.UUID) *imaging.Version {
	t.Helper()
	v, err := b.Version(t.Context(), admin, version)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// many puts so many APPROVED versions of the provider into the database, each of a request of its own with its event; the
// higher the number, the older.
func (b bench) many(t testing.TB, count, provider int) {
	t.Helper()
	now := one[time.Time](t, b.sql, "SELECT now()").UTC()
	p := &imaging.Provider{ID: provider}
	var requests []*imaging.ImageRequest
	for n := 1; n <= count; n++ {
		r := &imaging.ImageRequest{
			ID: numbered("r", n), Name: "n", Tags: []string{}, CreatedBy: "ann", Visibility: imaging.Private, SharedWith: []string{},
			StartDate: now.Add(-time.Duration(n) * time.Second),
		}
		v := &imaging.Version{
			ID: numbered("v", n), ImageRequestID: r.ID, ImageRequest: r, Ordinal: 1, Alias: numbered("v", n).String(), Version: "1", Instance: numbered("i", n),
			ProviderID: provider, Provider: p, Sys: new(""), Exclude: new(""), RequestedBy: "ann", Authors: []string{"ann"}, StartDate: r.StartDate,
			Status: imaging.Approved, DecidedAt: &now,
		}
		r.Versions = []*imaging.Version{v}
		r.Settle()
		requests = append(requests, r)
	}
	if err := b.PutFound(t.Context(), requests...); err != nil {
		t.Fatal(err)
	}
	execute(t, b.sql, "ANALYZE")
}

// numbered is the same id for the same name and number: md5(name || n)::uuid in SQL.
func numbered(name string, n int) uuid.UUID { return md5.Sum(fmt.Append(nil, name, n)) }

// histories fails unless the state of each request can be told from its events alone.
func (b bench) histories(t testing.TB) {
	t.Helper()
	if n, err := dbtest.Histories(t.Context(), b.Store, b.sql); err != nil || n == 0 {
		t.Errorf("%d events do not tell the state: %v", n, err)
	}
}

// Of fifty reviewers who decide at once on one version, each on what they have read, one does; the others are told.
func TestOneDecisionWins(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v := b.request(t, ann, image())
	_, errs := all(t.Context(), 50, func(ctx context.Context, i int) (*imaging.Outcome, error) {
		a := imaging.Actor{Username: fmt.Sprint("reviewer", i), Roles: []imaging.Role{imaging.Reviewer}}
		return b.Step(ctx, a, v.ID, on(1, []imaging.Action{imaging.Approve, imaging.Deny}[i%2], fmt.Sprint("word of ", i)))
	})
	same(t, map[imaging.Code]int{"": 1, imaging.Conflict: 49}, codes(errs))
	winner := slices.Index(errs, nil)
	after := b.now(t, v.ID)
	same(t, []string{fmt.Sprint("reviewer", winner), fmt.Sprint("word of ", winner)}, []string{*after.DecidedBy, *after.DecisionMessage})
	same(t, []imaging.Status{imaging.Approved, imaging.Denied}[winner%2], after.Status)
	same(t, 2, one[int](t, b.sql, "SELECT count(*) FROM events WHERE version_id = $1", v.ID.String()))
	for _, err := range errs {
		if err != nil && imaging.All(err)[0].Status != after.Status {
			t.Errorf("%v does not name %s", err, after.Status)
		}
	}
	b.histories(t)
}

// Nobody decides on what they have not read: a decision's event is always the next one after the revision it names,
// whatever the owner changes in the meantime.
func TestDecisionOnWhatWasRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	decided, edited := 0, 0
	for round := range 40 {
		v := b.request(t, ann, image())
		edit := func(ctx context.Context) error {
			if round%2 == 0 {
				_, err := b.EditVersion(ctx, ann, imaging.EditVersionInput{Version: v.ID, Software: new("malware")})
				return err
			}
			_, err := b.EditImageRequest(ctx, ann, imaging.EditImageRequestInput{ImageRequest: v.ImageRequestID, Name: new("Malware")})
			return err
		}
		_, errs := all(t.Context(), 2, func(ctx context.Context, i int) (any, error) {
			if i == round/2%2 {
				return nil, edit(ctx)
			}
			return b.Step(ctx, reviewer, v.ID, on(1, imaging.Approve, ""))
		})
		editErr, approveErr := errs[round/2%2], errs[1-round/2%2]
		switch {
		case approveErr == nil:
			decided++
			same(t, 2, one[int](t, b.sql, "SELECT seq FROM events WHERE action = 'APPROVED' AND version_id = $1", v.ID.String()))
			if round%2 == 0 { // what was approved stays as it was
				refused(t, editErr, refusal{imaging.Conflict, ""})
				same(t, "R", b.now(t, v.ID).Software)
			}
		default:
			edited++
			refused(t, approveErr, refusal{imaging.Conflict, "revision"})
			same(t, []any{error(nil), imaging.Pending}, []any{editErr, b.now(t, v.ID).Status})
		}
	}
	if decided == 0 || edited == 0 {
		t.Errorf("nothing was shown: %d decisions, %d edits came first", decided, edited)
	}
	b.histories(t)
}

// Of fifty who want one instance's version opened again or anew, one gets it, and the others learn which is in the way.
func TestOneOpensAnInstance(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := image()
	var closed []*imaging.Version
	for range 10 {
		v := b.request(t, ann, in)
		b.take(t, reviewer, v.ID, on(1, imaging.Deny, "no"))
		closed = append(closed, v)
	}
	_, errs := all(t.Context(), 50, func(ctx context.Context, i int) (any, error) {
		if i < len(closed) {
			return b.Step(ctx, ann, closed[i].ID, said(imaging.Resubmit, ""))
		}
		return b.RequestImage(ctx, ann, in)
	})
	same(t, map[imaging.Code]int{"": 1, imaging.Conflict: 49}, codes(errs))
	open := one[string](t, b.sql, "SELECT image_request_id::text FROM versions WHERE instance = $1 AND status = 'PENDING'", in.Instance.String())
	for _, err := range errs {
		if err != nil {
			refused(t, err, refusal{imaging.Conflict, "instance"})
		}
	}
	late := closed[0]
	if open == late.ImageRequestID.String() {
		late = closed[1]
	}
	_, err := b.Step(t.Context(), ann, late.ID, said(imaging.Resubmit, ""))
	refused(t, err, refusal{imaging.Conflict, "instance"})
	want := fmt.Sprintf("This instance already has an open request: %q, id %s, version %q, is PENDING.", in.Name, open, "1")
	same(t, want, imaging.All(err)[0].Message)
	b.histories(t)
}

// Who may not see the open request that is in the way of theirs learns no more than that there is one.
func TestInTheWayUnseen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := image()
	v := b.request(t, ann, in)
	b.take(t, reviewer, v.ID, on(1, imaging.Deny, "no"))
	b.request(t, bob, in)
	b.unchanged(t, func() {
		_, err := b.Step(t.Context(), ann, v.ID, said(imaging.Resubmit, ""))
		refused(t, err, refusal{imaging.Conflict, "instance"})
		same(t, "This instance already has an open request.", imaging.All(err)[0].Message)
	})
}

// Sixteen workers share two thousand versions: each is claimed once.
func TestClaimOnce(t *testing.T) {
	t.Parallel()
	const count, workers = 2000, 16
	b := newBench(t)
	b.many(t, count, 1)
	var mu sync.Mutex
	claimed, tokens := map[uuid.UUID]int{}, map[uuid.UUID]bool{}
	_, errs := all(t.Context(), workers, func(ctx context.Context, _ int) (any, error) {
		for {
			out, err := b.ClaimVersion(ctx, worker, imaging.ClaimVersionInput{Provider: 1, LeaseSeconds: 600})
			if err != nil || out.Version == nil {
				return nil, err
			}
			mu.Lock()
			claimed[out.Version.ID]++
			tokens[out.Lease.Token] = true
			mu.Unlock()
		}
	})
	same(t, map[imaging.Code]int{"": workers}, codes(errs))
	same(t, []int{count, count}, []int{len(claimed), len(tokens)})
	for id, n := range claimed {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
	same(t, count, one[int](t, b.sql, "SELECT count(*) FROM versions WHERE status = 'IMAGING' AND attempt = 1"))
	same(t, count, one[int](t, b.sql, "SELECT count(*) FROM events WHERE action = 'CLAIMED' AND seq = 2"))
	b.histories(t)
}

// A worker alone gets the longest waiting version of the provider it asks for, and of no other.
func TestClaimOldestFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.many(t, 20, 1) // the higher the number, the older
	execute(t, b.sql, "UPDATE versions SET provider_id = 2 WHERE id IN (SELECT md5('v' || n)::uuid FROM generate_series(1, 20, 3) n)")
	var got []string
	for {
		out, err := b.ClaimVersion(t.Context(), worker, imaging.ClaimVersionInput{Provider: 1, LeaseSeconds: 60})
		if err != nil {
			t.Fatal(err)
		}
		if out.Version == nil {
			break
		}
		got = append(got, out.Version.ID.String())
	}
	var want []string
	for n := 20; n > 0; n-- {
		if n%3 != 1 {
			want = append(want, one[string](t, b.sql, "SELECT md5('v' || $1::int)::uuid::text", n))
		}
	}
	same(t, want, got)
	same(t, 7, one[int](t, b.sql, "SELECT count(*) FROM versions WHERE status = 'APPROVED' AND provider_id = 2"))
}

// A worker does not wait for a request that somebody else is at work on: it gets the next one, or nothing.
func TestClaimDoesNotWait(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.many(t, 2, 1)
	tx, err := b.sql.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var next, busy string
	if err := tx.QueryRowContext(t.Context(), "SELECT md5('v1')::uuid::text, id::text FROM image_requests WHERE id = md5('r2')::uuid FOR UPDATE").Scan(&next, &busy); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, want := range []string{next, ""} {
		out, err := b.ClaimVersion(ctx, worker, imaging.ClaimVersionInput{Provider: 1, LeaseSeconds: 60})
		if err != nil || (out.Version == nil) != (want == "") || want != "" && out.Version.ID.String() != want {
			t.Fatalf("claimed %+v, %v, want %q", out, err, want)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if v, _ := b.claim(t); v.ImageRequestID.String() != busy {
		t.Errorf("claimed of %s", v.ImageRequestID)
	}
}

// Whether there is work or not, only a worker of the provider may ask for it, for a sensible time.
func TestClaimRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.approved(t)
	other := imaging.Actor{Username: "worker2", Roles: []imaging.Role{imaging.Worker}, Providers: []int{2}}
	b.unchanged(t, func() {
		for _, test := range []struct {
			a    imaging.Actor
			in   imaging.ClaimVersionInput
			want refusal
		}{
			{nobody, imaging.ClaimVersionInput{Provider: 1, LeaseSeconds: 60}, refusal{imaging.Unauthenticated, ""}},
			{ann, imaging.ClaimVersionInput{Provider: 1, LeaseSeconds: 60}, refusal{imaging.Forbidden, ""}},
			{reviewer, imaging.ClaimVersionInput{Provider: 1, LeaseSeconds: 60}, refusal{imaging.Forbidden, ""}},
			{other, imaging.ClaimVersionInput{Provider: 1, LeaseSeconds: 60}, refusal{imaging.Forbidden, ""}},
			{worker, imaging.ClaimVersionInput{Provider: 1, LeaseSeconds: 9}, refusal{imaging.Invalid, "leaseSeconds"}},
			{worker, imaging.ClaimVersionInput{Provider: 1, LeaseSeconds: 3601}, refusal{imaging.Invalid, "leaseSeconds"}},
		} {
			_, err := b.ClaimVersion(t.Context(), test.a, test.in)
			refused(t, err, test.want)
		}
		for _, provider := range []int{2, 3, 9, -1} {
			out, err := b.ClaimVersion(t.Context(), worker, imaging.ClaimVersionInput{Provider: provider, LeaseSeconds: 60})
			same(t, []any{&imaging.Outcome{}, error(nil)}, []any{out, err})
		}
	})
}

// expired moves the leases of all versions into the past.
func (b bench) expired(t testing.TB) {
	t.Helper()
	execute(t, b.sql, "UPDATE versions SET lease_expires_at = now() - interval '1 s' WHERE status = 'IMAGING'")
}

// leases takes back the leases that have run out; there must be so many.
func (b bench) leases(t testing.TB, s *db.Store, want int) {
	t.Helper()
	n, err := s.ExpireLeases(t.Context())
	if err != nil || n != want {
		t.Errorf("%d leases ran out, %v; want %d", n, err, want)
	}
}

// A worker's report on one version does not make a decision on another one stale: nothing of what was read has changed.
func TestReportsDoNotDisturbDecisions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.approved(t)
	v, lease := b.claim(t)
	r := b.read(t, ann, v.ImageRequest.ID)
	second, err := b.RequestVersion(t.Context(), ann, another(r.ID))
	if err != nil {
		t.Fatal(err)
	}
	read := b.read(t, ann, r.ID)
	b.take(t, worker, v.ID, imaging.Step{Action: imaging.Report, Lease: lease, Stage: "copy"})
	if now := b.read(t, ann, r.ID); now.Revision != read.Revision || now.Reports != read.Reports+1 {
		t.Errorf("revision %d and %d reports, before %d and %d", now.Revision, now.Reports, read.Revision, read.Reports)
	}
	out := b.take(t, reviewer, second.ID, imaging.Step{Action: imaging.Approve, Revision: &read.Revision})
	if out.Version.Status != imaging.Approved {
		t.Errorf("it is %s", out.Version.Status)
	}
}
