package db

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/imaging"
)

// ImageRequest is the request with this id. NOT_FOUND if there is none or the actor may not see it.
func (s *Store) ImageRequest(ctx context.Context, a imaging.Actor, id uuid.UUID) (*imaging.ImageRequest, error) {
	rows, err := s.read(ctx, a, "image request", func(p *picked, visible rule) *bun.SelectQuery {
		return visible(p.from(s.db).Where("image_request.id = $1"))
	}, id.String())
	return first(rows, err)
}

// Version is the version with this id, with its request. NOT_FOUND if there is none or the actor may not see the request.
func (s *Store) Version(ctx context.Context, a imaging.Actor, id uuid.UUID) (*imaging.Version, error) {
	rows, err := s.read(ctx, a, "version", func(p *picked, visible rule) *bun.SelectQuery {
		of := "image_request.id = (SELECT image_request_id FROM versions WHERE id = $1)"
		return visible(p.from(s.db).Where(of))
	}, id.String())
	r, err := first(rows, err)
	if err != nil {
		return nil, err
	}
	return r.Version(id), nil
}

// Nodes are the requests and versions with these ids, in their order; nil for each that is not there for the actor.
// INVALID if there are more than 100.
func (s *Store) Nodes(ctx context.Context, a imaging.Actor, ids []uuid.UUID) ([]imaging.Node, error) {
	if err := (&imaging.Filter{IDs: ids}).Problems().Err(); err != nil {
		return nil, err
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	rows, err := s.read(ctx, a, "nodes", func(p *picked, visible rule) *bun.SelectQuery {
		of := "SELECT image_request_id FROM versions WHERE id = ANY ($1::uuid[]) UNION SELECT unnest($1::uuid[])"
		return orderBy(visible(p.from(s.db).Where("image_request.id IN (?)", bun.Safe(of))), requestTable, imaging.NewestFirst)
	}, "{"+strings.Join(texts, ",")+"}")
	if err != nil {
		return nil, err
	}
	found := map[uuid.UUID]imaging.Node{}
	for _, r := range rows {
		found[r.ID] = r
		for _, v := range r.Versions {
			found[v.ID] = v
		}
	}
	nodes := make([]imaging.Node, len(ids))
	for i, id := range ids {
		nodes[i] = found[id]
	}
	return nodes, nil
}

// one loads the request with this id.
func (s *Store) one(ctx context.Context, idb bun.IDB, a imaging.Actor, id uuid.UUID) (*imaging.ImageRequest, error) {
	rows, err := s.aggregates(ctx, idb, a, idb.NewSelect().ColumnExpr("?::uuid", id))
	return first(rows, err)
}

// first is the one request that was looked for: NOT_FOUND if there is none.
func first(rows []*imaging.ImageRequest, err error) (*imaging.ImageRequest, error) {
	if err == nil && len(rows) == 0 {
		err = imaging.ErrNotFound()
	}
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}

func (s *Store) byID(ctx context.Context, idb bun.IDB, a imaging.Actor, ids []uuid.UUID) (map[uuid.UUID]*imaging.ImageRequest, error) {
	rows, err := s.aggregates(ctx, idb, a, idb.NewSelect().ColumnExpr("unnest(?::uuid[])", pgdialect.Array(ids)))
	if err != nil {
		return nil, err
	}
	found := make(map[uuid.UUID]*imaging.ImageRequest, len(rows))
	for _, r := range rows {
		found[r.ID] = r
	}
	return found, nil
}

// aggregates loads the requests whose ids the query selects, as far as the actor may see them, with all their versions
// and without what the actor may not read.
func (s *Store) aggregates(ctx context.Context, idb bun.IDB, a imaging.Actor, ids *bun.SelectQuery) ([]*imaging.ImageRequest, error) {
	requests, err := s.load(ctx, idb, a, ids)
	redact(a, requests)
	return requests, err
}

// load is aggregates with all that there is to read, for a change. It is one statement, so that each aggregate is of one
// moment.
func (s *Store) load(ctx context.Context, idb bun.IDB, a imaging.Actor, ids *bun.SelectQuery) ([]*imaging.ImageRequest, error) {
	return s.loadBy(ctx, idb, a, ids, purpose{}, imaging.NewestFirst)
}

// loadBy is load for a purpose, in an order.
func (s *Store) loadBy(ctx context.Context, idb bun.IDB, a imaging.Actor, ids *bun.SelectQuery, of purpose, o imaging.Order) ([]*imaging.ImageRequest, error) {
	g := gathering{picked: s.columns.pick(of), requests: []*imaging.ImageRequest{}}
	err := s.gather(ctx, &g, orderBy(visible(g.from(idb).Where("image_request.id IN (?)", ids), a), requestTable, o))
	return g.requests, err
}

func (s *Store) gather(ctx context.Context, g *gathering, q *bun.SelectQuery) error {
	rows, err := q.Rows(ctx)
	if err == nil {
		err = g.all(rows)
	}
	return s.translate(err)
}
