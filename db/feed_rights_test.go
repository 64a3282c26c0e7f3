package db_test

import (
	"fmt"
	"strings"
	"testing"

	"imagerequests/db"
	"imagerequests/imaging"
)

// Access that is withdrawn in mid-stream ends what is told at once, even of what happened before; given back, it goes on: for
// the owner and workers with what happened meanwhile, for others from there.
func TestAccessWithdrawn(t *testing.T) {
	t.Parallel()
	edit := func(in imaging.EditImageRequestInput) func(testing.TB, bench, *imaging.Version) {
		return func(t testing.TB, b bench, v *imaging.Version) {
			in := in
			in.ImageRequest = v.ImageRequestID
			if _, err := b.EditImageRequest(t.Context(), admin, in); err != nil {
				t.Fatal(err)
			}
		}
	}
	transfer := func(to string) func(testing.TB, bench, *imaging.Version) {
		return func(t testing.TB, b bench, v *imaging.Version) {
			if _, err := b.TransferImageRequest(t.Context(), admin, imaging.TransferImageRequestInput{ImageRequest: v.ImageRequestID, To: to}); err != nil {
				t.Fatal(err)
			}
		}
	}
	confined := imaging.Actor{Username: "worker", Roles: []imaging.Role{imaging.Worker}, Providers: []int{1}}
	for what, c := range map[string]struct {
		actor       imaging.Actor
		give, taken func(testing.TB, bench, *imaging.Version)
	}{
		"by the list":       {bob, edit(imaging.EditImageRequestInput{Visibility: new(imaging.Users), SharedWith: []string{"carl", "bob"}}), edit(imaging.EditImageRequestInput{SharedWith: []string{"carl", "Bob"}})},
		"by the visibility": {nobody, edit(imaging.EditImageRequestInput{Visibility: new(imaging.Public)}), edit(imaging.EditImageRequestInput{Visibility: new(imaging.Private)})},
		"by a transfer":     {bob, transfer("bob"), transfer("ann")},
		"by the queue": {confined, func(t testing.TB, b bench, v *imaging.Version) {
			r := b.now(t, v.ID).ImageRequest
			if r.Version(v.ID).Status == imaging.Cancelled { // the second time it is another one
				next, err := b.RequestVersion(t.Context(), ann, another(r.ID))
				if err != nil {
					t.Fatal(err)
				}
				*v, r = *next, next.ImageRequest
			}
			b.take(t, reviewer, v.ID, on(r.Revision, imaging.Approve, ""))
		}, func(t testing.TB, b bench, v *imaging.Version) { b.take(t, ann, v.ID, said(imaging.Cancel, "")) }},
	} {
		for _, ofOne := range []bool{false, true} {
			t.Run(fmt.Sprint(what, ", of one: ", ofOne), func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				f := b.newFeed(t)
				v := b.request(t, ann, image())
				id := v.ImageRequestID
				c.give(t, b, v)
				want := db.Stream{}
				if ofOne {
					want.ImageRequest = &id
				}
				watcher := subscribe(t, f, c.actor, want)
				all := subscribe(t, f, admin, db.Stream{})
				next := func(l *listener) *imaging.Event {
					e, err := l.Next(l.ctx)
					if err != nil {
						t.Fatal(err)
					}
					return e
				}
				b.edit(t, id)
				b.edit(t, id)
				first := next(watcher)
				next(all)
				next(all) // the second edit has come, and the watcher could have been told of it
				c.taken(t, b, v)
				b.edit(t, id)
				hidden := b.streamed(t, behind(first.ID))
				same(t, 3, len(hidden)) // the second edit, the withdrawal, and one more
				mark := b.mark(t)
				if !ofOne {
					same(t, 0, len(watcher.until(t, mark)))
				} else {
					all.until(t, mark)
				}
				lost := b.streamed(t, "true")
				c.give(t, b, v)
				b.edit(t, id)
				back := b.streamed(t, behind(lost[len(lost)-1]))
				shared := strings.HasPrefix(what, "by the list") || strings.HasPrefix(what, "by the vis") // what was before is not told
				if ofOne && !shared {                                                                     // nothing was asked for in the meantime, so all of it is what may be seen now
					back = append(hidden, back...)
				}
				for _, id := range back {
					same(t, id, next(watcher).ID)
				}
			})
		}
	}
}

// Everybody who sees a request is told of it, each what they may read; who does not see it is told nothing.
func TestWhatIsToldToWhom(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.newFeed(t)
	in := image()
	in.Visibility, in.SharedWith = imaging.Users, []string{"bob"}
	v := b.request(t, ann, in)
	b.take(t, reviewer, v.ID, on(1, imaging.Approve, "for you"))
	claimed, lease := b.claim(t)
	b.take(t, worker, claimed.ID, imaging.Step{Action: imaging.Fail, Lease: lease, Code: "DISK_FULL", Message: "No space.", Detail: "sda1"})
	mark := b.mark(t)
	type told struct {
		Events                                            int
		Actor, Message, Changes, Detail, Exclude, Failure bool
	}
	for what, c := range map[string]struct {
		actor imaging.Actor
		want  told
	}{
		"the owner":     {ann, told{4, true, true, true, false, true, true}},
		"on the list":   {bob, told{4, false, false, false, false, false, false}},
		"a reviewer":    {reviewer, told{4, true, true, true, true, true, true}},
		"an admin":      {admin, told{4, true, true, true, true, true, true}},
		"a stranger":    {imaging.Actor{Username: "carl"}, told{}},
		"not signed in": {nobody, told{}},
		"a worker":      {worker, told{}}, // its version is not in the queue any more
	} {
		t.Run(what, func(t *testing.T) {
			var got told
			for i, e := range subscribe(t, f, c.actor, db.Stream{After: new("")}).until(t, mark) {
				got.Events++
				got.Actor = got.Actor || e.By() != nil
				got.Message = got.Message || e.Message != nil
				got.Changes = got.Changes || len(e.FieldChanges()) > 0
				_, detail := e.Changes["version.failureDetail"]
				got.Detail = got.Detail || detail || e.Version().FailureDetail != nil
				got.Exclude = got.Exclude || e.Version().Exclude != nil
				got.Failure = got.Failure || e.Version().Failure() != nil
				same(t, []any{i + 1, v.ImageRequestID, imaging.Failed}, []any{*e.Seq, e.ImageRequest.ID, e.Version().Status})
				same(t, []imaging.Action{imaging.Requested, imaging.Approve, imaging.Claim, imaging.Fail}[i], e.Action)
			}
			same(t, c.want, got)
		})
	}
}
