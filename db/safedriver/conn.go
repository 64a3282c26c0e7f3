package safedriver

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"
)

// conn guards one connection of pgdriver. database/sql never calls it from two
// goroutines at once; only drop runs beside a call.
type conn struct {
	inner         *pgdriver.Conn
	socket        *socket
	commitTimeout time.Duration
	suspicion     *suspicion // shared by all of a Connector
	began         time.Time  // the last call
	settledAt     time.Time  // its end, if it went well

	inTx  bool // between BeginTx and Commit or Rollback
	open  bool // a query's rows are not all read
	dirty bool // the session was changed for whoever comes next

	wire      wire             // for Read
	kept      map[string]*kept // its statements, by query
	forgotten []string         // names of those that are yet to be closed
	made      int              // statements so far
	uses      int              // of kept
}

var (
	_ driver.Conn               = (*conn)(nil)
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ExecerContext      = (*conn)(nil)
	_ driver.Pinger             = (*conn)(nil)
	_ driver.QueryerContext     = (*conn)(nil)
	_ driver.SessionResetter    = (*conn)(nil)
	_ driver.Validator          = (*conn)(nil)
)

// Ping makes a round trip.
func (c *conn) Ping(ctx context.Context) error {
	_, err := c.ExecContext(ctx, "SELECT 1", nil)
	return err
}

// ExecContext carries out a query and forgets its rows.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := checkText(query, args); err != nil {
		return nil, err
	}
	if ctx.Value(preparedKey{}) != nil {
		return driver.ResultNoRows, c.carryOut(ctx, query, args)
	}
	return c.exec(ctx, func(ctx context.Context) (driver.Result, error) {
		return c.inner.ExecContext(ctx, query, args)
	})
}

// QueryContext carries out a query of one result set.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := checkText(query, args); err != nil {
		return nil, err
	}
	return c.query(ctx, func(ctx context.Context) (driver.Rows, error) {
		return c.inner.QueryContext(ctx, query, args)
	})
}

// Begin exists for the interface only.
func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// BeginTx opens a transaction; ctx is for the opening alone.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	c.inTx = true
	err := c.do(ctx, func(ctx context.Context) error {
		_, err := c.inner.BeginTx(ctx, opts)
		return err
	})
	if err != nil {
		c.drop() // BEGIN may have been carried out
		return nil, err
	}
	return tx{c}, nil
}

// Prepare exists for the interface only.
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// fresh is for how long a connection that has answered is taken to be there still: a look at its socket is a call to the
// system, and under load one is used again at once.
const fresh = time.Millisecond

// ResetSession refuses a pooled connection that is dead, has something to say, or
// is not as it was when it was new; and one that does not answer, if the server
// has left another's question unanswered since this one was used.
func (c *conn) ResetSession(ctx context.Context) error {
	if !c.IsValid() || time.Since(c.settledAt) > fresh && !silent(c.socket.raw) || c.suspicion.since(c.began) && !c.answers(ctx) {
		return driver.ErrBadConn
	}
	return nil
}

// IsValid is asked when the connection goes back to the pool. A transaction left
// open, unread rows or a changed session end it there.
func (c *conn) IsValid() bool {
	return c.inner.IsValid() && c.socket.quiet && c.socket.status == 'I' && !c.open && !c.inTx && !c.dirty
}

// terminate tells the server that the client leaves on purpose.
const terminate = "X\x00\x00\x00\x04"

// Close ends the session.
func (c *conn) Close() error {
	if c.inner.IsValid() && c.socket.quiet {
		_ = c.socket.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(c.socket, terminate)
	}
	return c.inner.Close()
}

// drop closes the connection for good and at once. It may be called at any time
// from any goroutine.
func (c *conn) drop() {
	c.socket.cut()
	_ = c.inner.Close()
}

// exec runs a call that reads its whole answer.
func (c *conn) exec(ctx context.Context, call func(context.Context) (driver.Result, error)) (res driver.Result, err error) {
	err = c.do(ctx, func(ctx context.Context) error {
		res, err = call(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// do runs a call that reads its whole answer, under guard.
func (c *conn) do(ctx context.Context, call func(context.Context) error) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	release := c.guard(ctx)
	err := call(context.WithoutCancel(ctx))
	release()
	if err != nil {
		return c.failed(ctx, err)
	}
	return c.settled()
}

// query runs a call whose answer is read later. The guard stays until then.
func (c *conn) query(ctx context.Context, call func(context.Context) (driver.Rows, error)) (driver.Rows, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	release := c.guard(ctx)
	r, err := call(context.WithoutCancel(ctx))
	if err != nil {
		release()
		return nil, c.failed(ctx, err)
	}
	c.open = true
	return newRows(ctx, c, r, release), nil
}

// ready refuses a call before anything is sent.
func (c *conn) ready(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !c.inner.IsValid():
		return driver.ErrBadConn // nothing was sent: database/sql may try another
	case c.open:
		return ErrBusy
	}
	c.socket.quiet = false
	c.began = time.Now()
	return nil
}

// guard drops the connection when ctx ends, until release is called. Release waits
// for a drop under way, so that a late one cannot hit the connection's next user.
//
// pgdriver itself is given a context that never ends. Its own handling of a
// deadline would leave unread answers behind.
func (c *conn) guard(ctx context.Context) (release func()) { return onEnd(ctx, c.drop) }

// onEnd runs f when ctx ends. The function it returns stops that, or waits for an f
// under way; it must be called exactly once.
func onEnd(ctx context.Context, f func()) (release func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	ran := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ran)
		f()
	})
	return func() {
		if !stop() {
			<-ran
		}
	}
}

// failed decides what a call's error means: a refusal of the server leaves the
// connection as it is, all else ends it.
func (c *conn) failed(ctx context.Context, err error) error {
	if inSync(err) {
		return err
	}
	c.drop()
	switch {
	case SQLState(err) != "":
		return err
	case ctx.Err() != nil:
		c.suspicion.raise(c.began)
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.suspicion.raise(c.began)
		return fmt.Errorf("safedriver: no answer from the database in time: %w", err)
	default:
		return err
	}
}

// settled looks at the session after a call that succeeded.
func (c *conn) settled() error {
	c.settledAt = time.Now()
	if c.socket.set {
		c.socket.set = false
		c.dirty = c.dirty || !c.inTx // in a transaction it may be SET LOCAL
	}
	if idle := c.socket.status == 'I'; idle == c.inTx {
		c.drop()
		return ErrTxState
	}
	return nil
}
