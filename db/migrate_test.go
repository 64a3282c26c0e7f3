package db_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/db/embedded"
	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

var update = flag.Bool("update", false, "write schema.sql anew instead of comparing with it")

// step is a migration of this text.
func step(version int, text string) db.Migration {
	return db.Migration{Version: version, Name: "step", SQL: text, Checksum: sha256.Sum256([]byte(text))}
}

// Many copies start at once on an empty database: all succeed, one of them applies.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	for round := range 15 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			cfg := dbtest.Empty(t)
			stores := []*db.Store{}
			for range 4 {
				stores = append(stores, dbtest.Open(t, cfg))
			}
			applied, errs := all(t.Context(), len(stores), func(ctx context.Context, i int) (int, error) { return stores[i].Migrate(ctx) })
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			sum := 0
			for _, n := range applied {
				sum += n
			}
			known, err := db.Migrations()
			if err != nil {
				t.Fatal(err)
			}
			same(t, len(known), sum)
			for _, s := range stores {
				if err := s.Ready(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A second run applies nothing, and a program that knows more applies only what is new.
func TestMigrateStepByStep(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Empty(t)
	s := dbtest.Open(t, cfg)
	steps := []db.Migration{step(1, "CREATE TABLE one ()"), step(2, "CREATE TABLE two ()"), step(3, "CREATE TABLE three (); INSERT INTO three DEFAULT VALUES")}
	for _, c := range []struct{ known, applied int }{{1, 1}, {1, 0}, {3, 2}, {3, 0}} {
		n, err := s.MigrateTo(t.Context(), steps[:c.known])
		if err != nil || n != c.applied {
			t.Errorf("knowing %d it applied %d, %v, want %d", c.known, n, err, c.applied)
		}
	}
	same(t, "1,2,3", one[string](t, dbtest.SQL(t, cfg), "SELECT string_agg(version::text, ',' ORDER BY version) FROM schema_migrations, three"))
}

// A schema that is newer, or was made by other steps, is refused and left as it is.
func TestMigrateRefusesForeignSchemas(t *testing.T) {
	t.Parallel()
	one, two := step(1, "CREATE TABLE one ()"), step(2, "CREATE TABLE two ()")
	for what, known := range map[string][]db.Migration{
		"newer":               {one},
		"no steps":            {},
		"changed first step":  {step(1, "CREATE TABLE uno ()"), two},
		"changed second step": {one, step(2, "CREATE TABLE due ()"), step(3, "CREATE TABLE tre ()")},
		"other numbers":       {one, {Version: 3, SQL: two.SQL, Checksum: two.Checksum}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			cfg := dbtest.Empty(t)
			s := dbtest.Open(t, cfg)
			if _, err := s.MigrateTo(t.Context(), []db.Migration{one, two}); err != nil {
				t.Fatal(err)
			}
			before := dump(t, cfg)
			if n, err := s.MigrateTo(t.Context(), known); !errors.Is(err, db.ErrSchema) || n != 0 {
				t.Errorf("applied %d, %v, want ErrSchema", n, err)
			}
			same(t, before, dump(t, cfg))
		})
	}
}

// A step that fails leaves nothing, not even of the steps before it, and can be mended.
func TestMigrateFailsWhole(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Empty(t)
	s := dbtest.Open(t, cfg)
	before := dump(t, cfg)
	for _, broken := range []string{"CREATE TABLE two (); SELECT 1/0", "nonsense", "CREATE TABLE two (); COMMIT; CREATE TABLE x ()"} {
		n, err := s.MigrateTo(t.Context(), []db.Migration{step(1, "CREATE TABLE one ()"), step(2, broken)})
		if err == nil || n != 0 || errors.Is(err, db.ErrSchema) {
			t.Errorf("%s: applied %d, %v", broken, n, err)
		}
		if strings.Contains(broken, "COMMIT") {
			continue // what a step commits by itself stays; the driver at least tells
		}
		same(t, before, dump(t, cfg))
	}
}

// A program that waits for its turn gives up with its context.
func TestMigrateWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Empty(t)
	holder, err := dbtest.SQL(t, cfg).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Exec("SELECT pg_advisory_xact_lock($1)", db.MigrationLock); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done, s, pool := make(chan error, 1), dbtest.Open(t, cfg), dbtest.SQL(t, cfg)
	go func() {
		_, err := s.Migrate(ctx)
		done <- err
	}()
	const waiting = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
	for one[int](t, pool, waiting) == 0 {
		if ctx.Err() != nil {
			t.Fatal("nobody waits")
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := holder.Rollback(); err != nil {
		t.Error(err)
	}
}

// Files are numbered from 1 without a gap.
func TestMigrationFiles(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		names []string
		ok    bool
	}{
		"none":       {nil, true},
		"in order":   {[]string{"0001_a.sql", "0002_b.sql"}, true},
		"a gap":      {[]string{"0001_a.sql", "0003_b.sql"}, false},
		"from 0":     {[]string{"0000_a.sql"}, false},
		"twice":      {[]string{"0001_a.sql", "0001_b.sql"}, false},
		"no number":  {[]string{"first.sql"}, false},
		"other ends": {[]string{"0001_a.sql", "README.md"}, true},
	} {
		files := fstest.MapFS{}
		for _, name := range c.names {
			files["migrations/"+name] = &fstest.MapFile{Data: []byte("SELECT 1")}
		}
		steps, err := db.MigrationsIn(files)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v, %v", what, steps, err)
		}
	}
}

