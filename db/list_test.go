package db_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"imagerequests/db"
	"imagerequests/imaging"
)

// A list and what it must be, by the model. All of it is asked anew each time: the world may change in between.
type list[T any] struct {
	read  func(imaging.Slice) (*db.Connection[T], error)
	rows  func() []T
	key   func(T, imaging.OrderField) key
	order imaging.Order
}

// place is a cursor and what it stands for.
type place struct {
	cursor string
	key    key
}

// Lists have what the filter wants, in the order wanted, and pages of any size cut them without a gap or a repetition,
// forwards and backwards and from any cursor, with exact totals and exact words on what lies beyond: as the model says.
func TestLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100, 0)
	seen := tally{}
	rapid.Check(t, func(rt *rapid.T) {
		w.recreate(rt)
		for range 8 {
			w.reachAnyhow(rt)
			f := w.drawFilter(rt, w.anyRequest())
			a, o := rapid.SampledFrom(actors()).Draw(rt, "actor"), drawOrder(rt)
			l := w.requestList(t.Context(), a, f, o)
			seen.count(f, len(l.rows()))
			l.check(rt, w.rnd)
			w.checkNumbered(rt, a, f, o, l.rows())
		}
	})
	seen.enough(t)
}

// Lists of versions: the same.
func TestVersionLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 200, 0)
	seen := tally{}
	rapid.Check(t, func(rt *rapid.T) {
		w.recreate(rt)
		for range 8 {
			w.reachAnyhow(rt)
			f := w.drawFilter(rt, w.anyVersion())
			if rapid.IntRange(0, 9).Draw(rt, "of a request") == 0 {
				f.ImageRequest = new(pick(w, w.requests).ID)
			}
			l := w.versionList(t.Context(), rapid.SampledFrom(actors()).Draw(rt, "actor"), f, drawOrder(rt))
			seen.count(f, len(l.rows()))
			l.check(rt, w.rnd)
		}
	})
	seen.enough(t)
}

// While somebody reads page by page, rows come, go, and change their place. Each page is that of the list as it is then, from
// the very place the last one ended at, so reading comes to an end; and what did not move is there exactly once.
func TestListsWhileTheyChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 300, 0)
	vanished := 0
	rapid.Check(t, func(rt *rapid.T) {
		w.recreate(rt)
		w.reachAnyhow(rt)
		o := drawOrder(rt)
		n, backwards := rapid.IntRange(1, 3).Draw(rt, "size"), rapid.Bool().Draw(rt, "backwards")
		requests, all := w.requestList(t.Context(), admin, everything, o), w.versionList(t.Context(), admin, everything, o)
		vanished += requests.walkStirred(rt, w, n, backwards)
		vanished += all.walkStirred(rt, w, n, backwards)
	})
	if vanished == 0 && !t.Failed() {
		t.Error("no cursor ever outlived its row")
	}
}

// A nil filter wants what is not retired; a retirement in the future is none yet.
func TestNilFilterWantsCurrent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 301, 40)
	want := filtered(w.shown(admin), func(r *imaging.ImageRequest) bool { return r.EndDate == nil || r.EndDate.After(time.Now()) })
	c, err := w.ImageRequests(t.Context(), admin, imaging.Slice{First: new(100)}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, ordered(want, imaging.NewestFirst, requestKey), c.Nodes())
}

func (w *world) requestList(ctx context.Context, a imaging.Actor, f *imaging.Filter, o *imaging.Order) list[*imaging.ImageRequest] {
	l := list[*imaging.ImageRequest]{key: requestKey, order: orNewest(o)}
	l.read = func(s imaging.Slice) (*db.ImageRequestConnection, error) { return w.ImageRequests(ctx, a, s, f, o) }
	l.rows = func() []*imaging.ImageRequest {
		return ordered(filtered(w.shown(a), func(r *imaging.ImageRequest) bool { return wants(f, r) }), l.order, l.key)
	}
	return l
}

func (w *world) versionList(ctx context.Context, a imaging.Actor, f *imaging.Filter, o *imaging.Order) list[*imaging.Version] {
	l := list[*imaging.Version]{key: versionKey, order: orNewest(o)}
	l.read = func(s imaging.Slice) (*db.VersionConnection, error) { return w.Versions(ctx, a, s, f, o) }
	l.rows = func() []*imaging.Version {
		return ordered(filtered(versions(w.shown(a)), func(v *imaging.Version) bool { return wantsVersion(f, v) }), l.order, l.key)
	}
	return l
}

func orNewest(o *imaging.Order) imaging.Order {
	if o == nil {
		return imaging.Order{Field: "START_DATE", Direction: "DESC"}
	}
	return *o
}

