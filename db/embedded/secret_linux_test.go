package embedded

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestPasswordIsKeptSecret(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	var log records
	seen, done := commandLines(t)
	c := start(t, Options{Dir: dir, Log: log.logger()})
	done()
	if !strings.Contains(seen.String(), c.data+".new\x00") {
		t.Fatal("initdb was not seen in the process list, so this test shows nothing")
	}
	st, err := os.Stat(filepath.Join(dir, "pg", passwordFile))
	if err != nil || st.Mode() != 0o600 {
		t.Errorf("password file: %v, %v", st.Mode(), err)
	}
	wrong := &Cluster{sockets: c.sockets, password: "wrong"}
	if err := open(t, wrong).PingContext(limit(t)); err == nil {
		t.Fatal("a wrong password is let in")
	} else if strings.Contains(err.Error(), c.password) {
		t.Errorf("%q holds the password", err)
	}
	stop(t, c)
	places := map[string]string{
		"process list": seen.String(), "own log": log.String(), "postgres.log": readFile(t, c.home, "postgres.log"),
		"postmaster.opts": readFile(t, c.data, "postmaster.opts"),
	}
	for name, content := range places {
		if content == "" || len(c.password) < 20 || strings.Contains(content, c.password) {
			t.Errorf("%s is empty or holds the password", name)
		}
	}
}

// commandLines collects the command line and environment of all processes, as
// often as it can, until done is called.
func commandLines(t *testing.T) (seen *records, done func()) {
	t.Helper()
	seen = &records{}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		known := map[string]bool{}
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, pattern := range []string{"/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ"} {
				paths, _ := filepath.Glob(pattern)
				for _, p := range paths {
					if b, err := os.ReadFile(p); err == nil && !known[string(b)] {
						known[string(b)] = true
						_, _ = seen.Write(b)
					}
				}
			}
		}
	}()
	done = sync.OnceFunc(func() { close(stop); <-ended })
	t.Cleanup(done)
	return seen, done
}
