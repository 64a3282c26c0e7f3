package safedriver

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy stands between a client and the test database.
type proxy struct {
	cfg     Config
	cutOn   atomic.Pointer[string] // when the client says this ...
	hold    bool                   // ... the answer is held back for ever, or else the line is cut
	more    atomic.Pointer[string] // is said behind what the server says next
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
			said := buf[:n]
			if more := p.more.Swap(nil); more != nil {
				said = append(said, *more...)
			}
			if _, err := client.Write(said); err != nil {
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
			waitFor(t, "SELECT count(*) = 1 FROM "+table) // it may be on its way still
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
	ctx, mark := cancelledOnce(t)
	_, err = tx.ExecContext(ctx, "INSERT INTO "+table+" SELECT 'x' FROM pg_sleep(60) -- "+mark)
	if !errors.Is(err, context.Canceled) {
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
