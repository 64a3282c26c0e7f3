package safedriver

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

type tx struct{ c *conn }

// Commit returns nil only if the server said that it committed. A refusal of the
// server, ErrAborted and an error that is driver.ErrBadConn mean that nothing is
// stored; ErrCommitUnknown means that nobody can tell.
func (t tx) Commit() error {
	err := t.end("COMMIT")
	switch {
	case err == nil && t.c.socket.committed():
		return nil
	case err == nil:
		return ErrAborted
	case inSync(err):
		return err
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, ErrBusy):
		return fmt.Errorf("safedriver: COMMIT was not sent: %w", err)
	default:
		return fmt.Errorf("%w: %w", ErrCommitUnknown, err)
	}
}

// Rollback closes the connection if it fails, which ends the transaction too.
func (t tx) Rollback() error {
	err := t.end("ROLLBACK")
	if err != nil {
		t.c.drop()
	}
	return err
}

// end has its own deadline: database/sql gives none.
func (t tx) end(command string) error {
	ctx, cancel := context.WithTimeout(context.Background(), t.c.commitTimeout)
	defer cancel()
	t.c.inTx = false
	return t.c.do(ctx, func(ctx context.Context) error {
		_, err := t.c.inner.ExecContext(ctx, command, nil)
		return err
	})
}
