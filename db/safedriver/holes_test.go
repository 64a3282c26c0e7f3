package safedriver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// hole runs one check against the bare driver and against this package. The check
// returns what it found wrong. The bare driver must be found wrong: once it is
// not, it was repaired and what we do about it can go.
func hole(t *testing.T, check func(t *testing.T, open opener) (wrong string)) {
	t.Helper()
	t.Parallel()
	t.Run("bare", func(t *testing.T) {
		t.Parallel()
		if wrong := check(t, bare); wrong == "" {
			t.Error("the bare driver no longer has this hole")
		} else {
			t.Log("as expected: ", wrong)
		}
	})
	t.Run("safe", func(t *testing.T) {
		t.Parallel()
		if wrong := check(t, safe); wrong != "" {
			t.Error(wrong)
		}
	})
}

func TestPreparedRowsOfAnotherCaller(t *testing.T) {
	hole(t, func(t *testing.T, open opener) string {
		stmt, err := open(t, config()).Prepare("SELECT $1::text || pg_sleep($2::float8)::text")
		must(t, err)
		t.Cleanup(func() { _ = stmt.Close() })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // by then it is asked, and far from answered
		defer cancel()
		var got string
		if err := stmt.QueryRowContext(ctx, "first", 8).Scan(&got); err == nil {
			t.Fatal("the first call was too fast for this test")
		}
		if err := stmt.QueryRow("second", 0).Scan(&got); err != nil || got != "second" {
			return fmt.Sprintf("the second caller read %q, %v", got, err)
		}
		return ""
	})
}

func TestCommitOfFailedTransaction(t *testing.T) {
	hole(t, func(t *testing.T, open opener) string {
		db := open(t, config())
		tx, err := db.Begin()
		must(t, err)
		_, err = tx.Exec("SELECT 1/0")
		if SQLState(err) != "22012" {
			t.Fatal("unexpected ", err)
		}
		if err := tx.Commit(); !errors.Is(err, ErrAborted) {
			return fmt.Sprint("commit said ", err)
		}
		return usable(db)
	})
}

func TestCommitBehindTheBack(t *testing.T) {
	hole(t, func(t *testing.T, open opener) string {
		tx, err := open(t, config()).Begin()
		must(t, err)
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.Exec("ROLLBACK"); !errors.Is(err, ErrTxState) {
			return fmt.Sprint("ROLLBACK as a statement said ", err)
		}
		return ""
	})
}

func TestOtherTextThanMeant(t *testing.T) {
	for _, text := range []string{"a\xffb", "a\x00b"} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			hole(t, func(t *testing.T, open opener) string {
				db := open(t, config())
				var got string
				if err := db.QueryRow("SELECT $1::text", text).Scan(&got); !errors.Is(err, ErrText) {
					return fmt.Sprintf("it came back as %q, %v", got, err)
				}
				stmt, err := db.Prepare("SELECT $1::text")
				must(t, err)
				defer stmt.Close()
				if err := stmt.QueryRow(text).Scan(&got); !errors.Is(err, ErrText) {
					return fmt.Sprintf("prepared, it came back as %q, %v", got, err)
				}
				if _, err := stmt.Exec(text); !errors.Is(err, ErrText) {
					return fmt.Sprint("prepared exec: ", err)
				}
				if _, err := db.Exec("SELECT '" + text + "'"); !errors.Is(err, ErrText) {
					return fmt.Sprint("in the query text: ", err)
				}
				if _, err := db.Prepare("SELECT '" + text + "'"); !errors.Is(err, ErrText) {
					return fmt.Sprint("in prepared text: ", err)
				}
				return usable(db)
			})
		})
	}
}

func TestCancelWithoutDeadline(t *testing.T) {
	hole(t, func(t *testing.T, open opener) string {
		db := open(t, config())
		must(t, db.Ping())
		ctx, mark := cancelledOnce(t)
		if _, err := db.ExecContext(ctx, "SELECT pg_sleep(9) -- "+mark); !errors.Is(err, context.Canceled) {
			return fmt.Sprint("the cancelled query said ", err)
		}
		waitFor(t, "SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE '%"+mark+"' AND pid <> pg_backend_pid()")
		return usable(db)
	})
}

