package db

import (
	"context"
	"fmt"
	"strconv"

	"github.com/uptrace/bun"

	"imagerequests/imaging"
)

// A page is read along an index that has the order of its list (walk.go), which costs the same wherever the page is, as long as what is
// wanted is not rare there. How rare it is, nobody knows beforehand. So at first only so many rows are looked at. If they do
// not fill the page, it is read anew from the other side (gather.go): what is wanted is gathered by its own indexes, and sorted; but no
// more than so many rows of it. Only if there are more does the first way go on to its end. Each statement answers the whole page by itself,
// so that a page is of one moment.

// reach is how far the two ways go.
type reach struct {
	each int // rows that are walked along for each that is wanted
	few  int // rows that are gathered
}

var usualReach = reach{each: 200, few: 10_000}

// walked is how many rows are looked at for a page. A large page of what is rare is not worth much more than a small one, and a row whose
// text is searched takes twice as long as another.
func (r reach) walked(f *imaging.Filter, c *cut) int {
	if f.Search != nil {
		r.each = (r.each + 1) / 2
	}
	n := c.offset + c.n + 1
	return min(r.each*n, r.few+n)
}

// list is one that is read by pages: the rows of a table that the actor may see and the filter wants.
type list struct {
	table string
	actor imaging.Actor
	f     *imaging.Filter
}

// unlikely tells whether a walk would probably be for nothing: of what is not public, hardly anybody sees much.
func (l list) unlikely(c *cut) bool {
	f := l.f
	theirs := f.Visibility != nil && *f.Visibility != imaging.Public && !kindOf(l.actor).staff
	return theirs && !l.byOwner(c) || f.IDs != nil || f.ImageRequest != nil || f.Instance != nil || f.Status != nil && len(f.Status) == 0
}

// requestPage reads the requests of the cut, in the order in which it is read.
func (s *Store) requestPage(ctx context.Context, idb bun.IDB, l list, c *cut) ([]*imaging.ImageRequest, error) {
	if most := s.reach.walked(l.f, c); c.offset <= s.reach.few && !l.unlikely(c) {
		g := gathering{picked: s.columns.pick(purpose{l.table, c.reading.Field}), requests: []*imaging.ImageRequest{}}
		err := s.walk(ctx, idb, l, c, &g, func(c *cut, visible rule) *bun.SelectQuery {
			page := l.walk(idb, c, visible, most).ColumnExpr("image_request.*")
			return orderBy(g.fromAll(idb, page), requestTable, c.reading)
		})
		if err != nil || len(g.requests) > c.n {
			return g.requests, err
		}
	}
	ids := idb.NewSelect().TableExpr("(?) AS rest", l.rest(idb, c, s.reach)).ColumnExpr("rest.id")
	rows, err := s.loadBy(ctx, idb, l.actor, ids, purpose{l.table, c.reading.Field}, c.reading)
	redact(l.actor, rows)
	return rows, err
}

// jumpPage reads a page by number of the usual list by start date, from where its counts say that it begins, in one statement that is prepared.
func (s *Store) jumpPage(ctx context.Context, l list, o imaging.Order, offset, limit int) ([]*imaging.ImageRequest, error) {
	kind, what := kindOf(l.actor), fmt.Sprint("page by number of ", limit, " ", o.Direction)
	g := gathering{picked: s.columns.pick(purpose{l.table, o.Field}), requests: []*imaging.ImageRequest{}}
	err := s.ask(ctx, l.actor, s.pages, hotKey{what, kind, g.list}, func(asks asking) *bun.SelectQuery {
		side := "image_request.start_date >= (SELECT since FROM place)::timestamptz"
		if o.Direction == imaging.Desc {
			side = "image_request.start_date < (SELECT since + 1 FROM place)::timestamptz"
		}
		visible := func(q *bun.SelectQuery) *bun.SelectQuery { return visibleTo(q, kind, asks) }
		rows := orderBy(wantedOf(s.db, l.table, l.f, visible).Column("image_request.*").Where(side), l.table, o).Limit(int64(limit))
		page := s.db.NewSelect().TableExpr("(? OFFSET (SELECT rest FROM place)) AS image_request", rows).ColumnExpr("image_request.*")
		t := tally{table: l.table, actor: l.actor, f: l.f, theirs: privateTo(kind, asks)}
		return t.placed(orderBy(g.fromAll(s.db, page), l.table, o), s.db, o, "$1::bigint")
	}, g.row, strconv.Itoa(offset))
	redact(l.actor, g.requests)
	return g.requests, err
}

// versionPage reads the versions of the cut, likewise.
func (s *Store) versionPage(ctx context.Context, l list, c *cut) ([]*imaging.Version, error) {
	g := gathering{picked: s.columns.pick(purpose{l.table, c.reading.Field}), ranked: map[int]*imaging.Version{}}
	if most := s.reach.walked(l.f, c); !l.unlikely(c) {
		err := s.walk(ctx, s.db, l, c, &g, func(c *cut, visible rule) *bun.SelectQuery {
			return g.fromRanked(s.db, l.keys(l.walk(s.db, c, visible, most), c), c.reading)
		})
		if err != nil || len(g.ranked) > c.n {
			return g.inPlace(), err
		}
	}
	g = gathering{picked: g.picked, ranked: map[int]*imaging.Version{}}
	err := s.gather(ctx, &g, g.fromRanked(s.db, l.rest(s.db, c, s.reach), c.reading))
	redact(l.actor, g.requests)
	return g.inPlace(), err
}

// walk gathers a page that build makes of the cut. The lists that nearly everybody asks for are prepared.
func (s *Store) walk(ctx context.Context, idb bun.IDB, l list, c *cut, g *gathering, build func(*cut, rule) *bun.SelectQuery) error {
	if inTx := idb != bun.IDB(s.db); usual(l.table, l.f) && c.offset == 0 && !inTx {
		shape, placed, args := c.prepared()
		what := fmt.Sprint(l.table, "s ", shape, " of ", s.reach)
		return s.readInto(ctx, l.actor, g, s.pages, what, func(_ *picked, visible rule) *bun.SelectQuery { return build(placed, visible) }, args...)
	}
	err := s.gather(ctx, g, build(c, func(q *bun.SelectQuery) *bun.SelectQuery { return visible(q, l.actor) }))
	redact(l.actor, g.requests)
	return err
}

// holds tells whether the cut has any rows.
func (s *Store) holds(ctx context.Context, l list, c *cut) (bool, error) {
	if !l.unlikely(c) {
		found, err := l.keys(l.walk(s.db, c, func(q *bun.SelectQuery) *bun.SelectQuery { return visible(q, l.actor) }, s.reach.walked(l.f, c)), c).Exists(ctx)
		if err != nil || found {
			return found, s.translate(err)
		}
	}
	found, err := l.rest(s.db, c, s.reach).Exists(ctx)
	return found, s.translate(err)
}

// keys are what tells rows of a list apart, and their places in it.
func (l list) keys(q *bun.SelectQuery, c *cut) *bun.SelectQuery {
	for _, column := range orderColumns(c.reading.Field) {
		q = q.ColumnExpr(l.table + "." + column)
	}
	if l.table == versionTable {
		return q.ColumnExpr("version.image_request_id")
	}
	return q
}
