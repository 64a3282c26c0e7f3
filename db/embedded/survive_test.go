package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestKilledServerIsStartedAgain(t *testing.T) {
	t.Parallel()
	var log records
	c := start(t, Options{Dir: folder(t), Log: log.logger()})
	keep(t, c)
	// twice: the second time it comes after a pause
	for range 2 {
		killServer(t, c)
		kept(t, c)
	}
	if n := strings.Count(log.String(), "the database server died"); n != 2 {
		t.Errorf("two deaths, %d in the log:\n%s", n, &log)
	}
}

// killServer kills the server and waits for the next.
func killServer(t *testing.T, c *Cluster) {
	t.Helper()
	another(t, c, killPostmaster(t, c))
}

// killPostmaster is the sudden death of the server, whose pid it answers.
func killPostmaster(t *testing.T, c *Cluster) (pid int) {
	t.Helper()
	eventually(t, "the server is killed", func() bool {
		pid = c.Pid()
		return pid > 1 && syscall.Kill(pid, syscall.SIGKILL) == nil
	})
	return pid
}

func another(t *testing.T, c *Cluster, than int) {
	t.Helper()
	eventually(t, "another server runs", func() bool { pid := c.Pid(); return pid != 0 && pid != than })
}

func TestKilledServerWithQueriesRunning(t *testing.T) {
	t.Parallel()
	var log records
	c := start(t, Options{Dir: folder(t), Log: log.logger()})
	keep(t, c)
	db := open(t, c)
	// it computes, so it does not notice the death of the server before its time is over
	busy := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(context.WithoutCancel(t.Context()),
			"BEGIN; SET LOCAL statement_timeout = '25s'; DO $$ BEGIN LOOP END LOOP; END $$; COMMIT")
		busy <- err
	}()
	watch, query := open(t, c), ""
	eventually(t, "the query runs", func() bool {
		query = text(t, watch, "SELECT coalesce(max(pid), 0)::text FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'BEGIN; SET%'")
		return query != "0"
	})
	old := killPostmaster(t, c)
	eventually(t, "what survived the kill is waited for", func() bool {
		return strings.Contains(log.String(), "waiting for the processes of an earlier server to end")
	})
	pid, err := strconv.Atoi(query)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the query has not survived: %v", err)
	}
	another(t, c, old)
	kept(t, c)
	if err := <-busy; err == nil {
		t.Error("the endless query ended well")
	}
}

func TestStopWhileTheServerKeepsDying(t *testing.T) {
	t.Parallel()
	var log records
	c := start(t, Options{Dir: folder(t), Throwaway: true, Log: log.logger()})
	// without this file no server starts
	if err := os.Remove(filepath.Join(c.data, "global", "pg_control")); err != nil {
		t.Fatal(err)
	}
	killPostmaster(t, c)
	eventually(t, "it was tried three times", func() bool {
		return strings.Count(log.String(), "the database server does not start") >= 3
	})
	if c.Pid() != 0 {
		t.Errorf("pid %d, but nothing runs", c.Pid())
	}
	stop(t, c)
}

func TestKilledServiceLeavesItsDataUsable(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"at once", "when the server is gone"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			c := start(t, Options{Dir: dir})
			keep(t, c)
			stop(t, c)

			service := run(t, "service", dir)
			_, err := Start(limit(t), Options{Dir: dir})
			if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("process %d ", service.cmd.Process.Pid)) {
				t.Fatalf("beside the other process Start says %v", err)
			}
			service.kill()
			if at != "at once" {
				eventually(t, "its server has ended", func() bool { return !runsIn(service.pid, c.data) })
			}
			kept(t, start(t, Options{Dir: dir}))
		})
	}
}

