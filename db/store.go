// Package db keeps image requests in Postgres. It is the only package that knows Bun. Its Store has one method a use
// case; each that writes is one transaction that locks, applies a rule of imaging, and saves state and event together.
//
// Nothing is read without the visibility rule (visibility.go), and nothing leaves the store that the actor may not read.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// Connections is how many connections a store holds at most. Four to eight keep two cores busy.
const Connections = 8

// Store is all use cases over one database. It is safe for concurrent use.
type Store struct {
	db  *bun.DB
	cfg safedriver.Config
	log *slog.Logger
	now func() time.Time

	hot     *hot
	batches *together[*creation] // shared, as all of this, by the stores that read only some columns
	lookups *together[*lookup]   // of requests and versions by ids
	pages   *together[*lookup]   // of the lists that nearly everybody asks for, and their counts: each with those who ask the same
	bearers *together[*lookup]   // of tokens: what holds up lookups of requests does not hold up these
	uses    *uses
	columns *Columns // what its reads fill; nil: all
	reach   reach
}

// Open makes a store; it connects when it is first used. It fails if cfg is unsafe.
func Open(cfg safedriver.Config, log *slog.Logger) (*Store, error) {
	connector, err := safedriver.New(cfg)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(Connections)
	pool.SetMaxIdleConns(Connections) // fewer idle ones would be closed and opened again all the time
	s := &Store{db: bun.NewDB(pool, pgdialect.New()), cfg: cfg, log: log, now: time.Now, hot: &hot{}, uses: &uses{}, reach: usualReach}
	s.batches = newTogether(batchLanes, batchSize, batchTime, s.batch)
	s.batches.claims = (*creation).claims
	s.lookups = newTogether(lookupLanes(), lookupSize, lookupTime, s.lookUpAll)
	s.bearers = newTogether(lookupLanes(), lookupSize, lookupTime, s.lookUpAll)
	s.pages = newTogether(pageLanes, math.MaxInt, pageTime, s.lookUpAll)
	s.pages.same = (*lookup).asks
	for _, reads := range []*together[*lookup]{s.lookups, s.bearers, s.pages} {
		reads.byCaller = true
	}
	return s, nil
}

// Close ends what is under way and all connections.
func (s *Store) Close() error {
	s.batches.close()
	s.lookups.close()
	s.pages.close()
	s.bearers.close()
	return s.db.Close()
}

// Ready tells whether the database answers and has this program's schema. UNAVAILABLE if not. A newer schema will do: a
// copy goes on working while its successor takes over.
func (s *Store) Ready(ctx context.Context) error {
	steps, err := Migrations()
	if err != nil {
		return err
	}
	var version int
	err = s.db.NewRaw("SELECT coalesce(max(version), 0) FROM schema_migrations").Scan(ctx, &version)
	if missing := safedriver.SQLState(err) == "42P01"; missing || err == nil && version < len(steps) {
		return unavailable(fmt.Errorf("%w: step %d of %d", ErrSchema, version, len(steps)))
	}
	return s.translate(err)
}

type inTxKey struct{}

// errNested is a programmer's mistake: a use case called from another one's transaction.
var errNested = errors.New("a transaction within a transaction")

const attempts = 6

// inTx runs f in a transaction and commits. Serialization failures, deadlocks and lost statements run it again, so f touches nothing but
// the database and what it may set anew. f must not hand tx to another goroutine.
//
// It is the only way to write for somebody, and it asks first whether they may write at all: UNAUTHENTICATED, FORBIDDEN.
func (s *Store) inTx(ctx context.Context, a imaging.Actor, f func(ctx context.Context, tx bun.Tx) error) error {
	if ctx.Value(inTxKey{}) != nil {
		return errNested
	}
	if err := a.MayWrite(); err != nil {
		return err
	}
	ctx = context.WithValue(ctx, inTxKey{}, true)
	for attempt := 1; ; attempt++ {
		err := s.db.RunInTx(ctx, nil, f)
		if err == nil {
			return nil
		}
		switch safedriver.SQLState(err) {
		case "40001", "40P01", "26000", "0A000": // the last two: what was prepared is gone, or of another time
		default:
			return s.translate(err)
		}
		if attempt == attempts {
			return s.translate(err)
		}
		select {
		case <-ctx.Done():
			return s.translate(ctx.Err())
		case <-time.After(time.Duration(attempt) * time.Duration(rand.IntN(10_000)) * time.Microsecond):
		}
	}
}

// moment is the time of a change, as precise as it can be stored.
func (s *Store) moment() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
