package db

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sort"
	"sync"
	"time"

	"imagerequests/db/safedriver"
)

// How the feed reads the stream.
const (
	pollInterval  = 2 * time.Second       // without any hint
	soon          = 10 * time.Millisecond // after a transaction was in the way, and then ever more rarely
	lessSoon      = 250 * time.Millisecond
	windowEvents  = 1024
	windowBytes   = 8 << 20
	pageOfFeed    = 256
	listenBackoff = 5 * time.Second  // at most
	listenTime    = 30 * time.Second // without a word, after which another connection is tried: this one may be dead
	readTime      = 5 * time.Second  // for one look; a connection on which no answer comes is given up, and another one is tried
)

// Feed hands what happens to all subscribers of this process: one connection that listens, and one reader of the stream,
// however many they are. What was read last is kept in a window, from which each subscriber takes at its own pace; who
// falls behind it reads the table. So nobody waits for another, and nothing grows with the number of events.
type Feed struct {
	store *Store
	every time.Duration // pollInterval
	most  int           // windowEvents

	hint    chan struct{} // there may be something to read
	replays chan struct{} // a place for each subscriber that may read the table at the same time
	fresh   *fresh

	mu          sync.Mutex
	subscribers int
	upToDate    time.Time     // when all that there was had been read
	live        bool          // the window is kept up to date
	low, high   place         // the window is all of the stream behind low, up to high
	window      []*streamed   // shared, never changed
	weight      int           // of the window
	more        chan struct{} // closed when there is more in the window, or it has become live
}

// NewFeed makes the feed of a store. Until it runs its subscribers wait.
func NewFeed(s *Store) *Feed {
	return &Feed{
		store: s, every: pollInterval, most: windowEvents,
		hint: make(chan struct{}, 1), replays: make(chan struct{}, 2), fresh: newFresh(s), more: make(chan struct{}),
	}
}

// Run feeds the subscribers until the context ends; whatever happens to the database, they see no more of it than a
// pause. It is called once.
func (f *Feed) Run(ctx context.Context) error {
	connector, err := safedriver.New(f.store.cfg)
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	running.Go(func() { f.listen(ctx, connector) })
	running.Go(func() { f.fresh.run(ctx) })
	f.read(ctx)
	running.Wait()
	return nil
}

// listen gives a hint whenever there was a NOTIFY or may have been one.
func (f *Feed) listen(ctx context.Context, connector *safedriver.Connector) {
	o := outage{log: f.store.log}
	for backoff := soon; ctx.Err() == nil; backoff = min(2*backoff, listenBackoff) {
		l, err := connector.Listen(ctx, channel)
		for err == nil {
			o.note(ctx, "", nil)
			backoff = soon
			f.wake()
			quiet, cancel := context.WithTimeout(ctx, listenTime)
			if err = l.Wait(quiet); errors.Is(err, context.DeadlineExceeded) {
				_ = l.Close()
				l, err = connector.Listen(ctx, channel)
			}
			cancel()
		}
		if l != nil {
			_ = l.Close()
		}
		o.note(ctx, "the database does not tell of events, which are looked for by the clock instead", err)
		pause(ctx, backoff)
	}
}

func (f *Feed) wake() {
	select {
	case f.hint <- struct{}{}:
	default: // there is one already
	}
}

// read keeps the window up to date while there is anybody to read it.
func (f *Feed) read(ctx context.Context) {
	o := outage{log: f.store.log}
	for again := soon; ctx.Err() == nil; {
		next := f.every
		if !f.wanted() {
			f.isUpToDate()
		} else {
			moved, waiting, err := f.advance(ctx)
			o.note(ctx, "events cannot be read just now", err)
			if !waiting && err == nil {
				f.isUpToDate()
			}
			if moved || !waiting && err == nil {
				again = soon
			}
			if waiting || err != nil {
				next, again = min(again, f.every), min(2*again, lessSoon)
			}
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-f.hint:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// wanted tells whether anybody subscribes. If not, the window is given up.
func (f *Feed) wanted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subscribers == 0 {
		f.live, f.window, f.weight = false, nil, 0
	}
	return f.subscribers > 0
}

// advance reads what has come since, and tells whether that was anything, and whether there is more that a running
// transaction is in the way of. What was before the first time is not read: it is for the subscribers to do.
func (f *Feed) advance(ctx context.Context) (moved, waiting bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	horizon, waiting, err := f.store.horizon(ctx)
	if err != nil {
		return false, false, err
	}
	if !f.live { // which nobody else changes
		f.extend(nil, horizon)
		return false, waiting, nil
	}
	for f.high.compare(horizon) < 0 {
		rows, upTo, err := f.store.page(ctx, f.high, horizon, nil, pageOfFeed, windowBytes)
		if err != nil {
			return moved, waiting, err
		}
		moved = moved || len(rows) > 0
		f.extend(rows, upTo)
	}
	return moved, waiting, nil
}

// extend puts events into the window, which reaches up to a place then, and takes the oldest out of it that are too many.
func (f *Feed) extend(rows []*streamed, upTo place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.live {
		f.low = upTo
	}
	for _, e := range rows {
		f.window, f.weight = append(f.window, e), f.weight+e.weight()
	}
	n := 0
	for ; len(f.window)-n > f.most || f.weight > windowBytes && n < len(f.window); n++ {
		f.low, f.weight = f.window[n].place(), f.weight-f.window[n].weight()
	}
	f.window = slices.Delete(f.window, 0, n)
	f.high = upTo
	if !f.live || len(rows) > 0 {
		f.live = true
		close(f.more)
		f.more = make(chan struct{})
	}
}

// after is the first event in the window behind a place. If there is none it says when to ask again, or that the place
// lies behind the window.
func (f *Feed) after(p place) (e *streamed, behind bool, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch i := sort.Search(len(f.window), func(i int) bool { return f.window[i].place().compare(p) > 0 }); {
	case !f.live:
		return nil, false, f.more
	case p.compare(f.low) < 0:
		return nil, true, nil
	case i < len(f.window):
		return f.window[i], false, nil
	default:
		return nil, false, f.more
	}
}

// join counts a subscriber until the context ends.
func (f *Feed) join(ctx context.Context) {
	f.mu.Lock()
	f.subscribers++
	f.mu.Unlock()
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		f.subscribers--
		f.mu.Unlock()
	})
	f.wake()
}

// outage logs the first of the errors that follow each other.
type outage struct {
	log *slog.Logger
	on  bool
}

func (o *outage) note(ctx context.Context, what string, err error) {
	if err != nil && !o.on && ctx.Err() == nil {
		o.log.Warn(what, "error", err)
	}
	o.on = err != nil
}

// insist does something until it succeeds or the context ends.
func insist(ctx context.Context, do func() error) error {
	for again := soon; ; again = min(2*again, pollInterval) {
		if err := do(); err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		pause(ctx, again)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
