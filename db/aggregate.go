package db

import (
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/uptrace/bun"

	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// from selects the columns from the joined tables: a row for each version with its request, or one for each request if no
// version is looked at.
func (p *picked) from(idb bun.IDB) *bun.SelectQuery {
	return p.with(idb.NewSelect().TableExpr("image_requests AS image_request"))
}

// fromAll is from for the requests that the query selects whole.
func (p *picked) fromAll(idb bun.IDB, requests *bun.SelectQuery) *bun.SelectQuery {
	return p.with(idb.NewSelect().TableExpr("(?) AS image_request", requests))
}

func (p *picked) with(q *bun.SelectQuery) *bun.SelectQuery {
	q = q.ColumnExpr(p.list)
	if len(p.version) == 0 {
		return q
	}
	q = q.Join("JOIN versions AS version ON version.image_request_id = image_request.id")
	if len(p.provider) > 0 {
		q = q.Join("JOIN providers AS provider ON provider.id = version.provider_id")
	}
	return q
}

// fromRanked is from for the requests of the versions whose keys and places the query selects: behind each version of those
// is its rank among them.
func (p *picked) fromRanked(idb bun.IDB, keys *bun.SelectQuery, o imaging.Order) *bun.SelectQuery {
	ranked := idb.NewSelect().TableExpr("(?) AS page", keys).ColumnExpr("page.id, page.image_request_id").
		ColumnExpr("row_number() OVER (ORDER BY ?) AS rank", bun.Safe(ordering("page", o)))
	return p.from(idb).ColumnExpr("ranked.rank").WithQuery(bun.NewWithQuery("ranked", ranked).Materialized()).
		Join("LEFT JOIN ranked ON ranked.id = version.id").Where("image_request.id IN (SELECT image_request_id FROM ranked)").
		OrderExpr("image_request.id")
}

// gathering makes aggregates of rows, as they come.
type gathering struct {
	*picked
	requests []*imaging.ImageRequest
	ranked   map[int]*imaging.Version // of a list of versions, by their places: what rows have behind their columns
}

// take takes the next row.
func (g *gathering) take(c cells) error {
	r := g.request(&c)
	if len(g.version) > 0 {
		of := &struct { // made in one go
			imaging.Version
			imaging.Provider
		}{}
		v := &of.Version
		v.ImageRequest, v.ImageRequestID, v.Provider = r, r.ID, &of.Provider
		fill(v, g.picked.version, &c)
		if v.Provider.ID = v.ProviderID; len(g.provider) > 0 {
			fill(v.Provider, g.provider, &c)
		}
		r.Versions = append(r.Versions, v)
		for i := len(r.Versions) - 1; i > 0 && r.Versions[i-1].Ordinal > v.Ordinal; i-- { // Postgres need not sort them
			r.Versions[i-1], r.Versions[i] = v, r.Versions[i-1]
		}
		if g.ranked != nil && !c.null() {
			g.ranked[c.number()] = v
		}
	}
	return c.err
}

// row is take of a prepared read.
func (g *gathering) row(r safedriver.Row) error { return g.take(cells{row: r}) }

// request is the one that the row is of: the last one, or a new one.
func (g *gathering) request(c *cells) *imaging.ImageRequest {
	if n := len(g.requests); n > 0 && len(g.version) > 0 {
		ahead := *c
		if last := g.requests[n-1]; ahead.id() == last.ID { // the id is the first column
			c.skip(len(g.picked.request))
			return last
		}
	}
	of := &struct { // with a place for the one version that most have
		imaging.ImageRequest
		first [1]*imaging.Version
	}{}
	r := &of.ImageRequest
	if len(g.version) > 0 {
		r.Versions = of.first[:0]
	}
	fill(r, g.picked.request, c)
	g.requests = append(g.requests, r)
	return r
}

func fill[T any](to *T, columns []columnOf[T], from *cells) {
	for _, column := range columns {
		column.set(to, from)
	}
}

// all gathers the rows of a query.
func (g *gathering) all(rows *sql.Rows) (err error) {
	defer func() { err = errors.Join(err, rows.Close(), rows.Err()) }()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([]driver.Value, len(columns))
	to := make([]any, len(values))
	for i := range values {
		to[i] = (*any)(&values[i])
	}
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return err
		}
		if err := g.take(cells{values: values}); err != nil {
			return err
		}
	}
	return nil
}

// inPlace are the versions of a list of versions, in its order.
func (g *gathering) inPlace() []*imaging.Version {
	versions := make([]*imaging.Version, len(g.ranked))
	for place, v := range g.ranked {
		versions[place-1] = v
	}
	return versions
}
