package db

import (
	"context"
	"slices"

	"imagerequests/imaging"
)

// Edge is a row of a list.
type Edge[T any] struct {
	Node   T
	cursor func(T) string
}

// Cursor is its place in the list, made when it is asked for: most readers take no more than the last one.
func (e *Edge[T]) Cursor() string { return e.cursor(e.Node) }

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
	TokenConnection        = Connection[*imaging.Token]
	TokenEdge              = Edge[*imaging.Token]
)

// PageInfo says where a page begins and ends, and whether there is more beyond it.
type PageInfo struct {
	start, end     func() string // nil for a page without rows
	next, previous func(context.Context) (bool, error)
}

// StartCursor is the cursor of the first row; nil if there is none.
func (p *PageInfo) StartCursor() *string { return ifThere(p.start) }

// EndCursor is that of the last one.
func (p *PageInfo) EndCursor() *string { return ifThere(p.end) }

func ifThere(cursor func() string) *string {
	if cursor == nil {
		return nil
	}
	text := cursor()
	return &text
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
// There tells whether a cut has rows.
func connect[T any](c *cut, rows []T, cursor func(T) string, there func(context.Context, *cut) (bool, error), count func(context.Context) (int, error)) *Connection[T] {
	more := len(rows) > c.n
	rows = rows[:min(len(rows), c.n)]
	if c.fromEnd {
		slices.Reverse(rows)
	}
	next := func(context.Context) (bool, error) { return more, nil }
	previous := func(ctx context.Context) (bool, error) { // its row may be gone by now
		if c.origin == nil {
			return false, nil
		}
		return there(ctx, c.beyond())
	}
	if c.fromEnd {
		next, previous = previous, next
	}
	return NewConnection(rows, cursor, count, next, previous)
}

// NewConnection is a page of rows that are at hand. What only the database knows is asked for when it is wanted.
func NewConnection[T any](rows []T, cursor func(T) string, count func(context.Context) (int, error), next, previous func(context.Context) (bool, error)) *Connection[T] {
	edges, all := make([]*Edge[T], len(rows)), make([]Edge[T], len(rows))
	for i, row := range rows {
		all[i] = Edge[T]{row, cursor}
		edges[i] = &all[i]
	}
	c := &Connection[T]{Edges: edges, PageInfo: &PageInfo{next: next, previous: previous}, count: count}
	if n := len(edges); n > 0 {
		c.PageInfo.start, c.PageInfo.end = edges[0].Cursor, edges[n-1].Cursor
	}
	return c
}
