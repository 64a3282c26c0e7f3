package db

import (
	"context"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/imaging"
)

// tally tells how many rows of a list there are from what the table counts keeps, as far as it can: what everybody sees, by
// status, provider, visibility, and whether there is an end date. The rest is looked up: what only the actor sees, and what
// has an end date that is still to come.
type tally struct {
	table string
	actor imaging.Actor
	f     *imaging.Filter
}

// tallied tells whether a list can be counted so.
func tallied(table string, a imaging.Actor, f *imaging.Filter) bool {
	kept := imaging.Filter{Status: f.Status, Provider: f.Provider, Ended: f.Ended, Visibility: f.Visibility}
	return onlyHas(f, kept) && (table == requestTable || a.Staff() && f.Visibility == nil)
}

// parts are queries that each answer rows of a start date and how many there are (below zero: too many were counted); their
// sum is the whole list. A span is ALL, MONTH or DAY.
func (t tally) parts(idb bun.IDB, span string) *bun.SelectQuery {
	kept := idb.NewSelect().TableExpr("counts").ColumnExpr("since, n").Where("of = ?", t.table+"s").Where("span = ?", span)
	if t.f.Ended != nil {
		kept = kept.Where("dated = ?", *t.f.Ended)
	}
	if t.f.Status != nil {
		kept = kept.Where("status = ANY (?)", pgdialect.Array(t.f.Status))
	}
	kept = equal(equal(kept, "provider_id = ?", t.f.Provider), "visibility = ?", t.f.Visibility)
	if !t.actor.Staff() {
		kept = kept.Where("visibility = 'PUBLIC'")
	}
	all := kept
	if t.f.Ended != nil { // an end date to come: not ended, though dated
		sign, either := 1, *t.f
		if *t.f.Ended {
			sign = -1
		}
		either.Ended = nil
		planned := t.rows(idb, span, sign, &either).Where(t.table + ".end_date > now()")
		if !t.actor.Staff() {
			planned = planned.Where("image_request.visibility = 'PUBLIC'")
		}
		all = all.UnionAll(planned)
	}
	if !t.actor.Staff() && t.actor.SignedIn() { // others see nothing else
		all = all.UnionAll(t.rows(idb, span, 1, t.f).Where("image_request.visibility <> 'PUBLIC'"))
	}
	return all
}

// rows is one for each row of the list itself.
func (t tally) rows(idb bun.IDB, span string, n int, f *imaging.Filter) *bun.SelectQuery {
	since := "DATE '1970-01-01'"
	switch span {
	case "MONTH":
		since = "date_trunc('month', " + t.table + ".start_date AT TIME ZONE 'UTC')::date"
	case "DAY":
		since = "(" + t.table + ".start_date AT TIME ZONE 'UTC')::date"
	}
	return wanted(idb, t.table, t.actor, f).ColumnExpr(since+" AS since").ColumnExpr("?::bigint AS n", n)
}

// count is how many rows the list has for the actor, exactly.
func (s *Store) count(ctx context.Context, table string, a imaging.Actor, f *imaging.Filter) (int, error) {
	if !tallied(table, a, f) {
		n, err := wanted(s.db, table, a, f).Count(ctx)
		return int(n), s.translate(err)
	}
	var n int
	parts := tally{table, a, f}.parts(s.db, "ALL")
	err := s.db.NewSelect().TableExpr("(?) AS part", parts).ColumnExpr("coalesce(sum(n), 0)::bigint").Scan(ctx, &n)
	return n, s.translate(err)
}

// skip finds the day that the row at the offset of a list by start date is of, so that only its own day must be passed over:
// from its end the list goes on with the offset that is left.
func (t tally) skip(ctx context.Context, tx bun.Tx, o imaging.Order, offset int) (from time.Time, left int, err error) {
	month, left, err := t.find(ctx, tx, o, "MONTH", offset, nil)
	if err != nil {
		return month, left, err
	}
	day, left, err := t.find(ctx, tx, o, "DAY", left, &month)
	if o.Direction == imaging.Desc {
		day = day.AddDate(0, 0, 1)
	}
	return day, left, err
}

// find is the span that has the row at the offset, within a month if one is given; the last if there are fewer.
func (t tally) find(ctx context.Context, tx bun.Tx, o imaging.Order, span string, offset int, month *time.Time) (since time.Time, left int, err error) {
	q := tx.NewSelect().TableExpr("(?) AS part", t.parts(tx, span)).ColumnExpr("since::timestamp, sum(n)::bigint AS n").
		GroupExpr("since").Having("sum(n) > 0").OrderExpr("since " + string(o.Direction))
	if month != nil {
		q = q.Where("since >= ?::date AND since < (?::date + interval '1 month')", *month, *month)
	}
	var spans []struct {
		Since time.Time
		N     int
	}
	if err := q.Scan(ctx, &spans); err != nil {
		return since, offset, err
	}
	left = offset
	for i, s := range spans {
		since = s.Since
		if left < s.N || i == len(spans)-1 {
			break
		}
		left -= s.N
	}
	return since, left, nil
}