// Ready says no, as UNAVAILABLE, until the schema is this program's, or newer.
func TestReady(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Empty(t)
	s, pool := dbtest.Open(t, cfg), dbtest.SQL(t, cfg)
	refused(t, s.Ready(t.Context()), refusal{imaging.Unavailable, ""})
	if _, err := s.MigrateTo(t.Context(), nil); err != nil { // makes the table alone
		t.Fatal(err)
	}
	refused(t, s.Ready(t.Context()), refusal{imaging.Unavailable, ""})
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	execute(t, pool, "INSERT INTO schema_migrations (version, name, checksum) VALUES (1000, 'future', '')")
	if err := s.Ready(t.Context()); err != nil { // its successor is at work
		t.Error(err)
	}
	cfg.Addr = filepath.Join(t.TempDir(), "nobody")
	refused(t, dbtest.Open(t, cfg).Ready(t.Context()), refusal{imaging.Unavailable, ""})
}

// schema.sql is what the migrations make, for people to read. Where this fails after a change of the migrations, run
//
//	go test ./db -run TestSchema -update
//
// and look at the difference.
func TestSchema(t *testing.T) {
	t.Parallel()
	got := dump(t, dbtest.Config(t))
	if *update {
		if err := os.WriteFile("schema.sql", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	same(t, string(want), got)
}

// Every table says what it is for.
func TestTablesHaveComments(t *testing.T) {
	t.Parallel()
	pool := dbtest.SQL(t, dbtest.Config(t))
	same(t, 8, one[int](t, pool, "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"))
	same(t, "", one[string](t, pool, `SELECT coalesce(string_agg(c.relname, ', '), '') FROM pg_class c
		LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
		WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND coalesce(d.description, '') = ''`))
	for _, column := range []string{
		"image_requests.shared_with", "image_requests.end_date", "image_requests.revision", "image_requests.status", "image_requests.search_text",
		"versions.ordinal", "versions.alias", "versions.version", "versions.lease_token", "events.xid", "events.seq", "events.changes",
		"idempotency_keys.input_hash", "tokens.providers", "tokens.secret_hash", "providers.active", "providers.auto_approve",
	} {
		table, name, _ := strings.Cut(column, ".")
		same(t, 1, one[int](t, pool, `SELECT count(*) FROM pg_description d JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
			WHERE d.classoid = 'pg_class'::regclass AND d.objoid = $1::regclass AND a.attname = $2`, table, name))
	}
}

// noise is what the schema does not consist of: comments, settings, and what differs from one dump to the next.
var noise = regexp.MustCompile(`(?m)^(--|SET |SELECT pg_catalog|\\(un)?restrict ).*\n`)

// dump is the schema of a database.
func dump(t testing.TB, cfg safedriver.Config) string {
	t.Helper()
	found, err := embedded.Find("")
	if err != nil {
		t.Fatal(err)
	}
	folder, port := filepath.Dir(cfg.Addr), strings.TrimPrefix(filepath.Ext(cfg.Addr), ".")
	command := exec.CommandContext(t.Context(), filepath.Join(found[0].Dir, "pg_dump"), //nolint:gosec // the program of our own cluster
		"--schema-only", "--no-owner", "--no-privileges", "-h", folder, "-p", port, "-U", cfg.User, cfg.Database)
	var trouble bytes.Buffer
	command.Stderr = &trouble
	out, err := command.Output()
	if err != nil {
		t.Fatalf("pg_dump: %v: %s", err, &trouble)
	}
	text := noise.ReplaceAllString(string(out), "")
	return strings.TrimSpace(regexp.MustCompile(`\n{3,}`).ReplaceAllString(text, "\n\n")) + "\n"
}
