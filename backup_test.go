package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/db/archive"
	"imagerequests/db/dbtest"
)

var majors = flag.String("backup.majors", "", "folders of the programs of other major versions of PostgreSQL, comma-separated; scripts/majors.sh fetches them")

// versions are in the names of their folders.
var versions = regexp.MustCompile(`[0-9]+\.[0-9.]+`)

// stored opens a backup.
func stored(t testing.TB, name string) *archive.Archive {
	t.Helper()
	a, closer, err := openArchive(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closer() })
	return a
}

// digests are what must be equal in two backups of the same data: all but the places of events, which may be moved.
func digests(a *archive.Archive) map[string]archive.Digest {
	all := map[string]archive.Digest{}
	for _, t := range a.Manifest.Tables {
		if t.Name == "events" {
			t.Bytes, t.SHA256 = 0, ""
		}
		all[t.Name] = t.Digest
	}
	return all
}

// entries are the names in a folder, hidden ones, too.
func entries(t testing.TB, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

// mustRun is a command that must succeed.
func mustRun(t testing.TB, env map[string]string, args ...string) (out string) {
	t.Helper()
	out, log, err := command(env, args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, log)
	}
	return out
}

// A backup beside the running server, restored into a new folder under each version of PostgreSQL that there is: equal in
// counts and checksums, and it starts and serves. From there it goes back into the version that it came from.
func TestRestoredBackupServes(t *testing.T) {
	t.Parallel()
	dir, files := folder(t), t.TempDir()
	p := startServer(t, dir, "--demo", "--demo-imaging=1ms", "--demo-failures=0")
	token := strings.TrimSpace(mustRun(t, nil, "token", "create", "--user=ann", "--role=admin", "--data="+dir))
	documented := fetch(t, http.MethodGet, p.base+"/image_requests/"+db.DemoRequest.String(), token, "")
	original := filepath.Join(files, "original.zip")
	if out := mustRun(t, nil, "backup", "--data="+dir, original); !strings.Contains(out, "7 tables") {
		t.Errorf("backup prints %s", out)
	}
	p.stop(t)
	for _, bin := range append([]string{""}, strings.FieldsFunc(*majors, func(r rune) bool { return r == ',' || r == '\n' })...) {
		t.Run(cmp.Or(versions.FindString(bin), "own"), func(t *testing.T) {
			dir, again := folder(t), filepath.Join(t.TempDir(), "again.zip")
			with := []string{"--data=" + dir}
			if bin != "" {
				with = append(with, "--postgres-bin="+bin)
			}
			if out := mustRun(t, nil, append([]string{"restore", original}, with...)...); !strings.HasPrefix(out, "Restored and compared: ") {
				t.Errorf("restore prints %s", out)
			}
			mustRun(t, nil, append([]string{"backup", again}, with...)...) // no server runs on it yet
			before, after := stored(t, original), stored(t, again)
			if diff := gocmp.Diff(digests(before), digests(after)); diff != "" {
				t.Errorf("what was restored is not what was backed up:\n%s", diff)
			}
			if diff := gocmp.Diff(before.Manifest.Sequences, after.Manifest.Sequences); diff != "" {
				t.Errorf("sequences:\n%s", diff)
			}
			t.Logf("from PostgreSQL %s to %s: %d rows", before.Manifest.Postgres, after.Manifest.Postgres, after.Manifest.Rows())
			p := startServer(t, dir, with[1:]...)
			if a := fetch(t, http.MethodGet, p.base+"/image_requests/"+db.DemoRequest.String(), token, ""); a.body != documented.body {
				t.Errorf("it serves %s\nwhere %s was served", a.body, documented.body)
			}
			ask := fmt.Sprintf(`{"instance":%q,"provider":1,"description":"","software":"","exclude":"","tags":"","vis":"public"}`, uuid.NewString())
			if a := fetch(t, http.MethodPost, p.base+"/image_requests", token, ask); a.status != http.StatusOK {
				t.Errorf("it takes no request: %d %s", a.status, a.body)
			}
			p.stop(t)
			cfg := dbtest.Empty(t) // and home again
			mustRun(t, map[string]string{"DATABASE_URL": urlOf(cfg)}, "restore", again)
			if _, err := dbtest.Histories(t.Context(), dbtest.Open(t, cfg), dbtest.SQL(t, cfg)); err != nil {
				t.Error(err)
			}
		})
	}
}

