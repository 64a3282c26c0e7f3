package db

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// Creates that come while others are being written share the next transaction, and so its COMMIT, which is what they cost
// most. One that finds a lane free begins at once: nobody waits for company.
const (
	batchLanes = 2                // batches under way at once: while one waits for the disk, the other works
	batchSize  = 64               // creates in one transaction
	batchTime  = 20 * time.Second // longer than any statement may take; no caller's deadline holds for all of a batch
)

// batches hands creates to transactions. Those that wait are as many as the doors have calls under way, each with its caller:
// who leaves is taken out.
type batches struct {
	run func(context.Context, []*creation)

	life context.Context // ends when the store closes
	end  context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex
	waiting []*creation
	lanes   int          // in which batches are carried out
	held    map[any]bool // the instances and keys of those batches
}

// batch is what is carried out together.
type batch struct {
	creations []*creation
	callers   int // who have not left
	stop      context.CancelFunc
}

// creation is a create on its way through a batch.
type creation struct {
	actor imaging.Actor
	in    *imaging.RequestImageInput
	made  made
	batch *batch // once it is carried out

	done    chan struct{} // closed when its batch has ended; then one of these is set, or it was not carried out
	version *imaging.Version
	err     error
}

func newBatches(run func(context.Context, []*creation)) *batches {
	b := &batches{run: run, held: map[any]bool{}}
	b.life, b.end = context.WithCancel(context.Background())
	return b
}

// do returns when c was in a batch, or when the context has ended: with its error, unless the batch came first. A batch
// that was begun goes on without a caller, and ends when the last has left.
func (b *batches) do(ctx context.Context, c *creation) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b.mu.Lock()
	if b.life.Err() != nil {
		b.mu.Unlock()
		return b.life.Err()
	}
	b.waiting = append(b.waiting, c)
	if b.lanes < batchLanes {
		b.lanes++
		b.work.Go(b.lane)
	}
	b.mu.Unlock()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		b.leave(c)
		return ctx.Err()
	}
}

func (b *batches) leave(c *creation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.batch == nil {
		i := slices.Index(b.waiting, c)
		b.waiting = slices.Delete(b.waiting, i, i+1)
		return
	}
	if c.batch.callers--; c.batch.callers == 0 {
		c.batch.stop()
	}
}

// lane carries out batches until nobody waits for it.
func (b *batches) lane() {
	for {
		ctx, stop := context.WithTimeout(b.life, batchTime)
		next := b.next(stop)
		if next == nil {
			stop()
			return
		}
		b.carryOut(ctx, next.creations)
		stop()
		b.release(next)
	}
}

// carryOut lets each of a batch know how it ended, also if that was by a panic: no caller's recovery reaches this goroutine.
func (b *batches) carryOut(ctx context.Context, all []*creation) {
	defer func() {
		cause := recover()
		for _, c := range all {
			if cause != nil {
				c.version, c.err = nil, fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
			}
			close(c.done)
		}
	}()
	b.run(ctx, all)
}

// next takes those that wait, or nil: then the lane has ended. What shares an instance or a key with a batch under way waits for
// that: Postgres would refuse all of its batch.
func (b *batches) next(stop context.CancelFunc) *batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := &batch{stop: stop}
	b.waiting = slices.DeleteFunc(b.waiting, func(c *creation) bool {
		takes := len(next.creations) < batchSize && !slices.ContainsFunc(c.claims(), func(claim any) bool { return b.held[claim] })
		if takes {
			next.creations = append(next.creations, c)
			c.batch = next
		}
		return takes
	})
	if next.callers = len(next.creations); next.callers == 0 {
		b.lanes--
		return nil
	}
	for _, c := range next.creations {
		for _, claim := range c.claims() {
			b.held[claim] = true
		}
	}
	return next
}

func (b *batches) release(ended *batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range ended.creations {
		for _, claim := range c.claims() {
			delete(b.held, claim)
		}
	}
}

// claims are what only one create can have.
func (c *creation) claims() []any {
	if c.in.IdempotencyKey == nil {
		return []any{c.in.Instance}
	}
	return []any{c.in.Instance, [2]string{c.made.Username, c.made.Key}}
}

// close ends what is under way, and waits for it.
func (b *batches) close() {
	b.mu.Lock()
	b.end()
	b.mu.Unlock()
	b.work.Wait()
}

// inBatch carries out a create whose input has no problems, together with others. It answers neither a version nor an error
// if the create was not carried out for a reason of its own, which is then told by trying it alone.
func (s *Store) inBatch(ctx context.Context, a imaging.Actor, in *imaging.RequestImageInput) (*imaging.Version, error) {
	c := &creation{actor: a, in: in, done: make(chan struct{})}
	var err error
	if c.made, err = newMade(*in); err != nil {
		return nil, err
	}
	if in.IdempotencyKey != nil {
		if err := c.made.claim(a, "requestImage", *in, *in.IdempotencyKey); err != nil {
			return nil, err
		}
	}
	if err := s.batches.do(ctx, c); err != nil {
		return nil, s.translate(err)
	}
	return c.version, s.translate(c.err)
}

