package embedded

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"imagerequests/db/safedriver"
)

// roleEnv makes the test binary another process of a test; the folder or pid it
// works on is in argEnv.
const (
	roleEnv = "EMBEDDED_TEST_ROLE"
	argEnv  = "EMBEDDED_TEST_ARG"
)

func TestMain(m *testing.M) {
	if Watcher(os.Args[1:]) {
		return
	}
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "service":
		exitOn(serviceProcess(os.Getenv(argEnv)))
	case "watched":
		exitOn(watchedProcess())
	case "sleeper":
		sleeperProcess()
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// serviceProcess runs a cluster until it is killed, as the service would.
func serviceProcess(dir string) error {
	c, err := Start(context.Background(), Options{Dir: dir})
	if err != nil {
		return err
	}
	fmt.Println(c.Pid())
	return untilStdinEnds()
}

// watchedProcess starts a sleeper in a group of its own and a watcher for it.
func watchedProcess() error {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"=sleeper")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout = os.Stdout // the test sees by the end of this pipe that the sleeper has ended
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := watchWith(os.Args[0], &postmaster{pid: cmd.Process.Pid, gone: make(chan struct{})}); err != nil {
		return err
	}
	return untilStdinEnds()
}

// sleeperProcess says that it is there and ends on SIGINT.
func sleeperProcess() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	fmt.Println(os.Getpid())
	<-stop
}

func untilStdinEnds() error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// process is the test binary in one of the roles above.
type process struct {
	cmd *exec.Cmd
	out *bufio.Reader
	pid int // what it printed first
}

func run(t *testing.T, role, arg string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), roleEnv+"="+role, argEnv+"="+arg)
	if _, err := p.cmd.StdinPipe(); err != nil { // open for as long as the test lives
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	p.out = bufio.NewReader(out)
	line, _ := p.out.ReadString('\n') // what there is of it says what went wrong
	if p.pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatalf("process %s says %q", role, line)
	}
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_, _ = p.cmd.Process.Wait()
}

// folder is an empty folder that PostgreSQL's user can pass through, which those
// of t.TempDir need not be.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "embedded-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// limit is for what should take seconds on an idle machine.
func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, o Options) *Cluster {
	t.Helper()
	c, err := Start(limit(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c) })
	return c
}

func stop(t *testing.T, c *Cluster) {
	t.Helper()
	if err := c.Stop(limit(t)); err != nil {
		t.Error(err)
	}
}

func open(t *testing.T, c *Cluster) *sql.DB {
	t.Helper()
	connector, err := safedriver.New(c.Config("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec1(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	if _, err := db.ExecContext(limit(t), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func text(t *testing.T, db *sql.DB, query string) (s string) {
	t.Helper()
	if err := db.QueryRowContext(limit(t), query).Scan(&s); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return s
}

// keep commits a row, and kept fails the test unless it is there.
func keep(t *testing.T, c *Cluster) {
	t.Helper()
	exec1(t, open(t, c), "CREATE TABLE kept AS SELECT 'here' AS word")
}

func kept(t *testing.T, c *Cluster) {
	t.Helper()
	if got := text(t, open(t, c), "SELECT word FROM kept"); got != "here" {
		t.Errorf("the committed row reads %q", got)
	}
}

// eventually waits for a condition that nothing signals.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for ctx := limit(t); !holds(); {
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

// records is a log that tests can read.
type records struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (r *records) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(b)
}

func (r *records) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

func (r *records) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

func readFile(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFiles(t *testing.T, files map[string]string) {
	t.Helper()
	for path, content := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o711), os.WriteFile(path, []byte(content), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
}
