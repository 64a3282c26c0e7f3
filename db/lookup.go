package db

import (
	"context"
	"runtime"
	"slices"
	"time"

	"imagerequests/db/safedriver"
)

// Lookups by id or secret that come while others are under way share the next round trip, which costs as much as they do: the
// server and Postgres are woken once for all of them. Those who ask for the same, be it a page that everybody looks at while each connection
// is taken, are told the same: nobody had read it yet when they asked.
const (
	lookupSize = 32              // in one round trip
	lookupTime = 2 * time.Second // for one: what takes longer is held up by something, and each is made alone
)

// lookupLanes keep as many of Postgres's processes at work as this program has processors, and leave half of all connections for all
// else: tokens have lanes of their own.
func lookupLanes() int { return min(runtime.GOMAXPROCS(0), Connections/4) }

// Pages leave a quarter of all connections for all else, and may take as long as any statement.
const pageLanes, pageTime = Connections * 3 / 4, batchTime

// lookup is a prepared read on its way.
type lookup struct {
	query string
	args  []string
	rows  []safedriver.Row
	err   error
}

// asks tells whether it asks the same as the other.
func (l *lookup) asks(other *lookup) bool {
	return l.query == other.query && slices.Equal(l.args, other.args)
}

// lookUp carries out a prepared read, outside of any transaction, with those that others make. The rows are given to r.Row when all are there.
func (s *Store) lookUp(ctx context.Context, with *together[*lookup], r safedriver.Reading) error {
	l := &lookup{query: r.Query, args: r.Args}
	if err := with.do(ctx, l); err != nil {
		return err
	}
	if l.err != nil { // it may be of another
		return safedriver.Read(ctx, s.db.DB, r)
	}
	for _, row := range l.rows {
		if err := r.Row(row); err != nil {
			return err
		}
	}
	return nil
}

// lookUpAll carries lookups out in one round trip, each that several ask once.
func (s *Store) lookUpAll(ctx context.Context, all []*lookup) {
	var once []*lookup
	var readings []safedriver.Reading
	first := make([]int, len(all)) // of once, who asks the same
	for i, l := range all {
		if first[i] = slices.IndexFunc(once, l.asks); first[i] >= 0 {
			continue
		}
		first[i], once = len(once), append(once, l)
		readings = append(readings, safedriver.Reading{Query: l.query, Args: l.args, Row: func(r safedriver.Row) error {
			l.rows = append(l.rows, r)
			return nil
		}})
	}
	err := safedriver.Read(ctx, s.db.DB, readings...)
	for i, l := range all {
		l.rows, l.err = once[first[i]].rows, err
	}
}
