package transport

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Streams are the sockets and streams that a server has open. http.Server.Shutdown does not know of sockets and would wait
// for streams until its patience ends: whoever stops the server tells them by Stop, and waits for the sockets.
type Streams struct {
	stopped context.Context
	stop    context.CancelFunc

	mu      sync.Mutex // between the last socket that begins and the stop
	sockets sync.WaitGroup
}

// NewStreams makes an empty set.
func NewStreams() *Streams {
	ctx, cancel := context.WithCancel(context.Background())
	return &Streams{stopped: ctx, stop: cancel}
}

type streamsKey struct{}

// Base is for http.Server.BaseContext: it makes the sockets and streams that the server opens known to s.
func (s *Streams) Base(net.Listener) context.Context {
	return context.WithValue(context.Background(), streamsKey{}, s)
}

// Stop tells all of them, those that are yet to begin included, that the server stops. It does not wait.
func (s *Streams) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
}

// Wait is Stop, and returns when the last socket has ended or with the context's error. Streams are requests like any
// others: http.Server.Shutdown waits for them.
func (s *Streams) Wait(ctx context.Context) error {
	s.Stop()
	ended := make(chan struct{})
	go func() {
		s.sockets.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errStopping is why a context ends whose server stops.
var errStopping = errors.New("the server stops")

// untilStop is a context that also ends when the server stops. Whoever calls it ends it.
func untilStop(ctx context.Context) (_ context.Context, end context.CancelCauseFunc) {
	s, ok := ctx.Value(streamsKey{}).(*Streams)
	ctx, cancel := context.WithCancelCause(ctx)
	if !ok {
		return ctx, cancel
	}
	forget := context.AfterFunc(s.stopped, func() { cancel(errStopping) })
	return ctx, func(cause error) {
		forget()
		cancel(cause)
	}
}

// socket counts one that begins; no more once the server stops.
func (s *Streams) socket() (ended func(), ok bool) {
	if s == nil {
		return func() {}, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped.Err() != nil {
		return nil, false
	}
	s.sockets.Add(1)
	return s.sockets.Done, true
}
