package db

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// Creates that come while others are being written share the next transaction, and so its COMMIT, which is what they cost
// most.
const (
	batchLanes = 2                // batches under way at once: while one waits for the disk, the other works
	batchSize  = 64               // creates in one transaction
	batchTime  = 20 * time.Second // longer than any statement may take
)

// creation is a create on its way through a batch. If it is neither made nor refused by then, it was not carried out.
type creation struct {
	actor imaging.Actor
	in    *imaging.RequestImageInput
	made  made

	version *imaging.Version
	err     error
}

// claims are what only one create can have: Postgres would refuse all of a batch with another.
func (c *creation) claims() []any {
	if c.in.IdempotencyKey == nil {
		return []any{c.in.Instance}
	}
	return []any{c.in.Instance, [2]string{c.made.Username, c.made.Key}}
}

// inBatch carries out a create whose input has no problems, together with others. It answers neither a version nor an error
// if the create was not carried out for a reason of its own, which is then told by trying it alone.
func (s *Store) inBatch(ctx context.Context, a imaging.Actor, in *imaging.RequestImageInput) (*imaging.Version, error) {
	c := &creation{actor: a, in: in}
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
