package db

import (
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"imagerequests/imaging"
)

// rest selects the keys of the same cut, however rare its rows are: their ids, those of their requests, and their places.
func (l list) rest(idb bun.IDB, c *cut, r reach) *bun.SelectQuery {
	onward := l.keys(l.walk(idb, c, func(q *bun.SelectQuery) *bun.SelectQuery { return visible(q, l.actor) }, 0), c)
	if !l.narrow(c.reading.Field) {
		return onward
	}
	q := idb.NewSelect().ColumnExpr("page.*")
	var pages *bun.SelectQuery
	tooMany := "TRUE" // of each side so far; of the next one nobody asks before
	for _, side := range l.sides(idb, c) {
		few, most := "few_"+side.name, r.few
		if side.name == ahead {
			most = min(most, r.walked(l.f, c)) // what has been walked along is all there is
		}
		q = q.WithQuery(bun.NewWithQuery("all_"+side.name, side.all).Materialized()). // planned as if all of it were wanted
												With(few, idb.NewSelect().TableExpr("all_"+side.name).Limit(int64(most)+1))
		page := orderBy(idb.NewSelect().ColumnExpr("few.*").TableExpr("(?) AS few", side.wanted), "few", c.reading).
			Offset(int64(c.offset)).Limit(int64(c.n) + 1)
		then := func(is string) string {
			return fmt.Sprintf("CASE WHEN %s THEN (SELECT count(*) FROM %s) %s %d ELSE FALSE END", tooMany, few, is, most)
		}
		page, tooMany = page.Where(then("<=")), then(">")
		if pages != nil {
			page = pages.UnionAll(page)
		}
		pages = page
	}
	return q.TableExpr("(?) AS page", pages.UnionAll(onward.Where(tooMany)))
}

// side is one from which the rows of a list can be gathered.
type side struct {
	name   string
	all    *bun.SelectQuery // what is gathered, of the table of this name if it is one
	wanted *bun.SelectQuery // the keys of the list's rows, from the first of all, which are called few_ and the name
}

// ahead is the side of what lies within the bounds.
const ahead = "ahead"

// sides are those of a list: what lies within its bounds; requests; and for versions what the filter narrows, at first what
// it probably narrows most.
func (l list) sides(idb bun.IDB, c *cut) (sides []side) {
	f, rule := l.f, ruleOf(l.actor, l.f)
	requests := func() *bun.SelectQuery { return ofRequests(rule(list{table: requestTable}.from(idb)), f) }
	versions := func() *bun.SelectQuery { return ofRows(l.keys(l.from(idb), c), versionTable, f) }
	each := func(few any, wanted *bun.SelectQuery) *bun.SelectQuery {
		return idb.NewSelect().TableExpr("? AS few CROSS JOIN LATERAL (? OFFSET 0) AS wanted", few, wanted)
	}
	inOrder := func(few *bun.SelectQuery, order string) any { // so that no more of the others are looked up than a page needs
		return bun.SafeQuery("(? OFFSET 0)", few.ColumnExpr("few.*").OrderExpr(order))
	}
	if l.timed() && c.reading.Field != imaging.ByName || len(c.bounds) > 0 {
		sides = append(sides, side{
			name:   ahead,
			all:    idb.NewSelect().TableExpr("(?) AS along", l.along(idb, c, 0)).ColumnExpr("along.id"),
			wanted: each(bun.Safe("few_"+ahead), l.keys(wanted(idb, l.table, l.actor, f), c).Where(l.table+".id = few.id")).ColumnExpr("wanted.*"),
		})
	}
	if l.table == requestTable {
		all := l.beyondIndexes(idb, c, l.keys(wanted(idb, l.table, l.actor, f), c))
		return append(sides, side{name: "requests", all: all, wanted: idb.NewSelect().TableExpr("few_requests")})
	}
	byRequest := side{
		name:   "requests",
		all:    requests().ColumnExpr("image_request.id"),
		wanted: each(bun.Safe("few_requests"), c.within(versions()).Where("version.image_request_id = few.id")).ColumnExpr("wanted.*"),
	}
	if c.reading.Field == imaging.ByName { // which versions have of their requests: they follow each other as those do
		named := idb.NewSelect().TableExpr("few_requests AS few")
		for _, b := range c.bounds {
			named = beside(named, "few", []string{"name"}, bound{b.op[:1] + "=", b.values[:1]})
		}
		byRequest.all = byRequest.all.ColumnExpr("image_request.name")
		byRequest.wanted = each(inOrder(named, "few.name "+string(c.reading.Direction)), c.within(versions()).Where("version.image_request_id = few.id")).ColumnExpr("few.name, wanted.id, wanted.image_request_id")
	}
	byVersion := side{
		name:   "versions",
		all:    l.beyondIndexes(idb, c, versions()),
		wanted: each(inOrder(idb.NewSelect().TableExpr("few_versions AS few"), ordering("few", c.reading)), requests().ColumnExpr("TRUE").Where("image_request.id = few.image_request_id")).ColumnExpr("few.*"),
	}
	few := f.Status != nil && !slices.Contains(f.Status, imaging.Completed) // as nearly all are, sooner or later
	ofVersions := few || f.IDs != nil || f.Provider != nil || f.Instance != nil || l.dated() || l.timed()
	ofOthers := l.owner() != nil || f.ImageRequest != nil || f.Search != nil || len(f.Tags) > 0
	switch {
	case f.IDs != nil || f.Instance != nil || ofVersions && !ofOthers && f.Visibility == nil:
		return append(sides, byVersion)
	case !ofVersions:
		return append(sides, byRequest)
	case !ofOthers:
		return append(sides, byVersion, byRequest)
	}
	return append(sides, byRequest, byVersion)
}

