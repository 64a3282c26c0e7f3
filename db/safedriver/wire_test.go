package safedriver

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"
)

// proxy stands between a client and the test database.
type proxy struct {
	cfg     Config
	cutOn   atomic.Pointer[string] // when the client says this ...
	hold    bool                   // ... the answer is held back for ever, or else the line is cut
	answers atomic.Int64           // bytes the server sent, as far as they came
}

func newProxy(t *testing.T) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{cfg: tcpConfig()}
	to := p.cfg.Addr
	p.cfg.Addr = l.Addr().String()
	var lines sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() { stop(); _ = l.Close(); lines.Wait() })
	lines.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			lines.Go(func() { p.line(ctx, client, to) })
		}
	})
	return p
}

func (p *proxy) line(ctx context.Context, client net.Conn, to string) {
	server, err := net.Dial("tcp", to)
	if err != nil {
		_ = client.Close()
		return
	}
	hangUp := func() { _ = client.Close(); _ = server.Close() }
	defer context.AfterFunc(ctx, hangUp)()
	var swallow atomic.Bool
	var both sync.WaitGroup
	both.Go(func() {
		defer hangUp()
		for buf := make([]byte, 32<<10); ; {
			n, err := client.Read(buf)
			if mark := p.cutOn.Load(); mark != nil && bytes.Contains(buf[:n], []byte(*mark)) {
				swallow.Store(true)
			}
			if _, werr := server.Write(buf[:n]); err != nil || werr != nil {
				return
			}
		}
	})
	both.Go(func() {
		defer hangUp()
		for buf := make([]byte, 32<<10); ; {
			n, err := server.Read(buf)
			switch {
			case err != nil, swallow.Load() && !p.hold:
				return // the server has answered, nobody will hear it
			case swallow.Load():
				continue
			}
			p.answers.Add(int64(n))
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	both.Wait()
}

func TestLostAnswerToCommit(t *testing.T) {
	t.Parallel()
	for _, hold := range []bool{false, true} {
		t.Run(fmt.Sprint("held back: ", hold), func(t *testing.T) {
			t.Parallel()
			p, table := newProxy(t), newTable(t)
			p.hold = hold
			p.cfg.CommitTimeout = 200 * time.Millisecond
			if !hold {
				p.cfg.CommitTimeout = time.Minute // the cut must be what ends it
			}
			db := safe(t, p.cfg)
			tx, err := db.Begin()
			must(t, err)
			_, err = tx.Exec("INSERT INTO " + table + " VALUES ('x')")
			must(t, err)
			mark := "COMMIT"
			p.cutOn.Store(&mark)
			err = tx.Commit()
			p.cutOn.Store(nil)
			if !errors.Is(err, ErrCommitUnknown) || errors.Is(err, driver.ErrBadConn) || SQLState(err) != "" {
				t.Error("commit said ", err)
			}
			if n := count(t, table); n != 1 {
				t.Error("rows: ", n)
			}
			if wrong := usable(db); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

func TestCommitNotSent(t *testing.T) {
	t.Parallel()
	db, table := safe(t, tcpConfig()), newTable(t)
	tx, err := db.Begin()
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = tx.ExecContext(ctx, "INSERT INTO "+table+" SELECT 'x' FROM pg_sleep(5)")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("insert said ", err)
	}
	if err := tx.Commit(); !errors.Is(err, driver.ErrBadConn) || errors.Is(err, ErrCommitUnknown) {
		t.Error("commit said ", err)
	}
	if n := count(t, table); n != 0 {
		t.Error("rows: ", n)
	}
}

func TestRollbackThatFails(t *testing.T) {
	t.Parallel()
	p := newProxy(t)
	p.hold, p.cfg.CommitTimeout = true, 100*time.Millisecond
	db := safe(t, p.cfg)
	tx, err := db.Begin()
	must(t, err)
	mark := "ROLLBACK"
	p.cutOn.Store(&mark)
	if err := tx.Rollback(); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("rollback said ", err)
	}
	if open := db.Stats().OpenConnections; open != 0 {
		t.Error("connections still open: ", open)
	}
}

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
				must(t, rows.Close())
				if n := p.answers.Load(); n > 60e6 {
					return fmt.Sprint("bytes read for one row: ", n)
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
	tx, err := db.Begin()
	must(t, err)
	defer func() { _ = tx.Rollback() }()
	rows, err = tx.Query("SELECT generate_series(1, 5000)")
	must(t, err)
	rows.Next()
	if err := rows.Close(); !errors.Is(err, errDrained) {
		t.Error("a long rest within a transaction said ", err)
	}
}

// A failed login must not leave its socket open until the garbage collector finds it.
func TestFailedConnectClosesSocket(t *testing.T) {
	hole(t, func(t *testing.T, open opener) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer l.Close()
		left := make(chan bool, 1)
		var open1 atomic.Pointer[net.Conn] // keeps the server's end
		go func() {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			open1.Store(&nc)
			buf := make([]byte, 1024)
			_, _ = nc.Read(buf)
			_, _ = io.WriteString(nc, "E\x00\x00\x00\x26SFATAL\x00VFATAL\x00C28P01\x00Mno entry\x00\x00")
			_ = nc.SetReadDeadline(time.Now().Add(2 * time.Second))
			_, err = io.ReadAll(nc)
			left <- err == nil
			_ = nc.Close()
		}()
		cfg := tcpConfig()
		cfg.Addr = l.Addr().String()
		if err := open(t, cfg).Ping(); SQLState(err) != "28P01" {
			t.Fatal("unexpected ", err)
		}
		if !<-left {
			return "the socket stayed open"
		}
		return ""
	})
}

func TestConnectHasALimit(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, never answers
	must(t, err)
	defer l.Close()
	cfg := tcpConfig()
	cfg.Addr, cfg.DialTimeout = l.Addr().String(), 50*time.Millisecond
	err = safe(t, cfg).Ping()
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Error("no limit, or the caller's own: ", err)
	}
	cfg.DialTimeout = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := safe(t, cfg).PingContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("the caller's limit came back as ", err)
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
	}
}

func TestGarbageFromServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(nc, "R\xff\xff\xff\xf0\x00\x00\x00\x00")
			_ = nc.Close()
		}
	}()
	cfg := tcpConfig()
	cfg.Addr = l.Addr().String()
	if err := safe(t, cfg).Ping(); !errors.Is(err, errProtocol) {
		t.Error("garbage said ", err)
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
				row := stmt.QueryRowContext(ctx, want)
				if i%2 == 0 {
					row = db.QueryRowContext(ctx, "SELECT $1::int FROM generate_series(1, 3)", want)
				}
				switch err := row.Scan(&got); {
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
