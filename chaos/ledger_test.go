package chaos

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"imagerequests/db/dbtest"
)

// entry is an image request as the writer who made it was told that it is.
type entry struct {
	owner    string
	key      string // is its name, too
	id       string
	edits    int      // the last of them is what description and tags tell
	statuses []string // of its versions, in their order
	versions []string // their ids
	events   int
}

// ledger is all that was acknowledged. An entry is written anew with each acknowledgement, and never changed.
type ledger struct {
	acknowledged atomic.Int64 // writes
	repeated     atomic.Int64 // that were sent again
	away         atomic.Int64 // reads without an answer
	wrong        atomic.Int64 // answers that should not have been

	mu      sync.Mutex
	entries map[string]entry // by key
	known   []string         // keys, in the order in which they came
}

func newLedger() *ledger { return &ledger{entries: map[string]entry{}} }

func (l *ledger) note(e entry) {
	l.acknowledged.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.entries[e.key]; !ok {
		l.known = append(l.known, e.key)
	}
	l.entries[e.key] = e
}

// some is one of the last entries; not ok if there is none.
func (l *ledger) some(n int) (e entry, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.known) == 0 {
		return e, false
	}
	return l.entries[l.known[len(l.known)-1-n%min(len(l.known), 200)]], true
}

// await waits until so many more writes are acknowledged.
func (l *ledger) await(t testing.TB, more int64) {
	t.Helper()
	until := l.acknowledged.Load() + more
	eventually(t, fmt.Sprintf("%d more writes are acknowledged", more), func() bool { return l.acknowledged.Load() >= until || t.Failed() })
}

// stored is what the database holds of all image requests, by name.
func (w *world) stored(ctx context.Context) (map[string][]entry, error) {
	rows, err := w.sql.QueryContext(ctx, `SELECT r.name, r.id, r.created_by, r.description, array_to_string(r.tags, ','),
		(SELECT string_agg(v.status || ' ' || v.id, ',' ORDER BY v.ordinal) FROM versions v WHERE v.image_request_id = r.id),
		(SELECT count(*) FROM events e WHERE e.image_request_id = r.id), (SELECT max(seq) FROM events e WHERE e.image_request_id = r.id)
		FROM image_requests r`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	all := map[string][]entry{}
	for rows.Next() {
		var e entry
		var description, tags, versions string
		var last int
		if err := rows.Scan(&e.key, &e.id, &e.owner, &description, &tags, &versions, &e.events, &last); err != nil {
			return nil, err
		}
		if e.edits, err = edited(description, tags); err != nil || e.events != last {
			return nil, fmt.Errorf("%s: %w, %d events, the last is number %d", e.id, err, e.events, last)
		}
		e.statuses, e.versions = split(versions)
		all[e.key] = append(all[e.key], e)
	}
	return all, rows.Err()
}

// compare fails unless what was acknowledged is exactly what the database holds: nothing lost, nothing twice, nothing that
// nobody was told of, for every write was repeated until it was answered. The state is what the events tell, without a gap.
func (w *world) compare(l *ledger) {
	w.Helper()
	all, err := w.stored(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	lost, doubled, wrong := 0, 0, 0
	for key, e := range l.entries {
		switch there := all[key]; {
		case len(there) == 0:
			lost++
			w.Errorf("lost: %+v", e)
		case len(there) > 1:
			doubled++
			w.Errorf("doubled: %+v", there)
		case there[0].events > e.events:
			doubled++
			w.Errorf("done twice: told was %+v, stored is %+v", e, there[0])
		case !same(there[0], e):
			lost++
			w.Errorf("told was %+v, stored is %+v", e, there[0])
		}
	}
	for key, there := range all {
		if _, ok := l.entries[key]; !ok {
			wrong++
			w.Errorf("nobody was told of %+v", there)
		}
	}
	events, err := dbtest.Histories(w.Context(), w.store, w.sql)
	if err != nil {
		w.Errorf("the state cannot be told from the events: %v", err)
	}
	w.Logf("%d writes acknowledged, %d of %d image requests sent again: lost %d, doubled %d, stored and not acknowledged %d, wrong answers %d; rebuilt from %d events",
		l.acknowledged.Load(), l.repeated.Load(), len(l.entries), lost, doubled, wrong, l.wrong.Load(), events)
}

func same(a, b entry) bool {
	return a.owner == b.owner && a.id == b.id && a.edits == b.edits && a.events == b.events &&
		slices.Equal(a.statuses, b.statuses) && slices.Equal(a.versions, b.versions)
}
