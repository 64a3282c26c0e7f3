package safedriver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"
)

// texts reads the first column, which is text.
func texts(ctx context.Context, pool *sql.DB, query string, args ...string) (read []string, err error) {
	err = Read(ctx, pool, query, args, func(r Row) error {
		text, _ := r.Next()
		read = append(read, text)
		return nil
	})
	return read, err
}

func TestRead(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	pool.SetMaxOpenConns(1)
	for range 3 {
		got, err := texts(t.Context(), pool, "SELECT 'row ' || n FROM generate_series(1, $1::int) AS n", "2")
		if err != nil || fmt.Sprint(got) != "[row 1 row 2]" {
			t.Fatal(got, err)
		}
	}
	if got, err := texts(t.Context(), pool, "SELECT count(*)::text FROM pg_prepared_statements WHERE statement LIKE '%row%'"); err != nil || got[0] != "2" { // and this one
		t.Error("statements: ", got, err)
	}
}

// Callers whose time is up at any moment beside callers who wait: nobody reads what was meant for somebody else.
func TestReadersGetTheirOwnRows(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	pool.SetMaxOpenConns(4)
	pool.SetMaxIdleConns(4)
	var all sync.WaitGroup
	for reader := range 8 {
		all.Go(func() {
			for call := range 200 {
				mine := fmt.Sprintf("reader %d, call %d", reader, call)
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if call%2 == 0 {
					ctx, cancel = context.WithTimeout(ctx, rand.N(3*time.Millisecond))
				}
				got, err := texts(ctx, pool, "SELECT $1::text || left(pg_sleep(0.0005)::text, 0) FROM generate_series(1, 3)", mine)
				for _, text := range got {
					if text != mine {
						t.Errorf("%s read %q", mine, text)
					}
				}
				late := ctx.Err() != nil || call%2 == 0 && errors.Is(err, os.ErrDeadlineExceeded) // a dialler looks at its own clock
				if err == nil && len(got) != 3 || err != nil && !late {
					t.Errorf("%s: %d rows, %v", mine, len(got), err)
				}
				cancel()
			}
		})
	}
	all.Wait()
}

func TestReadWhenTheServerForgotTheStatement(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	pool.SetMaxOpenConns(1)
	const query = "SELECT * FROM read_again"
	_, err := pool.Exec("CREATE TEMP TABLE read_again AS SELECT 'a' AS text")
	must(t, err)
	for _, change := range []string{"SELECT 1", "ALTER TABLE read_again ADD other int", "DEALLOCATE ALL", "ALTER TABLE read_again ALTER text TYPE varchar"} {
		_, err := pool.Exec(change)
		must(t, err)
		if got, err := texts(t.Context(), pool, query); err != nil || got[0] != "a" {
			t.Errorf("after %s: %v, %v", change, got, err)
		}
	}
}

func TestReadKeepsFewStatements(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	pool.SetMaxOpenConns(1)
	for n := range 3 * statements {
		if _, err := texts(t.Context(), pool, fmt.Sprintf("SELECT nonsense%d", n)); SQLState(err) != "42703" {
			t.Error("nonsense says ", err)
		}
		for _, query := range []string{"SELECT 'often'", fmt.Sprintf("SELECT 'query %d'", n)} {
			_, err := texts(t.Context(), pool, query)
			must(t, err)
		}
	}
	var held, often int
	must(t, pool.QueryRow("SELECT count(*), count(*) FILTER (WHERE statement = 'SELECT ''often''' AND generic_plans + custom_plans >= $1) FROM pg_prepared_statements", 3*statements-1).Scan(&held, &often))
	if held != statements || often != 1 {
		t.Errorf("%d statements are kept, %d of them the one that is used often", held, often)
	}
}

func TestReadEndsWithItsReader(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	enough := errors.New("enough")
	rows := 0
	err := Read(t.Context(), pool, "SELECT n FROM generate_series(1, 10) AS n", nil, func(Row) error {
		rows++
		return enough
	})
	if !errors.Is(err, enough) || rows != 1 {
		t.Errorf("%d rows, %v", rows, err)
	}
	if wrong := usable(pool); wrong != "" {
		t.Error(wrong)
	}
	if _, err := texts(t.Context(), pool, "SELECT 1/n FROM generate_series(1, 0, -1) AS n"); SQLState(err) != "22012" {
		t.Error("the second row says ", err)
	}
	if _, err := texts(t.Context(), pool, "SELECT $1::text", "a\x00b"); !errors.Is(err, ErrText) {
		t.Error("NUL says ", err)
	}
	if err := Read(t.Context(), bare(t, config()), "SELECT 1", nil, nil); err == nil {
		t.Error("another driver's pool is taken")
	}
	if wrong := usable(pool); wrong != "" {
		t.Error(wrong)
	}
}

// A pooled connection that died since costs its next reader nothing.
func TestReadAfterTheConnectionDied(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	pool.SetMaxOpenConns(1)
	for range 5 {
		pid, err := texts(t.Context(), pool, "SELECT pg_backend_pid()::text")
		must(t, err)
		_, err = safe(t, config()).Exec("SELECT pg_terminate_backend($1::int, 10000)", pid[0])
		must(t, err)
		waitFor(t, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = "+pid[0]+")")
	}
}
