package chaos

import (
	"context"
	"database/sql"
	"syscall"
	"time"

	"imagerequests/db/safedriver"
)

// faults are those of one server and its Postgres.
var faults = []fault{
	{"kill -9 of the server", (*crew).killServer},
	{"SIGSTOP of the server", (*crew).freezeServer},
	{"kill -9 of the postmaster", (*crew).killPostmaster},
	{"SIGSTOP of the postmaster", (*crew).freezePostmaster},
	{"kill -9 of one backend", (*crew).killBackend},
	{"SIGSTOP of one backend", (*crew).freezeBackend},
	{"fast restart of Postgres", (*crew).fastRestart},
	{"immediate restart of Postgres", (*crew).immediateRestart},
	{"termination of idle connections", (*crew).terminateIdle},
	{"reset in mid-transaction", (*crew).resetInTransaction},
	{"statement cut off before the server has it", (*crew).cutBeforeInsert},
	{"read cut off before the server has it", (*crew).cutBeforeRead},
	{"read cut off before its answer", (*crew).cutAfterRead},
	{"cut before COMMIT", (*crew).cutBeforeCommit},
	{"cut after COMMIT", (*crew).cutAfterCommit},
	{"black hole", (*crew).blackHole},
	{"muted LISTEN", (*crew).muteListen},
	{"every connection muted one way", (*crew).muteAll},
	{"latency", (*crew).latency},
	{"a table locked", (*crew).lockTable},
	{"connections used up", (*crew).useUpConnections},
	{"the database's clock jumps", (*crew).jumpClock},
}

// The server comes back because somebody starts it again, as an init system does.
func (c *crew) killServer() {
	c.servers[0].kill()
	c.balancer.Set(0, "")
	c.start(0)
}

func (c *crew) freezeServer() {
	c.servers[0].signal(syscall.SIGSTOP)
	lasts(length(15*time.Second, 2*time.Second))
	c.servers[0].signal(syscall.SIGCONT)
}

// Postgres comes back because the service starts it again: here it is the test that runs it, by the same code.
func (c *crew) killPostmaster() { c.another(c.postmaster(syscall.SIGKILL)) }

func (c *crew) fastRestart() { c.another(c.postmaster(syscall.SIGINT)) }

func (c *crew) immediateRestart() { c.another(c.postmaster(syscall.SIGQUIT)) }

// A postmaster that stands still takes no new connections: those that are there go on, until they are cut.
func (c *crew) freezePostmaster() {
	c.postmaster(syscall.SIGSTOP)
	defer c.postmaster(syscall.SIGCONT)
	c.proxy.Reset(Any)
	lasts(length(15*time.Second, 2*time.Second))
}

const aBackend = "SELECT pid FROM pg_stat_activity WHERE application_name = '" + served + "' ORDER BY random() LIMIT 1"

// signalBackend sends a signal to one of the server's backends.
func (c *crew) signalBackend(s syscall.Signal) (pid int) {
	c.Helper()
	eventually(c, "a backend takes a signal", func() bool {
		var ok bool
		pid, ok = c.query(aBackend)
		return ok && pid > 1 && syscall.Kill(pid, s) == nil
	})
	return pid
}

// Postgres restarts all backends when one is killed: its memory may be in disorder.
func (c *crew) killBackend() {
	c.signalBackend(syscall.SIGKILL)
}

func (c *crew) freezeBackend() {
	pid := c.signalBackend(syscall.SIGSTOP)
	lasts(length(15*time.Second, 2*time.Second))
	_ = syscall.Kill(pid, syscall.SIGCONT)
}

func (c *crew) terminateIdle() {
	for range number(20, 5) {
		c.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '" + served + "' AND state = 'idle'")
		c.await(c, 5)
	}
}

func (c *crew) resetInTransaction() {
	for range number(50, 10) {
		eventually(c, "a transaction is reset", func() bool { return c.proxy.Reset(InTransaction) > 0 })
	}
}

// cuts arms the same cut again and again, and waits for each.
func (c *crew) cuts(arm func(statement string) <-chan struct{}, statement string) {
	c.Helper()
	for range number(50, 5) {
		done := arm(statement)
		eventually(c, "the line is cut at "+statement, func() bool {
			select {
			case <-done:
				return true
			default:
				return false
			}
		})
	}
}

// cutBeforeInsert cuts where a prepared statement writes, which the driver calls write-1 and so on; those that read are read-1.
func (c *crew) cutBeforeInsert() { c.cuts(c.proxy.CutBefore, "write-") }
func (c *crew) cutBeforeRead()   { c.cuts(c.proxy.CutBefore, "read-") }
func (c *crew) cutAfterRead()    { c.cuts(c.proxy.CutAfter, "read-") }
func (c *crew) cutBeforeCommit() { c.cuts(c.proxy.CutBefore, "COMMIT") }
func (c *crew) cutAfterCommit()  { c.cuts(c.proxy.CutAfter, "COMMIT") }

func (c *crew) blackHole() {
	heal := c.proxy.Hole()
	defer heal()
	lasts(length(30*time.Second, 3*time.Second))
}

func (c *crew) muteListen() {
	eventually(c, "the server listens", func() bool { return c.proxy.Mute(Listening) > 0 })
}

func (c *crew) muteAll() { c.proxy.Mute(Any) }

func (c *crew) latency() {
	c.proxy.Delay(length(100*time.Millisecond, 20*time.Millisecond))
	defer c.proxy.Delay(0)
	lasts(length(30*time.Second, 2*time.Second))
}

func (c *crew) lockTable() {
	tx, err := c.sql.BeginTx(c.Context(), nil)
	if err != nil {
		c.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	eventually(c, "the table is locked", func() bool {
		_, err := tx.ExecContext(c.Context(), "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = 0; LOCK TABLE image_requests IN ACCESS EXCLUSIVE MODE")
		return err == nil
	})
	lasts(length(30*time.Second, 4*time.Second)) // longer than a statement waits for a lock
}

// useUpConnections leaves none for the server, whose own are cut.
func (c *crew) useUpConnections() {
	connector, err := safedriver.New(c.cluster.Config("postgres"))
	if err != nil {
		c.Fatal(err)
	}
	pool := sql.OpenDB(connector)
	defer func() { _ = pool.Close() }()
	greedy := func() {
		for {
			ctx, cancel := context.WithTimeout(c.Context(), 5*time.Second)
			_, err := pool.Conn(ctx)
			cancel()
			if err != nil {
				return
			}
		}
	}
	greedy()
	c.proxy.Reset(Any)
	for end := time.After(length(20*time.Second, 2*time.Second)); ; {
		greedy()
		select {
		case <-end:
			return
		default:
			lasts(10 * time.Millisecond)
		}
	}
}
