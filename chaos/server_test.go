package chaos

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

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

// server is the program as a process.
type server struct {
	cmd      *exec.Cmd
	out, err *record
	exited   chan struct{}
}

// launch starts the program and does not wait for it.
func launch(t testing.TB, env []string, args ...string) *server {
	t.Helper()
	s := &server{cmd: exec.Command(theProgram(t), args...), out: &record{}, err: &record{}, exited: make(chan struct{})}
	s.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "GORACE=atexit_sleep_ms=0"}, env...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.err
	s.cmd.SysProcAttr = &syscall.SysProcAttr{}
	notOrphaned(s.cmd.SysProcAttr)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // see notOrphaned
		err := s.cmd.Start()
		started <- err
		if err == nil {
			_ = s.cmd.Wait() // how it ended is told by the state
			close(s.exited)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.signal(syscall.SIGCONT)
		s.signal(syscall.SIGTERM)
		select {
		case <-s.exited:
		case <-time.After(40 * time.Second):
			t.Error("the program had to be killed")
		}
		s.kill()
		if strings.Contains(s.err.String(), "DATA RACE") || strings.Contains(s.err.String(), "panic:") {
			t.Errorf("the program says\n%s", s.err)
		}
		if t.Failed() {
			t.Logf("imagerequests %s\n%s%s", strings.Join(args, " "), s.out, tail(s.err.String()))
		}
	})
	return s
}

// tail is the end of a long text.
func tail(text string) string { return text[max(0, len(text)-8000):] }

var greeting = regexp.MustCompile(`GraphQL +http://(\S+)/graphql[^$]+Ctrl-C`)

// address is where the server listens; "" if it does not say so yet.
func (s *server) address() string {
	if m := greeting.FindStringSubmatch(s.out.String()); m != nil {
		return m[1]
	}
	return ""
}

// serves waits until the server has said where it listens.
func (s *server) serves(t testing.TB) (address string) {
	t.Helper()
	eventually(t, "the server says where it listens", func() bool {
		if address = s.address(); address == "" && s.ended() {
			t.Fatalf("the server ended: %v\n%s", s.cmd.ProcessState, s.err)
		}
		return address != ""
	})
	return address
}

func (s *server) signal(sig os.Signal) { _ = s.cmd.Process.Signal(sig) } // it knows when the pid is no longer its own

// kill is kill -9.
func (s *server) kill() {
	s.signal(syscall.SIGKILL)
	<-s.exited
}

func (s *server) ended() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}