// batch carries out creates in one transaction: all that nothing stands against. Postgres has the last word, by its
// constraints. If it refuses one, nothing of any is stored, and each is tried alone; if it cannot be reached, or nobody
// knows whether it has stored them, all are told so.
func (s *Store) batch(ctx context.Context, all []*creation) {
	var done map[*creation]*imaging.Version
	// Who asks for one of them may write, else it would not be here: what holds for the first holds for all.
	err := s.inTx(ctx, all[0].actor, func(ctx context.Context, tx bun.Tx) (err error) {
		var rows rows
		if done, err = rows.create(ctx, tx, all); err != nil || len(done) == 0 {
			return err
		}
		return rows.save(ctx, tx)
	})
	for _, c := range all {
		switch {
		case err == nil:
			c.version = done[c]
		case safedriver.SQLState(err) == "" || errors.Is(err, safedriver.ErrCommitUnknown):
			c.err = err
		}
	}
}

// create makes what the creates ask for, as far as nothing stands against it: of several with one key or for one instance,
// the first.
func (w *rows) create(ctx context.Context, tx bun.Tx, all []*creation) (map[*creation]*imaging.Version, error) {
	providers, now, err := theirProviders(ctx, tx, all)
	if err != nil {
		return nil, err
	}
	taken, err := theirTaken(ctx, tx, all)
	if err != nil {
		return nil, err
	}
	done := map[*creation]*imaging.Version{}
	for i, c := range all {
		p := providers[c.in.Provider]
		if taken[i] || slices.ContainsFunc(c.claims(), func(claim any) bool { return taken[claim] }) || len(imaging.ProviderProblem(c.in.Provider, p)) > 0 {
			continue
		}
		r, events, err := imaging.Request(c.in, [2]uuid.UUID{c.made.ImageRequestID, c.made.VersionID}, c.actor, p, now)
		if err != nil || w.add(r, events) != nil {
			continue
		}
		for _, claim := range c.claims() {
			taken[claim] = true
		}
		if c.in.IdempotencyKey != nil {
			w.keys = append(w.keys, &c.made)
		}
		done[c] = r.Newest()
	}
	return done, nil
}

// theirProviders are those that the creates name, as far as they are there, and the time. They do not change until the
// transaction ends.
func theirProviders(ctx context.Context, tx bun.Tx, all []*creation) (map[int]*imaging.Provider, time.Time, error) {
	var named []int
	for _, c := range all {
		if n := c.in.Provider; n >= 1 && n <= 1<<31-1 && !slices.Contains(named, n) {
			named = append(named, n)
		}
	}
	var found []struct {
		imaging.Provider
		Now time.Time
	}
	err := tx.NewSelect().Model((*imaging.Provider)(nil)).Column("*").ColumnExpr("clock_timestamp() AS now").
		Where("id IN (?)", bun.List(named)).For("SHARE").Scan(ctx, &found)
	if err != nil || len(found) == 0 {
		return nil, time.Time{}, err
	}
	providers := map[int]*imaging.Provider{}
	for i := range found {
		providers[found[i].ID] = &found[i].Provider
	}
	return providers, found[0].Now.UTC(), nil
}

// theirTaken holds the places of the creates whose key was used before or whose instance has an open version. One that is
// by itself is not looked after: the constraints tell, and it holds up nobody else.
func theirTaken(ctx context.Context, tx bun.Tx, all []*creation) (map[any]bool, error) {
	taken := map[any]bool{}
	if len(all) == 1 {
		return taken, nil
	}
	instances, usernames, keys := make([]uuid.UUID, len(all)), make([]string, len(all)), make([]string, len(all))
	for i, c := range all {
		instances[i], usernames[i], keys[i] = c.in.Instance, c.made.Username, c.made.Key
	}
	var places []int
	err := tx.NewRaw(`SELECT c.place - 1 FROM unnest(?::uuid[], ?::text[], ?::text[]) WITH ORDINALITY AS c (instance, username, key, place)
		WHERE EXISTS (SELECT FROM versions AS v WHERE v.instance = c.instance AND v.status IN (?))
		OR EXISTS (SELECT FROM idempotency_keys AS k WHERE k.username = c.username AND k.key = c.key)`,
		pgdialect.Array(instances), pgdialect.Array(usernames), pgdialect.Array(keys), bun.List(imaging.OpenStatuses)).Scan(ctx, &places)
	for _, place := range places {
		taken[place] = true
	}
	return taken, err
}
