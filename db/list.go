package db

import (
	"context"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/imaging"
)

const (
	requestTable = "image_request"
	versionTable = "version"
)

// ImageRequests is a page of the requests that the actor may see. A nil filter wants those that are not retired, a nil
// order the newest first. INVALID by field for a bad slice, cursor or filter.
func (s *Store) ImageRequests(ctx context.Context, a imaging.Actor, slice imaging.Slice, f *imaging.ImageRequestFilter, o *imaging.Order) (*ImageRequestConnection, error) {
	f, order := currentIfNil(f), newestIfNil(o)
	cut, err := newCut(slice, requestTable, order, f.Problems())
	if err != nil {
		return nil, err
	}
	ids := cut.apply(s.wanted(a, f).Column("image_request.id"))
	rows, err := s.aggregates(ctx, s.db, a, ids, cut.reading)
	if err != nil {
		return nil, err
	}
	n, more := cut.first(len(rows))
	rows = rows[:n]
	cursor := func(r *imaging.ImageRequest) string {
		return encodeCursor(requestTable, order, requestValue(r, order.Field), r.ID)
	}
	count := func(ctx context.Context) (int, error) { return s.CountImageRequests(ctx, a, f) }
	return connect(rows, more, slice, cursor, count), nil
}

// CountImageRequests is how many requests ImageRequests has in all for this actor and filter, exactly.
func (s *Store) CountImageRequests(ctx context.Context, a imaging.Actor, f *imaging.ImageRequestFilter) (int, error) {
	f = currentIfNil(f)
	if err := f.Problems().Err(); err != nil {
		return 0, err
	}
	n, err := s.wanted(a, f).Count(ctx)
	return int(n), s.translate(err)
}

// ImageRequestPage is a page by number: at most limit requests from the offset on, in the order of ImageRequests.
func (s *Store) ImageRequestPage(ctx context.Context, a imaging.Actor, offset, limit int, f *imaging.ImageRequestFilter, o *imaging.Order) ([]*imaging.ImageRequest, error) {
	f, order := currentIfNil(f), newestIfNil(o)
	if err := f.Problems().Err(); err != nil {
		return nil, err
	}
	if limit < 1 || offset < 0 {
		return []*imaging.ImageRequest{}, nil
	}
	ids := s.wanted(a, f).Column("image_request.id").Offset(int64(offset)).Limit(int64(limit))
	return s.aggregates(ctx, s.db, a, orderBy(ids, requestTable, order), order)
}

// Versions is a page of the versions of all requests that the actor may see. A nil filter wants all, a nil order the
// newest first. INVALID by field for a bad slice, cursor, order or filter.
func (s *Store) Versions(ctx context.Context, a imaging.Actor, slice imaging.Slice, f *imaging.VersionFilter, o *imaging.Order) (*VersionConnection, error) {
	if f == nil {
		f = &imaging.VersionFilter{}
	}
	order, problems := newestIfNil(o), f.Problems()
	if order.Field == imaging.ByName {
		problems = append(problems, imaging.All(invalid("orderBy", "Versions have no name."))...)
	}
	cut, err := newCut(slice, versionTable, order, problems)
	if err != nil {
		return nil, err
	}
	var keys []imaging.Version
	page := cut.apply(s.wantedVersions(a, f).Column("version.id", "version.image_request_id"))
	if err := page.Scan(ctx, &keys); err != nil {
		return nil, s.translate(err)
	}
	n, more := cut.first(len(keys))
	rows, err := s.versionsOf(ctx, a, keys[:n])
	if err != nil {
		return nil, err
	}
	cursor := func(v *imaging.Version) string {
		return encodeCursor(versionTable, order, versionValue(v, order.Field), v.ID)
	}
	count := func(ctx context.Context) (int, error) {
		n, err := s.wantedVersions(a, f).Count(ctx)
		return int(n), s.translate(err)
	}
	return connect(rows, more, slice, cursor, count), nil
}

// versionsOf loads the versions with these keys through their requests, in the order of the keys.
func (s *Store) versionsOf(ctx context.Context, a imaging.Actor, keys []imaging.Version) ([]*imaging.Version, error) {
	ids := make([]uuid.UUID, len(keys))
	for i, k := range keys {
		ids[i] = k.ImageRequestID
	}
	requests, err := s.byID(ctx, a, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]*imaging.Version, 0, len(keys))
	for _, k := range keys {
		if r := requests[k.ImageRequestID]; r != nil {
			rows = append(rows, r.Version(k.ID))
		}
	}
	return rows, nil
}

