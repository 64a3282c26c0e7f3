package worker

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

func TestMain(m *testing.M) {
	if Supervisor(os.Args[1:]) {
		return
	}
	if script := os.Getenv(serverEnv); script != "" {
		serverProcess(script)
		return
	}
	code := dbtest.Main(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// serverEnv makes the test binary a server that runs the script in it, once its standard input has ended.
const serverEnv = "WORKER_TEST_SERVER"

func serverProcess(text string) {
	_, _ = io.Copy(io.Discard, os.Stdin)
	c := shell(text, os.Getenv("HELD"))
	_, err := c.Image(context.Background(), job, func(r Report) { fmt.Println(r.Stage) })
	fmt.Println("unexpected end:", err)
}

var (
	ann   = imaging.Actor{Username: "ann", Roles: []imaging.Role{imaging.Requester}}
	smith = imaging.Actor{Username: "smith", Roles: []imaging.Role{imaging.Worker}, Providers: []int{1}}
	admin = imaging.Actor{Username: "admin", Roles: []imaging.Role{imaging.Admin}}
)

// imagerFunc is an Imager for one test.
type imagerFunc func(context.Context, Job, func(Report)) (Result, error)

func (f imagerFunc) Image(ctx context.Context, job Job, report func(Report)) (Result, error) {
	return f(ctx, job, report)
}

// made is an image at once, named after the version.
func made(_ context.Context, job Job, _ func(Report)) (Result, error) {
	return Result{Alias: "image of " + job.Version.String()}, nil
}

// bench is a store on a database of its own whose provider 1 approves by itself.
type bench struct {
	*db.Store
	cfg safedriver.Config
	sql *sql.DB
}

func newBench(t *testing.T) bench {
	t.Helper()
	cfg := dbtest.Config(t)
	b := bench{dbtest.Open(t, cfg), cfg, dbtest.SQL(t, cfg)}
	if _, err := b.SaveProvider(t.Context(), admin, imaging.SaveProviderInput{ID: 1, Name: new("one"), AutoApprove: new(true)}); err != nil {
		t.Fatal(err)
	}
	return b
}

const note = "/root/.ssh\nand all keys:\n*.pem\n/nowhere"

// approved asks for an image of this name; it waits for a worker at once.
func (b bench) approved(t *testing.T, name string) uuid.UUID {
	t.Helper()
	v, err := b.RequestImage(t.Context(), ann, imaging.RequestImageInput{
		Name: name, Visibility: imaging.Private, Work: imaging.Work{Instance: uuid.New(), Provider: 1, Software: "R", Exclude: note},
	})
	if err != nil {
		t.Fatal(err)
	}
	return v.ID
}

// version is the version as an admin sees it.
func (b bench) version(t *testing.T, id uuid.UUID) *imaging.Version {
	t.Helper()
	v, err := b.Version(limit(t), admin, id)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (b bench) status(t *testing.T, id uuid.UUID) imaging.Status { return b.version(t, id).Status }

// settled waits until the version is in work no more.
func (b bench) settled(t *testing.T, id uuid.UUID) *imaging.Version {
	t.Helper()
	eventually(t, "the version is settled", func() bool { return !b.status(t, id).InWork() })
	return b.version(t, id)
}

func (b bench) cancel(t *testing.T, id uuid.UUID) {
	t.Helper()
	if _, err := b.Step(t.Context(), ann, id, imaging.Step{Action: imaging.Cancel}); err != nil {
		t.Fatal(err)
	}
}

// expire lets the lease of the version run out, and takes it back.
func (b bench) expire(t *testing.T, id uuid.UUID) {
	t.Helper()
	if _, err := b.sql.ExecContext(t.Context(), "UPDATE versions SET lease_expires_at = now() - interval '1 s' WHERE id = $1", id.String()); err != nil {
		t.Fatal(err)
	}
	if n, err := b.ExpireLeases(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d leases ran out, %v", n, err)
	}
}

// actions are what happened to the version's request, in order.
func (b bench) actions(t *testing.T, id uuid.UUID) []imaging.Action {
	t.Helper()
	c, err := b.Events(t.Context(), admin, b.version(t, id).ImageRequest, imaging.Slice{First: new(100)})
	if err != nil {
		t.Fatal(err)
	}
	list := make([]imaging.Action, len(c.Edges))
	for i, e := range c.Edges {
		list[i] = e.Node.Action
	}
	return list
}

// running is a Run that a test can end.
type running struct {
	stop func() // ends it and waits for that
	log  *records
}

// start runs a worker until the test ends.
func (b bench) start(t *testing.T, imager Imager, change ...func(*Options)) running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := running{log: &records{}}
	o := Options{Store: b.Store, Actor: smith, Provider: 1, Imager: imager, Parallel: 1, LeaseSeconds: 10, Poll: 10 * time.Millisecond, Log: slog.New(slog.NewTextHandler(r.log, nil))}
	for _, f := range change {
		f(&o)
	}
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, o) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := receive(t, ended, "Run ends"); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// limit is for what should take seconds on an idle machine.
func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// receive waits for a signal.
func receive[T any](t *testing.T, from <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(2 * time.Minute):
		t.Fatalf("it never came to be that %s", what)
	}
	return v
}

// eventually waits for a condition that nothing signals.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); <-look.C {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

// same fails unless got is want.
func same(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// records is a log that tests can read.
type records struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *records) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(b)
}

func (r *records) has(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Contains(r.buf.Bytes(), []byte(text))
}

// script is a Command that runs a shell script. held tells whether any of its processes is left: each inherits an end of a
// FIFO, whatever else it does away with.
func script(t *testing.T, text string) (c Command, held func() bool) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "held")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return shell(text, name), func() bool {
		fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Close(fd) }()
		_, err = syscall.Read(fd, make([]byte, 1))
		return err != nil // not the end, so somebody may still write
	}
}

// shell is a Command whose processes hold the FIFO of this name, which they know as $HELD.
func shell(text, name string) Command {
	return Command{Program: "/bin/sh", Args: []string{"-c", `exec 9<> "$HELD"` + "\n" + text}, Env: []string{"HELD=" + name}, Timeout: 5 * time.Minute}
}
