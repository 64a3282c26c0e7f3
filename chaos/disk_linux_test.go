package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestDiskFull: the database is on a small file system of its own, and that is filled to its last byte while the crew works. What
// cannot be written is refused as UNAVAILABLE; Postgres may even fall, and cannot rise again until there is room. Then all is
// well by itself.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if os.Geteuid() != 0 {
		t.Skip("a small file system can only be mounted by root: the disk is not filled")
	}
	if err := syscall.Mount("chaos", dir, "tmpfs", 0, "size=256m,mode=0711"); err != nil {
		t.Fatal("root may not mount a small file system here: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	w := newWorld(t, setup{dir: dir})
	w.populate()
	w.startAll()
	c := w.crew(5*time.Second, 50*time.Millisecond)
	defer c.end()
	c.await(t, 30)
	for range number(3, 1) {
		c.try(fault{"disk full", func(c *crew) { c.fill(dir) }})
		if t.Failed() {
			return
		}
	}
	c.settle()
}

// fill takes all the room there is, and what becomes free, and gives it back.
func (c *crew) fill(dir string) {
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast) //nolint:gosec // in a folder of ours
	if err != nil {
		c.Fatal(err)
	}
	defer func() {
		if err := errors.Join(f.Close(), os.Remove(ballast)); err != nil {
			c.Error(err)
		}
	}()
	small := make([]byte, 4<<10)
	more := func() bool {
		_, err := f.Write(small)
		return !errors.Is(err, syscall.ENOSPC)
	}
	before := c.acknowledged.Load()
	still := time.NewTimer(length(30*time.Second, 3*time.Second))
	for again := time.NewTicker(20 * time.Millisecond); ; {
		for more() {
		}
		select {
		case <-again.C:
			continue
		case <-still.C:
		}
		break
	}
	c.Logf("with a full disk %d more writes were acknowledged; Postgres runs: %v", c.acknowledged.Load()-before, c.cluster.Pid() != 0)
}
