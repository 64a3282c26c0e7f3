package main

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"imagerequests/db/dbtest"
	"imagerequests/db/embedded"
)

// patience is for what should take a few seconds on an idle machine.
const patience = time.Minute

// record keeps what a program prints, readable while it goes on.
type record struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// program is the service as a process of its own.
type program struct {
	cmd      *exec.Cmd
	out, err *record
	exited   chan struct{}
	base     string // http://HOST:PORT, once it serves
}

// launch starts the program with these arguments, and of our environment only what finding PostgreSQL takes.
func launch(t testing.TB, env []string, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(os.Args[0], args...), out: &record{}, err: &record{}, exited: make(chan struct{})}
	p.cmd.Env = append([]string{asProgram + "=1", "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "GORACE=atexit_sleep_ms=0"}, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.err
	if _, err := p.cmd.StdinPipe(); err != nil { // see TestMain
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is told by the state
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(20 * time.Second):
			t.Error("the program had to be killed")
		}
		p.kill()
		if t.Failed() {
			t.Logf("imagerequests %s\n%s%s", strings.Join(args, " "), p.out, p.err)
		}
	})
	return p
}

// startServer launches serve on a port of its own and returns when it serves.
func startServer(t testing.TB, dir string, args ...string) *program {
	t.Helper()
	p := launch(t, nil, append([]string{"serve", "--listen=127.0.0.1:0", "--rate=0", "--data=" + dir}, args...)...)
	eventually(t, "the server says where it listens", func() bool {
		if p.base = greeted(p.out); p.base == "" && p.ended() {
			t.Fatalf("the server ended: %v\n%s", p.cmd.ProcessState, p.err)
		}
		return p.base != ""
	})
	return p
}

var greeting = regexp.MustCompile(`GraphQL +(https?://\S+)/graphql[^$]+Ctrl-C`)

// greeted is the address in a greeting that was printed to its end, else "".
func greeted(out *record) string {
	if m := greeting.FindStringSubmatch(out.String()); m != nil {
		return m[1]
	}
	return ""
}

func (p *program) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) } // it knows when the pid is no longer its own

// kill is kill -9.
func (p *program) kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

func (p *program) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// wait is the exit code of a program that is about to end.
func (p *program) wait(t testing.TB) int {
	t.Helper()
	eventually(t, "the program ends", p.ended)
	return p.cmd.ProcessState.ExitCode()
}

// endsAtOnce fails the test unless a second signal, which was sent, ends the server.
func (p *program) endsAtOnce(t testing.TB) {
	t.Helper()
	if code := p.wait(t); code != 1 || !strings.Contains(p.err.String(), "a second signal: ending at once") {
		t.Errorf("the second signal ends it with %d: %s", code, p.err)
	}
}

// stop ends the server as an operator does, and fails the test if that is not a success.
func (p *program) stop(t testing.TB) {
	t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM\n%s", code, p.err)
	}
}

// local is the service in this process.
type local struct {
	out, err *record
	base     string
	cancel   context.CancelFunc
	ended    chan error
}

// serveHere runs serve in this process until the test ends, and returns when it serves.
func serveHere(t testing.TB, env map[string]string, args ...string) *local {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &local{out: &record{}, err: &record{}, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		s.ended <- run(ctx, append([]string{"serve"}, args...), func(name string) string { return env[name] }, s.out, s.err)
	}()
	t.Cleanup(func() { s.stop(t) })
	eventually(t, "the server says where it listens", func() bool {
		select {
		case err := <-s.ended:
			s.ended <- err
			t.Fatalf("serve %v ended: %v\n%s", args, err, s.err)
		default:
			s.base = greeted(s.out)
		}
		return s.base != ""
	})
	return s
}

// stop ends the service; doing it again changes nothing.
func (s *local) stop(t testing.TB) {
	t.Helper()
	s.cancel()
	select {
	case err := <-s.ended:
		s.ended <- nil
		if err != nil {
			t.Errorf("serve ended with: %v", err)
		}
	case <-time.After(patience):
		t.Error("serve does not end")
	}
}

// command runs a command that ends by itself, in this process.
func command(env map[string]string, args ...string) (out, log string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var stdout, stderr record
	err = run(ctx, args, func(name string) string { return env[name] }, &stdout, &stderr)
	return stdout.String(), stderr.String(), err
}

// folder is an empty data folder that PostgreSQL's user can pass through, which those of t.TempDir need not be.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "imagerequests-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, "no database server is left in "+dir, func() bool { return postmaster(dir) == 0 })
		_ = os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	return dir
}

// postmaster is the pid of the database server that runs in a data folder; 0 if none does.
func postmaster(dir string) int {
	files, _ := filepath.Glob(filepath.Join(dir, "pg", "*", "postmaster.pid"))
	for _, name := range files {
		text, _ := os.ReadFile(name)
		line, _, _ := strings.Cut(string(text), "\n")
		if pid, err := strconv.Atoi(line); err == nil && alive(pid) {
			return pid
		}
	}
	return 0
}

// killPostmaster is the sudden death of the database server that runs in a data folder, whose pid it answers.
func killPostmaster(t testing.TB, dir string) (pid int) {
	t.Helper()
	eventually(t, "a database server is killed", func() bool {
		pid = postmaster(dir)
		return pid > 1 && syscall.Kill(pid, syscall.SIGKILL) == nil
	})
	return pid
}

func alive(pid int) bool { return pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// behind is a pool on the database that a server runs in its data folder.
func behind(t testing.TB, dir string) *sql.DB {
	t.Helper()
	cfg, err := embedded.Running(dir, databaseName)
	if err != nil {
		t.Fatal(err)
	}
	return dbtest.SQL(t, cfg)
}

// eventually waits for a condition that nothing signals.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.After(patience); !holds(); {
		select {
		case <-look.C:
		case <-end:
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

// answer is what a request was answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request with a token, unless that is empty, and a JSON body, unless that is empty. More are header lines.
func ask(ctx context.Context, method, url, token, body string, more ...string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Token "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range more {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	response, err := browser.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text)}, err
}

var browser = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: patience}

// fetch is an ask that must be answered.
func fetch(t testing.TB, method, url, token, body string, more ...string) answer {
	t.Helper()
	a, err := ask(t.Context(), method, url, token, body, more...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

// viewer is what GraphQL says of the bearer of a token.
func viewer(t testing.TB, base, token string) answer {
	t.Helper()
	return fetch(t, http.MethodPost, base+"/graphql", token, `{"query":"{viewer{username roles providers}}"}`)
}
