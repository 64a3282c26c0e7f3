package db

import (
	"context"
	"database/sql"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"imagerequests/imaging"
)

const (
	requestTable = "image_request"
	versionTable = "version"
)

// ImageRequests is a page of the requests that the actor may see. A nil filter wants those that are not retired, a nil
// order the newest first. INVALID by field for a bad slice, cursor or filter.
func (s *Store) ImageRequests(ctx context.Context, a imaging.Actor, slice imaging.Slice, f *imaging.Filter, o *imaging.Order) (*ImageRequestConnection, error) {
	f, order := currentIfNil(f), newestIfNil(o)
	cut, err := newCut(slice, requestTable, order, f.Problems())
	if err != nil {
		return nil, err
	}
	list := func() *bun.SelectQuery { return wanted(s.db, requestTable, a, f) }
	var rows []*imaging.ImageRequest
	if isCurrent(f) {
		rows, err = s.currentPage(ctx, a, cut)
	} else {
		rows, err = s.aggregates(ctx, s.db, a, cut.apply(list().Column("image_request.id")), cut.reading)
	}
	if err != nil {
		return nil, err
	}
	cursor := func(r *imaging.ImageRequest) string {
		return encodeCursor(requestTable, order, requestValue(r, order.Field), r.ID)
	}
	return connect(s, cut, rows, cursor, list, func(ctx context.Context) (int, error) { return s.count(ctx, requestTable, a, f) }), nil
}

// currentPage is a page of all requests that are not retired: the list that nearly everybody asks for, so it is prepared.
func (s *Store) currentPage(ctx context.Context, a imaging.Actor, c *cut) ([]*imaging.ImageRequest, error) {
	shape, c, args := c.prepared()
	return s.read(ctx, a, "page "+shape, func(p *picked, visible rule) *bun.SelectQuery {
		page := visible(s.db.NewSelect().Model((*imaging.ImageRequest)(nil)).Column("image_request.*"))
		page = c.apply(ofRows(page, requestTable, currentIfNil(nil)))
		return p.inOrder(p.fromAll(s.db, page), c.reading)
	}, args...)
}

// CountImageRequests is how many requests ImageRequests has in all for this actor and filter, exactly.
func (s *Store) CountImageRequests(ctx context.Context, a imaging.Actor, f *imaging.Filter) (int, error) {
	f = currentIfNil(f)
	if err := f.Problems().Err(); err != nil {
		return 0, err
	}
	return s.count(ctx, requestTable, a, f)
}

// ImageRequestPage is a page by number: at most limit requests from the offset on, in the order of ImageRequests.
func (s *Store) ImageRequestPage(ctx context.Context, a imaging.Actor, offset, limit int, f *imaging.Filter, o *imaging.Order) ([]*imaging.ImageRequest, error) {
	f, order := currentIfNil(f), newestIfNil(o)
	if err := f.Problems().Err(); err != nil {
		return nil, err
	}
	if limit < 1 || offset < 0 {
		return []*imaging.ImageRequest{}, nil
	}
	var rows []*imaging.ImageRequest
	err := s.atOnce(ctx, func(ctx context.Context, tx bun.Tx) error {
		ids := wanted(tx, requestTable, a, f).Column("image_request.id")
		if offset > 0 && order.Field == imaging.ByStartDate && tallied(requestTable, a, f) {
			from, left, err := tally{requestTable, a, f}.skip(ctx, tx, order, offset)
			if err != nil {
				return err
			}
			ids, offset = startingFrom(ids, order, from), left
		}
		var err error
		rows, err = s.aggregates(ctx, tx, a, orderBy(ids.Offset(int64(offset)).Limit(int64(limit)), requestTable, order), order)
		return err
	})
	if err != nil {
		return nil, s.translate(err)
	}
	return rows, nil
}

// startingFrom leaves in a list of requests by start date what is not before the moment, in the direction of the list.
func startingFrom(q *bun.SelectQuery, o imaging.Order, moment time.Time) *bun.SelectQuery {
	if o.Direction == imaging.Desc {
		return q.Where("image_request.start_date < ?", moment)
	}
	return q.Where("image_request.start_date >= ?", moment)
}

// Versions is a page of the versions of all requests that the actor may see. A nil filter wants all, a nil order the
// newest first. INVALID by field for a bad slice, cursor or filter.
func (s *Store) Versions(ctx context.Context, a imaging.Actor, slice imaging.Slice, f *imaging.Filter, o *imaging.Order) (*VersionConnection, error) {
	if f == nil {
		f = &imaging.Filter{}
	}
	order := newestIfNil(o)
	cut, err := newCut(slice, versionTable, order, f.Problems())
	if err != nil {
		return nil, err
	}
	list := func() *bun.SelectQuery { return wanted(s.db, versionTable, a, f) }
	var rows []*imaging.Version
	err = s.atOnce(ctx, func(ctx context.Context, tx bun.Tx) error {
		rows, err = s.versionPage(ctx, tx, a, cut, f)
		return err
	})
	if err != nil {
		return nil, s.translate(err)
	}
	cursor := func(v *imaging.Version) string {
		return encodeCursor(versionTable, order, versionValue(v, order.Field), v.ID)
	}
	return connect(s, cut, rows, cursor, list, func(ctx context.Context) (int, error) { return s.count(ctx, versionTable, a, f) }), nil
}

// versionPage reads which versions are wanted, then loads them through their requests. Both must see the same moment: a
// version that has moved on between them would not be what was wanted, and its cursor would name another place.
func (s *Store) versionPage(ctx context.Context, tx bun.Tx, a imaging.Actor, cut *cut, f *imaging.Filter) ([]*imaging.Version, error) {
	var keys []imaging.Version
	if err := cut.apply(wanted(tx, versionTable, a, f).Column("version.id", "version.image_request_id")).Scan(ctx, &keys); err != nil {
		return nil, err
	}
	ids := make([]uuid.UUID, len(keys))
	for i, k := range keys {
		ids[i] = k.ImageRequestID
	}
	requests, err := s.byID(ctx, tx, a, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]*imaging.Version, len(keys))
	for i, k := range keys {
		rows[i] = requests[k.ImageRequestID].Version(k.ID)
	}
	return rows, nil
}

// atOnce runs reads that must all see the database as it is at one moment.
func (s *Store) atOnce(ctx context.Context, f func(context.Context, bun.Tx) error) error {
	return s.db.RunInTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, f)
}

func currentIfNil(f *imaging.Filter) *imaging.Filter {
	if f != nil {
		return f
	}
	current := false
	return &imaging.Filter{Ended: &current}
}

// isCurrent tells whether the filter is the one that wants what is not retired, and no other.
func isCurrent(f *imaging.Filter) bool {
	return f.Ended != nil && !*f.Ended && onlyHas(f, imaging.Filter{Ended: f.Ended})
}

func newestIfNil(o *imaging.Order) imaging.Order {
	if o == nil {
		return imaging.NewestFirst
	}
	return *o
}
