package db

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// fresh looks requests up for subscribers that are about to tell something of them: what it answers was read after it was
// asked. All who ask while one look-up is under way share the next, so there is never more than one at a time.
type fresh struct {
	store *Store
	asked chan struct{} // there is a next

	mu   sync.Mutex
	next *look // has not begun; nil if nobody has asked
}

// look is one statement, whose answer is shared and never changed.
type look struct {
	ids   map[uuid.UUID]bool
	done  chan struct{}
	found map[uuid.UUID]*imaging.ImageRequest
	err   error
}

func newFresh(s *Store) *fresh { return &fresh{store: s, asked: make(chan struct{}, 1)} }

// run carries the look-ups out until the context ends.
func (f *fresh) run(ctx context.Context) {
	o := outage{log: f.store.log}
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.asked:
		}
		f.mu.Lock()
		l := f.next
		f.next = nil
		f.mu.Unlock()
		looking, cancel := context.WithTimeout(ctx, readTime)
		l.found, l.err = f.store.byID(looking, f.store.db, imaging.Service(), slices.Collect(maps.Keys(l.ids)))
		cancel()
		o.note(ctx, "image requests cannot be read just now", l.err)
		close(l.done)
	}
}

// requests are those with these ids as they are now, with all that there is to read: show a Copy of one, redacted.
func (f *fresh) requests(ctx context.Context, ids ...uuid.UUID) (map[uuid.UUID]*imaging.ImageRequest, error) {
	l := f.ask(ids)
	select {
	case <-l.done:
		return l.found, l.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *fresh) ask(ids []uuid.UUID) *look {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		f.next = &look{ids: map[uuid.UUID]bool{}, done: make(chan struct{})}
		f.asked <- struct{}{} // has room: there is one for each next
	}
	for _, id := range ids {
		f.next.ids[id] = true
	}
	return f.next
}
