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
	first := func(q *bun.SelectQuery) *bun.SelectQuery {
		if most == 0 {
			return q
		}
		return orderBy(q, l.table, c.reading).Limit(int64(most))
	}
	pieces := l.pieces(idb, c)
	all := first(pieces[0])
	for _, q := range pieces[1:] { // which Postgres merges in their order
		all = all.UnionAll(first(q))
	}
	if len(pieces) == 1 {
		return all
	}
	return first(idb.NewSelect().ColumnExpr(l.table+".*").TableExpr("(?) AS "+l.table, all))
}

// pieces are of indexes, each in the order of the list.
func (l list) pieces(idb bun.IDB, c *cut) []*bun.SelectQuery {
	f, byDate := l.f, c.reading.Field == imaging.ByStartDate
	rows := l.rows(idb, c)
	switch statuses := slices.Compact(slices.Sorted(slices.Values(f.Status))); {
	case l.byOwner(c):
		return l.ofOwner(idb, c)
	case len(statuses) > 0 && c.reading.Field != imaging.ByStatus:
		return l.ofEach(idb, c, statuses)
	case len(statuses) > 0:
		return l.ofStatuses(idb, c, statuses)
	case c.reading.Field == imaging.ByStatus && (l.dated() || l.timed()):
		return l.ofStatuses(idb, c, imaging.Statuses) // within each of which the dates are one piece
	case l.dated() || !byDate || l.table == versionTable:
	case f.Provider != nil:
		rows = rows.Where("image_request.provider_id = ?", *f.Provider)
	case l.visibility() != nil && *l.visibility() == imaging.Public:
		rows = rows.Where("image_request.visibility = ?", imaging.Public)
	}
	return []*bun.SelectQuery{rows}
}

// rows are those within the bounds of the cut that have an end date, if only such can be in the list: there are indexes of those alone.
func (l list) rows(idb bun.IDB, c *cut) *bun.SelectQuery {
	q := l.within(c, l.from(idb).ColumnExpr(l.table+".*"))
	if l.dated() {
		q = q.Where(l.table + ".end_date IS NOT NULL")
	}
	return q
}

// ofOwner are the requests of the owner, by their visibility.
func (l list) ofOwner(idb bun.IDB, c *cut) (all []*bun.SelectQuery) {
	for _, v := range imaging.Visibilities {
		if l.f.Visibility == nil || *l.f.Visibility == v {
			all = append(all, l.rows(idb, c).Where("image_request.created_by = ?", l.owner()).Where("image_request.visibility = ?", v))
		}
	}
	return all
}

// ofEach are the rows of each of these statuses.
func (l list) ofEach(idb bun.IDB, c *cut, statuses []imaging.Status) (all []*bun.SelectQuery) {
	for _, status := range statuses {
		q := l.rows(idb, c).Where(l.table+".status = ?", status)
		if l.table == versionTable && c.reading.Field == imaging.ByStartDate {
			q = equal(q, "version.provider_id = ?", l.f.Provider)
		}
		all = append(all, q)
	}
	return all
}

// ofStatuses are the rows of these statuses in an order by status: all of those whose rows lie within the bounds of the cut, which an
// index has one status after the other, and those of the statuses in which it begins and ends. With status = … Postgres would not see
// that what comes of one status goes on in the order of the list, and would sort it all.
func (l list) ofStatuses(idb bun.IDB, c *cut, statuses []imaging.Status) (all []*bun.SelectQuery) {
	byDate := *c // within a status
	byDate.reading.Field = imaging.ByStartDate
	of := func(statuses ...imaging.Status) *bun.SelectQuery {
		return l.rows(idb, &byDate).Where(l.table+".status = ANY (?)", pgdialect.Array(statuses))
	}
	var whole []imaging.Status
	for _, status := range statuses {
		beyond := false
		byDate.bounds = nil
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
			all = append(all, of(status))
		}
	}
	if byDate.bounds = nil; whole != nil || all == nil {
		all = append(all, of(whole...))
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

// byOwner tells whether an index has the requests of the list's owner in its order.
func (l list) byOwner(c *cut) bool {
	return c.reading.Field == imaging.ByStartDate && l.table == requestTable && l.owner() != nil
}

// visibility is what all requests of the list have, if it is one.
func (l list) visibility() *imaging.Visibility {
	if l.f.Visibility == nil && kindOf(l.actor) == (actorKind{}) {
		return new(imaging.Public)
	}
	return l.f.Visibility
}
