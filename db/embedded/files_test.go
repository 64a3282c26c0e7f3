package embedded

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fingerprint is a line for everything below a folder: name, mode, owner and a hash of the content.
func fingerprint(t *testing.T, root string) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var content []byte
		if info.Mode().IsRegular() {
			if content, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		owner, err := ownerOf(path)
		lines = append(lines, fmt.Sprintf("%s %v %d %s %x", path, info.Mode(), owner, info.ModTime(), sha256.Sum256(content)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestOtherMajorIsRefusedAndUntouched(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"13", "9.6", "99"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			c := start(t, Options{Dir: dir})
			keep(t, c)
			stop(t, c)
			writeFiles(t, map[string]string{filepath.Join(c.data, "PG_VERSION"): version + "\n"})
			before := fingerprint(t, c.data)
			_, err := Start(limit(t), Options{Dir: dir})
			if !errors.Is(err, ErrOtherMajor) || !strings.Contains(err.Error(), "needs PostgreSQL "+version) {
				t.Errorf("Start says %v", err)
			}
			if diff := cmp.Diff(before, fingerprint(t, c.data)); diff != "" {
				t.Errorf("the data changed (-before +after):\n%s", diff)
			}
			clusters, err := filepath.Glob(filepath.Join(dir, "pg", "*", "PG_VERSION"))
			if err != nil || len(clusters) != 1 {
				t.Errorf("clusters %v, %v", clusters, err)
			}
		})
	}
}

func TestUnreadableVersionIsRefused(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	writeFiles(t, map[string]string{filepath.Join(dir, "pg", "15", "PG_VERSION"): ""})
	if _, err := Start(limit(t), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "PG_VERSION") {
		t.Errorf("Start says %v", err)
	}
}

func TestBlockedParentIsNamed(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(folder(t), "closed")
	dir := filepath.Join(closed, "data")
	if err := os.MkdirAll(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	// root passes anyway, so it is PostgreSQL's user who is kept out; others are themselves
	if err := os.Chmod(closed, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(limit(t), Options{Dir: dir})
	if !errors.Is(err, ErrBlocked) || !strings.Contains(err.Error(), closed) {
		t.Errorf("Start says %v", err)
	}
	if os.Geteuid() == 0 && strings.Contains(err.Error(), dir) {
		t.Errorf("%q blames the folder below the closed one", err)
	}
	if err := os.Chmod(closed, 0o711); err != nil {
		t.Fatal(err)
	}
	start(t, Options{Dir: dir, Throwaway: true})
}

func TestLongPathGetsASpareSocketFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), strings.Repeat("long-", 30))
	c := start(t, Options{Dir: dir})
	keep(t, c)
	spare := c.sockets
	if strings.HasPrefix(spare, dir) || !c.private(spare) {
		t.Errorf("the socket is in %s, which is not private or below the data", spare)
	}
	stop(t, c)
	if _, err := os.Stat(spare); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left behind: %v", spare, err)
	}
	// a noted folder is used again if it is still private to PostgreSQL's user
	noted := folder(t)
	if err := c.give(noted); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, map[string]string{filepath.Join(c.home, spareFile): noted})
	again := start(t, Options{Dir: dir})
	if again.sockets != noted {
		t.Errorf("the socket is in %s, not in %s of last time", again.sockets, noted)
	}
	stop(t, again)
	// and not if others may enter it
	if err := errors.Join(os.Mkdir(noted, 0o700), c.give(noted), os.Chmod(noted, 0o711)); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, map[string]string{filepath.Join(c.home, spareFile): noted})
	last := start(t, Options{Dir: dir})
	if last.sockets == noted {
		t.Error("the socket is in a folder that others may enter")
	}
	kept(t, last)
}

func TestLargeLogIsSetAside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "postgres.log")
	for _, size := range []int64{largestLog, largestLog + 1} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		f, err := openLog(path)
		if err != nil {
			t.Fatal(err)
		}
		st, err := f.Stat()
		if err != nil || (st.Size() == 0) != (size > largestLog) {
			t.Errorf("a log of %d bytes goes on at %d, %v", size, st.Size(), err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if st, err := os.Stat(path + ".1"); err != nil || st.Size() != largestLog+1 {
		t.Errorf("the large log is gone: %v", err)
	}
}
