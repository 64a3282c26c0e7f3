package db

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// tally tells how many rows of a list there are from what the table counts keeps, as far as it can: what everybody sees, by
// status, provider, visibility, and whether there is an end date. The rest is looked up: what only the actor sees, and what
// has an end date that is still to come.
type tally struct {
	table  string
	actor  imaging.Actor
	f      *imaging.Filter
	theirs []rule // of what the actor sees and not everybody, in parts
}

func tallyOf(table string, a imaging.Actor, f *imaging.Filter) tally {
	return tally{table: table, actor: a, f: f, theirs: privateTo(kindOf(a), values(a))}
}

// tallied tells whether a list can be counted so.
func tallied(table string, a imaging.Actor, f *imaging.Filter) bool {
	kept := imaging.Filter{Status: f.Status, Provider: f.Provider, Ended: f.Ended, Visibility: f.Visibility}
	return onlyHas(f, kept)
}

// parts are queries that each answer rows of a start date and how many there are (below zero: too many were counted); their
// sum is the whole list. A span is ALL or DAY.
func (t tally) parts(idb bun.IDB, span string) *bun.SelectQuery {
	all := t.keptUndated(idb, span)
	for _, part := range t.lookedUp(idb, span) {
		all = all.UnionAll(part)
	}
	return all
}

// keptUndated are those of the parts that are kept.
func (t tally) keptUndated(idb bun.IDB, span string) *bun.SelectQuery {
	all := t.kept(idb, span, 1)
	if t.f.Ended != nil {
		all = all.Where("dated = ?", *t.f.Ended)
	}
	return all
}

// lookedUp are the others.
func (t tally) lookedUp(idb bun.IDB, span string) (all []*bun.SelectQuery) {
	if t.f.Ended != nil { // an end date to come: not ended, though dated
		sign, either := 1, *t.f
		if *t.f.Ended {
			sign = -1
		}
		either.Ended = nil
		everybody := t.actor
		if !t.actor.Staff() {
			everybody = imaging.Actor{} // what the counts are of
		}
		planned := t.each(wanted(idb, t.table, everybody, &either), span, sign).Where(t.table + ".end_date > now()")
		if span == "ALL" && t.table == requestTable { // which days end how many is kept
			planned = planned.Where(t.table + ".end_date < (" + today + " + 1) AT TIME ZONE 'UTC'").
				UnionAll(t.kept(idb, "END", sign).Where("dated").Where("since > " + today))
		}
		all = append(all, planned)
	}
	for _, part := range t.theirs {
		all = append(all, t.each(wantedOf(idb, t.table, t.f, part), span, 1))
	}
	return all
}

const today = "(now() AT TIME ZONE 'UTC')::date"

// kept is what is kept of a span, each row n times.
func (t tally) kept(idb bun.IDB, span string, n int) *bun.SelectQuery {
	q := idb.NewSelect().TableExpr("counts").ColumnExpr("since, n * ? AS n", n).Where("of = ?", t.table+"s").Where("span = ?", span)
	if t.f.Status != nil {
		q = q.Where("status = ANY (?)", pgdialect.Array(t.f.Status))
	}
	q = equal(equal(q, "provider_id = ?", t.f.Provider), "visibility = ?", t.f.Visibility)
	if !t.actor.Staff() {
		return q.Where("visibility = 'PUBLIC'")
	}
	return q.Where("visibility IN ('PUBLIC', 'PRIVATE', 'USERS')") // all, said so that each is one piece of the index
}

// each counts each row of a list as n, in the span of its start date.
func (t tally) each(rows *bun.SelectQuery, span string, n int) *bun.SelectQuery {
	since := "DATE '1970-01-01'"
	if span == "DAY" {
		since = t.table + ".start_date::date" // of UTC, as sessions are
	}
	return rows.ColumnExpr(since+" AS since").ColumnExpr("?::bigint AS n", n)
}

