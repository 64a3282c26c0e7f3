package db_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// A request is looked up after it was asked for: who asks while a look-up is under way waits for the next, which is one for
// all who do.
func TestLookupsBeginAfterTheQuestion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.newFeed(t)
	id := b.request(t, ann, image()).ImageRequestID
	tx, err := b.sql.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE image_requests"); err != nil {
		t.Fatal(err)
	}
	under := f.Ask(id)
	eventually(t, "the first look-up is under way", func() bool {
		return one[bool](t, b.sql, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))")
	})
	next, others := f.Ask(id), f.Ask(uuid.New())
	if next == under || next != others {
		t.Error("who asks while a look-up is under way does not wait for the next, together with the others")
	}
	if _, err := tx.ExecContext(t.Context(), "UPDATE image_requests SET name = 'new' WHERE id = $1", id.String()); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	found, err := f.Lookup(ctx, id, uuid.New())
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	same(t, "new", found[id].Name)
	r := found[id].Copy() // which leaves no trace in what others are given
	imaging.Redact(nobody, r)
	same(t, new("/etc"), found[id].Sys())
}
