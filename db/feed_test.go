package db_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/imaging"
)

// patience is how long a test waits for what must come: no claim about speed.
const patience = 2 * time.Minute

// often is how often a feed of these tests looks by the clock, where the hints are not what is tested.
const often = 50 * time.Millisecond

// run runs a feed until the function it answers is called, or the test ends.
func run(t testing.TB, f *db.Feed) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the feed has ended: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// newFeed is a feed that runs until the test ends.
func (b bench) newFeed(t testing.TB) *db.Feed {
	t.Helper()
	f := db.NewFeedOf(b.Store, often, 1024)
	run(t, f)
	return f
}

// listener is a subscriber of a test, with all that it was told.
type listener struct {
	*db.Subscription
	ctx   context.Context
	got   []*imaging.Event
	leave func()
}

func subscribe(t testing.TB, f *db.Feed, a imaging.Actor, want db.Stream) *listener {
	t.Helper()
	ctx, leave := context.WithTimeout(context.Background(), patience)
	t.Cleanup(leave)
	s, err := f.Subscribe(ctx, a, want)
	if err != nil {
		t.Fatal(err)
	}
	return &listener{Subscription: s, ctx: ctx, leave: leave}
}

// until listens until an event is the last one, and answers what came before it.
func (l *listener) until(t testing.TB, last func(*imaging.Event) bool) []*imaging.Event {
	t.Helper()
	for from := len(l.got); ; {
		e, err := l.Next(l.ctx)
		if err != nil {
			t.Fatalf("after %d events: %v", len(l.got), err)
		}
		l.got = append(l.got, e)
		if last(e) {
			return l.got[from : len(l.got)-1]
		}
	}
}

// mark makes a request that everybody sees, and answers what tells its event.
func (b bench) mark(t testing.TB) (last func(*imaging.Event) bool) {
	t.Helper()
	in := image()
	in.Visibility = imaging.Public
	id := b.request(t, imaging.Actor{Username: "marker"}, in).ImageRequestID
	return func(e *imaging.Event) bool { return *e.ImageRequestID == id }
}

