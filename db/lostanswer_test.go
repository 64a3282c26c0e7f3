package db_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// A create whose COMMIT was done and whose answer was lost is UNAVAILABLE, and sent again it answers what was made.
func TestKeyOfALostAnswer(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	line := newLine(t, cfg.Addr)
	direct := bench{dbtest.Open(t, cfg), dbtest.SQL(t, cfg)}
	execute(t, direct.sql, "INSERT INTO providers VALUES (1, 'one', true, false)")
	cfg.Addr = line.addr
	b := bench{dbtest.Open(t, cfg), direct.sql}
	for i := range 3 {
		in := keyed(fmt.Sprint(i))
		line.armed.Store(true)
		_, err := b.RequestImage(t.Context(), ann, in)
		refused(t, err, refusal{imaging.Unavailable, ""})
		same(t, i+1, one[int](t, b.sql, "SELECT count(*) FROM image_requests"))
		b.unchanged(t, func() { same(t, in.Instance, b.request(t, ann, in).Instance) })
	}
}

// line passes on what is said between a store and Postgres. Armed, it lets the next COMMIT through, waits for its answer,
// and hangs up on both.
type line struct {
	addr, server string
	armed        atomic.Bool
}

func newLine(t *testing.T, server string) *line {
	t.Helper()
	l := &line{addr: filepath.Join(t.TempDir(), "s"), server: server}
	listener, err := net.Listen("unix", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go l.connect(client)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	return l
}

func (l *line) connect(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("unix", l.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var cut atomic.Bool
	go func() {
		defer func() { _, _ = client.Close(), server.Close() }()
		buffer := make([]byte, 1<<16)
		for {
			n, err := server.Read(buffer)
			if err != nil || cut.Load() {
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if bytes.Contains(buffer[:n], []byte("COMMIT")) && l.armed.CompareAndSwap(true, false) {
			cut.Store(true)
		}
		if _, err := io.Copy(server, bytes.NewReader(buffer[:n])); err != nil {
			return
		}
	}
}

// Wherever the caller's context ends, a create is done or it is not, and sent again it is done once.
func TestKeyOfACutCall(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := 0; ; i += 3 {
		in := keyed(fmt.Sprint(i))
		_, err := b.RequestImage(&cutContext{Context: t.Context(), after: int64(i), done: make(chan struct{})}, ann, in)
		if err != nil {
			refused(t, err, refusal{imaging.Unavailable, ""})
		}
		v := b.request(t, ann, in)
		same(t, 1, one[int](t, b.sql, "SELECT count(*) FROM versions WHERE instance = $1", in.Instance.String()))
		same(t, v.ID.String(), one[string](t, b.sql, "SELECT version_id FROM idempotency_keys WHERE key = $1", *in.IdempotencyKey))
		switch {
		case err == nil && i == 0, i > 3000:
			t.Fatalf("cut after %d looks: %v", i, err)
		case err == nil: // it was not cut any more
			return
		}
	}
}

// cutContext ends when it was looked at so many times.
type cutContext struct {
	context.Context
	after int64
	looks atomic.Int64
	done  chan struct{}
}

func (c *cutContext) look() bool {
	n := c.looks.Add(1)
	if n == c.after+1 {
		close(c.done)
	}
	return n > c.after
}

func (c *cutContext) Done() <-chan struct{} {
	c.look()
	return c.done
}

func (c *cutContext) Err() error {
	if c.look() {
		return context.Canceled
	}
	return nil
}

func (c *cutContext) Deadline() (time.Time, bool) { return time.Time{}, false }
