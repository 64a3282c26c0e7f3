package db_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/uptrace/bun"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// A use case within another's transaction would wait for itself: it is refused instead.
func TestTransactionsDoNotNest(t *testing.T) {
	t.Parallel()
	s := dbtest.Store(t)
	err := s.InTx(t.Context(), func(ctx context.Context, _ bun.Tx) error {
		return s.InTx(ctx, func(context.Context, bun.Tx) error { return errors.New("it ran") })
	})
	if !errors.Is(err, db.ErrNested) {
		t.Error(err)
	}
	refused(t, err, refusal{imaging.Internal, ""})
}

// Serialization failures and deadlocks run the transaction again, so many times; anything else does not.
func TestTransactionsAreTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for state, tries := range map[string]int{"40001": db.Attempts, "40P01": db.Attempts, "55P03": 1, "23505": 1, "XX000": 1} {
		for _, luck := range []int{2, db.Attempts, 100} {
			ran := 0
			err := b.InTx(t.Context(), func(ctx context.Context, tx bun.Tx) error {
				ran++
				if _, err := tx.ExecContext(ctx, "INSERT INTO providers VALUES (100, 'half done', true, true)"); err != nil {
					return err
				}
				if ran == luck {
					return nil
				}
				_, err := tx.ExecContext(ctx, raise(state))
				return err
			})
			if want := min(luck, tries); ran != want || (err == nil) != (luck <= tries) {
				t.Errorf("%s, to succeed at try %d: %d tries, %v", state, luck, ran, err)
			}
			if err != nil && tries > 1 {
				refused(t, err, refusal{imaging.Unavailable, ""})
			}
			left := one[int](t, b.sql, "SELECT count(*) FROM providers WHERE id = 100")
			same(t, err == nil, left == 1)
			execute(t, b.sql, "DELETE FROM providers WHERE id = 100")
		}
	}
}

// A failure that is wrapped as a refusal of ours is still one to try again after.
func TestWrappedFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	s := dbtest.Store(t)
	ran := 0
	err := s.InTx(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		if ran++; ran == 2 {
			return nil
		}
		_, err := tx.ExecContext(ctx, raise("40001"))
		return s.Translate(err)
	})
	if err != nil || ran != 2 {
		t.Errorf("%d tries, %v", ran, err)
	}
}

// A deadlock for real: of two that wait for each other both come to their end.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	cfg.ConnParams["deadlock_timeout"] = "10ms"
	s, pool := dbtest.Open(t, cfg), dbtest.SQL(t, cfg)
	execute(t, pool, "INSERT INTO providers VALUES (1, 'one', true, true), (2, 'two', true, true)")
	met := make(chan struct{})
	tries, errs := all(t.Context(), 2, func(ctx context.Context, i int) (tries int, err error) {
		err = s.InTx(ctx, func(ctx context.Context, tx bun.Tx) error {
			tries++
			for n, id := range []int{1 + i, 2 - i} {
				if _, err := tx.ExecContext(ctx, "UPDATE providers SET active = false WHERE id = ?", id); err != nil {
					return err
				}
				if n == 0 && tries == 1 { // each holds its first row before it asks for the other's
					select {
					case met <- struct{}{}:
					case <-met:
					}
				}
			}
			return nil
		})
		return tries, err
	})
	same(t, map[imaging.Code]int{"": 2}, codes(errs))
	if tries[0]+tries[1] < 3 {
		t.Errorf("%v tries: there was no deadlock", tries)
	}
}

// While it waits to try again, a call can be given up.
func TestGivenUpBetweenTries(t *testing.T) {
	t.Parallel()
	s := dbtest.Store(t)
	ctx, cancel := context.WithCancel(t.Context())
	ran := 0
	err := s.InTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		ran++
		_, err := tx.ExecContext(ctx, raise("40001"))
		cancel()
		return err
	})
	refused(t, err, refusal{imaging.Unavailable, ""})
	same(t, 1, ran)
}

// A call whose caller went away between its last statement and COMMIT is UNAVAILABLE, and nothing is stored.
func TestGivenUpBeforeCommit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.unchanged(t, func() {
		err := b.InTx(ctx, func(ctx context.Context, tx bun.Tx) error {
			if _, err := tx.ExecContext(ctx, "INSERT INTO providers VALUES (100, 'x', true, true)"); err != nil {
				return err
			}
			cancel()
			for { // until database/sql has rolled back by itself
				if _, err := tx.ExecContext(context.Background(), "SELECT 1"); errors.Is(err, sql.ErrTxDone) {
					return nil
				}
			}
		})
		refused(t, err, refusal{imaging.Unavailable, ""})
	})
}

// A failed statement whose error was swallowed must not end in a success that stored nothing.
func TestSwallowedError(t *testing.T) {
	t.Parallel()
	s := dbtest.Store(t)
	err := s.InTx(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		_, _ = tx.ExecContext(ctx, raise("XX000"))
		return nil
	})
	if !errors.Is(err, safedriver.ErrAborted) {
		t.Error(err)
	}
	refused(t, err, refusal{imaging.Internal, ""})
}
