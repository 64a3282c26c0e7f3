package chaos

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// How a Balancer looks after its servers, and its clients.
const (
	lookEvery = 50 * time.Millisecond
	holdsFor  = 20 * time.Second // a client, while there is no server to be had
)

// Balancer passes connections on to servers, one after the other. With Ready it takes those alone whose /readyz says so, as load
// balancers do; without, whoever accepts. A client that comes while there is none waits.
type Balancer struct {
	Ready bool

	listener net.Listener
	ended    context.Context
	end      context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	servers []string // host:port; "" for one that is not there
	ready   []bool
	turn    int
}

// NewBalancer listens on a port of this machine, for so many servers, none of which is there yet.
func NewBalancer(servers int, ready bool) (*Balancer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &Balancer{Ready: ready, listener: l, servers: make([]string, servers), ready: make([]bool, servers)}
	b.ended, b.end = context.WithCancel(context.Background())
	b.running.Go(b.accept)
	for i := range servers {
		b.running.Go(func() { b.watch(i) })
	}
	return b, nil
}

// Base is the address that clients use.
func (b *Balancer) Base() string { return "http://" + b.listener.Addr().String() }

// Close hangs up on everybody and returns when nothing runs any more.
func (b *Balancer) Close() {
	b.end()
	_ = b.listener.Close()
	b.running.Wait()
}

// Set says where a server is to be found; "" takes it away.
func (b *Balancer) Set(i int, address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.servers[i], b.ready[i] = address, !b.Ready && address != ""
}

// Serves tells whether the server is one that gets connections.
func (b *Balancer) Serves(i int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready[i]
}

// watch looks whether a server is ready.
func (b *Balancer) watch(i int) {
	if !b.Ready {
		return
	}
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-b.ended.Done():
			return
		case <-tick.C:
		}
		b.mu.Lock()
		address := b.servers[i]
		b.mu.Unlock()
		ready := false
		if address != "" {
			ready = b.asks(client, address) == nil
		}
		b.mu.Lock()
		if b.servers[i] == address {
			b.ready[i] = ready
		}
		b.mu.Unlock()
	}
}

func (b *Balancer) asks(client *http.Client, address string) error {
	r, err := http.NewRequestWithContext(b.ended, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return err
	}
	a, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = a.Body.Close() }()
	if a.StatusCode != http.StatusOK {
		return errors.New(a.Status)
	}
	return nil
}

func (b *Balancer) accept() {
	for {
		client, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.running.Go(func() { b.connect(client) })
	}
}

func (b *Balancer) connect(client net.Conn) {
	server, err := b.dial()
	if err != nil {
		reset(client)
		return
	}
	defer context.AfterFunc(b.ended, func() { _, _ = client.Close(), server.Close() })()
	var both sync.WaitGroup
	both.Go(func() { splice(server, client) })
	both.Go(func() { splice(client, server) })
	both.Wait()
	_, _ = client.Close(), server.Close()
}

// splice passes on what one side says, and its end; if it breaks off, so does the other.
func splice(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		reset(to)
		reset(from)
		return
	}
	if t, ok := to.(*net.TCPConn); ok {
		_ = t.CloseWrite()
	}
}

// dial connects to the next server that can be had, and waits for one if there is none.
func (b *Balancer) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(b.ended, holdsFor)
	defer cancel()
	again := time.NewTicker(lookEvery / 2)
	defer again.Stop()
	for {
		if address := b.next(); address != "" {
			if c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address); err == nil {
				return c, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-again.C:
		}
	}
}

func (b *Balancer) next() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.servers {
		b.turn++
		if i := b.turn % len(b.servers); b.ready[i] {
			return b.servers[i]
		}
	}
	return ""
}
