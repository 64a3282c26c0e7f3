package safedriver

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"
)

// A server without TLS gets not one byte more, unless TLS was optional.
func TestServerWithoutTLS(t *testing.T) {
	t.Parallel()
	for mode, wantStartup := range map[string]bool{"require": false, "prefer": true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer l.Close()
		said := make(chan []byte, 1)
		go func() {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			defer nc.Close()
			_, _ = io.ReadFull(nc, make([]byte, len(sslRequest)))
			_, _ = io.WriteString(nc, "N")
			buf := make([]byte, 1024)
			n, _ := nc.Read(buf)
			said <- buf[:n]
		}()
		cfg, err := ParseURL("postgres://u@"+l.Addr().String()+"/d?sslmode="+mode, nil)
		must(t, err)
		if err := safe(t, cfg).Ping(); err == nil {
			t.Error("it connected")
		}
		if heard := <-said; bytes.Contains(heard, []byte("user\x00u")) != wantStartup || len(heard) > 0 != wantStartup {
			t.Errorf("%s: the server heard %q", mode, heard)
		}
	}
}

// A failed login must not leave its socket open until the garbage collector finds it.
func TestFailedConnectClosesSocket(t *testing.T) {
	t.Parallel()
	var kept net.Conn
	t.Cleanup(func() { _ = kept.Close() }) // after the refuser's own
	cfg := refuser(t)
	plain := pgdriver.NewConnector(pgdriver.WithUser("tester"), pgdriver.WithInsecure(true))
	plain.Config().Dialer = func(context.Context, string, string) (nc net.Conn, err error) {
		kept, err = net.Dial("tcp", cfg.Addr)
		return kept, err
	}
	if err := pool(t, sql.OpenDB(plain)).Ping(); SQLState(err) != "28P01" {
		t.Fatal("unexpected ", err)
	}
	if err := kept.SetDeadline(time.Time{}); err != nil {
		t.Error("the bare driver no longer has this hole: ", err)
	}
	_ = kept.Close()

	cfg.DialTimeout = time.Minute
	c, err := New(cfg)
	must(t, err)
	if err := pool(t, sql.OpenDB(c)).Ping(); SQLState(err) != "28P01" {
		t.Fatal("unexpected ", err)
	}
	// the way of the listener: the time for logging in ends it
	c.inner.Config().Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := c.dial(ctx, network, addr)
		kept = nc // out of the garbage collector's hands
		return nc, err
	}
	if _, err := c.inner.Connect(t.Context()); SQLState(err) != "28P01" {
		t.Error("unexpected ", err)
	}
	if !kept.(*socket).login.Reset(0) {
		t.Error("no timer runs that will end it")
	}
}

// refuser is a server that refuses every login. It wants the client to hang up,
// and says so at the end of the test.
func refuser(t *testing.T) Config {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var lines sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); lines.Wait() })
	lines.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			lines.Go(func() {
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(3 * time.Second))
				_, _ = nc.Read(make([]byte, 1024))
				fields := "SFATAL\x00VFATAL\x00C28P01\x00Mno entry\x00\x00"
				_, _ = io.WriteString(nc, "E\x00\x00\x00"+string(rune(len(fields)+4))+fields)
				if _, err := io.ReadAll(nc); err != nil {
					t.Error("the client did not hang up: ", err)
				}
			})
		}
	})
	cfg := tcpConfig()
	cfg.Addr = l.Addr().String()
	return cfg
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

// A caller's deadline is told as such at whatever moment of the connecting it passes.
func TestDeadlineWhileConnecting(t *testing.T) {
	t.Parallel()
	c, err := New(tcpConfig())
	must(t, err)
	for i := range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*10*time.Microsecond)
		cn, err := c.Connect(ctx)
		cancel()
		switch {
		case err == nil:
			must(t, cn.Close())
		case !errors.Is(err, context.DeadlineExceeded):
			t.Errorf("after %d µs it came back as %v", 10*i, err)
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

// A name such as localhost may lead to another machine: the peer's address counts.
func TestPeerElsewhere(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"disable", "prefer", "require", "verify-ca"} {
		cfg, err := ParseURL("postgres://u@localhost/d?sslmode="+mode, nil)
		must(t, err)
		c, err := New(cfg)
		must(t, err)
		if _, err := c.secure(t.Context(), elsewhere{}); !errors.Is(err, errUnverified) {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5432} }

// A cut under way is waited for, so that it cannot hit whoever comes next.
func TestOnEndWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		begun, finish, released := make(chan struct{}), make(chan struct{}), make(chan struct{})
		release := onEnd(ctx, func() { close(begun); <-finish })
		cancel()
		<-begun
		go func() { release(); close(released) }()
		synctest.Wait()
		select {
		case <-released:
			t.Error("released in the middle of it")
		default:
		}
		close(finish)
		<-released
	})
}
