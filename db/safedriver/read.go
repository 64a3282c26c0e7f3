package safedriver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
)

// statements is how many prepared statements a connection keeps; the one that was not used for longest makes room.
const statements = 48

// Read carries out a query on a connection of the pool, which must be of a Connector's, and gives each row to row: the values
// as pgdriver reads them, in a slice that the next row uses again. The query is prepared once on each connection, so its
// text should be one of few; what differs from call to call belongs into args ($1, …), which are what database/sql/driver
// takes. An error of row ends it. Nothing is read twice: after the first row no error is tried again.
func Read(ctx context.Context, pool *sql.DB, query string, args []driver.NamedValue, row func([]driver.Value) error) error {
	for attempt := 1; ; attempt++ {
		seen := false
		err := read(ctx, pool, query, args, func(values []driver.Value) error {
			seen = true
			return row(values)
		})
		if seen || attempt == 3 || !errors.Is(err, driver.ErrBadConn) { // nothing of it was sent: as database/sql does
			return err
		}
	}
}

func read(ctx context.Context, pool *sql.DB, query string, args []driver.NamedValue, row func([]driver.Value) error) (err error) {
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

// read runs a query that is prepared on this connection, or will be.
func (c *conn) read(ctx context.Context, query string, args []driver.NamedValue, row func([]driver.Value) error) error {
	rows, err := c.prepared(ctx, query, args)
	if err != nil {
		return err
	}
	values := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(values)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = row(values)
		}
		if err != nil {
			return errors.Join(err, rows.Close())
		}
	}
}

// prepared is a query's rows, by its statement on this connection. A statement that the server has lost, or that does not fit
// its tables any more, is made anew: it was refused before it did anything.
func (c *conn) prepared(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	for again := false; ; again = true {
		s, err := c.statement(ctx, query)
		if err != nil {
			return nil, err
		}
		rows, err := s.QueryContext(ctx, args)
		if err == nil || again {
			return rows, err
		}
		switch SQLState(err) {
		case "26000", "0A000": // unknown statement; its result is of another type by now
			delete(c.kept, query)
			_ = s.Close() // what is lost need not be closed
		default:
			return nil, err
		}
	}
}

// kept is a statement with when it was used last, in uses of the connection.
type kept struct {
	*stmt
	used int
}

func (c *conn) statement(ctx context.Context, query string) (*stmt, error) {
	c.uses++
	if k := c.kept[query]; k != nil {
		k.used = c.uses
		return k.stmt, nil
	}
	if len(c.kept) >= statements {
		if err := c.forgetOne(); err != nil {
			return nil, err
		}
	}
	made, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if c.kept == nil {
		c.kept = map[string]*kept{}
	}
	k := &kept{stmt: made.(*stmt), used: c.uses}
	c.kept[query] = k
	return k.stmt, nil
}

func (c *conn) forgetOne() error {
	var oldest string
	for query, k := range c.kept {
		if o := c.kept[oldest]; o == nil || k.used < o.used {
			oldest = query
		}
	}
	s := c.kept[oldest].stmt
	delete(c.kept, oldest)
	return s.Close()
}
