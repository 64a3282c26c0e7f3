package safedriver

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Listener is a connection of its own, never a pooled one, on which the server
// tells of NOTIFY. It tells that there was one, not which: whoever listens looks
// at the data anyway.
type Listener struct{ c *conn }

// Listen opens a connection and listens on the channel: each NOTIFY that is
// committed after it returns is told.
func (c *Connector) Listen(ctx context.Context, channel string) (*Listener, error) {
	dc, err := c.Connect(ctx)
	if err != nil {
		return nil, err
	}
	cn := dc.(*conn)
	if _, err := cn.ExecContext(ctx, `LISTEN "`+strings.ReplaceAll(channel, `"`, `""`)+`"`, nil); err != nil {
		cn.drop()
		return nil, fmt.Errorf("listen: %w", err)
	}
	return &Listener{cn}, nil
}

// Wait returns when the server says something, or with an error when the
// connection is gone or ctx ends, which ends the connection. Several notifications
// may be one. What was said before the first Wait may not be told: look at the
// data then.
func (l *Listener) Wait(ctx context.Context) error {
	defer l.c.guard(ctx)()
	err := l.c.socket.SetReadDeadline(time.Time{})
	if err == nil {
		// On an idle connection the server says nothing but notifications, and at its
		// end why it ends; which of them it is, the next Wait finds out.
		var buf [4096]byte
		_, err = l.c.socket.Read(buf[:])
	}
	if err != nil {
		l.c.drop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// Close ends the connection.
func (l *Listener) Close() error { return l.c.Close() }
