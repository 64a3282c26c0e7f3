package db_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/imaging"
)

// everything is the filter that wants all.
var everything = &imaging.Filter{}

// actors are all kinds of them: with each role, confined or not, with names that nearly are others' names.
func actors() []imaging.Actor {
	all := []imaging.Actor{nobody, ann, admin, reviewer, worker}
	for _, name := range []string{"Ann", "an", "bob", "carl", `d"a,v\e`, "zoe", "stranger", "%", "{ann}"} {
		all = append(all, imaging.Actor{Username: name, Roles: []imaging.Role{imaging.Requester}})
	}
	for _, confined := range [][]int{{}, {1}, {2, 3}, {99}} {
		all = append(all,
			imaging.Actor{Username: "worker", Roles: []imaging.Role{imaging.Worker}, Providers: confined},
			imaging.Actor{Username: "reviewer", Roles: []imaging.Role{imaging.Reviewer}, Providers: confined},
			imaging.Actor{Username: "bob", Roles: []imaging.Role{imaging.Requester, imaging.Worker}, Providers: confined},
			imaging.Actor{Username: "both", Roles: []imaging.Role{imaging.Reviewer, imaging.Worker}, Providers: confined},
			imaging.Actor{Username: "root", Roles: []imaging.Role{imaging.Admin}, Providers: confined})
	}
	return all
}

// The rule in SQL and the rule in Go are the same: whoever asks, by whichever way, sees the requests that imaging.Visible
// allows, and of them what imaging.Redact leaves.
func TestVisibility(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed, 22)
			for i, a := range actors() {
				want := ordered(w.shown(a), imaging.NewestFirst, requestKey)
				if !t.Run(fmt.Sprint(i, a), func(t *testing.T) {
					w.checkLists(t, a, want)
					w.checkEach(t, a, want)
					w.checkNodes(t, a, want)
				}) {
					return
				}
			}
		})
	}
}

// checkLists reads all lists to their end.
func (w *world) checkLists(t *testing.T, a imaging.Actor, want []*imaging.ImageRequest) {
	t.Helper()
	ctx := t.Context()
	requests := []*imaging.ImageRequest{}
	for s := (imaging.Slice{First: new(17)}); ; {
		c, err := w.ImageRequests(ctx, a, s, everything, nil)
		if err != nil {
			t.Fatal(err)
		}
		requests = append(requests, c.Nodes()...)
		if n, err := c.TotalCount(ctx); err != nil || n != len(want) {
			t.Errorf("total %d, %v, want %d", n, err, len(want))
		}
		if s.After = c.PageInfo.EndCursor(); !more(t, c.PageInfo) {
			break
		}
	}
	same(t, want, requests)
	seen := []*imaging.Version{}
	for s := (imaging.Slice{First: new(40)}); ; {
		c, err := w.Versions(ctx, a, s, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, c.Nodes()...)
		if n, err := c.TotalCount(ctx); err != nil || n != len(versions(want)) {
			t.Errorf("total of versions %d, %v, want %d", n, err, len(versions(want)))
		}
		if s.After = c.PageInfo.EndCursor(); !more(t, c.PageInfo) {
			break
		}
	}
	same(t, ordered(versions(want), imaging.NewestFirst, versionKey), seen)
	page, err := w.ImageRequestPage(ctx, a, 0, 1000, everything, nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, want, page)
	if n, err := w.CountImageRequests(ctx, a, everything); err != nil || n != len(want) {
		t.Errorf("count %d, %v, want %d", n, err, len(want))
	}
}

