package access_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"imagerequests/imaging"
)

// The cells of what lies between two moments: something was visible, and is no longer; or somebody else has it in hand.

var ownerActor = imaging.Actor{Username: "owner", Roles: []imaging.Role{imaging.Requester}}

// TestEventsOfWhatWasGivenAway: who has read a request, and may see it no longer, reads none of its events.
func TestEventsOfWhatWasGivenAway(t *testing.T) {
	t.Parallel()
	h := open(t)
	p := h.put(t, row{"PRIVATE", "PENDING", ""})[0]
	r, err := h.store.ImageRequest(t.Context(), ownerActor, p.request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.TransferImageRequest(t.Context(), ownerActor, imaging.TransferImageRequestInput{ImageRequest: p.request, To: "heir"}); err != nil {
		t.Fatal(err)
	}
	c, err := h.store.Events(t.Context(), ownerActor, r, imaging.Slice{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.TotalCount(t.Context()); len(c.Edges) != 0 || n != 0 || err != nil {
		fail(t, "%d events of what was given away, of %d: %v", len(c.Edges), n, err)
	}
	history, err := h.store.History(t.Context(), ownerActor, r)
	if len(history) != 0 || err != nil {
		fail(t, "a history of what was given away: %v, %v", history, err)
	}
	counted(t, 2)
}

// TestKeysOfWhatWasGivenAway: an idempotency key does not show again what was given away, through either door.
func TestKeysOfWhatWasGivenAway(t *testing.T) {
	t.Parallel()
	h := open(t)
	owner := named("owner")
	n := 0
	const again = `mutation ($input: RequestImageInput!) { requestImage(input: $input) { imageRequest { id name } } }`
	for _, visibility := range []string{"PUBLIC", "PRIVATE"} {
		in := image(unknown)
		in["visibility"], in["idempotencyKey"], in["instance"] = visibility, visibility, h.put(t, row{"PRIVATE", "COMPLETED", ""})[0].instance
		made := h.ask(owner, again, map[string]any{"input": in})
		id := at(made.answer(t).Data, "requestImage", "imageRequest", "id")
		r := h.ask(owner, mutation("transferImageRequest"), map[string]any{"input": map[string]any{"imageRequest": id, "to": "heir"}})
		if id == nil || r.refusal(t) != "" {
			t.Fatal(made.body, r.body)
		}
		want := map[string]string{"PUBLIC": "", "PRIVATE": "NOT_FOUND"}[visibility]
		if r := h.ask(owner, again, map[string]any{"input": in}); r.refusal(t) != want {
			fail(t, "a key of what was given away, %s: %s", visibility, r.body)
		}
		n++
	}
	counted(t, n)
}

// TestNobodyWaitsForWhatIsHidden: a row that somebody has locked holds up those who may not see it as little as one that is
// not there. Who waited would know that it is.
func TestNobodyWaitsForWhatIsHidden(t *testing.T) {
	t.Parallel()
	h := open(t)
	p := h.put(t, row{"PRIVATE", "PENDING", ""})[0]
	tx, err := h.sql.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "SELECT FROM image_requests WHERE id = $1 FOR UPDATE", p.request.String()); err != nil {
		t.Fatal(err)
	}
	var cells []func()
	for name, input := range inputs {
		cells = append(cells, func() {
			nothing := h.ask(named("stranger"), mutation(name), map[string]any{"input": input(unknown)})
			if r := h.ask(named("stranger"), mutation(name), map[string]any{"input": input(p)}); !same(r, nothing) {
				fail(t, "%s of what is hidden and locked: %s, and of an unknown id %s", name, r.body, nothing.body)
			}
		})
	}
	run(t, cells)
}

// TestAgainAfterALostAnswer: a worker who has completed what they may see no longer is answered again, and is told nothing else;
// who does not hold the lease that ended it is answered as for an unknown id.
func TestAgainAfterALostAnswer(t *testing.T) {
	t.Parallel()
	h := open(t)
	n := 0
	for _, visibility := range []string{"PUBLIC", "PRIVATE", "USERS"} {
		p := h.put(t, row{visibility, "IMAGING", ""})[0]
		worker, input := named("worker"), map[string]any{"input": inputs["completeVersion"](p)}
		first := h.ask(worker, mutation("completeVersion"), input)
		second := h.ask(worker, mutation("completeVersion"), input)
		if first.refusal(t) != "" || first.body != second.body || (at(second.answer(t).Data, "completeVersion", "version") != nil) != (visibility == "PUBLIC") {
			fail(t, "%s: answered\n%s, and again\n%s", visibility, first.body, second.body)
		}
		for _, name := range []string{"worker of 2", "stranger", "listed", "anonymous"} {
			a := named(name)
			want := fmt.Sprint(map[bool]string{true: "FORBIDDEN", false: "NOT_FOUND"}[a.sees(row{visibility, "COMPLETED", ""})])
			if !a.signedIn() {
				want = "UNAUTHENTICATED"
			}
			r := h.ask(a, mutation("completeVersion"), input)
			nothing := h.ask(a, mutation("completeVersion"), map[string]any{"input": inputs["completeVersion"](unknown)})
			if r.refusal(t) != want || want == "NOT_FOUND" && !same(r, nothing) {
				fail(t, "%s: as %s: %s", visibility, name, r.body)
			}
			n++
		}
		n += 2
	}
	counted(t, n)
}

// TestAccessWithdrawnWhileListening: a stream that was for somebody, and is no longer, says nothing more.
func TestAccessWithdrawnWhileListening(t *testing.T) {
	t.Parallel()
	h := open(t)
	p, last := h.put(t, row{"USERS", "PENDING", ""})[0], h.put(t, row{"PUBLIC", "PENDING", ""})[0]
	listed := named("listed")
	heard := make(chan string, 10)
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	go func() {
		defer close(heard)
		sofar := 0
		h.listen(t, listed, `subscription { events(after: "") { seq imageRequest { id } } }`, nil, func(s stream) bool {
			for _, r := range s.said()[sofar:] {
				sofar++
				heard <- fmt.Sprint(at(r.answer(t).Data, "events", "imageRequest", "id"), " ", at(r.answer(t).Data, "events", "seq"))
			}
			return ctx.Err() != nil || sofar >= 3
		})
	}()
	next := func(want string) {
		t.Helper()
		select {
		case got := <-heard:
			if got != want {
				fail(t, "heard %s, want %s", got, want)
			}
		case <-time.After(patience):
			t.Fatal("nothing was heard")
		}
	}
	next(p.request.String() + " 2")
	next(last.request.String() + " 2")
	if _, err := h.store.EditImageRequest(t.Context(), ownerActor, imaging.EditImageRequestInput{ImageRequest: p.request, Visibility: new(imaging.Private)}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.EditImageRequest(t.Context(), ownerActor, imaging.EditImageRequestInput{ImageRequest: last.request, Name: new("told")}); err != nil {
		t.Fatal(err)
	}
	next(last.request.String() + " 3")
	counted(t, 3)
}