// What a backup leaves: one file that its owner alone can read, under its name only when it is whole.
func TestBackupFile(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	store := dbtest.Open(t, cfg)
	if err := store.LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	env, dir := map[string]string{"DATABASE_URL": urlOf(cfg)}, t.TempDir()
	name := filepath.Join(dir, "b.zip")
	mustRun(t, env, "backup", name)
	info, err := os.Stat(name)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if out := mustRun(t, nil, "restore", "--check", name); !strings.Contains(out, "as it was written") {
		t.Errorf("restore --check prints %s", out)
	}
	if _, _, err := command(env, "backup", name); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("over a file: %v", err)
	}
	if after, err := os.ReadFile(name); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file that was there was touched: %v", err)
	}
	for _, c := range []struct {
		env  map[string]string
		args []string
		want string
	}{
		{env, []string{"backup", filepath.Join(dir, "no", "such", "folder.zip")}, "no such file or directory"},
		{map[string]string{"DATABASE_URL": urlOf(dbtest.Empty(t))}, []string{"backup", filepath.Join(dir, "empty.zip")}, "nothing of this service"},
		{nil, []string{"backup", "--data=" + dir, filepath.Join(dir, "none.zip")}, "no database in the folder"},
		{env, []string{"restore", name}, "not empty"},
		{env, []string{"restore", filepath.Join(dir, "none.zip")}, "no such file or directory"},
		{env, []string{"restore", "--check", dir}, "is not a file"},
		{env, []string{"restore", "--check", "backup.go"}, "no archive"},
		{env, []string{"backup"}, "<file>"},
	} {
		if out, _, err := command(c.env, c.args...); err == nil || !strings.Contains(err.Error(), c.want) || out != "" {
			t.Errorf("%v prints %s and ends with %v, want %q", c.args, out, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = run(ctx, []string{"backup", filepath.Join(dir, "off.zip")}, func(name string) string { return env[name] }, &record{}, &record{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a backup that is called off: %v", err)
	}
	if diff := gocmp.Diff([]string{"b.zip"}, entries(t, dir)); diff != "" {
		t.Errorf("files:\n%s", diff)
	}
}

// A backup that is killed leaves nothing under its name, whenever that was.
func TestBackupIsKilled(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	if err := dbtest.Open(t, cfg).LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir, begun := t.TempDir(), 0
	for n := range 5 {
		name := filepath.Join(dir, fmt.Sprint(n, ".zip"))
		p := launch(t, []string{"DATABASE_URL=" + urlOf(cfg)}, "backup", name)
		eventually(t, "the backup has begun", func() bool {
			parts, _ := filepath.Glob(filepath.Join(dir, "."+filepath.Base(name)+".part-*"))
			return len(parts) > 0 || p.ended()
		})
		p.kill()
		if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
			begun++
			continue
		}
		stored(t, name) // it was whole by then
	}
	t.Logf("%d of 5 were killed while they wrote", begun)
}

// A damaged backup is refused before anything is done, by both ways to look at it.
func TestDamagedBackup(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	if err := dbtest.Open(t, cfg).LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	name, damaged, data := filepath.Join(dir, "b.zip"), filepath.Join(dir, "damaged.zip"), filepath.Join(dir, "data")
	mustRun(t, map[string]string{"DATABASE_URL": urlOf(cfg)}, "backup", name)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		at := i * len(whole) / 60
		text := bytes.Clone(whole)
		text[at] ^= 4
		if i%2 == 1 {
			text = text[:at]
		}
		if err := os.WriteFile(damaged, text, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"restore", "--data=" + data, damaged}, {"restore", "--check", damaged}} {
			if out, _, err := command(nil, args...); !errors.Is(err, archive.ErrDamaged) || out != "" {
				t.Errorf("%v with damage at %d prints %s, %v", args, at, out, err)
			}
		}
	}
	if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a damaged backup had something done: %v", err)
	}
}
