package safedriver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"
)

// Closing rows early reads all the rest, which the bare driver does even when the
// caller has gone.
func TestRowsClosedEarly(t *testing.T) {
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprint("caller gone: ", gone), func(t *testing.T) {
			hole(t, func(t *testing.T, open opener) string {
				p := newProxy(t)
				db := open(t, p.cfg)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				rows, err := db.QueryContext(ctx, "SELECT repeat('x', 10000) FROM generate_series(1, 10000)")
				must(t, err)
				rows.Next()
				if gone {
					cancel()
				}
				// database/sql closes the rows itself when the caller goes: whoever
				// comes first has the error, the other is told by Err
				err = errors.Join(rows.Close(), rows.Err())
				if n := p.answers.Load(); n > 60e6 {
					return fmt.Sprint("bytes read for one row: ", n)
				}
				if !errors.Is(err, errDrained) && !(gone && errors.Is(err, context.Canceled)) {
					return fmt.Sprint("closing early said ", err)
				}
				return usable(db)
			})
		})
	}
}

func TestRowsClosedEarlyKeepConnection(t *testing.T) {
	t.Parallel()
	db := safe(t, config())
	var before, after int
	rows, err := db.Query("SELECT pg_backend_pid() FROM generate_series(1, 500)")
	must(t, err)
	rows.Next()
	must(t, rows.Scan(&before))
	must(t, rows.Close())
	must(t, db.QueryRow("SELECT pg_backend_pid()").Scan(&after))
	if before != after {
		t.Error("a short rest cost the connection")
	}
}

func TestPreparedKeepsConnection(t *testing.T) {
	t.Parallel()
	db := safe(t, config())
	pids := map[int]bool{}
	for i := range 5 {
		stmt, err := db.Prepare("SELECT pg_backend_pid() WHERE $1::int >= 0")
		must(t, err)
		var pid int
		must(t, stmt.QueryRow(i).Scan(&pid))
		pids[pid] = true
		_, err = stmt.Exec(i)
		must(t, err)
		if _, err := stmt.Exec("not a number"); SQLState(err) != "22P02" {
			t.Error("unexpected ", err)
		}
		must(t, stmt.Close())
	}
	if len(pids) != 1 {
		t.Error("connections used: ", len(pids))
	}
}

// An error may come behind the rows; QueryRow learns of it from Close.
func TestErrorBehindTheRows(t *testing.T) {
	t.Parallel()
	db, table := safe(t, config()), newTable(t)
	_, err := db.Exec("ALTER TABLE " + table + " ADD CONSTRAINT once_" + table + " UNIQUE (v) DEFERRABLE INITIALLY DEFERRED")
	must(t, err)
	var v string
	err = db.QueryRow("INSERT INTO " + table + " VALUES ('x'), ('x') RETURNING v").Scan(&v)
	if SQLState(err) != "23505" || Constraint(err) != "once_"+table || v != "x" {
		t.Errorf("read %q, %v", v, err)
	}
	if wrong := usable(db); wrong != "" {
		t.Error(wrong)
	}
}

func TestReadTimeout(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.ReadTimeout = 100 * time.Millisecond
	db := safe(t, cfg)
	_, err := db.Exec("SELECT pg_sleep(5)")
	if err == nil || errors.Is(err, context.DeadlineExceeded) || db.Stats().OpenConnections != 0 {
		t.Error("a silent server: ", err)
	}
}

// Frames of any size in pieces of any size leave the same picture.
func TestFollow(t *testing.T) {
	t.Parallel()
	answer := []byte("T\x00\x00\x00\x06\x00\x00D\x00\x00\x00\x06\x00\x00C\x00\x00\x00\x0bCOMMIT\x00Z\x00\x00\x00\x05T")
	for size := 1; size <= len(answer); size++ {
		s := &socket{login: time.NewTimer(time.Hour)}
		for rest := answer; len(rest) > 0; {
			n := min(size, len(rest))
			if s.quiet || !s.follow(rest[:n]) {
				t.Fatal("wrong in the middle, pieces of ", size)
			}
			rest = rest[n:]
		}
		if !s.quiet || s.status != 'T' || !s.committed() || s.set {
			t.Errorf("pieces of %d: quiet %v status %c tag %q", size, s.quiet, s.status, s.tag)
		}
		if s.follow([]byte("N\x00\x00\x00\x05\x00")); s.quiet {
			t.Error("a notice after the answer went unseen")
		}
		if s.follow([]byte("D\x00\x00\x00\x03")) || s.follow([]byte("DABCD")) && s.follow([]byte("\xff\xff\xff\xff\xff")) {
			t.Error("an impossible length passed")
		}
		if (&socket{login: time.NewTimer(time.Hour)}).follow([]byte("Z\x00\x00\x00\x06IE")) {
			t.Error("two states of one transaction passed")
		}
	}
}