func TestDeadline(t *testing.T) {
	hole(t, func(t *testing.T, open opener) string {
		db := open(t, config())
		must(t, db.Ping())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := db.ExecContext(ctx, "SELECT pg_sleep(30)"); !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Sprintf("a passed deadline came back as %T %v", err, err)
		}
		return usable(db)
	})
}

func TestSessionParameters(t *testing.T) {
	hole(t, func(t *testing.T, open opener) string {
		db := open(t, config())
		for name, want := range map[string]string{
			"TimeZone": "UTC", "statement_timeout": "15s", "lock_timeout": "3s", "application_name": "imagerequests",
			"idle_in_transaction_session_timeout": "10s", "client_connection_check_interval": "1s", "DateStyle": "ISO, MDY",
		} {
			var got string
			must(t, db.QueryRow("SELECT current_setting('"+name+"')").Scan(&got))
			if got != want {
				return fmt.Sprintf("%s is %q, want %q", name, got, want)
			}
		}
		return ""
	})
}

func TestDeadPooledConnection(t *testing.T) {
	hole(t, func(t *testing.T, open opener) string {
		db := open(t, tcpConfig())
		for range 3 {
			var pid int
			must(t, db.QueryRow("SELECT pg_backend_pid()").Scan(&pid))
			var gone bool // waits until it is
			must(t, safe(t, config()).QueryRow("SELECT pg_terminate_backend($1, 10000)", pid).Scan(&gone))
			if !gone {
				t.Fatal("the backend does not end")
			}
			if err := db.QueryRow("SELECT 1").Scan(&pid); err != nil {
				return fmt.Sprint("the first query on a dead connection said ", err)
			}
		}
		return ""
	})
}

func TestLongErrorText(t *testing.T) {
	hole(t, func(t *testing.T, open opener) string {
		db := open(t, config())
		var before, after int
		must(t, db.QueryRow("SELECT pg_backend_pid()").Scan(&before))
		_, err := db.Exec("SELECT '" + strings.Repeat("x", 20_000) + "'::int")
		if SQLState(err) != "22P02" {
			return fmt.Sprintf("a long error has the code %q: %.60v", SQLState(err), err)
		}
		must(t, db.QueryRow("SELECT pg_backend_pid()").Scan(&after))
		if before != after {
			return "the connection was lost"
		}
		return ""
	})
}

func TestTransactionLeftOpen(t *testing.T) {
	hole(t, func(t *testing.T, open opener) string {
		db, table := open(t, config()), newTable(t)
		if _, err := db.Exec("BEGIN"); err != nil && !errors.Is(err, ErrTxState) {
			t.Fatal(err)
		}
		_, err := db.Exec("INSERT INTO " + table + " VALUES ('x')")
		must(t, err)
		if n := count(t, table); n != 1 {
			return fmt.Sprint("a stranger's BEGIN swallowed the row, count is ", n)
		}
		return ""
	})
}

func TestTransactionLeftFailed(t *testing.T) {
	hole(t, func(t *testing.T, open opener) string {
		db := open(t, config())
		if _, err := db.Exec("BEGIN; SELECT 1/0"); SQLState(err) != "22012" {
			t.Fatal("unexpected ", err)
		}
		return usable(db)
	})
}

func TestTransactionLeftOpenByRows(t *testing.T) {
	hole(t, func(t *testing.T, open opener) string {
		db, table := open(t, config()), newTable(t)
		rows, err := db.Query("BEGIN; SELECT 1")
		must(t, err)
		for rows.Next() {
		}
		_ = rows.Close()
		_, err = db.Exec("INSERT INTO " + table + " VALUES ('x')")
		must(t, err)
		if n := count(t, table); n != 1 {
			return fmt.Sprint("a stranger's BEGIN swallowed the row, count is ", n)
		}
		return ""
	})
}

func TestSessionLeftChanged(t *testing.T) {
	hole(t, func(t *testing.T, open opener) string {
		db := open(t, config())
		_, err := db.Exec("SET search_path TO pg_catalog")
		must(t, err)
		var got string
		must(t, db.QueryRow("SELECT current_setting('search_path')").Scan(&got))
		if got == "pg_catalog" {
			return "the next user has the search_path of the last"
		}
		return ""
	})
}

