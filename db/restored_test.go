package db_test

import (
	"testing"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// A database that was restored into another server, where the transactions that wrote its events are yet to come, has the same
// stream, with the same cursors; what happens from then on stands behind.
func TestStreamOfARestoredDatabase(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	b := bench{dbtest.Open(t, cfg), dbtest.SQL(t, cfg)}
	if _, err := b.SaveProvider(t.Context(), admin, imaging.SaveProviderInput{ID: 1, Name: new("one")}); err != nil {
		t.Fatal(err)
	}
	id := b.request(t, ann, image()).ImageRequestID
	late, early := b.write(t, true), b.write(t, true) // so that the order is not that of the ids
	one, other := &sequence{id: b.request(t, ann, image()).ImageRequestID, seq: 1}, &sequence{id: b.request(t, ann, image()).ImageRequestID, seq: 1}
	early.event(t, one, "")
	late.event(t, other, "")
	early.end(t, true, false)
	late.end(t, true, false)
	var want []int64
	for range 2 { // and restored once more
		b.edit(t, id)
		want = b.streamed(t, "true")
		for _, now := range []string{"DISABLE", "ENABLE"} { // as a dump and its restore would leave it
			execute(t, b.sql, "ALTER TABLE events "+now+" TRIGGER events_are_append_only")
			if now == "DISABLE" {
				execute(t, b.sql, "UPDATE events SET xid = xid + 4000000000")
			}
		}
		if _, err := b.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		same(t, want, b.streamed(t, "true"))
		same(t, want, b.streamed(t, "xid < 0"))
	}
	f := b.newFeed(t)
	everything, after := subscribe(t, f, admin, db.Stream{After: new("")}), subscribe(t, f, admin, db.Stream{After: new(db.StreamCursor(want[2]))})
	b.edit(t, id)
	mark := b.mark(t)
	whole := b.streamed(t, "true")
	same(t, want, whole[:len(want)])
	same(t, whole[:len(whole)-1], idsOf(everything.until(t, mark)))
	same(t, whole[3:len(whole)-1], idsOf(after.until(t, mark)))
	b.unchanged(t, func() { // a database that was not restored is left as it is
		if _, err := b.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := b.sql.ExecContext(t.Context(), "UPDATE events SET xid = 1"); err == nil {
		t.Error("places can be changed")
	}
}
