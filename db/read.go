package db

import (
	"context"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/imaging"
)

// ImageRequest is the request with this id. NOT_FOUND if there is none or the actor may not see it.
func (s *Store) ImageRequest(ctx context.Context, a imaging.Actor, id uuid.UUID) (*imaging.ImageRequest, error) {
	return s.one(ctx, s.db, a, id)
}

// Version is the version with this id, with its request. NOT_FOUND if there is none or the actor may not see the request.
func (s *Store) Version(ctx context.Context, a imaging.Actor, id uuid.UUID) (*imaging.Version, error) {
	of := s.db.NewSelect().Model((*imaging.Version)(nil)).Column("version.image_request_id").Where("version.id = ?", id)
	rows, err := s.aggregates(ctx, s.db, a, of, imaging.NewestFirst)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, imaging.ErrNotFound()
	}
	return rows[0].Version(id), nil
}

// Nodes are the requests and versions with these ids, in their order; nil for each that is not there for the actor.
// INVALID if there are more than 100.
func (s *Store) Nodes(ctx context.Context, a imaging.Actor, ids []uuid.UUID) ([]imaging.Node, error) {
	if err := (&imaging.Filter{IDs: ids}).Problems().Err(); err != nil {
		return nil, err
	}
	of := s.db.NewSelect().Model((*imaging.Version)(nil)).Column("version.image_request_id").
		Where("version.id = ANY (?0) OR version.image_request_id = ANY (?0)", pgdialect.Array(ids))
	rows, err := s.aggregates(ctx, s.db, a, of, imaging.NewestFirst)
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
	rows, err := s.aggregates(ctx, idb, a, idb.NewSelect().ColumnExpr("?::uuid", id), imaging.NewestFirst)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, imaging.ErrNotFound()
	}
	return rows[0], nil
}

func (s *Store) byID(ctx context.Context, idb bun.IDB, a imaging.Actor, ids []uuid.UUID) (map[uuid.UUID]*imaging.ImageRequest, error) {
	rows, err := s.aggregates(ctx, idb, a, idb.NewSelect().ColumnExpr("unnest(?::uuid[])", pgdialect.Array(ids)), imaging.NewestFirst)
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
func (s *Store) aggregates(ctx context.Context, idb bun.IDB, a imaging.Actor, ids *bun.SelectQuery, o imaging.Order) ([]*imaging.ImageRequest, error) {
	requests, err := s.load(ctx, idb, a, ids, o)
	for _, r := range requests {
		imaging.Redact(a, r)
	}
	return requests, err
}

// load is aggregates with all that there is to read, for a change. It is one statement, so that each aggregate is of one
// moment.
func (s *Store) load(ctx context.Context, idb bun.IDB, a imaging.Actor, ids *bun.SelectQuery, o imaging.Order) ([]*imaging.ImageRequest, error) {
	p := s.columns.pick()
	q := p.from(idb)
	rows, err := p.inOrder(visible(q.Where(p.key()+" IN (?)", ids), a), o).Rows(ctx)
	if err != nil {
		return nil, s.translate(err)
	}
	read, err := p.all(rows)
	return read, s.translate(err)
}
