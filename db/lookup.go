package db

import (
	"context"
	"runtime"
	"time"

	"imagerequests/db/safedriver"
)

// Lookups by id or secret that come while others are under way share the next round trip, which costs as much as they do: the
// server and Postgres are woken once for all of them.
const (
	lookupSize = 32              // in one round trip
	lookupTime = 2 * time.Second // for one: what takes longer is held up by something, and each is made alone
)

// lookupLanes keep as many of Postgres's processes at work as this program has processors, and leave half of all connections for all
// else: tokens have lanes of their own.
func lookupLanes() int { return min(runtime.GOMAXPROCS(0), Connections/4) }

// lookup is a prepared read on its way.
type lookup struct {
	query string
	args  []string
	rows  []safedriver.Row
	err   error
}

// lookUp is alone for what finds little by an index: it goes with others. The rows are given to r.Row when all are there.
func (s *Store) lookUp(ctx context.Context, with *together[*lookup], r safedriver.Reading) error {
	l := &lookup{query: r.Query, args: r.Args}
	if err := with.do(ctx, l); err != nil {
		return err
	}
	if l.err != nil { // it may be of another
		return s.alone(ctx, r)
	}
	for _, row := range l.rows {
		if err := r.Row(row); err != nil {
			return err
		}
	}
	return nil
}

// together is lookUp with others of requests and versions.
func (s *Store) together(ctx context.Context, r safedriver.Reading) error {
	return s.lookUp(ctx, s.lookups, r)
}

// alone carries out a prepared read, outside of any transaction.
func (s *Store) alone(ctx context.Context, r safedriver.Reading) error {
	return safedriver.Read(ctx, s.db.DB, r)
}

// lookUpAll carries lookups out in one round trip.
func (s *Store) lookUpAll(ctx context.Context, all []*lookup) {
	readings := make([]safedriver.Reading, len(all))
	for i, l := range all {
		readings[i] = safedriver.Reading{Query: l.query, Args: l.args, Row: func(r safedriver.Row) error {
			l.rows = append(l.rows, r)
			return nil
		}}
	}
	err := safedriver.Read(ctx, s.db.DB, readings...)
	for _, l := range all {
		l.err = err
	}
}
