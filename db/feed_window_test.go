package db_test

import (
	"slices"
	"testing"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// A subscriber that has fallen behind the window goes on from the table and comes back; those beside it do not wait.
func TestSlowSubscriber(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := db.NewFeedOf(b.Store, often, 8)
	run(t, f)
	id := b.request(t, ann, image()).ImageRequestID
	slow, fast := subscribe(t, f, admin, db.Stream{}), subscribe(t, f, admin, db.Stream{})
	for range 3 {
		before := b.streamed(t, "true")
		for range 120 { // more than a page, and much more than the window
			b.edit(t, id)
		}
		whole := b.streamed(t, behind(before[len(before)-1]))
		last := func(e *imaging.Event) bool { return e.ID == whole[len(whole)-1] }
		same(t, whole[:119], idsOf(fast.until(t, last)))
		if n := f.Window(); n > 8 {
			t.Errorf("the window has grown to %d events", n)
		}
		same(t, whole[0], idsOf(slow.until(t, func(e *imaging.Event) bool { return e.ID == whole[1] }))[0])
		b.edit(t, id) // while it is at a page of the table
		mark := b.mark(t)
		same(t, append(whole[2:], b.streamed(t, behind(whole[119]))...), append(idsOf(slow.until(t, mark)), slow.got[len(slow.got)-1].ID))
		fast.until(t, mark)
	}
}

// Large events do not pile up, however few they are.
func TestWindowHasAWeight(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.newFeed(t)
	l := subscribe(t, f, admin, db.Stream{})
	id := b.request(t, ann, image()).ImageRequestID
	const large = 16 << 10 // characters, of three bytes each; they are in the event as they were and as they are
	for i := range 120 {
		text := make([]rune, large)
		for j := range text {
			text[j] = '世' + rune(i)
		}
		if _, err := b.EditImageRequest(t.Context(), ann, imaging.EditImageRequestInput{ImageRequest: id, Description: new(string(text))}); err != nil {
			t.Fatal(err)
		}
	}
	mark := b.mark(t)
	behindIt := subscribe(t, f, admin, db.Stream{})
	b.mark(t)
	if _, err := behindIt.Next(behindIt.ctx); err != nil { // all has come into the window before
		t.Fatal(err)
	}
	if n := f.Window(); n > 90 {
		t.Errorf("the window has %d events of about 96 KiB", n)
	}
	same(t, 121, len(l.until(t, mark)))
}

// What is committed while an older transaction still runs cannot be told yet, because that may have an event that comes before
// it. Who subscribes meanwhile is not told what was there, and who comes with a cursor from there misses nothing.
func TestSubscribersBeyondTheHorizon(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.newFeed(t)
	r := b.request(t, ann, image())
	s := &sequence{id: b.request(t, bob, image()).ImageRequestID, seq: 1, before: 1}
	w := b.write(t, true)
	b.edit(t, r.ImageRequestID)
	b.edit(t, r.ImageRequestID)
	page, err := b.Events(t.Context(), ann, r.ImageRequest, imaging.Slice{})
	if err != nil {
		t.Fatal(err)
	}
	events := page.Nodes()
	same(t, 3, len(events))
	now := subscribe(t, f, admin, db.Stream{})
	after := subscribe(t, f, admin, db.Stream{After: &events[1].Cursor})
	ofOne := subscribe(t, f, admin, db.Stream{After: &events[1].Cursor, ImageRequest: &r.ImageRequestID})
	w.event(t, s, "")
	w.end(t, true, false)
	between := one[int64](t, b.sql, "SELECT max(id) FROM events WHERE image_request_id = $1", s.id.String())
	mark := b.mark(t)
	same(t, []int64{between}, idsOf(now.until(t, mark)))
	// Of other requests there may be more: a transaction of any database of the server holds the horizon back.
	told := filtered(idsOf(after.until(t, mark)), func(id int64) bool {
		return id == between || slices.ContainsFunc(events, func(e *imaging.Event) bool { return e.ID == id })
	})
	same(t, []int64{between, events[2].ID}, told)
	same(t, 0, len(ofOne.until(t, func(e *imaging.Event) bool { return e.ID == events[2].ID })))
}

// While the database is away a subscriber sees nothing but a pause.
func TestSubscribersWithoutADatabase(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	b := bench{dbtest.Open(t, cfg), dbtest.SQL(t, cfg)}
	if _, err := b.SaveProvider(t.Context(), admin, imaging.SaveProviderInput{ID: 1, Name: new("one")}); err != nil {
		t.Fatal(err)
	}
	server := cfg
	server.Database = "postgres"
	outside := dbtest.SQL(t, server)
	id := b.request(t, ann, image()).ImageRequestID
	f := db.NewFeedOf(b.Store, often, 4)
	run(t, f)
	live, replaying := subscribe(t, f, admin, db.Stream{After: new("")}), subscribe(t, f, admin, db.Stream{After: new("")})
	live.until(t, func(e *imaging.Event) bool { return *e.Seq == 1 })
	for range 3 {
		for range 10 { // more than the window holds
			b.edit(t, id)
		}
		execute(t, outside, "ALTER DATABASE "+cfg.Database+" ALLOW_CONNECTIONS false")
		execute(t, outside, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", cfg.Database)
		done := make(chan error, 2)
		for _, l := range []*listener{live, replaying} {
			go func() {
				for range 10 {
					e, err := l.Next(l.ctx)
					if err != nil {
						done <- err
						return
					}
					l.got = append(l.got, e)
				}
				done <- nil
			}()
		}
		for range 20 {
			execute(t, outside, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", cfg.Database)
		}
		if len(done) > 0 {
			t.Error("something was told without a database")
		}
		execute(t, outside, "ALTER DATABASE "+cfg.Database+" ALLOW_CONNECTIONS true")
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	whole := b.streamed(t, "true")
	same(t, whole, idsOf(live.got))
	same(t, whole[:30], idsOf(replaying.got))
}
