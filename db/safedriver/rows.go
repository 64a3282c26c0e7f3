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

var errDrained = errors.New("safedriver: rows were closed with too many unread, which ended the transaction's connection")

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

// Close reads a short rest. A long one, or the end of the context, closes the
// connection instead; within a transaction it says so.
func (r *rows) Close() error {
	if r.done {
		return nil
	}
	if r.ctx.Err() == nil && r.drain() {
		return nil
	}
	r.c.drop()
	if !r.done {
		r.finish()
	}
	if r.c.inTx && r.ctx.Err() == nil {
		return errDrained
	}
	return nil
}

// drain reports whether the answer was read to its end.
func (r *rows) drain() bool {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	defer r.c.guard(ctx)()
	for range drainRows {
		if err := r.Next(nil); err != nil {
			return err == io.EOF || inSync(err)
		}
	}
	return false
}

func (r *rows) finish() {
	r.done, r.c.open = true, false
	r.release()
}
