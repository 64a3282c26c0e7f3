package db_test

import (
	"context"
	"testing"
	"time"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// Loaded twice, or by many at once, the demonstration is there once.
func TestLoadDemo(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	b := bench{dbtest.Open(t, cfg), dbtest.SQL(t, cfg)}
	_, errs := all(t.Context(), 6, func(ctx context.Context, _ int) (any, error) { return nil, b.LoadDemo(ctx) })
	same(t, map[imaging.Code]int{"": 6}, codes(errs))
	b.unchanged(t, func() {
		if err := b.LoadDemo(t.Context()); err != nil {
			t.Error(err)
		}
	})
	for table, want := range map[string]int{"providers": 2, "image_requests": 6, "versions": 6, "events": 8} {
		same(t, want, one[int](t, b.sql, "SELECT count(*) FROM "+table))
	}
	rows, err := b.ImageRequestPage(t.Context(), admin, 0, 100, everything, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		s := state{}
		for _, e := range b.events(t, "image_request_id = '"+r.ID.String()+"'") {
			s.play(t, e)
		}
		same(t, stored(t, r), s)
	}
}

// The documented example is there as it is documented, for everybody.
func TestDemoHasTheDocumentedExample(t *testing.T) {
	t.Parallel()
	s := dbtest.Store(t)
	if err := s.LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := s.ImageRequest(t.Context(), nobody, db.DemoRequest)
	if err != nil {
		t.Fatal(err)
	}
	same(t, []any{"Ubuntu 12.04 Updated NoGUI v1", []string{"Ubuntu", "Featured"}, "username", imaging.Public, time.Date(2014, 2, 5, 1, 3, 27, 903e6, time.UTC)},
		[]any{r.Name, r.Tags, r.CreatedBy, r.Visibility, r.StartDate})
	v := r.Newest()
	same(t, []any{1, db.DemoAlias, "1", 1, time.Date(2014, 2, 4, 23, 56, 40, 77e6, time.UTC), imaging.Completed, db.DemoInstance},
		[]any{len(r.Versions), v.Alias, v.Version, v.ProviderID, v.StartDate, v.Status, v.Instance})
}

// Providers of one's own are left alone by the demonstration, and no event says otherwise.
func TestDemoLeavesProvidersAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	before := b.content(t)["providers"]
	events := len(b.events(t, "action = 'PROVIDER_SAVED'"))
	if err := b.LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, before, b.content(t)["providers"])
	same(t, events, len(b.events(t, "action = 'PROVIDER_SAVED'")))
}

// The draft waits for a decision under ids that do not change, on its first revision: the playground's examples name them.
func TestDemoHasADraftToDecideOn(t *testing.T) {
	t.Parallel()
	s := dbtest.Store(t)
	if err := s.LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	v, err := s.Version(t.Context(), admin, db.DemoDraftVersion)
	if err != nil {
		t.Fatal(err)
	}
	same(t, []any{db.DemoDraft, 1, imaging.Pending, "username", db.DemoDraftVersion.String()},
		[]any{v.ImageRequestID, v.ImageRequest.Revision, v.Status, v.ImageRequest.CreatedBy, v.Alias})
}
