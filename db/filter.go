package db

import (
	"reflect"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/imaging"
)

// wanted selects the rows of the table that the actor may see and the filter wants. A request is filtered by its newest
// version's columns, which its own row repeats; so both tables have all columns of a filter by the same names.
func wanted(idb bun.IDB, table string, a imaging.Actor, f *imaging.Filter) *bun.SelectQuery {
	return wantedOf(idb, table, f, ruleOf(a, f))
}

// ruleOf is what the actor may see of what the filter wants.
func ruleOf(a imaging.Actor, f *imaging.Filter) rule {
	return func(q *bun.SelectQuery) *bun.SelectQuery {
		if f.Visibility != nil {
			return visibleOf(q, *f.Visibility, a)
		}
		return visible(q, a)
	}
}

// wantedOf is wanted of what a rule leaves.
func wantedOf(idb bun.IDB, table string, f *imaging.Filter, visible rule) *bun.SelectQuery {
	q := idb.NewSelect()
	if table == versionTable {
		q = q.Model((*imaging.Version)(nil)).Join(withRequest)
	} else {
		q = q.Model((*imaging.ImageRequest)(nil))
	}
	return ofRows(ofRequests(visible(q), f), table, f)
}

const withRequest = "JOIN image_requests AS image_request ON image_request.id = version.image_request_id"

// ofRequests narrows by what only requests have.
func ofRequests(q *bun.SelectQuery, f *imaging.Filter) *bun.SelectQuery {
	if len(f.Tags) > 0 {
		q = q.Where("image_request.tags @> ?", pgdialect.Array(f.Tags))
	}
	if f.Search != nil {
		for _, word := range imaging.SearchWords(*f.Search) {
			q = q.Where("image_request.search_text LIKE ?", "%"+word+"%")
		}
	}
	q = equal(q, "image_request.id = ?", f.ImageRequest)
	q = equal(q, "image_request.created_by = ?", f.CreatedBy)
	return equal(q, "image_request.visibility = ?", f.Visibility)
}

// ofRows narrows by what the rows of the table have themselves.
func ofRows(q *bun.SelectQuery, table string, f *imaging.Filter) *bun.SelectQuery {
	if f.IDs != nil {
		q = q.Where(table+".id = ANY (?)", pgdialect.Array(f.IDs))
	}
	if f.Status != nil {
		q = q.Where(table+".status = ANY (?)", pgdialect.Array(f.Status))
	}
	if f.Ended != nil && *f.Ended {
		q = q.Where(table + ".end_date <= now()")
	} else if f.Ended != nil {
		q = q.Where("(" + table + ".end_date IS NULL OR " + table + ".end_date > now())")
	}
	q = equal(q, table+".provider_id = ?", f.Provider)
	q = equal(q, table+".instance = ?", f.Instance)
	q = equal(q, table+".start_date >= ?", f.StartedFrom)
	q = equal(q, table+".start_date < ?", f.StartedBefore)
	q = equal(q, table+".end_date >= ?", f.EndsFrom)
	return equal(q, table+".end_date < ?", f.EndsBefore)
}

func equal[T any](q *bun.SelectQuery, condition string, v *T) *bun.SelectQuery {
	if v == nil {
		return q
	}
	return q.Where(condition, *v)
}

// onlyHas tells whether the filter has nothing but what kept has, which was taken from it. No tags want all.
func onlyHas(f *imaging.Filter, kept imaging.Filter) bool {
	asked := *f
	if len(asked.Tags) == 0 {
		asked.Tags = nil
	}
	return reflect.DeepEqual(asked, kept)
}
