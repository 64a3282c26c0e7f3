package safedriver

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"slices"
	"time"
)

// How much of an answer is read to keep the connection when rows are closed early.
const (
	drainRows = 1000
	drainTime = time.Second
)

var errDrained = errors.New("safedriver: rows were closed with too many unread, and the connection with them")

// rows keeps the guard of its query until the last row is read or Close.
type rows struct {
	driver.Rows // pgdriver's
	ctx         context.Context
	c           *conn
	release     func()
	columns     []string
	done        bool
}

func newRows(ctx context.Context, c *conn, inner driver.Rows, release func()) *rows {
	// pgdriver gives the slice of names to another query once the rows are read
	return &rows{Rows: inner, ctx: ctx, c: c, release: release, columns: slices.Clone(inner.Columns())}
}

// Columns are the names of the result's columns.
func (r *rows) Columns() []string { return r.columns }

// Next reads a row. After an error the rows are over.
func (r *rows) Next(dest []driver.Value) error {
	if r.done {
		return io.EOF
	}
	err := r.Rows.Next(dest)
	if err == nil {
		return nil
	}
	r.finish()
	if err != io.EOF {
		return r.c.failed(r.ctx, err)
	}
	if err := r.c.settled(); err != nil {
		return err
	}
	return io.EOF
}

// Close reads a short rest, because the server's last word comes at its end: an
// INSERT … RETURNING may fail after its first row. With a long rest, or when the
// context has ended, it closes the connection instead and returns an error.
func (r *rows) Close() error {
	if r.done {
		return nil
	}
	err := r.ctx.Err()
	if err == nil {
		err = r.drain()
	}
	if !r.done {
		r.c.drop()
		r.finish()
	}
	return err
}

func (r *rows) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	defer r.c.guard(ctx)()
	for range drainRows {
		switch err := r.Next(nil); {
		case err == nil:
		case err == io.EOF:
			return nil
		case ctx.Err() != nil && r.ctx.Err() == nil && !inSync(err):
			return errDrained
		default:
			return err
		}
	}
	return errDrained
}

func (r *rows) finish() {
	r.done, r.c.open = true, false
	r.release()
}