// check walks through the list from both ends, then reads pieces of it between any two of its cursors, in any order.
func (l list[T]) check(rt *rapid.T, rnd *rand.Rand) {
	n := rapid.IntRange(1, 5).Draw(rt, "page size")
	there := l.walk(rt, n, false)
	back := l.walk(rt, n, true)
	slices.Reverse(back)
	if diff := cmp.Diff(keys(there), keys(back), cmp.AllowUnexported(key{})); diff != "" {
		rt.Fatalf("backwards it is another list:\n%s", diff)
	}
	for range 4 {
		if len(there) == 0 {
			return
		}
		var after, before *place
		if rnd.IntN(3) > 0 {
			after = &there[rnd.IntN(len(there))]
		}
		if rnd.IntN(3) > 0 {
			before = &there[rnd.IntN(len(there))]
		}
		l.page(rt, 1+rnd.IntN(5), rnd.IntN(2) == 0, after, before)
	}
}

// walk reads the list page by page to its end and gives all its places.
func (l list[T]) walk(rt *rapid.T, n int, backwards bool) (all []place) {
	rt.Helper()
	var from *place
	for range len(l.rows()) + 1 {
		places, more := l.next(rt, n, backwards, from)
		all = append(all, places...)
		if !more {
			if len(all) != len(l.rows()) {
				rt.Fatalf("the list ended after %d of %d rows", len(all), len(l.rows()))
			}
			return all
		}
		from = &places[len(places)-1]
	}
	rt.Fatalf("the list has no end")
	return nil
}

// next reads the page behind a place, seen in the direction of the walk.
func (l list[T]) next(rt *rapid.T, n int, backwards bool, from *place) (places []place, more bool) {
	rt.Helper()
	if !backwards {
		places, _, more = l.page(rt, n, false, from, nil)
		return places, more
	}
	places, more, _ = l.page(rt, n, true, nil, from)
	slices.Reverse(places)
	return places, more
}

// page reads one page and compares all of it with the model's.
func (l list[T]) page(rt *rapid.T, n int, last bool, after, before *place) (places []place, previous, next bool) {
	rt.Helper()
	s, p := imaging.Slice{First: &n}, piece{first: n}
	if last {
		s, p = imaging.Slice{Last: &n}, piece{last: n}
	}
	if after != nil {
		s.After, p.after = &after.cursor, &after.key
	}
	if before != nil {
		s.Before, p.before = &before.cursor, &before.key
	}
	want := page(l.rows(), l.order, l.key, p)
	c, err := l.read(s)
	if err != nil {
		rt.Fatalf("%+v: %v", s, err)
	}
	got := l.answer(rt, c)
	if !reflect.DeepEqual(want, got) { // much faster than cmp
		rt.Fatalf("%+v, in the order %v (-want +got):\n%s", p, l.order, cmp.Diff(want, got, cmp.AllowUnexported(key{})))
	}
	for i, row := range got.Rows {
		places = append(places, place{c.Edges[i].Cursor(), l.key(row, l.order.Field)})
	}
	return places, got.Previous, got.Next
}

// answer is a page as a client sees it.
func (l list[T]) answer(rt *rapid.T, c *db.Connection[T]) (a answer[T]) {
	rt.Helper()
	ctx := rt.Context()
	var errs [3]error
	a.Rows = append([]T{}, c.Nodes()...)
	a.Total, errs[0] = c.TotalCount(ctx)
	a.Previous, errs[1] = c.PageInfo.HasPreviousPage(ctx)
	a.Next, errs[2] = c.PageInfo.HasNextPage(ctx)
	for _, err := range errs {
		if err != nil {
			rt.Fatal(err)
		}
	}
	a.EdgesAreTheirRows = len(c.Edges) == len(a.Rows)
	for i, e := range c.Edges {
		a.EdgesAreTheirRows = a.EdgesAreTheirRows && reflect.DeepEqual(e.Node, a.Rows[i])
	}
	if n := len(a.Rows); n > 0 {
		a.EdgesAreTheirRows = a.EdgesAreTheirRows && *c.PageInfo.StartCursor() == c.Edges[0].Cursor() && *c.PageInfo.EndCursor() == c.Edges[n-1].Cursor()
		start, end := l.key(a.Rows[0], l.order.Field), l.key(a.Rows[n-1], l.order.Field)
		a.StartsAt, a.EndsAt = &start, &end
	} else if c.PageInfo.StartCursor() != nil || c.PageInfo.EndCursor() != nil {
		rt.Fatalf("an empty page has cursors")
	}
	return a
}

// walkStirred reads the list to its end while the world changes, and tells how often the row of the cursor was gone by then.
func (l list[T]) walkStirred(rt *rapid.T, w *world, n int, backwards bool) (vanished int) {
	rt.Helper()
	still, read := keys(l.places()), map[key]int{}
	var from *place
	for changes := 3; ; changes-- {
		places, more := l.next(rt, n, backwards, from)
		for _, p := range places {
			read[p.key]++
		}
		if !more {
			break
		}
		from = &places[len(places)-1]
		if changes > 0 {
			w.stir(rt)
			now := keys(l.places())
			still = filtered(still, func(k key) bool { return slices.Contains(now, k) })
			if !slices.Contains(now, from.key) {
				vanished++
			}
		}
	}
	for _, k := range still {
		if read[k] != 1 {
			rt.Fatalf("a row that stayed where it was was read %d times: %v", read[k], k)
		}
	}
	return vanished
}