// more tells whether there is a next page.
func more(t *testing.T, p *db.PageInfo) bool {
	t.Helper()
	next, err := p.HasNextPage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// checkEach asks for each request and version by its id. What is not shown is answered as what does not exist.
func (w *world) checkEach(t *testing.T, a imaging.Actor, want []*imaging.ImageRequest) {
	t.Helper()
	ctx := t.Context()
	shown := map[uuid.UUID]*imaging.ImageRequest{}
	for _, r := range want {
		shown[r.ID] = r
	}
	_, absentRequest := w.ImageRequest(ctx, a, w.id())
	_, absentVersion := w.Version(ctx, a, w.id())
	for _, e := range []error{absentRequest, absentVersion} {
		refused(t, e, refusal{imaging.NotFound, ""})
	}
	for _, r := range w.requests {
		v := pick(w, r.Versions)
		gotRequest, requestErr := w.ImageRequest(ctx, a, r.ID)
		gotVersion, versionErr := w.Version(ctx, a, v.ID)
		if s := shown[r.ID]; s != nil {
			same(t, s, gotRequest)
			same(t, s.Version(v.ID), gotVersion)
			if requestErr != nil || versionErr != nil {
				t.Error(requestErr, versionErr)
			}
			continue
		}
		if gotRequest != nil || !reflect.DeepEqual(absentRequest, requestErr) {
			t.Errorf("invisible request: %v, %#v, an absent one: %#v", gotRequest, requestErr, absentRequest)
		}
		if gotVersion != nil || !reflect.DeepEqual(absentVersion, versionErr) {
			t.Errorf("invisible version: %v, %#v, an absent one: %#v", gotVersion, versionErr, absentVersion)
		}
	}
}

// checkNodes asks for everything by id at once, in pieces, with unknown ids and repeated ones between.
func (w *world) checkNodes(t *testing.T, a imaging.Actor, want []*imaging.ImageRequest) {
	t.Helper()
	shown := map[uuid.UUID]imaging.Node{}
	for _, r := range want {
		shown[r.ID] = r
		for _, v := range r.Versions {
			shown[v.ID] = v
		}
	}
	ids := []uuid.UUID{w.id(), w.id()}
	for _, r := range w.requests {
		ids = append(ids, r.ID, r.ID)
		for _, v := range r.Versions {
			ids = append(ids, v.ID)
		}
	}
	w.rnd.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for piece := range slices.Chunk(ids, imaging.MaxIDs) {
		nodes := make([]imaging.Node, len(piece))
		for i, id := range piece {
			nodes[i] = shown[id]
		}
		got, err := w.Nodes(t.Context(), a, piece)
		if err != nil {
			t.Fatal(err)
		}
		same(t, nodes, got)
	}
}

// Writing needs more than seeing: what is invisible is answered as absent, what is only visible is FORBIDDEN, and neither
// leaves a trace.
func TestVisibilityOfWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 77, 25)
	b := bench{w.Store, w.sql}
	ctx := t.Context()
	edit := func(a imaging.Actor, id uuid.UUID) error {
		_, err := w.EditImageRequest(ctx, a, imaging.EditImageRequestInput{ImageRequest: id, Name: new("mine now")})
		return err
	}
	version := func(a imaging.Actor, id uuid.UUID) error {
		_, err := w.RequestVersion(ctx, a, another(id))
		return err
	}
	b.unchanged(t, func() {
		for _, a := range actors() {
			for _, write := range []func(imaging.Actor, uuid.UUID) error{edit, version} {
				absent := write(a, w.id())
				for _, r := range w.requests {
					if a.MayEdit(r) {
						continue
					}
					switch err := write(a, r.ID); {
					case !a.SignedIn():
						refused(t, err, refusal{imaging.Unauthenticated, ""})
					case imaging.Visible(a, r):
						refused(t, err, refusal{imaging.Forbidden, ""})
					case !reflect.DeepEqual(absent, err):
						t.Errorf("%v: invisible %#v, absent %#v", a, err, absent)
					}
				}
			}
		}
	})
}

// Asking for too much at once is refused, and so is nothing at all not an error.
func TestNodesLimits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.Nodes(t.Context(), ann, make([]uuid.UUID, imaging.MaxIDs+1))
	refused(t, err, refusal{imaging.Invalid, "ids"})
	for _, none := range [][]uuid.UUID{nil, {}} {
		got, err := b.Nodes(t.Context(), ann, none)
		if err != nil || len(got) != 0 {
			t.Errorf("nodes of nothing: %v, %v", got, err)
		}
	}
}

// A conflict over an instance names the request in the way to those who may see it, and to nobody else.
func TestConflictNamesOnlyWhatIsVisible(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := image()
	in.Name = "Secret plans"
	first := b.request(t, ann, in)
	for _, c := range []struct {
		actor imaging.Actor
		named bool
	}{{ann, true}, {bob, false}, {worker, false}, {reviewer, true}, {admin, true}} {
		again := image()
		again.Instance = in.Instance
		_, err := b.RequestImage(t.Context(), c.actor, again)
		refused(t, err, refusal{imaging.Conflict, "instance"})
		var e *imaging.Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		for _, secret := range []string{in.Name, first.ImageRequestID.String(), string(first.Status)} {
			if got := strings.Contains(e.Message, secret) || e.Status != ""; got != c.named {
				t.Errorf("%s is told %q, %q: named %v, want %v", c.actor.Username, e.Message, e.Status, got, c.named)
			}
		}
	}
}