// stranger leaves a server behind, with the settings of c but for the connections.
func stranger(t *testing.T, c *Cluster, maxConnections int) (pid int, gone <-chan struct{}) {
	t.Helper()
	other := &Cluster{opts: c.opts, account: c.account, bin: c.bin, home: c.home, data: c.data, sockets: c.sockets}
	other.opts.MaxConnections = maxConnections
	cmd := other.command(context.Background(), "postgres", other.args()...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	return cmd.Process.Pid, ended
}

func TestServerLeftBehindIsTakenOver(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := start(t, Options{Dir: dir})
	keep(t, c)
	stop(t, c)
	pid, gone := stranger(t, c, defaultMaxConnections)
	eventually(t, "the stranger writes its pid file", func() bool { return c.pidFile().pid == pid })

	again := start(t, Options{Dir: dir})
	if again.Pid() != pid {
		t.Fatalf("server %d runs, not %d that was there", again.Pid(), pid)
	}
	kept(t, again)
	// it is watched like one of our own
	killServer(t, again)
	<-gone
	kept(t, again)
	stop(t, again)

	pid, gone = stranger(t, c, defaultMaxConnections)
	eventually(t, "the second stranger writes its pid file", func() bool { return c.pidFile().pid == pid })
	last := start(t, Options{Dir: dir})
	if last.Pid() != pid {
		t.Fatalf("server %d runs, not %d that was there", last.Pid(), pid)
	}
	stop(t, last)
	<-gone // Stop stops it too
}

func TestServerLeftBehindThatWillNotDoIsReplaced(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name           string
		maxConnections int
		spoil          func(*Cluster) error
	}{
		{"other settings", 20, func(*Cluster) error { return nil }},
		{"does not answer", defaultMaxConnections, func(c *Cluster) error { return os.Remove(c.socketPath()) }},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			c := start(t, Options{Dir: dir})
			keep(t, c)
			stop(t, c)
			pid, gone := stranger(t, c, tc.maxConnections)
			eventually(t, "the stranger is ready", func() bool { f := c.pidFile(); return f.pid == pid && f.status == "ready" })
			if err := tc.spoil(c); err != nil {
				t.Fatal(err)
			}
			again := start(t, Options{Dir: dir})
			if again.Pid() == pid {
				t.Fatal("it was taken over")
			}
			<-gone
			if got := text(t, open(t, again), "SHOW max_connections"); got != "60" {
				t.Errorf("max_connections is %s", got)
			}
			kept(t, again)
		})
	}
}

// TestStalePidFile: after a reboot the pid of the killed server may belong to a
// process of the same user, and a server left to itself would refuse to start.
func TestStalePidFile(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := start(t, Options{Dir: dir})
	keep(t, c)
	stop(t, c)
	innocent := exec.Command("sleep", "600")
	innocent.Dir = "/"
	innocent.SysProcAttr = &syscall.SysProcAttr{Credential: c.account}
	if err := innocent.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = innocent.Wait()
		close(ended)
	}()
	pid := strconv.Itoa(innocent.Process.Pid)
	content := strings.Join([]string{pid, c.data, "1700000000", "5432", c.sockets, "", "  1 1", "ready   ", ""}, "\n")
	writeFiles(t, map[string]string{filepath.Join(c.data, "postmaster.pid"): content, c.socketPath() + ".lock": content})

	again := start(t, Options{Dir: dir})
	kept(t, again)
	stop(t, again)
	select {
	case <-ended:
		t.Error("the innocent process was killed")
	default:
	}
	_ = innocent.Process.Kill()
	<-ended
}

func TestWatcherEndsTheServerOfADeadParent(t *testing.T) {
	t.Parallel()
	parent := run(t, "watched", "")
	parent.kill()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, parent.out)
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		_ = syscall.Kill(parent.pid, syscall.SIGKILL)
		t.Error("the watched process outlived its parent")
	}
}

func TestWatcherIgnoresOtherArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"serve"}, {"serve", "--demo"}, {watcherArg}} {
		if Watcher(args) {
			t.Errorf("Watcher(%q) took the program over", args)
		}
	}
	if !Watcher([]string{watcherArg, "1"}) || !Watcher([]string{watcherArg, "x"}) {
		t.Error("a watcher of nothing does not end")
	}
}