// count is how many rows the list has for the actor, exactly.
func (s *Store) count(ctx context.Context, table string, a imaging.Actor, f *imaging.Filter) (int, error) {
	if !tallied(table, a, f) {
		n, err := wanted(s.db, table, a, f).Count(ctx)
		return int(n), s.translate(err)
	}
	var n int
	if !usual(table, f) {
		err := tallyOf(table, a, f).sum(s.db).Scan(ctx, &n)
		return n, s.translate(err)
	}
	kind := kindOf(a)
	err := s.ask(ctx, a, s.pages, hotKey{"count of " + table + "s", kind, ""}, func(asks asking) *bun.SelectQuery {
		return tally{table: table, actor: a, f: f, theirs: privateTo(kind, asks)}.sum(s.db)
	}, func(r safedriver.Row) error {
		c := cells{row: r}
		n = c.number()
		return c.err
	})
	return n, err
}

// sum is how many rows the list has.
func (t tally) sum(idb bun.IDB) *bun.SelectQuery {
	return idb.NewSelect().TableExpr("(?) AS part", t.parts(idb, "ALL")).ColumnExpr("coalesce(sum(n), 0)::bigint")
}

// placed gives a query of a list by start date a place to read from: the day that the row at the offset is of, and how many rows are
// before it within that day. What is looked up is so once. Without such a row there is no place.
func (t tally) placed(q *bun.SelectQuery, idb bun.IDB, o imaging.Order, offset string) *bun.SelectQuery {
	direction := bun.Safe(o.Direction)
	each := idb.NewSelect().ColumnExpr("NULL::date AS since, 0::bigint AS n").Where("FALSE")
	for _, part := range t.lookedUp(idb, "DAY") {
		each = each.UnionAll(part)
	}
	looked := idb.NewSelect().TableExpr("(?) AS part", each).ColumnExpr("since, sum(n)::bigint AS n").GroupExpr("since")
	span := func(parts *bun.SelectQuery, narrowed, offset string) *bun.SelectQuery {
		spans := idb.NewSelect().TableExpr("(?) AS part", parts).Where(narrowed).GroupExpr("since").
			ColumnExpr("since, sum(n) AS n").ColumnExpr("sum(sum(n)) OVER (ORDER BY since ?) AS upto", direction)
		return idb.NewSelect().TableExpr("(?) AS span", spans).ColumnExpr("since").ColumnExpr("(? - (upto - n))::bigint AS rest", bun.Safe(offset)).
			Where("upto > ?", bun.Safe(offset)).OrderExpr("since ?", direction).Limit(1)
	}
	ofMonths := t.keptUndated(idb, "MONTH").UnionAll(idb.NewSelect().TableExpr("looked").ColumnExpr("date_trunc('month', since::timestamp)::date, n"))
	ofDays := t.keptUndated(idb, "DAY").UnionAll(idb.NewSelect().TableExpr("looked").ColumnExpr("since, n"))
	return q.WithQuery(bun.NewWithQuery("looked", looked).Materialized()).
		WithQuery(bun.NewWithQuery("month", span(ofMonths, "TRUE", offset))).
		WithQuery(bun.NewWithQuery("place", span(ofDays, "since >= (SELECT since FROM month) AND since < (SELECT since + interval '1 month' FROM month)", "(SELECT rest FROM month)")))
}

// place is that place: the moment from which on the list has the row, with so many before it. False if there is none.
func (t tally) place(ctx context.Context, tx bun.Tx, o imaging.Order, offset int) (from time.Time, rest int, ok bool, err error) {
	q := tx.NewSelect().TableExpr("place").ColumnExpr("since::timestamp, rest")
	err = t.placed(q, tx, o, strconv.Itoa(offset)).Scan(ctx, &from, &rest)
	if errors.Is(err, sql.ErrNoRows) {
		return from, rest, false, nil
	}
	if o.Direction == imaging.Desc {
		from = from.AddDate(0, 0, 1)
	}
	return from, rest, err == nil, err
}