// places are those of the model's rows, without their cursors.
func (l list[T]) places() (all []place) {
	for _, row := range l.rows() {
		all = append(all, place{key: l.key(row, l.order.Field)})
	}
	return all
}

func keys(places []place) []key {
	all := []key{}
	for _, p := range places {
		all = append(all, p.key)
	}
	return all
}

// checkNumbered reads a page by its number, as REST has them, and the count.
func (w *world) checkNumbered(rt *rapid.T, a imaging.Actor, f *imaging.Filter, o *imaging.Order, want []*imaging.ImageRequest) {
	rt.Helper()
	offset, limit := w.rnd.IntN(len(want)+2), 1+w.rnd.IntN(len(want)+2)
	got, err := w.ImageRequestPage(rt.Context(), a, offset, limit, f, o)
	if want := want[min(offset, len(want)):min(offset+limit, len(want))]; err != nil || len(want)+len(got) > 0 && !reflect.DeepEqual(want, got) {
		rt.Fatalf("%d from %d on: %v (-want +got):\n%s", limit, offset, err, cmp.Diff(want, got))
	}
	if n, err := w.CountImageRequests(rt.Context(), a, f); err != nil || n != len(want) {
		rt.Fatalf("%d are counted of %d, %v", n, len(want), err)
	}
}

// tally counts how often each field of a filter was asked for and something was found.
type tally map[string]int

func (s tally) count(f *imaging.Filter, found int) {
	if v := reflect.ValueOf(*f); found > 0 {
		for i := range v.NumField() {
			if !v.Field(i).IsNil() {
				s[v.Type().Field(i).Name]++
			}
		}
	}
}

func (s tally) enough(t *testing.T) {
	t.Helper()
	for _, field := range reflect.VisibleFields(reflect.TypeFor[imaging.Filter]()) {
		if field.Name != "ImageRequest" && s[field.Name] == 0 && !t.Failed() {
			t.Errorf("nothing was ever found by %s; by others: %v", field.Name, maps.Clone(s))
		}
	}
}

// reachAnyhow lets pages be found in one way or the other: what they are must not depend on it.
func (w *world) reachAnyhow(rt *rapid.T) {
	w.Store = w.Reaching(rapid.SampledFrom([]int{1, 2, 100}).Draw(rt, "each"), rapid.SampledFrom([]int{0, 3, 4000}).Draw(rt, "few"))
}

// recreate replaces the world by another one.
func (w *world) recreate(rt *rapid.T) {
	rt.Helper()
	w.rnd = rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
	w.requests = nil
	for range rapid.IntRange(1, 10).Draw(rt, "requests") {
		w.requests = append(w.requests, w.request())
	}
	w.store(rt)
}

// stir has one request vanish, another one come, and one change all it has but its id and those of its versions.
func (w *world) stir(rt *rapid.T) {
	rt.Helper()
	if at := w.rnd.IntN(len(w.requests)); len(w.requests) > 2 {
		w.requests = slices.Delete(w.requests, at, at+1)
	}
	at := w.rnd.IntN(len(w.requests))
	old, changed := w.requests[at], w.request()
	changed.ID = old.ID
	for i, v := range changed.Versions {
		if v.ImageRequestID = old.ID; i < len(old.Versions) {
			v.Alias = strings.Replace(v.Alias, v.ID.String(), old.Versions[i].ID.String(), 1)
			v.ID = old.Versions[i].ID
		}
	}
	w.requests[at] = changed
	w.requests = append(w.requests, w.request())
	w.store(rt)
}

// store makes the database hold the world's requests and no others.
func (w *world) store(rt *rapid.T) {
	rt.Helper()
	for _, table := range []string{"versions", "image_requests"} {
		if _, err := w.sql.ExecContext(rt.Context(), "DELETE FROM "+table); err != nil {
			rt.Fatal(err)
		}
	}
	if err := w.Put(rt.Context(), w.requests...); err != nil {
		rt.Fatal(err)
	}
}

// All versions of a request that gets another name are found in its place by that name; and they are counted by its visibility.
func TestVersionsFollowTheirRequest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.request(t, ann, image())
	if _, err := b.RequestVersion(t.Context(), ann, another(first.ImageRequestID)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.EditImageRequest(t.Context(), ann, imaging.EditImageRequestInput{ImageRequest: first.ImageRequestID, Name: new("Zebra")}); err != nil {
		t.Fatal(err)
	}
	if n := one[int](t, b.sql, "SELECT count(*) FROM versions WHERE name = 'Zebra'"); n != 2 {
		t.Errorf("%d versions have the name", n)
	}
	if _, err := b.EditImageRequest(t.Context(), ann, imaging.EditImageRequestInput{ImageRequest: first.ImageRequestID, Visibility: new(imaging.Private)}); err != nil {
		t.Fatal(err)
	}
	if n := one[int](t, b.sql, "SELECT count(*) FROM versions WHERE name = 'Zebra' AND visibility = 'PRIVATE'"); n != 2 {
		t.Errorf("%d versions have the name and the visibility", n)
	}
}
