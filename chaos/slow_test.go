package chaos

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestSlowConnections: two thousand who send their heads or bodies, or read their answers, a byte at a time, or say nothing at
// all, each of whom comes again when they are shown the door; and twenty normal clients beside them, who notice nothing.
func TestSlowConnections(t *testing.T) {
	t.Parallel()
	slow, lasting := number(2000, 400), length(time.Minute, 6*time.Second)
	w := newWorld(t, setup{})
	w.populate()
	w.startAll()
	tokens := w.tokens(20)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var open, came atomic.Int64
	arrive := time.NewTicker(5 * time.Millisecond) // not all at once, which would be another trial
	defer arrive.Stop()
	for i := range slow {
		<-arrive.C
		all.Go(func() {
			for ctx.Err() == nil {
				w.dawdle(ctx, tokens[i%len(tokens)], i, &open, &came)
			}
		})
	}
	eventually(t, "they are all there", func() bool { return open.Load() >= int64(slow*9/10) })
	var l tally
	limited, done := context.WithTimeout(ctx, lasting)
	defer done()
	w.crowd(limited, tokens, &l)
	there := open.Load()
	t.Logf("%d slow connections, %d at the end, %d in all; 20 clients beside them for %v: %v; memory %.0f MiB", slow, there, came.Load(), lasting, &l, w.servers[0].memory(t))
	if l.failed.Load()+l.refused.Load() > 0 || l.answered.Load() == 0 {
		t.Errorf("%v: %s", &l, l.wrong)
	}
	if there < int64(slow/2) {
		t.Errorf("only %d slow connections are left", there)
	}
	stop()
	all.Wait()
}

// dawdle is one slow connection, until the server has enough of it.
func (w *world) dawdle(ctx context.Context, token string, n int, open, came *atomic.Int64) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.servers[0].address())
	if err != nil {
		return
	}
	came.Add(1)
	open.Add(1)
	defer open.Add(-1)
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	head := "Host: localhost\r\nAuthorization: Token " + token + "\r\n"
	switch n % 4 {
	case 0: // its head takes for ever
		drip(ctx, c, "GET /image_requests HTTP/1.1\r\n"+head+"X-Long: "+strings.Repeat("x", 1000))
	case 1: // its body does
		_, _ = io.WriteString(c, "POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"+head+"\r\n")
		drip(ctx, c, `{"query":"`+strings.Repeat(" ", 900))
	case 2: // it reads a byte of its answer now and then
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetReadBuffer(4 << 10)
		}
		_, _ = io.WriteString(c, "GET /image_requests?page_size=100 HTTP/1.1\r\n"+head+"\r\n")
		sip(ctx, c)
	case 3: // it says nothing
		_, _ = io.Copy(io.Discard, c)
	}
}

// sip reads a byte now and then until the other side hangs up.
func sip(ctx context.Context, c net.Conn) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for one := make([]byte, 1); ; {
		if _, err := c.Read(one); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// drip sends a byte now and then until the other side hangs up.
func drip(ctx context.Context, c net.Conn, text string) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, c)
	}()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		if _, err := io.WriteString(c, text[i%len(text):i%len(text)+1]); err != nil {
			break
		}
		select {
		case <-tick.C:
			continue
		case <-gone:
		case <-ctx.Done():
		}
		break
	}
	_ = c.Close()
	<-gone
}
