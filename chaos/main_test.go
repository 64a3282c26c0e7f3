package chaos

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"imagerequests/db/embedded"
)

var full = flag.Bool("chaos.full", false, "run everything at its full length, which takes half an hour")

var loadFor = flag.Duration("chaos.load", 0, "how long TestLoad lasts, if not as long as in a short or full run")

// patience is for what should take a few seconds on an idle machine.
const patience = 2 * time.Minute

// length is one duration in a full run, another in a short one.
func length(inFull, inShort time.Duration) time.Duration {
	if *full {
		return inFull
	}
	return inShort
}

// number is the same for a count.
func number(inFull, inShort int) int {
	if *full {
		return inFull
	}
	return inShort
}

func TestMain(m *testing.M) {
	if embedded.Watcher(os.Args[1:]) {
		return
	}
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// built is the program that all tests run.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// theProgram builds the program once, with the race detector if the tests have it.
func theProgram(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "chaos"); built.err != nil {
			return
		}
		args := []string{"build", "-o", built.dir}
		if raced {
			args = append(args, "-race")
		}
		if out, err := exec.Command("go", append(args, "imagerequests")...).CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "imagerequests")
}

// folder is an empty data folder that PostgreSQL's user can pass through, which those of t.TempDir need not be.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chaos-data-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	return dir
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

// lasts waits while something that was broken stays so: that is what is tried, not a wait for something else.
func lasts(d time.Duration) { <-time.After(d) }
