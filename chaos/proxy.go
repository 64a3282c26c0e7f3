package chaos

import (
	"bytes"
	"context"
	"net"
	"sync"
	"time"
)

// Proxy stands between clients and a Postgres, passes on what they say, and breaks what it is told to break. What is cut is
// cut for both sides: by a reset for the client, as of a connection that the network has lost.
type Proxy struct {
	listener    net.Listener
	network, to string
	ended       context.Context
	end         context.CancelFunc
	running     sync.WaitGroup

	mu    sync.Mutex
	lines map[*line]struct{}
	hole  chan struct{} // nothing passes until it is closed; nil: everything does
	delay time.Duration // of each piece, in each direction
	cut   *cut          // the next one
}

// cut is armed: the next line on which a client says the statement is cut.
type cut struct {
	statement []byte
	after     bool // only when the server has answered, and the client has not heard it
	hold      bool // not cut, but held there for ever
	done      chan struct{}
}

// NewProxy listens on a port of this machine.
func NewProxy(network, to string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, network: network, to: to, lines: map[*line]struct{}{}}
	p.ended, p.end = context.WithCancel(context.Background())
	p.running.Go(p.accept)
	return p, nil
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close hangs up on everybody and returns when nothing runs any more.
func (p *Proxy) Close() {
	p.end()
	_ = p.listener.Close()
	p.Reset(Any)
	p.running.Wait()
}

// Line is what is known of a connection.
type Line struct {
	Listens       bool // it has said LISTEN
	InTransaction bool // the server's last word was that one is open
}

// Any, Listening and InTransaction choose lines.
func Any(Line) bool             { return true }
func Listening(l Line) bool     { return l.Listens }
func InTransaction(l Line) bool { return l.InTransaction }

// Reset cuts these lines, and tells how many there were.
func (p *Proxy) Reset(which func(Line) bool) int { return p.each(which, (*line).hangUp) }

// Mute lets no word of the server through any more on these lines, for good; they stay open, and the server goes on hearing.
func (p *Proxy) Mute(which func(Line) bool) int {
	return p.each(which, func(l *line) { l.set(func() { l.muted = true }) })
}

func (p *Proxy) each(which func(Line) bool, do func(*line)) (n int) {
	p.mu.Lock()
	var chosen []*line
	for l := range p.lines {
		if which(l.state()) {
			chosen = append(chosen, l)
		}
	}
	p.mu.Unlock()
	for _, l := range chosen {
		do(l)
	}
	return len(chosen)
}

// Hole lets nothing through, on old lines and new ones, and nobody is told: until it is healed, after which what was said
// meanwhile arrives, as TCP has it.
func (p *Proxy) Hole() (heal func()) {
	hole := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hole = hole
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hole = nil
		close(hole)
	}
}

// Delay makes every piece so late, in each direction.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// CutBefore cuts the next line on which the statement is said, and the server never hears it. Done is closed then.
func (p *Proxy) CutBefore(statement string) (done <-chan struct{}) {
	return p.arm(&cut{statement: []byte(statement)})
}

// CutAfter lets the server hear and answer the statement, and the client hears nothing of it.
func (p *Proxy) CutAfter(statement string) (done <-chan struct{}) {
	return p.arm(&cut{statement: []byte(statement), after: true})
}

// HoldOn keeps the statement from the server for ever, and the line open.
func (p *Proxy) HoldOn(statement string) (done <-chan struct{}) {
	return p.arm(&cut{statement: []byte(statement), hold: true})
}

func (p *Proxy) arm(c *cut) <-chan struct{} {
	c.done = make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = c
	return c.done
}

// Disarm forgets a cut that has not happened.
func (p *Proxy) Disarm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = nil
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.connect(client) })
	}
}

func (p *Proxy) connect(client net.Conn) {
	server, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(p.ended, p.network, p.to)
	if err != nil {
		reset(client)
		return
	}
	l := &line{proxy: p, client: client, server: server, gone: make(chan struct{})}
	p.mu.Lock()
	p.lines[l] = struct{}{}
	p.mu.Unlock()
	if p.ended.Err() != nil {
		l.hangUp()
	}
	p.running.Go(l.answers)
	l.questions()
	l.hangUp()
	p.mu.Lock()
	delete(p.lines, l)
	p.mu.Unlock()
}

// pass waits as long as a piece has to, unless the line ends before.
func (p *Proxy) pass(gone <-chan struct{}) bool {
	p.mu.Lock()
	hole, delay := p.hole, p.delay
	p.mu.Unlock()
	if hole != nil {
		select {
		case <-hole:
		case <-gone:
			return false
		}
	}
	if delay > 0 {
		late := time.NewTimer(delay)
		defer late.Stop()
		select {
		case <-late.C:
		case <-gone:
			return false
		}
	}
	return true
}

// meant takes the cut that is armed for what a client says, if there is one.
func (p *Proxy) meant(said []byte) *cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut == nil || !bytes.Contains(said, p.cut.statement) {
		return nil
	}
	c := p.cut
	p.cut = nil
	return c
}

func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}