// within leaves in rows of the table what lies within the bounds of the cut and the dates of the filter. Of a bound and a date on the same
// side only what says more is said: Postgres might begin at the other.
func (l list) within(c *cut, q *bun.SelectQuery) *bun.SelectQuery {
	if c.reading.Field != imaging.ByStartDate {
		return c.within(q)
	}
	from, before := l.dates()
	for _, b := range c.bounds {
		moment, _ := b.values[0].(time.Time) // or its place in a statement, of a list without dates
		switch behind := b.op[0] == '>'; {
		case behind && from != nil && moment.Before(*from), !behind && before != nil && !moment.Before(*before):
			continue
		case behind:
			from = nil
		default:
			before = nil
		}
		q = beside(q, l.table, orderColumns(imaging.ByStartDate), b)
	}
	return equal(equal(q, l.table+".start_date >= ?", from), l.table+".start_date < ?", before)
}

// dates are from when, and until before when, what the filter wants has started. Nothing ends before it has started.
func (l list) dates() (from, before *time.Time) {
	before = l.f.StartedBefore
	if end := l.f.EndsBefore; before == nil || end != nil && end.Before(*before) {
		before = end
	}
	return l.f.StartedFrom, before
}

// timed tells whether the filter wants something of when it has started.
func (l list) timed() bool {
	from, before := l.dates()
	return from != nil || before != nil
}

// beyondIndexes leaves in keys what lies within the bounds of the cut, so that Postgres does not look for that by an index: there is much of it.
func (l list) beyondIndexes(idb bun.IDB, c *cut, keys *bun.SelectQuery) *bun.SelectQuery {
	if len(c.bounds) == 0 {
		return keys
	}
	q := idb.NewSelect().TableExpr("(? OFFSET 0) AS gathered", keys)
	for _, b := range c.bounds {
		q = beside(q, "gathered", orderColumns(c.reading.Field), b)
	}
	return q
}

// narrow tells whether there is anything but the order that an index could help with.
func (l list) narrow(order imaging.OrderField) bool {
	everywhere := imaging.Filter{}
	if l.f.Ended != nil && !*l.f.Ended {
		everywhere.Ended = l.f.Ended
	}
	if order == imaging.ByStartDate {
		everywhere.StartedFrom, everywhere.StartedBefore = l.f.StartedFrom, l.f.StartedBefore
	}
	return !kindOf(l.actor).staff || !onlyHas(l.f, everywhere)
}
