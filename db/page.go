package db

import "context"

// NewConnection is a page of rows that are at hand. What only the database knows is asked for when it is wanted.
func NewConnection[T any](edges []*Edge[T], count func(context.Context) (int, error), next, previous func(context.Context) (bool, error)) *Connection[T] {
	c := &Connection[T]{Edges: edges, PageInfo: &PageInfo{next: next, previous: previous}, count: count}
	if n := len(edges); n > 0 {
		c.PageInfo.StartCursor, c.PageInfo.EndCursor = &edges[0].Cursor, &edges[n-1].Cursor
	}
	return c
}
