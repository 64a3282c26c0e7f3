package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math"
	"strconv"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"imagerequests/imaging"
)

// The stream is all events of all requests in one order. Transactions commit in another order than they began in, so the
// order is by the transaction, and readers go no further than the oldest one that still runs: beyond the horizon an event
// may yet come to stand before others that are there. A trigger sees to it that a request's events stand in the order of
// their seq.

// place is where an event stands in the stream. No event has the id 0, so {xid, 0} is just before all of a transaction.
type place struct{ xid, id int64 }

var (
	theBeginning = place{math.MinInt64, 0}
	theEnd       = place{math.MaxInt64, math.MaxInt64}
)

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.xid, q.xid), cmp.Compare(p.id, q.id))
}

// streamed is an event with its place.
type streamed struct {
	bun.BaseModel `bun:"table:events,alias:event"`
	imaging.Event
	XID int64 `bun:"xid"`
}

func (e *streamed) place() place { return place{e.XID, e.ID} }

// weight is about how many bytes the event takes.
func (e *streamed) weight() int {
	n := 512
	if e.Message != nil {
		n += len(*e.Message)
	}
	for field, change := range e.Changes {
		n += 64 + len(field) + len(change.From) + len(change.To)
	}
	return n
}

// horizon is how far the stream can be read now. Waiting tells that there are events beyond, which can be read as soon as
// some other transaction has ended.
func (s *Store) horizon(ctx context.Context) (h place, waiting bool, err error) {
	var newest int64
	err = s.db.NewSelect().TableExpr("events").
		ColumnExpr("pg_snapshot_xmin(pg_current_snapshot())::text::bigint").ColumnExpr("coalesce(max(xid), 0)").Scan(ctx, &h.xid, &newest)
	return h, newest >= h.xid, s.translate(err)
}

// page is what comes next after a place and before the horizon, of one request or of all: at most so many events and
// hardly more bytes. There is nothing else up to the place it answers, which is at the horizon if the page is the last.
func (s *Store) page(ctx context.Context, after, horizon place, of *uuid.UUID, most, bytes int) (rows []*streamed, upTo place, err error) {
	q := s.db.NewSelect().Model(&rows).Where("event.image_request_id IS NOT NULL").
		Where("(event.xid, event.id) > (?, ?) AND event.xid < ?", after.xid, after.id, horizon.xid)
	order := "event.xid, event.id"
	if of != nil {
		order = "event.seq" // which is the same, and has an index of the request's own
	}
	q = equal(q, "event.image_request_id = ?", of)
	if err := q.OrderExpr(order).Limit(int64(most)).Scan(ctx); err != nil {
		return nil, after, s.translate(err)
	}
	last := len(rows) < most
	for i, e := range rows {
		if bytes -= e.weight(); bytes < 0 && i+1 < len(rows) {
			rows, last = rows[:i+1], false
			break
		}
	}
	if last {
		return rows, horizon, nil
	}
	return rows, rows[len(rows)-1].place(), nil
}

// begin is where to begin to read what comes after a cursor: nil is the end, the empty text the beginning. Where that is
// beyond the horizon, events may yet come to stand before it, so it begins at the horizon instead; known are those that
// came before all the same. INVALID with the field after.
func (s *Store) begin(ctx context.Context, cursor *string) (p place, known map[int64]bool, err error) {
	if cursor != nil && *cursor == "" {
		return theBeginning, nil, nil
	}
	p, of := theEnd, (*uuid.UUID)(nil)
	if cursor != nil {
		if p, of, err = s.find(ctx, *cursor); err != nil {
			return p, nil, err
		}
	}
	horizon, waiting, err := s.horizon(ctx)
	if err != nil || p.compare(horizon) <= 0 {
		return p, nil, err
	}
	if waiting {
		known, err = s.between(ctx, horizon, p, of)
	}
	return horizon, known, err
}

// between are the events that stand beyond the horizon and not behind a place, of one request or of all.
func (s *Store) between(ctx context.Context, horizon, p place, of *uuid.UUID) (map[int64]bool, error) {
	var ids []int64
	q := s.db.NewSelect().TableExpr("events").Column("id").
		Where("xid >= ? AND (xid, id) <= (?, ?)", horizon.xid, p.xid, p.id).Limit(maxKnown)
	if err := equal(q, "image_request_id = ?", of).Scan(ctx, &ids); err != nil {
		return nil, s.translate(err)
	}
	known := make(map[int64]bool, len(ids))
	for _, id := range ids {
		known[id] = true
	}
	return known, nil
}

// maxKnown is how many events beyond the horizon are remembered not to be told: so many pile up only where some
// transaction has run for very long.
const maxKnown = 1000

// streamTable is the list that a stream's cursors are of, and byID their order: a cursor is the id alone, because the place
// may change when a database is restored (restored.go).
const streamTable = "stream"

var byID = imaging.Order{Field: imaging.ByID, Direction: imaging.Asc}

func streamCursor(id int64) string {
	return encodeCursor(streamTable, byID, strconv.FormatInt(id, 10), uuid.Nil)
}

// find is the place that a cursor marks, and the request whose event stands there. INVALID with the field after.
func (s *Store) find(ctx context.Context, cursor string) (p place, of *uuid.UUID, err error) {
	value, _, err := decodeCursor("after", cursor, streamTable, byID)
	if err != nil {
		return p, nil, err
	}
	p.id = number(value)
	of = new(uuid.UUID)
	err = s.db.NewSelect().TableExpr("events").Column("xid", "image_request_id").
		Where("id = ? AND image_request_id IS NOT NULL", p.id).Scan(ctx, &p.xid, of)
	if errors.Is(err, sql.ErrNoRows) {
		return p, nil, invalid("after", "There is no such event.")
	}
	return p, of, s.translate(err)
}
