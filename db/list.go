package db

import (
	"context"
	"database/sql"
	"time"

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
	l := list{requestTable, a, f}
	rows, err := s.requestPage(ctx, s.db, l, cut)
	if err != nil {
		return nil, err
	}
	cursor := func(r *imaging.ImageRequest) string {
		return encodeCursor(requestTable, order, requestValue(r, order.Field), r.ID)
	}
	return connectList(s, l, cut, rows, cursor), nil
}

// connectList makes a page of a list, with what only the database knows of the rest of it.
func connectList[T any](s *Store, l list, c *cut, rows []T, cursor func(T) string) *Connection[T] {
	there := func(ctx context.Context, c *cut) (bool, error) { return s.holds(ctx, l, c) }
	count := func(ctx context.Context) (int, error) { return s.count(ctx, l.table, l.actor, l.f) }
	return connect(c, rows, cursor, there, count)
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
	l, c := list{requestTable, a, f}, &cut{table: requestTable, n: limit - 1, offset: offset, reading: order}
	if offset == 0 || order.Field != imaging.ByStartDate || !tallied(requestTable, a, f) {
		return s.requestPage(ctx, s.db, l, c)
	}
	if usual(requestTable, f) {
		return s.jumpPage(ctx, l, order, offset, limit)
	}
	rows := []*imaging.ImageRequest{}
	err := s.atOnce(ctx, func(ctx context.Context, tx bun.Tx) error {
		from, rest, ok, err := tallyOf(requestTable, a, f).place(ctx, tx, order, offset)
		if !ok {
			return err
		}
		c.offset, l.f = rest, startingFrom(f, order, from)
		rows, err = s.requestPage(ctx, tx, l, c)
		return err
	})
	if err != nil {
		return nil, s.translate(err)
	}
	return rows, nil
}

// startingFrom narrows a filter that asks for no dates to what is not before the moment, in the direction of a list by start date.
func startingFrom(f *imaging.Filter, o imaging.Order, moment time.Time) *imaging.Filter {
	rest := *f
	if o.Direction == imaging.Desc {
		rest.StartedBefore = &moment
	} else {
		rest.StartedFrom = &moment
	}
	return &rest
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
	l := list{versionTable, a, f}
	rows, err := s.versionPage(ctx, l, cut)
	if err != nil {
		return nil, err
	}
	cursor := func(v *imaging.Version) string {
		return encodeCursor(versionTable, order, versionValue(v, order.Field), v.ID)
	}
	return connectList(s, l, cut, rows, cursor), nil
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

// usual tells whether the filter is the one of the list that nearly everybody asks for.
func usual(table string, f *imaging.Filter) bool {
	return table == requestTable && isCurrent(f) || table == versionTable && onlyHas(f, imaging.Filter{})
}

func newestIfNil(o *imaging.Order) imaging.Order {
	if o == nil {
		return imaging.NewestFirst
	}
	return *o
}
