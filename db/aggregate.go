package db

import (
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/uptrace/bun"

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

// key is the column of the request's id that versions are found by.
func (p *picked) key() string {
	if len(p.version) == 0 {
		return "image_request.id"
	}
	return "version.image_request_id"
}

// inOrder lets the rows of a request come one after the other, the oldest version first.
func (p *picked) inOrder(q *bun.SelectQuery, o imaging.Order) *bun.SelectQuery {
	q = orderBy(q, requestTable, o)
	if len(p.version) == 0 {
		return q
	}
	return q.OrderExpr("version.ordinal")
}

// gathering makes aggregates of rows, as they come.
type gathering struct {
	*picked
	requests []*imaging.ImageRequest
}

// row takes the next row.
func (g *gathering) row(values []driver.Value) error {
	c := cells{values: values}
	r := g.request(&c)
	if len(g.version) > 0 {
		v := &imaging.Version{ImageRequest: r}
		fill(v, g.picked.version, &c)
		if v.Provider = (&imaging.Provider{ID: v.ProviderID}); len(g.provider) > 0 {
			fill(v.Provider, g.provider, &c)
		}
		r.Versions = append(r.Versions, v)
	}
	return c.err
}

// request is the one that the row is of: the last one, or a new one.
func (g *gathering) request(c *cells) *imaging.ImageRequest {
	if n := len(g.requests); n > 0 && len(g.version) > 0 {
		ahead := *c
		if last := g.requests[n-1]; ahead.id() == last.ID { // the id is the first column
			c.values = c.values[len(g.picked.request):]
			return last
		}
	}
	r := &imaging.ImageRequest{}
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
func (p *picked) all(rows *sql.Rows) (_ []*imaging.ImageRequest, err error) {
	defer func() { err = errors.Join(err, rows.Close(), rows.Err()) }()
	g := gathering{picked: p, requests: []*imaging.ImageRequest{}}
	values := make([]driver.Value, len(p.request)+len(p.version)+len(p.provider))
	to := make([]any, len(values))
	for i := range values {
		to[i] = (*any)(&values[i])
	}
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		if err := g.row(values); err != nil {
			return nil, err
		}
	}
	return g.requests, nil
}
