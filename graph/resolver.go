// Package graph answers GraphQL. Its resolvers say which use case of db.Store a field is, and nothing more.
package graph

import (
	"context"

	"imagerequests/db"
	"imagerequests/graph/plan"
	"imagerequests/imaging"
)

// Resolver is the root of all resolvers.
type Resolver struct {
	store *db.Store
	feed  *db.Feed
}

// read is the store; for a field that has a plan, one that reads no more than the plan writes.
func (r *Resolver) read(ctx context.Context) *db.Store { return r.store.Only(plan.Columns(ctx)) }

// viewer is null for who has not signed in.
func viewer(a imaging.Actor) *imaging.Actor {
	if !a.SignedIn() {
		return nil
	}
	return &a
}
