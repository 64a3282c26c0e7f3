// Package graph answers GraphQL. Its resolvers say which use case of db.Store a field is, and nothing more.
package graph

import (
	"imagerequests/db"
	"imagerequests/imaging"
)

// Resolver is the root of all resolvers.
type Resolver struct {
	store *db.Store
	feed  *db.Feed
}

// viewer is null for who has not signed in.
func viewer(a imaging.Actor) *imaging.Actor {
	if !a.SignedIn() {
		return nil
	}
	return &a
}
