package db_test

import (
	"context"
	"database/sql"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/imaging"
)

// closed is a bench in which nobody can read image requests once they are locked, until the lock's transaction ends.
func closed(t *testing.T) (b bench, lock func() *sql.Tx) {
	t.Helper()
	b = newBench(t)
	b.LookupTime(time.Hour) // nothing else ends what waits
	return b, func() *sql.Tx {
		t.Helper()
		tx, err := b.sql.Begin()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tx.Rollback() })
		if _, err := tx.Exec("LOCK TABLE image_requests IN ACCESS EXCLUSIVE MODE"); err != nil {
			t.Fatal(err)
		}
		return tx
	}
}

// found is what a lookup has answered.
type found struct {
	node imaging.Node
	err  error
}

// freed ends the transaction that held lookups up, and sees that each is answered.
func freed(t *testing.T, tx *sql.Tx, held ...<-chan found) {
	t.Helper()
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	for _, one := range held {
		if f := <-one; f.err != nil {
			t.Error(f.err)
		}
	}
}

func (b bench) lookUp(ctx context.Context, a imaging.Actor, id uuid.UUID) <-chan found {
	done := make(chan found, 1)
	go func() {
		r, err := b.ImageRequest(ctx, a, id)
		done <- found{r, err}
	}()
	return done
}

// fill lets a lookup wait in each lane until leave.
func (b bench) fill(t *testing.T, id uuid.UUID) (leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var lanes []<-chan found
	for range db.LookupLanes() { // one after the other, else they share a round trip
		lanes = append(lanes, b.lookUp(ctx, ann, id))
		eventually(t, "one more lane is taken", func() bool { return len(b.blocked(t)) == len(lanes) })
	}
	return func() {
		cancel()
		for _, lane := range lanes {
			if f := <-lane; f.err == nil {
				t.Error("who left is told of ", f.node)
			}
		}
	}
}

// Lookups that share a round trip, and pages that share a read, answer each what it would be answered alone: requests, versions, nodes, lists and counts of one's own, of
// others, and of nobody.
func TestLookupsAtOnceAreAsOneByOne(t *testing.T) {
	t.Parallel()
	b, lock := closed(t)
	var ids []uuid.UUID
	for _, a := range []imaging.Actor{ann, bob} {
		for _, visibility := range []imaging.Visibility{imaging.Private, imaging.Public} {
			in := image()
			in.Visibility = visibility
			v := b.request(t, a, in)
			ids = append(ids, v.ID, v.ImageRequestID)
		}
	}
	ids = append(ids, uuid.New())
	type answer struct {
		request *imaging.ImageRequest
		version *imaging.Version
		nodes   []imaging.Node
		list    []*imaging.ImageRequest
		count   int
		codes   []imaging.Code
	}
	actors := []imaging.Actor{nobody, ann, bob, reviewer, worker}
	ask := func(ctx context.Context, i int) (answer, error) {
		a, id := actors[i%len(actors)], ids[i/len(actors)%len(ids)]
		switch (i + i/len(actors)) % 5 { // so that each actor does each
		case 0:
			r, err := b.ImageRequest(ctx, a, id)
			return answer{request: r, codes: []imaging.Code{imaging.CodeOf(err)}}, nil
		case 1:
			v, err := b.Version(ctx, a, id)
			return answer{version: v, codes: []imaging.Code{imaging.CodeOf(err)}}, nil
		case 2:
			list, err := b.ImageRequests(ctx, a, imaging.Slice{First: new(1 + i%2)}, nil, nil)
			if err != nil {
				return answer{}, err
			}
			return answer{list: list.Nodes()}, nil
		case 3:
			n, err := b.CountImageRequests(ctx, a, nil)
			return answer{count: n, codes: []imaging.Code{imaging.CodeOf(err)}}, nil
		}
		nodes, err := b.Nodes(ctx, a, slices.Concat(ids, []uuid.UUID{id}))
		return answer{nodes: nodes, codes: []imaging.Code{imaging.CodeOf(err)}}, nil
	}
	const asked = 300 // more than all lanes take at once
	var want []answer
	for i := range asked {
		one, _ := ask(t.Context(), i)
		want = append(want, one)
	}
	tx := lock()
	done := make(chan []answer, 1)
	go func() {
		got, _ := all(t.Context(), asked, ask)
		done <- got
	}()
	eventually(t, "many wait", func() bool { // three of five are lookups
		return b.LookupsWaiting() >= asked*3/5-db.LookupLanes()*db.LookupSize && b.PagesWaiting() > 0
	})
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	same(t, want, <-done)
}

// Who asks the same as another one, in a round trip that both share, is told what that one is told; who asks something else is not.
func TestWhoAsksTheSame(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	execute(t, b.sql, "CREATE SEQUENCE asked")
	rows, errs := b.LookUpAll(t.Context(), "SELECT nextval('asked')::text || $1", "a", "b", "a", "c", "b", "a")
	var got []string
	for i, each := range rows {
		if errs[i] != nil || len(each) != 1 {
			t.Fatal(each, errs[i])
		}
		row := each[0]
		value, _ := row.Next()
		got = append(got, value)
	}
	same(t, []string{"1a", "2b", "1a", "3c", "2b", "1a"}, got)
	if _, errs := b.LookUpAll(t.Context(), "SELECT 1/$1::int", "0", "0"); errs[0] == nil || errs[1] == nil {
		t.Error(errs)
	}
}

