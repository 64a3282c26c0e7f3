package db

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"imagerequests/imaging"
)

// cut is a slice of a list, checked: where it starts and in which direction it is read.
type cut struct {
	table   string
	n       int
	fromEnd bool
	reading imaging.Order // the list's order, reversed for a slice from its end
	offset  int           // of a page by number
	bounds  []bound
	origin  *bound // what lies on the other side of the place that the slice starts from; nil if it starts from an end
}

// bound is one side of a place in a list.
type bound struct {
	op     string
	values []any // of the order's columns
}

// newCut checks a slice; problems are what is wrong with the filter beside it.
func newCut(s imaging.Slice, table string, o imaging.Order, problems imaging.Problems) (*cut, error) {
	n, fromEnd, err := s.Size()
	if err != nil {
		problems = append(problems, imaging.All(err)...)
	}
	c := &cut{table: table, n: n, fromEnd: fromEnd, reading: o}
	ahead, back := ">", "<"
	if o.Direction == imaging.Desc {
		ahead, back = back, ahead
	}
	for _, end := range []struct {
		field, op, other string
		cursor           *string
		origin           bool
	}{{"after", ahead, back, s.After, !fromEnd}, {"before", back, ahead, s.Before, fromEnd}} {
		if end.cursor == nil {
			continue
		}
		text, id, err := decodeCursor(end.field, *end.cursor, table, o)
		if err != nil {
			problems = append(problems, imaging.All(err)...)
			continue
		}
		values := orderValues(o.Field, text, id)
		c.bounds = append(c.bounds, bound{end.op, values})
		if end.origin {
			c.origin = &bound{end.other + "=", values}
		}
	}
	if fromEnd {
		c.reading.Direction = reversed(o.Direction)
	}
	return c, problems.Err()
}

// apply reads one row more than is wanted, to know whether there is more.
func (c *cut) apply(q *bun.SelectQuery) *bun.SelectQuery { return c.page(c.within(q)) }

// within leaves in q what lies within the bounds.
func (c *cut) within(q *bun.SelectQuery) *bun.SelectQuery {
	for _, b := range c.bounds {
		q = beside(q, c.table, orderColumns(c.reading.Field), b)
	}
	return q
}

// page cuts it off q.
func (c *cut) page(q *bun.SelectQuery) *bun.SelectQuery {
	return orderBy(q, c.table, c.reading).Offset(int64(c.offset)).Limit(int64(c.n) + 1)
}

// beyond is what lies on the other side of the place that the slice starts from, the next row of it.
func (c *cut) beyond() *cut {
	back := &cut{table: c.table, reading: c.reading, bounds: []bound{*c.origin}}
	back.reading.Direction = reversed(c.reading.Direction)
	return back
}

// beside leaves in q what lies on one side of a place.
func beside(q *bun.SelectQuery, table string, columns []string, b bound) *bun.SelectQuery {
	return q.Where("(?) "+b.op+" (?)", bun.Safe(table+"."+strings.Join(columns, ", "+table+".")), bun.List(b.values))
}

// prepared is the cut with places instead of the values of its bounds, which it answers as texts, and with all else that is
// written into a statement.
func (c *cut) prepared() (shape string, _ *cut, args []string) {
	var b strings.Builder
	fmt.Fprint(&b, c.reading.Field, c.reading.Direction, c.n)
	placed := *c
	placed.bounds = nil
	for _, at := range c.bounds {
		fmt.Fprint(&b, at.op)
		places := make([]any, len(at.values))
		for i, value := range at.values {
			text, cast := argument(value)
			args = append(args, text)
			places[i] = bun.Safe("$" + strconv.Itoa(len(args)) + cast)
		}
		placed.bounds = append(placed.bounds, bound{at.op, places})
	}
	return b.String(), &placed, args
}

// argument is a value as a text, and what makes it a value again.
func argument(v any) (text, cast string) {
	switch v := v.(type) {
	case time.Time:
		return v.Format(time.RFC3339Nano), "::timestamptz"
	case uuid.UUID:
		return v.String(), "::uuid"
	default:
		return fmt.Sprint(v), "::text"
	}
}

// ordering is an order, said of rows of a table or of keys of them.
func ordering(table string, o imaging.Order) string {
	direction := " " + string(imaging.Asc)
	if o.Direction == imaging.Desc {
		direction = " " + string(imaging.Desc)
	}
	return table + "." + strings.Join(orderColumns(o.Field), direction+", "+table+".") + direction
}

func orderBy(q *bun.SelectQuery, table string, o imaging.Order) *bun.SelectQuery {
	return q.OrderExpr(ordering(table, o))
}

func reversed(d imaging.Direction) imaging.Direction {
	if d == imaging.Desc {
		return imaging.Asc
	}
	return imaging.Desc
}