func TestStatementWhileRowsAreOpen(t *testing.T) {
	hole(t, func(t *testing.T, open opener) string {
		tx, err := open(t, config()).Begin()
		must(t, err)
		defer func() { _ = tx.Rollback() }()
		rows, err := tx.Query("SELECT generate_series(1, 100)")
		must(t, err)
		rows.Next()
		if _, err := tx.Exec("SELECT 1"); !errors.Is(err, ErrBusy) {
			return fmt.Sprint("a statement between rows said ", err)
		}
		n := 1
		for rows.Next() {
			n++
		}
		if n != 100 || rows.Err() != nil {
			return fmt.Sprint("rows read: ", n, rows.Err())
		}
		if err := tx.Commit(); err != nil {
			return fmt.Sprint("commit: ", err)
		}
		return ""
	})
}

// The driver stops in the middle of a message here: nothing may be read after it.
func TestUnreadableRows(t *testing.T) {
	t.Parallel()
	for _, query := range []string{
		"SELECT 'a' AS f; SELECT 'a'::text, 'b'::text, 'c'::text",
		"SELECT 'infinity'::timestamptz, repeat('Z', 100)",
	} {
		db := safe(t, config())
		rows, err := db.Query(query)
		must(t, err)
		for rows.Next() {
		}
		if rows.Err() == nil {
			t.Errorf("%s was read without an error", query)
		}
		_ = rows.Close()
		if wrong := usable(db); wrong != "" {
			t.Error(wrong)
		}
	}
}

// Not parallel: in the bare driver this is a race between any two queries.
func TestColumnsBelongToTheirRows(t *testing.T) {
	changed := func(open opener) bool {
		db := open(t, config())
		for range 100 { // the driver's pool of descriptions forgets at random
			rows, err := db.Query("SELECT 1 AS mine")
			must(t, err)
			columns, err := rows.Columns()
			must(t, err)
			must(t, rows.Close())
			other, err := db.Query("SELECT 1 AS other")
			must(t, err)
			must(t, other.Close())
			if columns[0] != "mine" {
				return true
			}
		}
		return false
	}
	if !changed(bare) {
		t.Error("the bare driver no longer has this hole")
	}
	if changed(safe) {
		t.Error("columns changed their names after the next query")
	}
}

var serial atomic.Int64

// newTable makes a table of one text column.
func newTable(t *testing.T) string {
	t.Helper()
	name := fmt.Sprint("t", serial.Add(1))
	_, err := safe(t, config()).Exec("CREATE TABLE " + name + " (v text NOT NULL CONSTRAINT " + name + "_v CHECK (v <> ''))")
	must(t, err)
	return name
}

func count(t *testing.T, table string) (n int) {
	t.Helper()
	must(t, safe(t, config()).QueryRow("SELECT count(*) FROM "+table).Scan(&n))
	return n
}

// usable says what is wrong with a pool that should go on working.
func usable(db *sql.DB) string {
	for want := range 3 {
		got := -1
		if err := db.QueryRow("SELECT $1::int", want).Scan(&got); err != nil || got != want {
			return fmt.Sprintf("afterwards, %d came back as %d, %v", want, got, err)
		}
	}
	return ""
}

// waitFor asks until the answer is true.
func waitFor(t *testing.T, question string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	db := safe(t, config())
	for yes := false; !yes; <-again.C {
		if err := db.QueryRowContext(ctx, question).Scan(&yes); err != nil {
			t.Errorf("waiting for %s: %v", question, err)
			return
		}
	}
}

// cancelledOnce is a context that ends as soon as the server carries out a statement that ends in the mark.
func cancelledOnce(t *testing.T) (ctx context.Context, mark string) {
	ctx, cancel := context.WithCancel(t.Context())
	mark = fmt.Sprint("cancel ", serial.Add(1))
	var watching sync.WaitGroup
	watching.Go(func() {
		waitFor(t, "SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%"+mark+"' AND pid <> pg_backend_pid()")
		cancel()
	})
	t.Cleanup(watching.Wait)
	return ctx, mark
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
