package embedded

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// calm is for how long a server must look well before it is taken over: the
	// signal of its parent's death may still be on its way.
	calm = 250 * time.Millisecond
	// deafAfter is how long a server that says it is ready may leave us without an answer.
	deafAfter = 5 * time.Second
	// fastStop is how long a server we cannot use may take to stop in order.
	fastStop = 30 * time.Second
)

// takeOver returns the server that an earlier process left behind on our data, if
// it is well and runs with our settings. One that is stopping is waited for, any
// other of ours is stopped; then the result is nil. We hold the folder's lock, so
// whatever runs there has no other owner.
func (c *Cluster) takeOver(ctx context.Context) (*postmaster, error) {
	began := time.Now()
	var wellSince time.Time
	var once sync.Once
	for ; ; wait(ctx) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f := c.pidFile()
		if !runsIn(f.pid, c.data) {
			c.clearStale(f.pid)
			return nil, nil
		}
		well := f.status == "ready" && c.ourSettings() && c.answers()
		switch {
		case well && wellSince.IsZero():
			wellSince = time.Now()
		case well && time.Since(wellSince) > calm:
			c.log.Info("took over a database server that was left behind", "pid", f.pid)
			return c.adopt(f.pid), nil
		case well || f.status == "stopping" || f.status == "starting":
			once.Do(func() {
				c.log.Info("a database server was left behind; waiting for it", "pid", f.pid, "status", f.status)
			})
		case time.Since(began) > deafAfter || f.status == "ready" && !c.ourSettings():
			c.log.Warn("stopping a database server that was left behind: it does not answer, or runs with other settings", "pid", f.pid)
			return nil, c.haltStranger(ctx, f.pid)
		}
	}
}

func wait(ctx context.Context) { _ = pause(ctx, 10*lookEvery) }

// haltStranger stops a server that was left behind, and succeeds unless ctx ends.
func (c *Cluster) haltStranger(ctx context.Context, pid int) error {
	patience, cancel := context.WithTimeout(ctx, fastStop)
	defer cancel()
	_ = c.adopt(pid).halt(patience)
	return ctx.Err()
}

// adopt watches a server that is not our child by looking at it again and again.
func (c *Cluster) adopt(pid int) *postmaster {
	pm := &postmaster{pid: pid, since: time.Now(), gone: make(chan struct{})}
	pm.signal = func(s syscall.Signal) {
		if runsIn(pid, c.data) { // never another process that got the same number
			_ = syscall.Kill(pid, s)
		}
	}
	go func() {
		defer close(pm.gone)
		for look := time.NewTicker(adoptedEvery); runsIn(pid, c.data); <-look.C {
		}
	}()
	if err := watchOver(pm); err != nil {
		c.log.Warn("the database server will not notice if this process is killed", "error", err)
	}
	return pm
}

// ourSettings: the server was started with the very settings we would start it with.
func (c *Cluster) ourSettings() bool {
	b, err := os.ReadFile(filepath.Join(c.data, "postmaster.opts"))
	return err == nil && strings.HasSuffix(strings.TrimSpace(string(b)), ` "`+strings.Join(c.args(), `" "`)+`"`)
}

// answers asks the server whether it speaks TLS, which is one byte of an answer
// and needs no login: N, for it does not on a socket.
func (c *Cluster) answers() bool {
	conn, err := net.DialTimeout("unix", c.socketPath(), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		return false
	}
	var b [1]byte
	_, err = io.ReadFull(conn, b[:])
	return err == nil && b[0] == 'N'
}

// clearStale removes what a dead server left that would keep a new one from
// starting: its pid may be another process's by now, as after a reboot, and
// PostgreSQL cannot tell. A pid nobody has it clears away itself, and more
// carefully. Surviving processes it notices by their shared memory, in any case.
func (c *Cluster) clearStale(pid int) {
	if pid > 0 && syscall.Kill(pid, 0) == nil {
		_ = os.Remove(filepath.Join(c.data, "postmaster.pid"))
	}
	_ = os.Remove(c.socketPath() + ".lock") // the folder is ours alone
}
