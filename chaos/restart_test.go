package chaos

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestRestarts: one server, behind a balancer that holds clients while there is none, is stopped in order and started again under
// load; then two copies, one after the other. No request fails, none is sent twice, and no subscriber misses anything.
func TestRestarts(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]struct{ copies, times int }{
		"one server":     {1, number(20, 3)},
		"rolling of two": {2, number(10, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{copies: r.copies, ready: true, args: []string{"--drain=" + length(time.Second, 2*time.Second).String()}})
			w.populate()
			w.startAll()
			for i := range w.servers {
				eventually(t, "the balancer knows that the server is ready", func() bool { return w.balancer.Serves(i) })
			}
			c := w.crew(patience, 50*time.Millisecond)
			defer c.end()
			c.await(t, 20)
			var longest atomic.Int64
			for range r.times {
				for i := range w.servers {
					longest.Store(max(longest.Load(), int64(w.restart(t, i))))
					c.await(t, 10)
				}
			}
			if n := c.repeated.Load(); n != 0 {
				t.Errorf("%d requests failed and had to be sent again", n)
			}
			if n := c.away.Load(); n != 0 {
				t.Errorf("%d reads failed", n)
			}
			c.settle()
			for _, f := range c.followers {
				if f.hints < r.times*r.copies/2 && r.copies == 1 {
					t.Errorf("%s was told %d times to come again, over %d restarts", f.name, f.hints, r.times)
				}
			}
			t.Logf("%d restarts of each of %d: %d requests, 0 of them failed; a stop took %v at most", r.times, r.copies, c.acknowledged.Load()+c.reads.Load(), time.Duration(longest.Load()).Round(time.Millisecond))
		})
	}
}

// restart stops a server in order and starts it again. It tells how long the stop took.
func (w *world) restart(t *testing.T, i int) time.Duration {
	t.Helper()
	s, began := w.servers[i], time.Now()
	s.signal(syscall.SIGTERM)
	eventually(t, "the server has ended", s.ended)
	took := time.Since(began)
	if code := s.cmd.ProcessState.ExitCode(); code != 0 || strings.Contains(s.err.String(), "cut off") {
		t.Errorf("an orderly stop ends with %d: %s", code, s.err)
	}
	w.balancer.Set(i, "")
	w.start(i)
	eventually(t, "the balancer knows that the server is ready", func() bool { return w.balancer.Serves(i) })
	return took
}
