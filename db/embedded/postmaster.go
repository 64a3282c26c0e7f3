package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// oldOnesEnd is how long we wait for the processes of a killed server. A query
	// that computes only notices at its end, or at the statement timeout.
	oldOnesEnd = 30 * time.Second
	// lastWord is how long a server may take for a stop "at once".
	lastWord = 10 * time.Second
	// lookEvery is the pause between two looks at the pid file.
	lookEvery = 5 * time.Millisecond

	largestLog = 10 << 20 // bytes; a larger log is set aside when a server starts
)

// errOldOnes: processes of an earlier server still have the data open.
var errOldOnes = errors.New("processes of an earlier server still use the data")

// postmaster is a server process, our child or one that was taken over.
type postmaster struct {
	pid    int
	since  time.Time
	gone   chan struct{} // closed when the process has ended
	end    error         // how it ended, once gone
	signal func(syscall.Signal)
}

// spawn starts a program as a child. The signal at a parent's death is tied to the
// thread that made the child, so a thread is kept for as long as the child lives.
func spawn(cmd *exec.Cmd) (*postmaster, error) {
	pm := &postmaster{gone: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			pm.end = cmd.Wait()
			close(pm.gone)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	pm.pid, pm.since = cmd.Process.Pid, time.Now()
	pm.signal = func(s syscall.Signal) { _ = cmd.Process.Signal(s) } // knows when the pid is no longer its own
	return pm, nil
}

// halt ends the server: in order, at once when ctx ends, and by force should it
// not hear. The error is that of ctx.
func (pm *postmaster) halt(ctx context.Context) error {
	if ctx.Err() == nil { // else it might end in order all the same, and nobody could tell
		pm.signal(syscall.SIGINT)
		select {
		case <-pm.gone:
			return nil
		case <-ctx.Done():
		}
	}
	pm.signal(syscall.SIGQUIT)
	select {
	case <-pm.gone:
	case <-time.After(lastWord):
		pm.signal(syscall.SIGKILL)
		<-pm.gone
	}
	return ctx.Err()
}

// command prepares a server program: as PostgreSQL's user, with an environment of
// its own, and in its own process group, so that a Ctrl-C in the terminal reaches
// the service, which then stops the server in order.
func (c *Cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin.Dir, name), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + c.bin.Dir + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=/"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.account}
	return cmd
}

// initdb makes the cluster in a folder of another name, which a crash may leave
// behind, and renames it when it is whole and on disk.
func (c *Cluster) initdb(ctx context.Context) error {
	c.log.Info("creating the database cluster…", "folder", c.data, "with", c.bin.String())
	began := time.Now()
	unfinished := c.data + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return err
	}
	if err := c.give(unfinished); err != nil {
		return err
	}
	var err error
	for _, ctype := range ctypes {
		if err = c.runInitdb(ctx, unfinished, ctype); !errors.Is(err, errNoLocale) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("initdb: %w", err)
	}
	if err := os.Rename(unfinished, c.data); err != nil {
		return err
	}
	c.log.Info("created the database cluster", "took", time.Since(began).Round(time.Millisecond))
	return syncFolder(c.home)
}

// ctypes are the locales that tell the cluster what a letter is, the first that the system has: all but the last know those of
// Unicode, which the index of searches needs. What comes first in an order, and everything else, is always C's.
var ctypes = []string{"C.UTF-8", "en_US.UTF-8", "C"}

// errNoLocale: the system does not have the locale.
var errNoLocale = errors.New("the locale is not known here")

// runInitdb makes a cluster in an empty folder. errNoLocale if it is left empty for that.
func (c *Cluster) runInitdb(ctx context.Context, dir, ctype string) error {
	// the password goes through a pipe: command lines can be read by everybody
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = w.WriteString(c.password + "\n")
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	if c.account != nil {
		if err := r.Chown(int(c.account.Uid), int(c.account.Gid)); err != nil {
			return err
		}
	}
	auth := "scram-sha-256"
	if c.opts.Throwaway {
		auth = "trust"
	}
	cmd := c.command(ctx, "initdb", "-D", dir, "-U", role, "--pwfile=/dev/fd/3", "--auth-local="+auth,
		"--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C", "--lc-ctype="+ctype, "--data-checksums")
	if c.opts.Throwaway {
		cmd.Args = append(cmd.Args, "--no-sync")
	}
	cmd.ExtraFiles = []*os.File{r}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // and its children
	dieWithParent(cmd.SysProcAttr, syscall.SIGKILL)
	child, err := spawn(cmd)
	if err != nil {
		return err
	}
	if <-child.gone; child.end == nil {
		return nil
	}
	err = errors.Join(ctx.Err(), child.end, errors.New(out.String()))
	if strings.Contains(out.String(), "invalid locale name") { // it runs with LC_ALL=C, so these are its words everywhere
		err = errors.Join(errNoLocale, err)
	}
	return err
}

