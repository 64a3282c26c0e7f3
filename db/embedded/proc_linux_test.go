package embedded

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

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