// wanted selects the requests that the actor may see and the filter wants.
func (s *Store) wanted(a imaging.Actor, f *imaging.ImageRequestFilter) *bun.SelectQuery {
	q := visible(s.db.NewSelect().Model((*imaging.ImageRequest)(nil)), a)
	if f.IDs != nil {
		q = q.Where("image_request.id = ANY (?)", pgdialect.Array(f.IDs))
	}
	if f.Status != nil {
		q = q.Where("image_request.status = ANY (?)", pgdialect.Array(f.Status))
	}
	if len(f.Tags) > 0 {
		q = q.Where("image_request.tags @> ?", pgdialect.Array(f.Tags))
	}
	if f.Ended != nil && *f.Ended {
		q = q.Where("image_request.end_date <= now()")
	} else if f.Ended != nil {
		q = q.Where("(image_request.end_date IS NULL OR image_request.end_date > now())")
	}
	if f.Search != nil {
		for _, word := range imaging.SearchWords(*f.Search) {
			q = q.Where("position(? IN image_request.search_text) > 0", word)
		}
	}
	q = equal(q, "image_request.created_by = ?", f.CreatedBy)
	q = equal(q, "image_request.provider_id = ?", f.Provider)
	q = equal(q, "image_request.visibility = ?", f.Visibility)
	q = equal(q, "image_request.instance = ?", f.Instance)
	q = equal(q, "image_request.start_date >= ?", f.StartedFrom)
	q = equal(q, "image_request.start_date < ?", f.StartedBefore)
	q = equal(q, "image_request.end_date >= ?", f.EndsFrom)
	return equal(q, "image_request.end_date < ?", f.EndsBefore)
}

// wantedVersions selects the versions that the actor may see and the filter wants.
func (s *Store) wantedVersions(a imaging.Actor, f *imaging.VersionFilter) *bun.SelectQuery {
	q := s.db.NewSelect().Model((*imaging.Version)(nil)).
		Join("JOIN image_requests AS image_request ON image_request.id = version.image_request_id")
	q = visible(q, a)
	if f.Status != nil {
		q = q.Where("version.status = ANY (?)", pgdialect.Array(f.Status))
	}
	q = equal(q, "version.provider_id = ?", f.Provider)
	q = equal(q, "version.instance = ?", f.Instance)
	q = equal(q, "version.image_request_id = ?", f.ImageRequest)
	q = equal(q, "image_request.created_by = ?", f.CreatedBy)
	q = equal(q, "version.start_date >= ?", f.StartedFrom)
	return equal(q, "version.start_date < ?", f.StartedBefore)
}

func equal[T any](q *bun.SelectQuery, condition string, v *T) *bun.SelectQuery {
	if v == nil {
		return q
	}
	return q.Where(condition, *v)
}

func currentIfNil(f *imaging.ImageRequestFilter) *imaging.ImageRequestFilter {
	if f != nil {
		return f
	}
	current := false
	return &imaging.ImageRequestFilter{Ended: &current}
}

func newestIfNil(o *imaging.Order) imaging.Order {
	if o == nil {
		return imaging.NewestFirst
	}
	return *o
}

// cut is a slice of a list, checked: where it starts and in which direction it is read.
type cut struct {
	table   string
	n       int
	fromEnd bool
	reading imaging.Order // the list's order, reversed for a slice from its end
	bounds  []bound
}

type bound struct {
	op    string
	value any
	id    uuid.UUID
}

// newCut checks a slice; problems are what is wrong with the filter beside it.
func newCut(s imaging.Slice, table string, o imaging.Order, problems imaging.Problems) (*cut, error) {
	n, fromEnd, err := s.Size()
	if err != nil {
		problems = append(problems, imaging.All(err)...)
	}
	c := &cut{table: table, n: n, fromEnd: fromEnd, reading: o}
	ahead, back := ">", "<"
	if o.Direction == imaging.Desc {
		ahead, back = back, ahead
	}
	for _, end := range []struct {
		field, op string
		cursor    *string
	}{{"after", ahead, s.After}, {"before", back, s.Before}} {
		if end.cursor == nil {
			continue
		}
		value, id, err := decodeCursor(end.field, *end.cursor, table, o)
		if err != nil {
			problems = append(problems, imaging.All(err)...)
			continue
		}
		c.bounds = append(c.bounds, bound{end.op, sqlValue(o.Field, value), id})
	}
	if fromEnd {
		c.reading.Direction = reversed(o.Direction)
	}
	return c, problems.Err()
}

// apply reads one row more than is wanted, to know whether there is more.
func (c *cut) apply(q *bun.SelectQuery) *bun.SelectQuery {
	for _, b := range c.bounds {
		q = q.Where("(?, ?) "+b.op+" (?, ?)", bun.Safe(column(c.table, c.reading.Field)), bun.Safe(c.table+".id"), b.value, b.id)
	}
	return orderBy(q, c.table, c.reading).Limit(int64(c.n) + 1)
}

func orderBy(q *bun.SelectQuery, table string, o imaging.Order) *bun.SelectQuery {
	direction := " " + string(imaging.Asc)
	if o.Direction == imaging.Desc {
		direction = " " + string(imaging.Desc)
	}
	return q.OrderExpr(column(table, o.Field) + direction).OrderExpr(table + ".id" + direction)
}

func reversed(d imaging.Direction) imaging.Direction {
	if d == imaging.Desc {
		return imaging.Asc
	}
	return imaging.Desc
}
