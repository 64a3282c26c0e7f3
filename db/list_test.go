package db_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// orders are all orders of a list with these fields.
func orders(fields ...imaging.OrderField) []*imaging.Order {
	all := []*imaging.Order{nil}
	for _, f := range fields {
		all = append(all, &imaging.Order{Field: f, Direction: imaging.Asc}, &imaging.Order{Field: f, Direction: imaging.Desc})
	}
	return all
}

// filter is a random filter that lets something through now and then.
func (w *world) filter() *imaging.ImageRequestFilter {
	f := &imaging.ImageRequestFilter{}
	for range 1 + w.rnd.IntN(2) {
		switch w.rnd.IntN(13) {
		case 0:
			f.IDs = []uuid.UUID{w.id(), uuid.Nil}
			for _, r := range some(w, w.requests, 20) {
				f.IDs = append(f.IDs, r.ID)
			}
		case 1:
			f.Status = some(w, imaging.Statuses, 4)
		case 2:
			f.CreatedBy = new(pick(w, append(someUsers, "%", "")))
		case 3:
			f.Provider = new(w.rnd.IntN(6))
		case 4:
			f.Tags = some(w, someTags, 2)
		case 5:
			f.Visibility = new(pick(w, imaging.Visibilities))
		case 6:
			f.Instance = new(pick(w, append(w.instances, w.id())))
		case 7:
			f.StartedFrom = new(w.moment())
		case 8:
			f.StartedBefore = new(w.moment())
		case 9:
			f.EndsFrom = new(w.moment().AddDate(w.rnd.IntN(2)*1000, 0, 0))
		case 10:
			f.EndsBefore = new(w.moment().AddDate(w.rnd.IntN(2)*1000, 0, 0))
		case 11:
			f.Ended = new(w.rnd.IntN(2) == 0)
		case 12:
			f.Search = new(pick(w, []string{"", " ", "ALPHA", "beta alpha", "größe", `back\`, "it's", "%", "_", "a?", "日", "{x", "nothing"}))
		}
	}
	return f
}

// wants is the meaning of a filter, said once more in Go.
func wants(f *imaging.ImageRequestFilter, r *imaging.ImageRequest) bool {
	ended := r.EndDate != nil && r.EndDate.Before(time.Now())
	text := strings.ToLower(r.Name + "\n" + r.Description + "\n" + strings.Join(r.Tags, "\n"))
	for _, word := range imaging.SearchWords(deref(f.Search)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	for _, tag := range f.Tags {
		if !slices.Contains(r.Tags, tag) {
			return false
		}
	}
	newest := r.Versions[len(r.Versions)-1]
	return (f.IDs == nil || slices.Contains(f.IDs, r.ID)) &&
		(f.Status == nil || slices.Contains(f.Status, newest.Status)) &&
		is(f.CreatedBy, r.CreatedBy) && is(f.Provider, newest.ProviderID) && is(f.Visibility, r.Visibility) && is(f.Instance, newest.Instance) &&
		(f.StartedFrom == nil || !r.StartDate.Before(*f.StartedFrom)) &&
		(f.StartedBefore == nil || r.StartDate.Before(*f.StartedBefore)) &&
		(f.EndsFrom == nil || r.EndDate != nil && !r.EndDate.Before(*f.EndsFrom)) &&
		(f.EndsBefore == nil || r.EndDate != nil && r.EndDate.Before(*f.EndsBefore)) &&
		(f.Ended == nil || *f.Ended == ended)
}

func deref(s *string) string { return *cmp.Or(s, new("")) }

func is[T comparable](wanted *T, v T) bool { return wanted == nil || *wanted == v }

func filtered[T any](rows []T, keep func(T) bool) []T {
	out := []T{}
	for _, r := range rows {
		if keep(r) {
			out = append(out, r)
		}
	}
	return out
}

// Lists have what the filter wants, in the order wanted, and pages of any size cut them without a gap or a repetition,
// forwards and backwards, with exact totals and exact words on what lies beyond.
func TestLists(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 100+seed, 60)
			for _, o := range orders(imaging.ByStartDate, imaging.ByName, imaging.ByStatus) {
				order := *cmp.Or(o, &imaging.NewestFirst)
				for i := range 6 {
					a, f := pick(w, actors()), w.filter()
					if i == 0 { // the most rows there can be
						a, f = admin, everything
					}
					want := filtered(w.shown(a), func(r *imaging.ImageRequest) bool { return wants(f, r) })
					w.checkRequestList(t, a, f, o, ordered(want, order, requestKey))
				}
			}
		})
	}
}

func (w *world) checkRequestList(t *testing.T, a imaging.Actor, f *imaging.ImageRequestFilter, o *imaging.Order, want []*imaging.ImageRequest) {
	t.Helper()
	ctx := t.Context()
	read := func(s imaging.Slice) (page[*imaging.ImageRequest], error) {
		c, err := w.ImageRequests(ctx, a, s, f, o)
		if err != nil {
			return page[*imaging.ImageRequest]{}, err
		}
		total, err := c.TotalCount(ctx)
		return page[*imaging.ImageRequest]{c.Nodes(), c.PageInfo, cursors(c.Edges), total}, err
	}
	checkPages(t, w.rnd, want, read)
	offset, limit := w.rnd.IntN(len(want)+2), 1+w.rnd.IntN(len(want)+2)
	got, err := w.ImageRequestPage(ctx, a, offset, limit, f, o)
	if err != nil {
		t.Fatal(err)
	}
	same(t, want[min(offset, len(want)):min(offset+limit, len(want))], got)
	if t.Failed() {
		t.Fatalf("as %v, filter %+v, order %v", a, f, o)
	}
}

// Lists of versions: the same.
func TestVersionLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 200, 50)
	for _, o := range orders(imaging.ByStartDate, imaging.ByStatus) {
		order := *cmp.Or(o, &imaging.NewestFirst)
		for range 6 {
			a, f := pick(w, actors()), w.versionFilter()
			want := filtered(versions(w.shown(a)), func(v *imaging.Version) bool { return wantsVersion(f, v) })
			checkPages(t, w.rnd, ordered(want, order, versionKey), func(s imaging.Slice) (page[*imaging.Version], error) {
				c, err := w.Versions(t.Context(), a, s, f, o)
				if err != nil {
					return page[*imaging.Version]{}, err
				}
				total, err := c.TotalCount(t.Context())
				return page[*imaging.Version]{c.Nodes(), c.PageInfo, cursors(c.Edges), total}, err
			})
			if t.Failed() {
				t.Fatalf("as %v, filter %+v, order %v", a, f, o)
			}
		}
	}
}

func (w *world) versionFilter() *imaging.VersionFilter {
	f := &imaging.VersionFilter{}
	for range w.rnd.IntN(3) {
		switch w.rnd.IntN(7) {
		case 0:
			f.Status = some(w, imaging.Statuses, 5)
		case 1:
			f.Provider = new(w.rnd.IntN(6))
		case 2:
			f.Instance = new(pick(w, w.instances))
		case 3:
			f.ImageRequest = new(pick(w, w.requests).ID)
		case 4:
			f.CreatedBy = new(pick(w, someUsers))
		case 5:
			f.StartedFrom = new(w.moment())
		case 6:
			f.StartedBefore = new(w.moment())
		}
	}
	return f
}

func wantsVersion(f *imaging.VersionFilter, v *imaging.Version) bool {
	return (f.Status == nil || slices.Contains(f.Status, v.Status)) &&
		is(f.Provider, v.ProviderID) && is(f.Instance, v.Instance) && is(f.ImageRequest, v.ImageRequestID) && is(f.CreatedBy, v.ImageRequest.CreatedBy) &&
		(f.StartedFrom == nil || !v.StartDate.Before(*f.StartedFrom)) && (f.StartedBefore == nil || v.StartDate.Before(*f.StartedBefore))
}

// A nil filter wants what is not retired; a retirement in the future is none yet.
func TestNilFilterWantsCurrent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 300, 40)
	want := filtered(w.shown(admin), func(r *imaging.ImageRequest) bool { return r.EndDate == nil || r.EndDate.After(time.Now()) })
	w.checkRequestList(t, admin, nil, nil, ordered(want, imaging.NewestFirst, requestKey))
}
