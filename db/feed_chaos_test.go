package db_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// crowd writes, twenty at a time, until it is told to stop: edits of a few requests, and creates with a key, which have their
// transaction's number before they wait for the row. What is refused because the database is away is tried again.
type crowd struct {
	bench
	requests []uuid.UUID
	written  atomic.Int64
}

func (b bench) newCrowd(t testing.TB) *crowd {
	t.Helper()
	c := &crowd{bench: b}
	for range 6 {
		c.requests = append(c.requests, b.request(t, ann, image()).ImageRequestID)
	}
	return c
}

// work has the crowd write until stop is called, which waits for them.
func (c *crowd) work(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				if err := c.write(c.requests[n%len(c.requests)], n); err == nil {
					c.written.Add(1)
				} else if imaging.CodeOf(err) != imaging.Unavailable {
					t.Error(err)
					return
				}
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(stop)
	return stop
}

func (c *crowd) write(id uuid.UUID, n int) error {
	if n%4 == 0 {
		in := another(id)
		in.IdempotencyKey, in.Provider = new(uuid.NewString()), 1+n/4%2 // provider 2 approves, which is a second event
		v, err := c.RequestVersion(context.Background(), ann, in)
		if err != nil {
			return err
		}
		_, err = c.Step(context.Background(), ann, v.ID, said(imaging.Cancel, ""))
		return err
	}
	_, err := c.EditImageRequest(context.Background(), ann, imaging.EditImageRequestInput{ImageRequest: id, Description: new(uuid.NewString())})
	return err
}

// pursuit is a subscriber that goes on beside, by its last cursor whenever its connection ends, until the request that marks
// the end was told of.
type pursuit struct {
	from db.Stream
	skip int // how many events are before its beginning
	told atomic.Int64
	got  []int64
	done chan error
}

// pursue has a subscriber go on over the feeds that it is given, one after the other: as each of them ends, so does its
// connection.
func pursue(from db.Stream, skip int, end *atomic.Pointer[uuid.UUID], next func() (*db.Feed, context.Context)) *pursuit {
	p := &pursuit{from: from, skip: skip, done: make(chan error, 1)}
	go func() {
		for {
			f, ctx := next()
			s, err := f.Subscribe(ctx, admin, p.from)
			for err == nil {
				var e *imaging.Event
				if e, err = s.Next(ctx); err != nil {
					break
				}
				p.got, p.from.After = append(p.got, e.ID), &e.Cursor
				p.told.Add(1)
				if id := end.Load(); id != nil && *e.ImageRequestID == *id {
					p.done <- nil
					return
				}
			}
			if imaging.CodeOf(err) != imaging.Unavailable && !errors.Is(err, context.Canceled) {
				p.done <- err
				return
			}
		}
	}()
	return p
}

// Twenty writers; two copies of the server; the connection that listens is cut twenty times, and another copy of the server
// restarted twenty times: each subscriber is told everything, once, in one order.
func TestSubscribersUnderChaos(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	b := bench{dbtest.Open(t, cfg), dbtest.SQL(t, cfg)}
	for _, in := range []imaging.SaveProviderInput{{ID: 1, Name: new("one")}, {ID: 2, Name: new("two"), AutoApprove: new(true)}} {
		if _, err := b.SaveProvider(t.Context(), admin, in); err != nil {
			t.Fatal(err)
		}
	}
	c := b.newCrowd(t)
	first := b.streamed(t, "true")
	b.settled(t)
	var end atomic.Pointer[uuid.UUID]
	all, leave := context.WithTimeout(context.Background(), patience)
	t.Cleanup(leave)

	var pursuits []*pursuit
	for range 2 { // two copies, whose connections are cut
		f := db.NewFeed(dbtest.Open(t, cfg))
		run(t, f)
		steady := func() (*db.Feed, context.Context) { return f, all }
		pursuits = append(pursuits,
			pursue(db.Stream{After: new("")}, 0, &end, steady),
			pursue(db.Stream{After: new(db.StreamCursor(first[2]))}, 3, &end, steady))
	}
	restarts := newRestarts(t, dbtest.Open(t, cfg))
	for range 2 {
		pursuits = append(pursuits, pursue(db.Stream{After: new("")}, 0, &end, restarts.current))
	}

	stop := c.work(t)
	for round := range 20 {
		restarts.again(t)
		before := make([]int64, len(pursuits))
		for i, p := range pursuits {
			before[i] = p.told.Load()
		}
		eventually(t, "all copies listen, and are cut off", func() bool { return cut(t, b.sql, 3) })
		for i, p := range pursuits {
			eventually(t, fmt.Sprintf("subscriber %d is told more after round %d", i, round), func() bool { return p.told.Load() > before[i] || len(p.done) > 0 })
		}
	}
	stop()
	end.Store(new(b.request(t, ann, image()).ImageRequestID))
	whole := b.streamed(t, "true")
	for i, p := range pursuits {
		if err := <-p.done; err != nil {
			t.Fatalf("subscriber %d: %v", i, err)
		}
		if want := whole[p.skip:]; !slices.Equal(want, p.got) {
			t.Errorf("subscriber %d was told %d events, there are %d", i, len(p.got), len(want))
		}
	}
	b.checkPlaces(t)
	t.Logf("%d writes, %d events, %d subscribers", c.written.Load(), len(whole), len(pursuits))
}

// cut ends all connections that listen, if there are so many.
func cut(t testing.TB, pool *sql.DB, many int) bool {
	t.Helper()
	return one[int](t, pool, "SELECT count(*) FROM pg_stat_activity WHERE "+listening) == many &&
		one[int](t, pool, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "+listening) > 0
}

// listening are the connections of this database that listen.
const listening = `datname = current_database() AND query LIKE 'LISTEN %'`

// restarts is a copy of the server that is restarted.
type restarts struct {
	store *db.Store
	mu    sync.Mutex
	feed  *db.Feed
	ctx   context.Context // of the connections to it
	stop  func()
}

func newRestarts(t testing.TB, store *db.Store) *restarts {
	t.Helper()
	r := &restarts{store: store, stop: func() {}}
	r.again(t)
	t.Cleanup(func() { r.stop() })
	return r
}

// again ends the copy with all its connections, and starts another.
func (r *restarts) again(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop()
	f := db.NewFeed(r.store)
	ctx, leave := context.WithTimeout(context.Background(), patience)
	end := run(t, f)
	r.feed, r.ctx = f, ctx
	r.stop = func() { leave(); end() }
}

func (r *restarts) current() (*db.Feed, context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.feed, r.ctx
}