// Pages are read once for those who ask for the same while all lanes are taken: each page by itself.
func TestSamePagesAreReadOnce(t *testing.T) {
	t.Parallel()
	b, lock := closed(t)
	b.request(t, ann, image())
	tx := lock()
	ctx, leave := context.WithCancel(t.Context())
	var lanes, wait []<-chan found
	for i := range db.PageLanes {
		lanes = append(lanes, b.page(ctx, 1+i))
	}
	eventually(t, "all lanes are taken", func() bool { return len(b.blocked(t)) == db.PageLanes })
	for i := range 20 {
		wait = append(wait, b.page(t.Context(), 50+i%2))
	}
	eventually(t, "they wait", func() bool { return b.PagesWaiting() == len(wait) })
	gone, goes := context.WithCancel(t.Context())
	var many []<-chan found
	for range 200 {
		many = append(many, b.page(gone, 50))
	}
	eventually(t, "many more wait", func() bool { return b.PagesWaiting() == len(wait)+len(many) })
	goes()
	left(t, many)
	if n := b.PagesWaiting(); n != len(wait) {
		t.Errorf("%d wait, where %d have not left", n, len(wait))
	}
	leave()
	left(t, lanes)
	eventually(t, "two pages are read, for all of them", func() bool { return b.PagesWaiting() == 0 && len(b.blocked(t)) == 2 })
	freed(t, tx, wait...)
}

// page asks for the first so many.
func (b bench) page(ctx context.Context, first int) <-chan found {
	done := make(chan found, 1)
	go func() {
		_, err := b.ImageRequests(ctx, ann, imaging.Slice{First: new(first)}, nil, nil)
		done <- found{err: err}
	}()
	return done
}

// left waits until each is told that they have left.
func left(t *testing.T, all []<-chan found) {
	t.Helper()
	for _, one := range all {
		if f := <-one; f.err == nil {
			t.Error("who left is answered")
		}
	}
}

// A round trip goes on for those who stay, and ends when the last has left.
func TestLeavingALookup(t *testing.T) {
	t.Parallel()
	b, lock := closed(t)
	v := b.request(t, ann, image())
	tx := lock()
	leave := b.fill(t, v.ImageRequestID)
	before := b.blocked(t)
	ctx, leaveLate := context.WithCancel(t.Context())
	leaves, stays := b.lookUp(ctx, ann, v.ImageRequestID), b.lookUp(t.Context(), ann, v.ImageRequestID)
	eventually(t, "both wait for the next", func() bool { return b.LookupsWaiting() == 2 })
	leave()
	b.begun(t, before, b.LookupsWaiting)
	leaveLate()
	if f := <-leaves; f.err == nil {
		t.Error("who left is told of ", f.node)
	}
	freed(t, tx, stays)
}

// Those whose round trip dies with its connection are answered all the same.
func TestLookupsWhoseConnectionDies(t *testing.T) {
	t.Parallel()
	b, lock := closed(t)
	v := b.request(t, ann, image())
	tx := lock()
	leave := b.fill(t, v.ImageRequestID)
	before := b.blocked(t)
	var together []<-chan found
	for range 12 {
		together = append(together, b.lookUp(t.Context(), ann, v.ImageRequestID))
	}
	eventually(t, "they wait", func() bool { return b.LookupsWaiting() == len(together) })
	leave()
	pid := b.begun(t, before, b.LookupsWaiting)
	execute(t, b.sql, "SELECT pg_terminate_backend($1::int)", pid)
	eventually(t, "each is asked alone", func() bool { return len(b.blocked(t)) == db.Connections })
	freed(t, tx, together...)
}

// Lookups whose round trip is held up are asked alone, each for as long as its caller likes, and leave the lanes to others.
func TestLookupsThatAreHeldUp(t *testing.T) {
	t.Parallel()
	b, lock := closed(t)
	b.LookupTime(time.Millisecond)
	v := b.request(t, ann, image())
	tx := lock()
	var held []<-chan found
	for range db.Connections {
		held = append(held, b.lookUp(t.Context(), ann, v.ImageRequestID))
	}
	eventually(t, "each is asked alone", func() bool { return len(b.blocked(t)) == db.Connections })
	freed(t, tx, held...)
}

// Who holds up lookups of image requests holds up nobody who signs in.
func TestTokensWaitForNoLookup(t *testing.T) {
	t.Parallel()
	b, lock := closed(t)
	v := b.request(t, ann, image())
	secret, token, err := b.CreateToken(t.Context(), admin, imaging.Token{Username: "ann", Roles: []imaging.Role{imaging.Requester}})
	if err != nil {
		t.Fatal(err)
	}
	tx := lock()
	leave := b.fill(t, v.ImageRequestID)
	got, err := b.Bearer(t.Context(), secret)
	if err != nil || got.ID != token.ID {
		t.Error(got, err)
	}
	leave()
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
}
