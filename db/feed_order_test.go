package db_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// writer is a transaction of a test that writes events.
type writer struct {
	tx  *sql.Tx
	xid int64                   // 0 if it has no number yet
	of  map[uuid.UUID]*sequence // the requests that it has locked
}

// sequence is a request whose events are written by hand.
type sequence struct {
	id          uuid.UUID
	seq, before int // of the newest event, and of the newest that is committed
	locked      bool
}

type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// write begins a transaction, which has its number at once or with its first event.
func (b bench) write(t tester, early bool) *writer {
	t.Helper()
	tx, err := b.sql.BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	w := &writer{tx: tx, of: map[uuid.UUID]*sequence{}}
	w.do(t, "SET LOCAL idle_in_transaction_session_timeout = 0")
	if early {
		w.number(t)
	}
	return w
}

func (w *writer) do(t tester, query string, args ...any) {
	t.Helper()
	if _, err := w.tx.ExecContext(context.Background(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func (w *writer) number(t tester) {
	t.Helper()
	if err := w.tx.QueryRowContext(context.Background(), "SELECT pg_current_xact_id()::text::bigint").Scan(&w.xid); err != nil {
		t.Fatalf("%v", err)
	}
}

// event writes the next event of a request, as the store does: under the lock of its row.
func (w *writer) event(t tester, s *sequence, message string) {
	t.Helper()
	if w.of[s.id] == nil {
		w.do(t, "SELECT FROM image_requests WHERE id = $1 FOR UPDATE", s.id.String())
		w.of[s.id], s.locked = s, true
	}
	w.number(t)
	s.seq++
	w.do(t, "INSERT INTO events (image_request_id, seq, at, actor, action, message, changes) VALUES ($1, $2, clock_timestamp(), $3, 'EDITED', $4, '{}')",
		s.id.String(), s.seq, fmt.Sprint(w.xid), message)
}

// end commits, with a hint or without, or rolls back.
func (w *writer) end(t tester, commit, hint bool) {
	t.Helper()
	var err error
	if commit {
		if hint {
			w.do(t, "SELECT pg_notify('events', '')")
		}
		err = w.tx.Commit()
	} else {
		err = w.tx.Rollback()
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, s := range w.of {
		if s.locked = false; commit {
			s.before = s.seq
		} else {
			s.seq = s.before
		}
	}
}

// A transaction may have its number before it waits for the request's row: the key of a create comes first. Its event is told
// behind the one that it waited for all the same, and no event stands before its own transaction.
func TestOrderOfTransactionsThatWaited(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.newFeed(t)
	s := &sequence{id: b.request(t, ann, image()).ImageRequestID, seq: 1, before: 1}
	l := subscribe(t, f, admin, db.Stream{After: new(""), ImageRequest: &s.id})
	var early []*writer
	for range 3 {
		early = append(early, b.write(t, true))
	}
	late := b.write(t, false)
	for _, w := range []*writer{late, early[2], early[0], b.write(t, false), early[1]} {
		w.event(t, s, "")
		w.end(t, true, true)
	}
	if early[0].xid >= late.xid {
		t.Errorf("nothing was shown: %d, %d", early[0].xid, late.xid)
	}
	for i := range 6 {
		e, err := l.Next(l.ctx)
		if err != nil || *e.Seq != i+1 {
			t.Fatalf("event %d is told after %d others: %v", *e.Seq, i, err)
		}
	}
	b.checkPlaces(t)
}

// checkPlaces fails unless the events of each request stand in the order of seq, and none before its own transaction.
func (b bench) checkPlaces(t testing.TB) {
	t.Helper()
	const disorder = `SELECT count(*) FROM events a JOIN events b USING (image_request_id) WHERE a.seq < b.seq AND (a.xid, a.id) > (b.xid, b.id)`
	same(t, 0, one[int](t, b.sql, disorder))
	same(t, 0, one[int](t, b.sql, "SELECT count(*) FROM events WHERE CASE WHEN actor ~ '^[0-9]+$' THEN xid < actor::bigint ELSE false END"))
}

// Whatever the order in which transactions begin, get their numbers, write, commit and roll back, and whenever a subscriber
// comes, to whichever copy of the server, with the cursor of an event that was told before, at the beginning or without any:
// it is told all that there is behind, in one order, without a gap and without a double.
func TestOrderAndCompleteness(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	b := bench{dbtest.Open(t, cfg), dbtest.SQL(t, cfg)}
	if _, err := b.SaveProvider(t.Context(), admin, imaging.SaveProviderInput{ID: 1, Name: new("one")}); err != nil {
		t.Fatal(err)
	}
	other := bench{dbtest.Open(t, cfg), b.sql}
	feeds := []*db.Feed{b.newFeed(t), other.newFeed(t)}
	subscribers, resumed := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		p := &interleaving{bench: b, feeds: feeds, t: t}
		defer func() {
			for _, w := range p.open { // of a run that has failed
				_ = w.tx.Rollback()
			}
		}()
		for range 3 {
			p.sequences = append(p.sequences, &sequence{id: b.request(t, ann, image()).ImageRequestID, seq: 1, before: 1})
		}
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			p.step(rt)
		}
		for len(p.open) > 0 {
			p.open[0].end(rt, rapid.Bool().Draw(rt, "commit at last"), false)
			p.open = p.open[1:]
		}
		p.check(rt)
		for _, l := range p.listeners {
			if subscribers++; l.after != 0 {
				resumed++
			}
		}
	})
	b.checkPlaces(t)
	moved := one[int](t, b.sql, "SELECT count(*) FROM events WHERE CASE WHEN actor ~ '^[0-9]+$' THEN xid > actor::bigint ELSE false END")
	t.Logf("%d subscribers, %d of them with a cursor; %d events stand behind their own transaction", subscribers, resumed, moved)
	if resumed == 0 || moved == 0 {
		t.Error("nothing was shown")
	}
}

// interleaving is one run of the property: writers step by step, and subscribers beside them.
type interleaving struct {
	bench
	t         *testing.T
	feeds     []*db.Feed
	sequences []*sequence
	open      []*writer
	listeners []*told

	mu   sync.Mutex
	seen []int64 // what was told to anybody
}

// told is a subscriber beside, with what it must be told.
type told struct {
	*listener
	of     *uuid.UUID
	after  int64          // the event that its cursor marks, 0 if none
	before map[int64]bool // what was there when it came without a cursor
	done   chan error
}

func (p *interleaving) step(t *rapid.T) {
	switch rapid.IntRange(0, 10).Draw(t, "step") {
	case 0, 1:
		if len(p.open) < 5 {
			p.open = append(p.open, p.write(t, rapid.Bool().Draw(t, "early")))
		}
	case 2, 3, 4, 5:
		if len(p.open) > 0 {
			w, s := drawn(t, p.open), drawn(t, p.sequences)
			if !s.locked || w.of[s.id] != nil { // else it would wait
				w.event(t, s, "")
			}
		}
	case 6, 7:
		if len(p.open) > 0 {
			i := rapid.IntRange(0, len(p.open)-1).Draw(t, "which")
			p.open[i].end(t, rapid.IntRange(0, 3).Draw(t, "commit") > 0, rapid.Bool().Draw(t, "hint"))
			p.open = slices.Delete(p.open, i, i+1)
		}
	case 8:
		if s := drawn(t, p.sequences); !s.locked && len(p.open) < 5 {
			waits, overtakes := p.write(t, true), p.write(t, false)
			p.open = append(p.open, waits)
			overtakes.event(t, s, "")
			overtakes.end(t, true, rapid.Bool().Draw(t, "hint"))
			waits.event(t, s, "")
		}
	default:
		p.listen(t)
	}
}

// listen has a subscriber come that goes on beside.
func (p *interleaving) listen(t *rapid.T) {
	l := &told{done: make(chan error, 1)}
	want := db.Stream{}
	if rapid.Bool().Draw(t, "of one") {
		l.of = &drawn(t, p.sequences).id
		want.ImageRequest = l.of
	}
	p.mu.Lock()
	seen := slices.Clone(p.seen)
	p.mu.Unlock()
	switch how := rapid.IntRange(0, 9).Draw(t, "from"); {
	case how == 0, how < 4 && l.of != nil: // what earlier runs have left is much to read for all of them
		want.After = new("")
	case how < 7 && len(seen) > 0:
		l.after = drawn(t, seen)
		want.After = new(db.StreamCursor(l.after))
	default:
		l.before = map[int64]bool{}
		for _, id := range p.streamed(p.t, "true") {
			l.before[id] = true
		}
	}
	l.listener = subscribe(p.t, drawn(t, p.feeds), admin, want)
	p.listeners = append(p.listeners, l)
	go func() { l.done <- p.follow(l) }()
}

// follow listens until the last event of each request that the subscriber wants.
func (p *interleaving) follow(l *told) error {
	for left := len(p.sequences); left > 0; {
		e, err := l.Next(l.ctx)
		if err != nil {
			return fmt.Errorf("after %d events: %w", len(l.got), err)
		}
		l.got = append(l.got, e)
		p.mu.Lock()
		p.seen = append(p.seen, e.ID)
		p.mu.Unlock()
		ours := slices.ContainsFunc(p.sequences, func(s *sequence) bool { return s.id == *e.ImageRequestID })
		if ours && e.Message != nil && *e.Message == "end" {
			left--
		}
		if l.of != nil && left < len(p.sequences) {
			return nil
		}
	}
	return nil
}

// check waits for all subscribers and compares.
func (p *interleaving) check(t *rapid.T) {
	w := p.write(t, false)
	for _, s := range p.sequences {
		w.event(t, s, "end")
	}
	w.end(t, true, false)
	whole := p.streamed(p.t, "true")
	for i, l := range p.listeners {
		if err := <-l.done; err != nil {
			t.Fatalf("subscriber %d: %v", i, err)
		}
		l.leave()
		all := whole
		if l.of != nil {
			all = p.streamed(p.t, "image_request_id = '"+l.of.String()+"'")
		}
		if l.after != 0 {
			rest := p.streamed(p.t, behind(l.after))
			all = slices.DeleteFunc(slices.Clone(all), func(id int64) bool { return !slices.Contains(rest, id) })
		}
		want := slices.DeleteFunc(slices.Clone(all), func(id int64) bool { return l.before[id] })
		if got := idsOf(l.got); !slices.Equal(want, got) {
			t.Fatalf("subscriber %d, after %d, of %v: told %v, want %v", i, l.after, l.of, got, want)
		}
	}
}
