package db

import (
	"context"
	"slices"

	"imagerequests/imaging"
)

// Edge is a row of a list with its cursor.
type Edge[T any] struct {
	Cursor string
	Node   T
}

// Connection is a page of a list.
type Connection[T any] struct {
	Edges    []*Edge[T]
	PageInfo imaging.PageInfo
	count    func(context.Context) (int, error)
}

// The lists there are.
type (
	ImageRequestConnection = Connection[*imaging.ImageRequest]
	ImageRequestEdge       = Edge[*imaging.ImageRequest]
	VersionConnection      = Connection[*imaging.Version]
	VersionEdge            = Edge[*imaging.Version]
)

// Nodes are the rows without their cursors.
func (c *Connection[T]) Nodes() []T {
	nodes := make([]T, len(c.Edges))
	for i, e := range c.Edges {
		nodes[i] = e.Node
	}
	return nodes
}

// TotalCount is how many rows the whole list has for the caller, exactly. It asks the database at each call.
func (c *Connection[T]) TotalCount(ctx context.Context) (int, error) { return c.count(ctx) }

// first cuts what was read, one row further than the slice asks for, to what it asks for, and tells whether there is more.
func (c *cut) first(read int) (n int, more bool) { return min(read, c.n), read > c.n }

// connect makes a page of rows, which were read in the direction of the slice; more tells whether others lie beyond.
func connect[T any](rows []T, more bool, s imaging.Slice, cursor func(T) string, count func(context.Context) (int, error)) *Connection[T] {
	fromEnd := s.Last != nil
	if fromEnd {
		slices.Reverse(rows)
	}
	c := &Connection[T]{Edges: make([]*Edge[T], len(rows)), count: count}
	for i, row := range rows {
		c.Edges[i] = &Edge[T]{Cursor: cursor(row), Node: row}
	}
	// Beyond the cursor that the caller came from there is at least the row of that cursor.
	c.PageInfo.HasNextPage = more && !fromEnd || fromEnd && s.Before != nil
	c.PageInfo.HasPreviousPage = more && fromEnd || !fromEnd && s.After != nil
	if len(rows) > 0 {
		c.PageInfo.StartCursor, c.PageInfo.EndCursor = &c.Edges[0].Cursor, &c.Edges[len(rows)-1].Cursor
	}
	return c
}
