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

// Reading is a query with its arguments, and what takes its rows.
type Reading struct {
	Query string
	Args  []string // $1, …, which Postgres reads as it reads literals
	Row   func(Row) error
}

// Read carries out queries on a connection of the pool, which must be of a Connector's: all of them in one round trip, one after
// the other, and none behind one that fails. Each is prepared once on each connection, so its text should be one of few; what
// differs from call to call belongs into its arguments. An error of Row ends it, and the connection. Nothing is read twice: after
// the first row no error is tried again.
func Read(ctx context.Context, pool *sql.DB, all ...Reading) error {
	if len(all) > statements {
		return fmt.Errorf("safedriver: %d queries at once, of at most %d", len(all), statements)
	}
	r := reading{statements: make([]statement, len(all))}
	for i, one := range all {
		if !cleanText(one.Query) || slices.ContainsFunc(one.Args, func(arg string) bool { return !cleanText(arg) }) {
			return ErrText
		}
		args := make([]*string, len(one.Args))
		for i := range args {
			args[i] = &one.Args[i]
		}
		r.statements[i] = statement{one.Query, args}
	}
	r.row = func(i int, row Row) error {
		r.seen = true
		return all[i].Row(row)
	}
	for attempt := 1; ; attempt++ {
		err := r.on(ctx, pool)
		if r.seen || attempt == 3 || !errors.Is(err, driver.ErrBadConn) { // nothing of it was sent: as database/sql does
			return err
		}
	}
}

// reading is a Read.
type reading struct {
	statements []statement
	row        func(i int, r Row) error
	seen       bool // a row
}

// statement is one to carry out, nil for arguments that are NULL.
type statement struct {
	query string
	args  []*string
}

func (r *reading) on(ctx context.Context, pool *sql.DB) (err error) {
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
		return c.read(ctx, r)
	})
}

// read runs queries that are prepared on this connection, or will be. A statement that the server has lost, or that does not fit
// its tables any more, is made anew: it was refused before it did anything.
func (c *conn) read(ctx context.Context, r *reading) error {
	for again := false; ; again = true {
		err := c.do(ctx, func(context.Context) error { return c.exchange("read-", r.statements, r.row) })
		if !lost(err) {
			return err
		}
		for _, s := range r.statements {
			c.forget(s.query)
		}
		if again || r.seen {
			return err
		}
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
	err := c.do(ctx, func(context.Context) error {
		err := c.exchange("write-", []statement{{query, texts}}, func(int, Row) error { return nil })
		if err == nil && c.wire.in.Buffered() > 0 { // which a read's connection may forget, no longer in the middle of anything
			return ErrMore
		}
		return err
	})
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

// exchange asks prepared queries and reads the answer to its end, in one round trip. What is prepared is called by its kind and a number.
func (c *conn) exchange(kind string, all []statement, row func(int, Row) error) error {
	var fresh []string // what is prepared now
	for _, s := range all {
		k := c.kept[s.query]
		if k == nil {
			k = c.prepare(kind, s.query)
			fresh = append(fresh, s.query)
		}
		c.uses++
		k.used = c.uses
	}
	w := &c.wire
	w.begin()
	for _, name := range c.forgotten { // first: after an error nothing else is carried out
		w.close(name)
	}
	for _, s := range all {
		k := c.kept[s.query]
		if !k.asked {
			w.parse(k.name, s.query)
			k.asked = true
		}
		w.execute(k.name, s.args)
	}
	if err := w.send(); err != nil {
		return err
	}
	c.forgotten = c.forgotten[:0]
	parsed, err := w.answer(row)
	for _, query := range fresh[min(parsed, len(fresh)):] { // of which the server has heard nothing, or no good
		delete(c.kept, query)
	}
	return err
}

// kept is a statement with when it was used last, in uses of the connection.
type kept struct {
	name  string
	used  int
	asked bool // the server was asked to prepare it
}

// prepare makes a place for a statement, of one that was not used for longest if there is none. No Read has as many as there are places.
func (c *conn) prepare(kind, query string) *kept {
	if c.kept == nil {
		c.kept = map[string]*kept{}
	}
	if len(c.kept) >= statements {
		c.forgetOne()
	}
	c.made++
	k := &kept{name: kind + strconv.Itoa(c.made)}
	c.kept[query] = k
	return k
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