// Many callers who give up at any moment, on few connections: each reads its own
// answer or an error.
func TestNeverAnothersAnswer(t *testing.T) {
	t.Parallel()
	db := safe(t, config())
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	stmt, err := db.Prepare("SELECT $1::int FROM generate_series(1, 3)")
	must(t, err)
	defer stmt.Close()
	var callers sync.WaitGroup
	var good atomic.Int64
	for caller := range 16 {
		callers.Go(func() {
			for i := range 200 {
				want, got := caller*1000+i, -1
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%40)*50*time.Microsecond)
				if i%5 == 0 {
					ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
				}
				ask := stmt.QueryRowContext
				if i%2 == 0 {
					ask = func(ctx context.Context, args ...any) *sql.Row {
						return db.QueryRowContext(ctx, "SELECT $1::int FROM generate_series(1, 3)", args...)
					}
				}
				switch err := ask(ctx, want).Scan(&got); {
				case err == nil && got != want:
					t.Errorf("asked for %d, read %d", want, got)
				case err == nil:
					good.Add(1)
				case i%5 == 0 || !errors.Is(err, context.DeadlineExceeded):
					t.Error("unexpected ", err)
				}
				cancel()
			}
		})
	}
	callers.Wait()
	if good.Load() < 16*40 {
		t.Error("good answers: ", good.Load())
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	c, err := New(config())
	if err != nil {
		b.Fatal(err)
	}
	plain := pgdriver.NewConnector(pgdriver.WithNetwork("unix"), pgdriver.WithAddr(config().Addr),
		pgdriver.WithUser("tester"), pgdriver.WithInsecure(true))
	for name, connector := range map[string]driver.Connector{"bare": plain, "safe": c} {
		b.Run(name, func(b *testing.B) {
			cn, err := connector.Connect(ctx)
			if err != nil {
				b.Fatal(err)
			}
			defer cn.Close()
			b.ReportAllocs()
			dest := make([]driver.Value, 1)
			for b.Loop() {
				rows, err := cn.(driver.QueryerContext).QueryContext(ctx, "SELECT generate_series(1, 100)", nil)
				if err != nil {
					b.Fatal(err)
				}
				for rows.Next(dest) == nil {
				}
				_ = rows.Close()
			}
		})
	}
}

// BenchmarkRead is a prepared read of some rows, through the pool.
func BenchmarkRead(b *testing.B) {
	c, err := New(config())
	if err != nil {
		b.Fatal(err)
	}
	pool := sql.OpenDB(c)
	b.Cleanup(func() { _ = pool.Close() })
	for _, rows := range []string{"1", "100"} {
		b.Run(rows+" rows", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				seen := 0
				err := Read(b.Context(), pool, Reading{"SELECT n, n::text, now() FROM generate_series(1, $1::int) AS n", []string{rows}, func(Row) error {
					seen++
					return nil
				}})
				if err != nil || strconv.Itoa(seen) != rows {
					b.Fatal(seen, err)
				}
			}
		})
	}
}

// What is said behind the answer to a prepared write would be taken for the answer to what comes next in its transaction.
func TestMoreThanWasAskedFor(t *testing.T) {
	t.Parallel()
	for _, more := range []string{"C\x00\x00\x00\x0fINSERT 0 1\x00Z\x00\x00\x00\x05T", "C\x00\x00\x00\x0fINS"} {
		p, table := newProxy(t), newTable(t)
		db := safe(t, p.cfg)
		tx, err := db.Begin()
		must(t, err)
		p.more.Store(&more)
		if _, err := tx.ExecContext(Prepared(t.Context()), "INSERT INTO "+table+" VALUES ('x')"); !errors.Is(err, ErrMore) {
			t.Errorf("with %q behind it, the insert said %v", more, err)
		}
		if err := tx.Commit(); !errors.Is(err, driver.ErrBadConn) {
			t.Error("commit said ", err)
		}
		if n := count(t, table); n != 0 {
			t.Error("rows: ", n)
		}
		if wrong := usable(db); wrong != "" {
			t.Error(wrong)
		}
	}
}
