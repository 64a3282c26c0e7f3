package safedriver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// statements is how many prepared statements a connection keeps; the one that was not used for longest makes room.
const statements = 48

// Read carries out a query on a connection of the pool, which must be of a Connector's, and gives each row to row. The query is
// prepared once on each connection, so its text should be one of few; what differs from call to call belongs into args ($1, …),
// which Postgres reads as it reads literals. An error of row ends it, and the connection. Nothing is read twice: after the first
// row no error is tried again.
func Read(ctx context.Context, pool *sql.DB, query string, args []string, row func(Row) error) error {
	if !cleanText(query) || slices.ContainsFunc(args, func(arg string) bool { return !cleanText(arg) }) {
		return ErrText
	}
	for attempt := 1; ; attempt++ {
		seen := false
		err := read(ctx, pool, query, args, func(r Row) error {
			seen = true
			return row(r)
		})
		if seen || attempt == 3 || !errors.Is(err, driver.ErrBadConn) { // nothing of it was sent: as database/sql does
			return err
		}
	}
}

func read(ctx context.Context, pool *sql.DB, query string, args []string, row func(Row) error) (err error) {
	pooled, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pooled.Close()) }()
	return pooled.Raw(func(inner any) error {
		c, ok := inner.(*conn)
		if !ok {
			return errors.New("safedriver: Read needs a pool of its own connector")
		}
		return c.read(ctx, query, args, row)
	})
}

// read runs a query that is prepared on this connection, or will be. A statement that the server has lost, or that does not fit
// its tables any more, is made anew: it was refused before it did anything.
func (c *conn) read(ctx context.Context, query string, args []string, row func(Row) error) error {
	texts := make([]*string, len(args))
	for i := range args {
		texts[i] = &args[i]
	}
	for again := false; ; again = true {
		err := c.do(ctx, func(context.Context) error { return c.exchange("read-", query, texts, row) })
		if again || !lost(err) {
			return err
		}
		c.forget(query)
	}
}

type preparedKey struct{}

// Prepared lets Exec with this context, in a transaction, say, prepare what it carries out, as Read does. Its arguments must be texts or
// nil, and it does not tell how many rows there were. A statement that was lost (26000, 0A000) is prepared the next time.
func Prepared(ctx context.Context) context.Context {
	return context.WithValue(ctx, preparedKey{}, true)
}

func (c *conn) carryOut(ctx context.Context, query string, args []driver.NamedValue) error {
	texts := make([]*string, len(args))
	for i, arg := range args {
		text, ok := arg.Value.(string)
		switch {
		case ok:
			texts[i] = &text
		case arg.Value != nil:
			return fmt.Errorf("safedriver: argument %d of a prepared statement is %T, no text", i+1, arg.Value)
		}
	}
	err := c.do(ctx, func(context.Context) error { return c.exchange("write-", query, texts, func(Row) error { return nil }) })
	if lost(err) {
		c.forget(query)
	}
	return err
}

// lost tells whether a statement is not there any more, or its result is of another type by now.
func lost(err error) bool {
	state := SQLState(err)
	return state == "26000" || state == "0A000"
}

// exchange asks one prepared query and reads the answer to its end, in one round trip. What is prepared is called by its kind and a number.
func (c *conn) exchange(kind, query string, args []*string, row func(Row) error) error {
	w := &c.wire
	w.begin()
	k := c.kept[query]
	known := k != nil
	if !known {
		if len(c.kept) >= statements {
			c.forgetOne()
		}
		c.made++
	}
	for _, name := range c.forgotten { // first: after an error nothing else is carried out
		w.close(name)
	}
	if !known {
		k = &kept{name: kind + strconv.Itoa(c.made)}
		w.parse(k.name, query)
	}
	w.execute(k.name, args)
	if err := w.send(); err != nil {
		return err
	}
	c.forgotten = c.forgotten[:0]
	parsed, err := w.answer(row)
	if known || parsed {
		c.keep(query, k)
	}
	return err
}

// kept is a statement with when it was used last, in uses of the connection.
type kept struct {
	name string
	used int
}

func (c *conn) keep(query string, k *kept) {
	if c.kept == nil {
		c.kept = map[string]*kept{}
	}
	c.uses++
	k.used = c.uses
	c.kept[query] = k
}

func (c *conn) forgetOne() {
	var oldest string
	for query, k := range c.kept {
		if o := c.kept[oldest]; o == nil || k.used < o.used {
			oldest = query
		}
	}
	c.forget(oldest)
}

// forget lets the next exchange close the statement.
func (c *conn) forget(query string) {
	if k := c.kept[query]; k != nil {
		c.forgotten = append(c.forgotten, k.name)
		delete(c.kept, query)
	}
}
