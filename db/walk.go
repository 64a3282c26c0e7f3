package db

import (
	"fmt"
	"slices"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/imaging"
)

// walk is the cut of the list, found along an index; of so many rows of it, if most is not 0. The rule is what the actor may see.
func (l list) walk(idb bun.IDB, c *cut, visible rule, most int) *bun.SelectQuery {
	q := idb.NewSelect().TableExpr("(?) AS "+l.table, l.along(idb, c, most))
	if l.table == versionTable {
		q = equal(q.Join(withRequest), "version.visibility = ?", l.visibility()) // before their requests are looked up
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
	if len(statuses) == 0 && (l.dated() || !byDate && (f.StartedFrom != nil || f.StartedBefore != nil)) {
		statuses = imaging.Statuses // within each of which an index has what is wanted in one piece
	}
	switch {
	case c.reading.Field == imaging.ByName:
		return first(rows())
	case byDate && l.table == requestTable && l.owner() != nil:
		return first(equal(rows(), "image_request.created_by = ?", l.owner()))
	case len(statuses) > 0:
		var each *bun.SelectQuery // which Postgres merges in their order
		for _, q := range l.ofStatuses(idb, c, statuses) {
			if q = first(q); each != nil {
				q = each.UnionAll(q)
			}
			each = q
		}
		return first(idb.NewSelect().ColumnExpr(l.table+".*").TableExpr("(?) AS "+l.table, each))
	case !byDate || l.table == versionTable:
		return first(rows())
	case f.Provider != nil:
		return first(equal(rows(), "image_request.provider_id = ?", f.Provider))
	case l.visibility() != nil && *l.visibility() == imaging.Public:
		return first(rows().Where("image_request.visibility = ?", imaging.Public))
	}
	return first(rows())
}

// ofStatuses are the rows of these statuses within the bounds of the cut and the dates of the filter: in each query is one piece of an
// index, or several that follow each other in the order of the list.
func (l list) ofStatuses(idb bun.IDB, c *cut, statuses []imaging.Status) (all []*bun.SelectQuery) {
	rows := func(c *cut) *bun.SelectQuery {
		q := l.within(c, l.from(idb).ColumnExpr(l.table+".*"))
		if l.dated() {
			q = q.Where(l.table + ".end_date IS NOT NULL")
		}
		return q
	}
	if c.reading.Field == imaging.ByStartDate {
		for _, status := range statuses {
			q := rows(c).Where(l.table+".status = ?", status)
			if l.table == versionTable {
				q = equal(q, "version.provider_id = ?", l.f.Provider)
			}
			all = append(all, q)
		}
		return all
	}
	// With status = … Postgres would not see that what comes of one status goes on in the order of the list, and would sort it all.
	const these = ".status = ANY (?)"
	byDate := *c // within a status
	byDate.reading.Field = imaging.ByStartDate
	var whole []imaging.Status
	for _, status := range statuses {
		byDate.bounds = nil
		beyond := false
		for _, b := range c.bounds {
			switch at := imaging.Status(fmt.Sprint(b.values[0])); {
			case at == status:
				byDate.bounds = append(byDate.bounds, bound{b.op, b.values[1:]})
			case (at < status) != (b.op[0] == '>'):
				beyond = true
			}
		}
		switch {
		case beyond:
		case byDate.bounds == nil:
			whole = append(whole, status)
		default:
			all = append(all, rows(&byDate).Where(l.table+these, pgdialect.Array([]imaging.Status{status})))
		}
	}
	if byDate.bounds = nil; whole != nil || all == nil {
		all = append(all, rows(&byDate).Where(l.table+these, pgdialect.Array(whole)))
	}
	return all
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
