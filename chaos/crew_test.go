package chaos

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imagerequests/imaging"
)

// crew is all who use the service at once: 8 writers, 4 readers and 2 subscribers, of whom one may see everything and one is a
// writer who sees their own.
type crew struct {
	*ledger
	*world
	reads     atomic.Int64
	followers []*follower
	probe     *writer
	stop      func() // waits until the last write is answered
	leave     func() // ends the subscribers
}

const (
	writers = 8
	readers = 4

	probe  = "probe"  // writes when it is asked for how long the service takes to be back
	patron = "patron" // has one image made
)

// idle is how long a client keeps a connection for which it has no use: less than a server drains, which closes it then.
const idle = 500 * time.Millisecond

// crew sets it to work. Patient clients wait for an answer so long, and then ask again.
func (w *world) crew(patient, pace time.Duration) *crew {
	c := &crew{ledger: newLedger(), world: w}
	base := w.balancer.Base()
	clients := map[string]*client{}
	working, stop := context.WithCancel(context.Background())
	following, leave := context.WithCancel(context.Background())
	var all, theFollowers sync.WaitGroup
	c.stop = func() { stop(); all.Wait() }
	c.leave = func() { leave(); theFollowers.Wait() }
	names := []string{probe, patron}
	for i := range writers {
		names = append(names, fmt.Sprint("writer-", i))
	}
	for _, name := range names {
		clients[name] = newClient(base, w.token(name, imaging.Requester), patient)
		clients[name].http.Transport.(*http.Transport).IdleConnTimeout = idle
	}
	for i := range writers {
		name := fmt.Sprint("writer-", i)
		wr := &writer{ledger: c.ledger, client: clients[name], name: name, pace: pace, fail: w.Errorf}
		all.Go(func() { wr.write(working) })
	}
	for range readers {
		r := &reader{ledger: c.ledger, base: base, clients: clients, pace: pace / 2, reads: &c.reads, fail: w.Errorf}
		all.Go(func() { r.read(working) })
	}
	c.probe = &writer{ledger: c.ledger, name: probe, client: newClient(base, clients[probe].token, 2*time.Second), fail: w.Errorf}
	c.followers = []*follower{
		newFollower("reviewer", base, w.token("reviewer", imaging.Reviewer), overSSE),
		newFollower("writer-3", base, clients["writer-3"].token, overWebSocket),
	}
	for _, f := range c.followers {
		theFollowers.Go(func() { f.follow(following) })
	}
	return c
}

// end is for a test that ends early: the servers are there until then, later they are not.
func (c *crew) end() {
	c.stop()
	c.leave()
}

// back is how long it takes until a write is answered and the subscriber who sees everything is told of it.
func (c *crew) back() time.Duration {
	c.Helper()
	began := time.Now()
	if e, ok := c.probe.create(false); ok {
		eventually(c, "a subscriber is told of what has just been written", func() bool { return c.followers[0].heard(e.id, 1) || c.Failed() })
	}
	return time.Since(began)
}

// settle ends the work and compares: what was acknowledged, the database, and what the subscribers were told.
func (c *crew) settle() {
	c.Helper()
	c.stop()
	if c.Failed() {
		return
	}
	c.compare(c.ledger)
	everything, own := map[string]int{}, map[string]int{}
	for _, e := range c.entries {
		everything[e.id] = e.events
		if strings.HasPrefix(e.key, "writer-3 ") {
			own[e.id] = e.events
		}
	}
	c.followers[0].check(c, everything)
	c.followers[1].check(c, own)
	c.leave()
	c.Logf("%d reads, each one state of what is the reader's own", c.reads.Load())
}
