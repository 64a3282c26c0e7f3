package embedded

import (
	"context"
	"time"
)

const (
	firstPause = 100 * time.Millisecond // between two starts, doubled each time
	longPause  = 10 * time.Second       // the limit of that
	settled    = time.Minute            // who has lived so long may start again without a pause
)

// supervise starts the server again whenever it dies, until ctx ends. Only the
// first restart is immediate; a server that keeps dying is given longer and longer
// pauses, but never given up.
func (c *Cluster) supervise(ctx context.Context, pm *postmaster) {
	defer close(c.ended)
	var next time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case <-pm.gone:
		}
		c.setRunning(nil)
		if ctx.Err() != nil {
			return
		}
		if time.Since(pm.since) > settled {
			next = 0
		}
		c.log.Error("the database server died", "pid", pm.pid, "end", pm.end)
		if pm = c.relaunch(ctx, &next); pm == nil {
			return
		}
		c.setRunning(pm)
	}
}

// relaunch tries until a server is ready; nil when ctx ends.
func (c *Cluster) relaunch(ctx context.Context, next *time.Duration) *postmaster {
	for {
		if pause(ctx, *next) != nil {
			return nil
		}
		*next = min(max(*next*2, firstPause), longPause)
		pm, err := c.launch(ctx)
		if err == nil {
			return pm
		}
		if ctx.Err() != nil {
			return nil
		}
		c.log.Error("the database server does not start", "error", err, "again_in", *next)
	}
}
