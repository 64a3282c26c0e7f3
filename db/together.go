package db

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// together carries out what comes at once in few groups, so that what a group costs is paid once for all in it. What finds a
// lane free begins at once: nobody waits for company. Those that wait are as many as the doors have calls under way, each with
// its caller: who leaves is taken out.
type together[T any] struct {
	lanes    int           // in which groups are carried out
	size     int           // of a group, at most
	time     time.Duration // for a group; no caller's deadline holds for all of it
	run      func(context.Context, []T)
	claims   func(T) []any   // what none may have beside another that is under way; nil: nothing
	same     func(T, T) bool // whether two may be in one group; nil: any
	byCaller bool            // who finds a lane free begins in it alone, which wakes nobody else; not with claims

	life context.Context // ends when the store closes
	end  context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex
	waiting []*member[T]
	taken   int          // lanes
	held    map[any]bool // the claims of what is under way
}

// member is one on its way through a group.
type member[T any] struct {
	what  T
	group *group[T]     // once it is carried out
	done  chan struct{} // closed when its group has ended
	err   error         // of a group that ended by a panic
}

// group is what is carried out together.
type group[T any] struct {
	members []*member[T]
	callers int // who have not left
	ctx     context.Context
	stop    context.CancelFunc
}

func newTogether[T any](lanes, size int, most time.Duration, run func(context.Context, []T)) *together[T] {
	t := &together[T]{lanes: lanes, size: size, time: most, run: run, held: map[any]bool{}}
	t.life, t.end = context.WithCancel(context.Background())
	return t
}

// do returns when what was carried out, or when the context has ended: with its error, unless the group came first. A group
// that was begun goes on without a caller, and ends when the last has left.
func (t *together[T]) do(ctx context.Context, what T) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	m := &member[T]{what: what, done: make(chan struct{})}
	t.mu.Lock()
	if t.life.Err() != nil {
		t.mu.Unlock()
		return t.life.Err()
	}
	t.waiting = append(t.waiting, m)
	var own *group[T]
	switch free := t.taken < t.lanes; {
	case free && t.byCaller:
		t.taken++
		t.work.Add(1)
		own = t.next() // of this one alone: nobody waits while a lane is free
	case free:
		t.taken++
		t.work.Go(t.lane)
	}
	t.mu.Unlock()
	if own != nil {
		defer context.AfterFunc(ctx, func() { t.leave(m) })()
		t.begin(own)
		return m.err
	}
	select {
	case <-m.done:
		return m.err
	case <-ctx.Done():
		t.leave(m)
		return ctx.Err()
	}
}

// begin carries out the first group of a lane, which goes on for those who wait by then.
func (t *together[T]) begin(own *group[T]) {
	defer t.work.Done()
	if t.carryOut(own); t.release(own) {
		t.work.Go(t.lane)
	}
}

func (t *together[T]) leave(m *member[T]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.group == nil {
		i := slices.Index(t.waiting, m)
		t.waiting = slices.Delete(t.waiting, i, i+1)
		return
	}
	if m.group.callers--; m.group.callers == 0 {
		m.group.stop()
	}
}

// lane carries out groups until nobody waits for it.
func (t *together[T]) lane() {
	for more := true; more; {
		runtime.Gosched() // who is about to come, comes along
		t.mu.Lock()
		next := t.next()
		t.mu.Unlock()
		if next == nil {
			return
		}
		t.carryOut(next)
		more = t.release(next)
	}
}

// carryOut lets each of a group know that it ended, also if that was by a panic, which concerns them all.
func (t *together[T]) carryOut(g *group[T]) {
	defer g.stop()
	all := make([]T, len(g.members))
	for i, m := range g.members {
		all[i] = m.what
	}
	defer func() {
		cause := recover()
		for _, m := range g.members {
			if cause != nil {
				m.err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
			}
			close(m.done)
		}
	}()
	t.run(g.ctx, all)
}

// next takes those that wait, or nil: then the lane has ended. What shares a claim with what is under way waits for that. The caller
// holds the lock.
func (t *together[T]) next() *group[T] {
	next := &group[T]{}
	t.waiting = slices.DeleteFunc(t.waiting, func(m *member[T]) bool {
		takes := len(next.members) < t.size && t.joins(next, m) && !slices.ContainsFunc(t.claimed(m), func(claim any) bool { return t.held[claim] })
		if takes {
			next.members = append(next.members, m)
			m.group = next
		}
		return takes
	})
	if next.callers = len(next.members); next.callers == 0 {
		t.taken--
		return nil
	}
	for _, m := range next.members {
		for _, claim := range t.claimed(m) {
			t.held[claim] = true
		}
	}
	next.ctx, next.stop = context.WithTimeout(t.life, t.time)
	return next
}

// release gives back what a group had claimed. If nobody waits, the lane has ended.
func (t *together[T]) release(ended *group[T]) (more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range ended.members {
		for _, claim := range t.claimed(m) {
			delete(t.held, claim)
		}
	}
	if more = len(t.waiting) > 0; !more {
		t.taken--
	}
	return more
}

func (t *together[T]) joins(g *group[T], m *member[T]) bool {
	return t.same == nil || len(g.members) == 0 || t.same(g.members[0].what, m.what)
}

func (t *together[T]) claimed(m *member[T]) []any {
	if t.claims == nil {
		return nil
	}
	return t.claims(m.what)
}

// count is how many wait.
func (t *together[T]) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting)
}

// close ends what is under way, and waits for it.
func (t *together[T]) close() {
	t.mu.Lock()
	t.end()
	t.mu.Unlock()
	t.work.Wait()
}
