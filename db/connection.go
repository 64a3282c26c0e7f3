package db

import (
	"context"
	"slices"

	"github.com/uptrace/bun"

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
	PageInfo *PageInfo
	count    func(context.Context) (int, error)
}

// The lists there are.
type (
	ImageRequestConnection = Connection[*imaging.ImageRequest]
	ImageRequestEdge       = Edge[*imaging.ImageRequest]
	VersionConnection      = Connection[*imaging.Version]
	VersionEdge            = Edge[*imaging.Version]
	EventConnection        = Connection[*imaging.Event]
	EventEdge              = Edge[*imaging.Event]
)

// PageInfo says where a page begins and ends, and whether there is more beyond it.
type PageInfo struct {
	StartCursor    *string
	EndCursor      *string
	next, previous func(context.Context) (bool, error)
}

// HasNextPage tells whether there is more in the direction of the list's end. Only for a page that was read backwards from
// a cursor does it ask the database.
func (p *PageInfo) HasNextPage(ctx context.Context) (bool, error) { return p.next(ctx) }

// HasPreviousPage tells whether there is more in the direction of the list's start. Only for a page that was read forwards
// from a cursor does it ask the database.
func (p *PageInfo) HasPreviousPage(ctx context.Context) (bool, error) { return p.previous(ctx) }

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

// connect makes a page of the rows of a list that the cut has read, one further than it asks for if there are more.
func connect[T any](s *Store, c *cut, rows []T, cursor func(T) string, list func() *bun.SelectQuery, count func(context.Context) (int, error)) *Connection[T] {
	more := len(rows) > c.n
	rows = rows[:min(len(rows), c.n)]
	if c.fromEnd {
		slices.Reverse(rows)
	}
	page := &Connection[T]{Edges: make([]*Edge[T], len(rows)), PageInfo: &PageInfo{}, count: count}
	for i, row := range rows {
		page.Edges[i] = &Edge[T]{Cursor: cursor(row), Node: row}
	}
	info := page.PageInfo
	info.next = func(context.Context) (bool, error) { return more, nil }
	info.previous = func(ctx context.Context) (bool, error) { // its row may be gone by now
		if c.origin == nil {
			return false, nil
		}
		there, err := c.beside(list(), *c.origin).Exists(ctx)
		return there, s.translate(err)
	}
	if c.fromEnd {
		info.next, info.previous = info.previous, info.next
	}
	if len(rows) > 0 {
		info.StartCursor, info.EndCursor = &page.Edges[0].Cursor, &page.Edges[len(rows)-1].Cursor
	}
	return page
}
