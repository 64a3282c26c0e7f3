package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fake makes a folder of server programs that only know their version.
func fake(t *testing.T, version string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	// a process that is started while a program is being written holds it open, and then it cannot be run
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	writeFiles(t, map[string]string{
		filepath.Join(dir, "initdb"):   "#!/bin/sh\n",
		filepath.Join(dir, "postgres"): "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n",
	})
	return dir
}

func TestPickSortsNewestFirst(t *testing.T) {
	t.Parallel()
	d14, d17, d179, d18 := fake(t, "14.12 (Debian 14.12-1)"), fake(t, "17.10"), fake(t, "17.9"), fake(t, "18beta1")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(d17, link); err != nil {
		t.Fatal(err)
	}
	got, err := pick([]candidate{{t.TempDir(), "empty"}, {d14, "a"}, {fake(t, "13.5"), "old"}, {d179, "b"}, {d17, "c"}, {link, "again"}, {d18, "d"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []Installation{{d18, 18, 0, "d"}, {d17, 17, 10, "c"}, {d179, 17, 9, "b"}, {d14, 14, 12, "a"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNothingFoundSaysWhatToInstall(t *testing.T) {
	t.Parallel()
	old := fake(t, "13.5")
	_, err := pick([]candidate{{old, "test"}})
	if !errors.Is(err, ErrNotFound) {
		t.Fatalf("pick says %v", err)
	}
	for _, want := range []string{"apt-get install postgresql", "dnf install postgresql-server", "apk add postgresql", "brew install postgresql", old} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestFindLooksOnlyInTheConfiguredFolder(t *testing.T) {
	t.Parallel()
	dir := fake(t, "16.4")
	got, err := Find(dir)
	if diff := cmp.Diff([]Installation{{dir, 16, 4, "configured"}}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing"), fake(t, "13.5")} {
		if _, err := Find(bad); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), bad) {
			t.Errorf("Find(%s) says %v", bad, err)
		}
	}
}

func TestFindSeesTheInstalledServer(t *testing.T) {
	t.Parallel()
	found, err := Find("")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range found {
		if i.Major < oldestMajor || i.Dir == "" || i.From == "" {
			t.Errorf("found %+v", i)
		}
	}
}
