package chaos

import (
	"testing"
	"time"
)

// fault breaks something and mends it again; it returns at the end of the fault. What it needs to know of the end, such as the
// return of a server that it has killed, is not part of it: that is how long the service takes to be back.
type fault struct {
	name string
	do   func(*crew)
}

// inService is how soon after a fault's end the service answers writes and tells subscribers of them.
const inService = 10 * time.Second

// TestOrdeal: one server over one Postgres, and all that is the matter with either, one after the other, while the crew works.
// Nothing that was acknowledged is lost, nothing is done twice, nobody reads what is not one state of what they may see, each
// subscriber is told each event once and in order, and the service is back soon after each fault.
func TestOrdeal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.clock()
	w.populate()
	w.startAll()
	c := w.crew(5*time.Second, length(200*time.Millisecond, 400*time.Millisecond))
	defer c.end()
	c.await(t, 30)
	rounds := number(2, 1)
	for range rounds {
		for _, f := range faults {
			c.try(f)
			if t.Failed() {
				return
			}
		}
	}
	for c.acknowledged.Load() < int64(number(10_000, 0)) {
		c.await(t, 100)
	}
	c.settle()
}

func (c *crew) try(f fault) {
	c.Helper()
	before, began := c.acknowledged.Load(), time.Now()
	f.do(c)
	lasted := time.Since(began)
	back := c.back()
	c.await(c, 10)
	c.Logf("%-50s lasted %6.1f s, %5d writes acknowledged meanwhile, back in service after %5.2f s", f.name, lasted.Seconds(), c.acknowledged.Load()-before, back.Seconds())
	if limit := inService * time.Duration(number(1, 3)); back > limit { // a short run shares its machine
		c.Errorf("%s: back in service after %v", f.name, back)
	}
}
