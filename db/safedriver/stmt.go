package safedriver

import (
	"context"
	"database/sql/driver"
)

// pgStmt is what pgdriver's prepared statements can do.
type pgStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type stmt struct {
	c     *conn
	inner pgStmt
}

var (
	_ driver.StmtExecContext  = (*stmt)(nil)
	_ driver.StmtQueryContext = (*stmt)(nil)
)

// PrepareContext prepares a statement on the server.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := checkText(query, nil); err != nil {
		return nil, err
	}
	var inner driver.Stmt
	err := c.do(ctx, func(ctx context.Context) (err error) {
		inner, err = c.inner.PrepareContext(ctx, query)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &stmt{c: c, inner: inner.(pgStmt)}, nil
}

// NumInput is the number of arguments, -1 if not known.
func (s *stmt) NumInput() int { return s.inner.NumInput() }

// ExecContext carries out the statement and forgets its rows.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := checkText("", args); err != nil {
		return nil, err
	}
	return s.c.exec(ctx, func(ctx context.Context) (driver.Result, error) {
		return s.inner.ExecContext(ctx, args)
	})
}

// QueryContext carries out the statement.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := checkText("", args); err != nil {
		return nil, err
	}
	return s.c.query(ctx, func(ctx context.Context) (driver.Rows, error) {
		return s.inner.QueryContext(ctx, args)
	})
}

// Exec exists for the interface only; database/sql calls ExecContext.
func (s *stmt) Exec([]driver.Value) (driver.Result, error) { return nil, driver.ErrSkip }

// Query exists for the interface only; database/sql calls QueryContext.
func (s *stmt) Query([]driver.Value) (driver.Rows, error) { return nil, driver.ErrSkip }

// Close forgets the statement on the server. With its connection gone, it is gone.
func (s *stmt) Close() error {
	if !s.c.inner.IsValid() {
		return nil
	}
	if s.c.open { // its rows, or those of another statement, are unread
		s.c.drop()
		return ErrBusy
	}
	return s.c.do(context.Background(), func(context.Context) error { return s.inner.Close() })
}
