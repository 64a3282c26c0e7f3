package transport

import (
	"bufio"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// wire is the connection below a socket. Each write has its time, so that whoever does not read is dropped; and so has all
// of a closing together, for in it the library waits without end for the rest of a frame that the other side has begun.
type wire struct {
	net.Conn
	timeout time.Duration
	closing atomic.Bool
}

// Write writes within the time for a write.
func (w *wire) Write(p []byte) (int, error) {
	if !w.closing.Load() {
		_ = w.SetWriteDeadline(time.Now().Add(w.timeout)) // a connection that has none is closed: the write tells
	}
	return w.Conn.Write(p)
}

// finish gives all that is still to be read and written so much time.
func (w *wire) finish(within time.Duration) {
	w.closing.Store(true)
	_ = w.SetDeadline(time.Now().Add(within))
}

// takeover hands the connection to the library when it takes that over from net/http, as a wire.
type takeover struct {
	http.ResponseWriter
	wire *wire
}

// Hijack is called by the library.
func (t *takeover) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	t.wire.Conn = conn
	return t.wire, bufio.NewReadWriter(rw.Reader, bufio.NewWriter(t.wire)), nil
}