// stored are the ids of all events after a cursor, in the order of the stream.
func (b bench) streamed(t testing.TB, where string) (ids []int64) {
	t.Helper()
	rows, err := b.sql.QueryContext(t.Context(), "SELECT id FROM events WHERE image_request_id IS NOT NULL AND ("+where+") ORDER BY xid, id")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// behind is the condition that an event stands behind this one.
func behind(id int64) string {
	return fmt.Sprintf("(xid, id) > (SELECT xid, id FROM events WHERE id = %d)", id)
}

func idsOf(events []*imaging.Event) (ids []int64) {
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

// edit changes a request so that there is one more event.
func (b bench) edit(t testing.TB, id uuid.UUID) {
	t.Helper()
	if _, err := b.EditImageRequest(t.Context(), admin, imaging.EditImageRequestInput{ImageRequest: id, Name: new("name " + uuid.NewString())}); err != nil {
		t.Fatal(err)
	}
}

// settled waits until all that was written can be told. Behind a cursor of an event that no subscriber could have been told
// yet, others' events may be told that come before it in another list.
func (b bench) settled(t testing.TB) {
	t.Helper()
	eventually(t, "no transaction is in the way", func() bool {
		return one[bool](t, b.sql, "SELECT max(xid) < pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM events")
	})
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.After(patience); !holds(); {
		select {
		case <-look.C:
		case <-end:
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

// Where a subscriber may begin: now, at the beginning, behind an event; with all requests or one.
func TestWhereAStreamBegins(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.newFeed(t)
	one, other := b.request(t, ann, image()).ImageRequestID, b.request(t, bob, image()).ImageRequestID
	for range 5 {
		b.edit(t, one)
		b.edit(t, other)
	}
	past := b.streamed(t, "true")
	b.settled(t)
	now, all := subscribe(t, f, admin, db.Stream{}), subscribe(t, f, admin, db.Stream{After: new("")})
	after := subscribe(t, f, admin, db.Stream{After: new(db.StreamCursor(past[3]))})
	ofOne := subscribe(t, f, admin, db.Stream{After: new(db.StreamCursor(past[3])), ImageRequest: &one})
	b.edit(t, one)
	b.edit(t, other)
	whole := b.streamed(t, "true")
	mark := b.mark(t)
	same(t, whole[len(past):], idsOf(now.until(t, mark)))
	same(t, whole, idsOf(all.until(t, mark)))
	same(t, whole[4:], idsOf(after.until(t, mark)))
	b.edit(t, one)
	end := b.streamed(t, "true")
	lastOfOne := func(e *imaging.Event) bool { return e.ID == end[len(end)-1] }
	same(t, b.streamed(t, behind(past[3])+" AND image_request_id = '"+one.String()+"' AND id < "+fmt.Sprint(end[len(end)-1])), idsOf(ofOne.until(t, lastOfOne)))
	for i, e := range all.got {
		if e.Cursor != db.StreamCursor(e.ID) || e.ImageRequest.ID != *e.ImageRequestID || e.ID != whole[min(i, len(whole)-1)] && !mark(e) {
			t.Errorf("event %d is %+v", i, e)
		}
	}
}

// A cursor that is none is refused by its field, and so is what is wrong with the filter, all at once; a request that is not
// to be seen is not there.
func TestRefusedSubscriptions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.newFeed(t)
	hidden := b.request(t, ann, image())
	page, err := b.Events(t.Context(), ann, hidden.ImageRequest, imaging.Slice{})
	if err != nil {
		t.Fatal(err)
	}
	ofAProvider := one[int64](t, b.sql, "SELECT min(id) FROM events WHERE image_request_id IS NULL")
	sound := db.StreamCursor(page.Nodes()[0].ID)
	same(t, sound, page.Nodes()[0].Cursor)
	for what, cursor := range map[string]string{
		"nothing": "x", "of a request's events": page.Edges[0].Cursor(), "damaged": sound[:len(sound)-1] + "_", "of a provider's event": db.StreamCursor(ofAProvider),
		"of no event": db.StreamCursor(1 << 40), "of a negative one": db.StreamCursor(-1), "with a line end": sound + "\n",
		"not a number": db.EncodeCursor("stream", imaging.Order{Field: imaging.ByID, Direction: imaging.Asc}, "x", uuid.Nil),
	} {
		t.Run(what, func(t *testing.T) {
			_, err := f.Subscribe(t.Context(), ann, db.Stream{After: &cursor})
			refused(t, err, refusal{imaging.Invalid, "after"})
		})
	}
	_, err = f.Subscribe(t.Context(), ann, db.Stream{After: new("x"), Filter: &imaging.EventFilter{CreatedBy: new("\x00")}})
	refused(t, err, refusal{imaging.Invalid, "createdBy"}, refusal{imaging.Invalid, "after"})
	for _, a := range []imaging.Actor{bob, nobody, worker} {
		_, unseen := f.Subscribe(t.Context(), a, db.Stream{ImageRequest: &hidden.ImageRequestID})
		_, unknown := f.Subscribe(t.Context(), a, db.Stream{ImageRequest: new(uuid.New())})
		refused(t, unseen, refusal{imaging.NotFound, ""})
		same(t, unknown.Error(), unseen.Error())
	}
}

// Only what the filter wants is told, from the table and live.
func TestStreamFilter(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.newFeed(t)
	want := &imaging.EventFilter{Action: []imaging.Action{imaging.Edited, imaging.Approve}, CreatedBy: new("ann")}
	live := subscribe(t, f, admin, db.Stream{Filter: want})
	v, others := b.request(t, ann, image()), b.request(t, bob, image()).ImageRequestID
	b.take(t, reviewer, v.ID, on(1, imaging.Approve, ""))
	b.edit(t, others)
	b.edit(t, v.ImageRequestID)
	b.take(t, ann, v.ID, said(imaging.Cancel, ""))
	b.edit(t, v.ImageRequestID)
	ids := b.streamed(t, "action IN ('EDITED', 'APPROVED') AND image_request_id = '"+v.ImageRequestID.String()+"'")
	same(t, 3, len(ids))
	last := func(e *imaging.Event) bool { return e.ID == ids[2] }
	same(t, ids[:2], idsOf(live.until(t, last)))
	same(t, ids[:2], idsOf(subscribe(t, f, admin, db.Stream{After: new(""), Filter: want}).until(t, last)))
}
