package db

import (
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"imagerequests/imaging"
)

// walk is the cut of the list, found along an index; of so many rows of it, if most is not 0. The rule is what the actor may see.
func (l list) walk(idb bun.IDB, c *cut, visible rule, most int) *bun.SelectQuery {
	q := idb.NewSelect().TableExpr("(?) AS "+l.table, l.along(idb, c, most))
	if l.table == versionTable {
		q = q.Join(withRequest)
	}
	return c.page(ofRows(ofRequests(visible(q), l.f), l.table, l.f))
}

// along is the rows of the table within the bounds of the cut, narrowed by what some index begins with that goes on in the
// order; the first so many of them, if most is not 0.
func (l list) along(idb bun.IDB, c *cut, most int) *bun.SelectQuery {
	f, byDate := l.f, c.reading.Field == imaging.ByStartDate
	rows := func() *bun.SelectQuery {
		return l.within(c, l.from(idb).ColumnExpr(l.table+".*"))
	}
	first := func(q *bun.SelectQuery) *bun.SelectQuery {
		if most == 0 {
			return q
		}
		return orderBy(q, l.table, c.reading).Limit(int64(most))
	}
	statuses := slices.Compact(slices.Sorted(slices.Values(f.Status)))
	if len(statuses) == 0 && !byDate && (f.StartedFrom != nil || f.StartedBefore != nil || l.dated()) {
		statuses = imaging.Statuses // within each of which the dates are one piece
	}
	switch {
	case c.reading.Field == imaging.ByName:
		return first(rows())
	case byDate && l.table == requestTable && l.owner() != nil:
		return first(equal(rows(), "image_request.created_by = ?", l.owner()))
	case len(statuses) > 0:
		var each *bun.SelectQuery // which Postgres merges in their order
		for _, status := range statuses {
			q := l.ofStatus(idb, c, status, rows)
			if q = first(q); each != nil {
				q = each.UnionAll(q)
			}
			each = q
		}
		if len(statuses) == 1 {
			return each
		}
		return first(idb.NewSelect().ColumnExpr(l.table+".*").TableExpr("(?) AS "+l.table, each))
	case !byDate || l.table == versionTable:
		return first(rows())
	case f.Provider != nil:
		return first(equal(rows(), "image_request.provider_id = ?", f.Provider))
	}
	return first(equal(rows(), "image_request.visibility = ?", l.visibility()))
}

// ofStatus leaves in rows those of one status. In an order by status the bounds say which of those lie within them, if any: an
// index has the status before the date, and would be searched from the one to the other for rows that are not there.
func (l list) ofStatus(idb bun.IDB, c *cut, status imaging.Status, rows func() *bun.SelectQuery) *bun.SelectQuery {
	if c.reading.Field == imaging.ByStartDate {
		return equal(rows().Where(l.table+".status = ?", status), l.table+".provider_id = ?", l.f.Provider)
	}
	q := l.withinDates(l.from(idb).ColumnExpr(l.table+".*").Where(l.table+".status = ?", status))
	if l.dated() {
		q = q.Where(l.table + ".end_date IS NOT NULL")
	}
	for _, b := range c.bounds {
		switch at := fmt.Sprint(b.values[0]); {
		case at == string(status):
			q = beside(q, l.table, orderColumns(imaging.ByStartDate), bound{b.op, b.values[1:]})
		case (at < string(status)) != (b.op[0] == '>'):
			q = q.Where("FALSE")
		}
	}
	return q
}

// dated tells whether only what has an end date can be in the list.
func (l list) dated() bool {
	f := l.f
	return f.Ended != nil && *f.Ended || f.EndsFrom != nil || f.EndsBefore != nil
}

func (l list) from(idb bun.IDB) *bun.SelectQuery {
	return idb.NewSelect().TableExpr(l.table + "s AS " + l.table)
}

// owner is whose requests alone can be in the list, if it is one user's.
func (l list) owner() *string {
	kind := kindOf(l.actor)
	switch {
	case l.f.CreatedBy != nil:
		return l.f.CreatedBy
	case l.f.Visibility != nil && *l.f.Visibility == imaging.Private && kind.signedIn && !kind.worker:
		return &l.actor.Username
	}
	return nil
}

// visibility is what all requests of the list have, if it is one.
func (l list) visibility() *imaging.Visibility {
	public := imaging.Public
	if l.f.Visibility != nil || l.actor.SignedIn() || l.actor.Staff() {
		return l.f.Visibility
	}
	return &public
}
