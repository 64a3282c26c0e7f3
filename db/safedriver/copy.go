package safedriver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/driver/pgdriver"
)

// CopyTo writes to w what COPY … TO STDOUT answers on the connection, which must be of a Connector's pool. The whole COPY
// has one ReadTimeout: give the connector a long one. After an error of w the connection is gone.
func CopyTo(ctx context.Context, c *sql.Conn, w io.Writer, query string) error {
	return withBare(ctx, c, query, func(ctx context.Context, bare bun.Conn, drop func()) error {
		sink := &sink{w: w, drop: drop}
		_, err := pgdriver.CopyTo(ctx, bare, sink, query)
		return errors.Join(sink.err, err)
	})
}

// CopyFrom gives to COPY … FROM STDIN what r reads, likewise. After an error of r nothing of it is stored and the
// connection is gone.
func CopyFrom(ctx context.Context, c *sql.Conn, r io.Reader, query string) error {
	return withBare(ctx, c, query, func(ctx context.Context, bare bun.Conn, _ func()) error {
		_, err := pgdriver.CopyFrom(ctx, bare, source{r}, query)
		return err
	})
}

// withBare lends pgdriver its own connection out of ours, under our guard: the end of ctx cuts it, and what is no plain
// refusal of the server ends it.
func withBare(ctx context.Context, c *sql.Conn, query string, call func(ctx context.Context, bare bun.Conn, drop func()) error) error {
	if err := checkText(query, nil); err != nil {
		return err
	}
	return c.Raw(func(inner any) error {
		cn, ok := inner.(*conn)
		if !ok {
			return errors.New("safedriver: COPY needs a pool of its own connector")
		}
		return cn.do(ctx, func(ctx context.Context) error {
			bare, err := lend(ctx, cn.inner)
			if err != nil {
				return err
			}
			return call(ctx, bare, cn.drop)
		})
	})
}

// lend dresses a connection as pgdriver wants it: as Bun's, around one of database/sql. The pool that it takes for this is closed
// at once, which a connection in use outlives; it is never given back, which would close it.
func lend(ctx context.Context, inner *pgdriver.Conn) (bun.Conn, error) {
	pool := sql.OpenDB(lender{inner})
	lent, err := pool.Conn(ctx)
	if err != nil {
		return bun.Conn{}, fmt.Errorf("safedriver: lend the connection: %w", err)
	}
	return bun.Conn{Conn: lent}, pool.Close()
}

type lender struct{ inner *pgdriver.Conn }

func (l lender) Connect(context.Context) (driver.Conn, error) { return l.inner, nil }
func (l lender) Driver() driver.Driver                        { return nil }

// sink stops the connection at the writer's first error: pgdriver would go on reading in the middle of a message.
type sink struct {
	w    io.Writer
	drop func()
	err  error
}

func (s *sink) Write(b []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(b)
	if err != nil {
		s.err = fmt.Errorf("safedriver: write what was copied: %w", err)
		s.drop()
	}
	return n, err
}

// source never gives bytes together with its end, which pgdriver would lose.
type source struct{ r io.Reader }

func (s source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if n > 0 {
		return n, nil // an error comes again
	}
	return n, err
}
