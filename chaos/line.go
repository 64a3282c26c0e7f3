package chaos

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
)

// line is one connection through a Proxy. One goroutine passes on what the client says, and one what the server does.
type line struct {
	proxy          *Proxy
	client, server net.Conn
	gone           chan struct{}
	once           sync.Once

	mu    sync.Mutex
	known Line
	muted bool
	cut   *cut // what the server says next is not heard, and ends the line

	head []byte // of the server's message that is being passed on, until its length and first byte are known
	left int    // bytes of its body to come
}

func (l *line) state() Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known
}

func (l *line) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *line) hangUp() {
	l.once.Do(func() {
		close(l.gone)
		reset(l.client)
		_ = l.server.Close()
	})
}

func (l *line) questions() {
	for buffer := make([]byte, 64<<10); ; {
		n, err := l.client.Read(buffer)
		if err != nil || !l.proxy.pass(l.gone) {
			return
		}
		said := buffer[:n]
		if bytes.Contains(said, []byte("LISTEN ")) {
			l.set(func() { l.known.Listens = true })
		}
		switch c := l.proxy.meant(said); {
		case c == nil:
		case c.after:
			l.set(func() { l.cut = c })
		case c.hold:
			close(c.done)
			_, _ = io.Copy(io.Discard, l.client) // until it leaves
			return
		default:
			close(c.done)
			return
		}
		if _, err := l.server.Write(said); err != nil {
			return
		}
	}
}

func (l *line) answers() {
	defer l.hangUp()
	for buffer := make([]byte, 64<<10); ; {
		n, err := l.server.Read(buffer)
		if err != nil || !l.proxy.pass(l.gone) {
			return
		}
		l.follow(buffer[:n])
		l.mu.Lock()
		c, muted := l.cut, l.muted
		l.mu.Unlock()
		if c != nil {
			close(c.done)
			return
		}
		if muted {
			continue
		}
		if _, err := l.client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// follow reads of the server's messages whether a transaction is open: ReadyForQuery says so in its one byte.
func (l *line) follow(said []byte) {
	for len(said) > 0 {
		if skip := min(l.left, len(said)); skip > 0 {
			l.left, said = l.left-skip, said[skip:]
			continue
		}
		l.head, said = append(l.head, said[0]), said[1:]
		switch {
		case len(l.head) < 5 || l.head[0] == 'Z' && len(l.head) < 6:
		case l.head[0] == 'Z':
			open := l.head[5] != 'I'
			l.set(func() { l.known.InTransaction = open })
			l.head = l.head[:0]
		default:
			l.left = max(0, int(binary.BigEndian.Uint32(l.head[1:5]))-4)
			l.head = l.head[:0]
		}
	}
}