// args are the server's settings. On the command line they outrank the files of
// the cluster, so nothing there can make it less durable or open a port.
func (c *Cluster) args() []string {
	args := []string{"-D", c.data, "-k", c.sockets, "-h", "", "-p", "5432"}
	set := func(settings ...string) {
		for _, s := range settings {
			args = append(args, "-c", s)
		}
	}
	set("unix_socket_permissions=0700",
		"max_connections="+strconv.Itoa(c.opts.MaxConnections),
		"timezone=UTC", "log_timezone=UTC",
		"client_connection_check_interval=1s",
		// a failed statement is the service's to log, and its text may hold what is private
		"log_min_messages=log", "log_checkpoints=off")
	if c.opts.Throwaway {
		set("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off",
			"wal_level=minimal", "max_wal_senders=0", "max_wal_size=4GB", "shared_buffers=64MB")
		return args
	}
	set("fsync=on", "synchronous_commit=on", "full_page_writes=on")
	if runtime.GOOS == "darwin" {
		set("wal_sync_method=fsync_writethrough") // elsewhere fsync reaches the disk, there it does not
	}
	return args
}

// launch gives a server that is ready: one that was left behind, or a new one.
func (c *Cluster) launch(ctx context.Context) (*postmaster, error) {
	if pm, err := c.takeOver(ctx); pm != nil || err != nil {
		return pm, err
	}
	for until := time.Now().Add(oldOnesEnd); ; {
		pm, err := c.start(ctx)
		if !errors.Is(err, errOldOnes) || time.Now().After(until) {
			return pm, err
		}
		c.log.Warn("waiting for the processes of an earlier server to end")
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// start runs a new server and returns when it is ready.
func (c *Cluster) start(ctx context.Context) (*postmaster, error) {
	logFile, err := openLog(filepath.Join(c.home, "postgres.log"))
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	cmd := c.command(context.WithoutCancel(ctx), "postgres", c.args()...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	dieWithParent(cmd.SysProcAttr, syscall.SIGINT)
	from, err := logFile.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	pm, err := spawn(cmd)
	if err != nil {
		return nil, err
	}
	if err := watchOver(pm); err != nil {
		c.log.Warn("the database server will not notice if this process is killed", "error", err)
	}
	if err := c.awaitReady(ctx, pm, logFile, from); err != nil {
		return nil, err
	}
	c.log.Info("the database server is ready", "pid", pm.pid, "with", c.bin.String(), "took", time.Since(pm.since).Round(time.Millisecond))
	return pm, nil
}

// awaitReady waits until pm accepts connections. If ctx ends first it is stopped.
func (c *Cluster) awaitReady(ctx context.Context, pm *postmaster, log *os.File, from int64) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	patience := time.NewTicker(10 * time.Second)
	defer patience.Stop()
	for {
		if f := c.pidFile(); f.pid == pm.pid && f.status == "ready" {
			return nil
		}
		select {
		case <-look.C:
		case <-patience.C:
			c.log.Info("the database server is still starting; recovery after a crash takes a while", "pid", pm.pid)
		case <-ctx.Done():
			_ = pm.halt(ctx)
			return ctx.Err()
		case <-pm.gone:
			said, _ := io.ReadAll(io.NewSectionReader(log, from, 4096))
			// the server runs with LC_ALL=C, so these are its words everywhere
			if bytes.Contains(said, []byte("is still in use")) {
				return errOldOnes
			}
			return fmt.Errorf("postgres ended while starting (%v): %s", pm.end, said)
		}
	}
}

type pidFile struct {
	pid    int
	status string // starting, ready, stopping
}

// pidFile reads what a server tells of itself; all zero if there is none.
func (c *Cluster) pidFile() (f pidFile) {
	b, err := os.ReadFile(filepath.Join(c.data, "postmaster.pid"))
	if err != nil {
		return f
	}
	lines := strings.Split(string(b), "\n")
	f.pid, _ = strconv.Atoi(strings.TrimSpace(lines[0]))
	if len(lines) >= 8 {
		f.status = strings.TrimSpace(lines[7])
	}
	return f
}

// openLog opens the server's log, readable too. A large one becomes the old one.
func openLog(path string) (*os.File, error) {
	if st, err := os.Stat(path); err == nil && st.Size() > largestLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
