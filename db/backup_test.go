package db_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"imagerequests/db"
	"imagerequests/db/archive"
	"imagerequests/db/dbtest"
	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

func silent(string, int64, int64) {}

// backUp is an archive of a database.
func backUp(t testing.TB, cfg safedriver.Config) *archive.Archive {
	t.Helper()
	var file bytes.Buffer
	m, err := db.Backup(t.Context(), cfg, "this program", &file, silent)
	if err != nil {
		t.Fatal(err)
	}
	a, err := archive.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	same(t, *m, a.Manifest)
	return a
}

// restored is a new database with what the archive holds.
func restored(t testing.TB, a *archive.Archive) bench {
	t.Helper()
	cfg := dbtest.Empty(t)
	if err := db.Restore(t.Context(), cfg, a, silent); err != nil {
		t.Fatal(err)
	}
	return bench{dbtest.Open(t, cfg), dbtest.SQL(t, cfg)}
}

// keepWriting does something to requests of its own, over and over, until the context ends.
func (b bench) keepWriting(ctx context.Context, user imaging.Actor) error {
	var mine []*imaging.Version
	for n := 0; ; n++ {
		var err error
		switch draw := rand.IntN(4); {
		case len(mine) == 0 || draw == 0:
			in := image()
			in.IdempotencyKey = new(fmt.Sprint(user.Username, n))
			var v *imaging.Version
			if v, err = b.RequestImage(ctx, user, in); err == nil {
				mine = append(mine, v)
			}
		case draw == 1:
			in := another(mine[rand.IntN(len(mine))].ImageRequestID)
			in.IdempotencyKey = new(fmt.Sprint(user.Username, n))
			_, err = b.RequestVersion(ctx, user, in)
		case draw == 2:
			_, err = b.EditImageRequest(ctx, user, imaging.EditImageRequestInput{ImageRequest: mine[rand.IntN(len(mine))].ImageRequestID, Name: new(fmt.Sprint("edit ", n))})
		default:
			in := imaging.RemarkInput{Version: mine[rand.IntN(len(mine))].ID}
			if _, err = b.Step(ctx, user, in.Version, in.Step(imaging.Cancel)); imaging.CodeOf(err) == imaging.Conflict {
				err = nil // it was cancelled before
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// A backup that is taken while others write is of one moment: all that the restored rows say of each other holds, what was
// answered before it began is there, and what is there is equal in counts and checksums to what was backed up.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	b := bench{dbtest.Open(t, cfg), dbtest.SQL(t, cfg)}
	if _, err := b.SaveProvider(t.Context(), admin, imaging.SaveProviderInput{ID: 1, Name: new("one")}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			user := imaging.Actor{Username: fmt.Sprint("user", i), Roles: []imaging.Role{imaging.Requester}}
			if err := b.keepWriting(ctx, user); err != nil {
				t.Errorf("a writer beside the backup: %v", err)
			}
		})
	}
	defer writers.Wait()
	defer cancel()
	var archives []*archive.Archive
	for n := range 3 {
		for one[int](t, b.sql, "SELECT count(*) FROM events") < 60*(n+1) { // it goes on
		}
		before := b.request(t, ann, image())
		a := backUp(t, cfg)
		archives = append(archives, a)
		after := b.request(t, ann, image())
		r := restored(t, a)
		if _, err := r.Version(t.Context(), ann, before.ID); err != nil {
			t.Errorf("what was answered before is not in the backup: %v", err)
		}
		if _, err := r.Version(t.Context(), ann, after.ID); imaging.CodeOf(err) != imaging.NotFound {
			t.Errorf("what came after is in the backup: %v", err)
		}
	}
	cancel()
	writers.Wait()
	for _, a := range archives {
		r := restored(t, a)
		events, err := dbtest.Histories(t.Context(), r.Store, r.sql)
		if err != nil || events == 0 {
			t.Errorf("%d events, %v", events, err)
		}
		if orphans := one[int](t, r.sql, "SELECT count(*) FROM idempotency_keys k WHERE NOT EXISTS (SELECT FROM versions v WHERE v.id = k.version_id AND v.image_request_id = k.image_request_id)"); orphans > 0 {
			t.Errorf("%d keys of versions that are not there", orphans)
		}
		for _, table := range a.Manifest.Tables {
			if n := one[int64](t, r.sql, "SELECT count(*) FROM "+table.Name); n != table.Rows {
				t.Errorf("%s has %d rows, the manifest says %d", table.Name, n, table.Rows)
			}
		}
		again, err := r.RequestImage(t.Context(), bob, image()) // counters go on behind what is there
		if err != nil {
			t.Fatal(err)
		}
		r.edit(t, again.ImageRequestID)
	}
}

// Everything is there again: tokens open the door, keys are known, and a second backup has the same checksums.
func TestRestoredIsEqual(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	b := bench{dbtest.Open(t, cfg), dbtest.SQL(t, cfg)}
	if err := b.LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	in := image()
	in.Name, in.Description, in.IdempotencyKey = `Ünï"cödé' \N 漢字`, "tab\there\nline\\n\r\n", new("key")
	first := b.request(t, ann, in)
	secret, token, err := b.CreateToken(t.Context(), admin, imaging.Token{Username: "eve", Roles: imaging.Roles, Providers: []int{1}, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	a := backUp(t, cfg)
	r := restored(t, a)
	same(t, b.content(t), r.content(t))
	shown, err := r.Bearer(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	same(t, token, shown)
	r.unchanged(t, func() {
		again, err := r.RequestImage(t.Context(), ann, in)
		if err != nil || again.ID != first.ID {
			t.Errorf("the same key makes %v, %v", again, err)
		}
	})
	// the same once more, from the restored one
	cfg2 := dbtest.Empty(t)
	if err := db.Restore(t.Context(), cfg2, a, silent); err != nil {
		t.Fatal(err)
	}
	same(t, a.Manifest.Tables, backUp(t, cfg2).Manifest.Tables)
	same(t, a.Manifest.Sequences, backUp(t, cfg2).Manifest.Sequences)
	if schema := one[string](t, r.sql, schemaSum); schema != one[string](t, b.sql, schemaSum) {
		t.Error("triggers or constraints are not as they were")
	}
}

// schemaSum is what triggers are on, and which constraints hold.
const schemaSum = `SELECT (SELECT string_agg(tgname || tgenabled::text, ',' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal)
	|| (SELECT string_agg(conname || convalidated || condeferrable, ',' ORDER BY conname) FROM pg_constraint WHERE connamespace = 'public'::regnamespace)`

// The stream of a restored database has the events in the order that it had, whether their transactions lie before or
// after those of the new server; what happens then stands behind.
func TestStreamOfARestoredBackup(t *testing.T) {
	t.Parallel()
	for _, ahead := range []int64{0, 4_000_000_000} {
		cfg := dbtest.Config(t)
		b := bench{dbtest.Open(t, cfg), dbtest.SQL(t, cfg)}
		if _, err := b.SaveProvider(t.Context(), admin, imaging.SaveProviderInput{ID: 1, Name: new("one")}); err != nil {
			t.Fatal(err)
		}
		early, late := b.request(t, ann, image()), b.request(t, ann, image())
		execute(t, b.sql, "ALTER TABLE events DISABLE TRIGGER events_are_append_only")
		execute(t, b.sql, "UPDATE events SET xid = xid + $1 + CASE WHEN image_request_id = $2 THEN 1000 ELSE 0 END", ahead, early.ImageRequestID.String())
		execute(t, b.sql, "ALTER TABLE events ENABLE TRIGGER events_are_append_only")
		want := b.streamed(t, "true")
		r := restored(t, backUp(t, cfg))
		same(t, want, r.streamed(t, "true"))
		r.edit(t, late.ImageRequestID)
		r.edit(t, early.ImageRequestID)
		whole := r.streamed(t, "true")
		same(t, want, whole[:len(want)])
		f := r.newFeed(t)
		everything := subscribe(t, f, admin, db.Stream{After: new("")})
		mark := r.mark(t)
		whole = r.streamed(t, "true")
		same(t, whole[:len(whole)-1], idsOf(everything.until(t, mark)))
	}
}

// While a backup is under way, others write and subscribers are told: it is in nobody's way.
func TestBackupIsInNobodysWay(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	b := bench{dbtest.Open(t, cfg), dbtest.SQL(t, cfg)}
	if err := b.LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := b.newFeed(t)
	everything := subscribe(t, f, admin, db.Stream{After: new("")})
	reached, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	ended := make(chan error)
	go func() {
		_, err := db.Backup(t.Context(), cfg, "", io.Discard, func(table string, rows, _ int64) {
			if table == "image_requests" && rows > 0 {
				once.Do(func() { close(reached); <-goOn })
			}
		})
		ended <- err
	}()
	<-reached
	told := everything.until(t, b.mark(t)) // a change, and its event
	if len(told) < 6 {
		t.Errorf("told of %d events while the backup was held up", len(told))
	}
	close(goOn)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A change of the schema waits for a backup that has begun to read. One that came before it could is told: its table would be read
// as if it were empty.
func TestBackupAndChangesOfTheSchema(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	b := benchOf(t, cfg)
	b.request(t, ann, image())
	const change = "ALTER TABLE events ALTER message TYPE varchar(20000)" // which writes all of it anew
	tried := false
	m, err := db.Backup(t.Context(), cfg, "this program", io.Discard, func(string, int64, int64) {
		if !tried {
			tried = true
			if _, err := b.sql.Exec("SET lock_timeout = '100ms'; " + change); safedriver.SQLState(err) != "55P03" {
				t.Error("a change of the schema says ", err)
			}
		}
	})
	if err != nil || !tried {
		t.Fatal(m, err, tried)
	}
	tx, err := b.sql.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.Exec("SELECT 1"); err != nil { // from here on it sees one moment
		t.Fatal(err)
	}
	execute(t, b.sql, change)
	if err := db.Hold(t.Context(), tx); err == nil || !strings.Contains(err.Error(), "(events): try again") {
		t.Error("a change before the backup read anything says ", err)
	}
}

// A backup or restore whose caller leaves ends, and nothing of a restore is there.
func TestBackupAndRestoreAreCalledOff(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	if err := dbtest.Open(t, cfg).LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := backUp(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := db.Backup(ctx, cfg, "", io.Discard, func(string, int64, int64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("a backup called off: %v", err)
	}
	empty := dbtest.Empty(t)
	ctx, cancel = context.WithCancel(t.Context())
	err := db.Restore(ctx, empty, a, func(table string, _, _ int64) {
		if table == "events" {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a restore called off: %v", err)
	}
	nothingIn(t, empty)
	full := errors.New("full")
	if _, err := db.Backup(t.Context(), cfg, "", failingWriter{full}, silent); !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// nothingIn fails unless the database is as empty as it was made.
func nothingIn(t testing.TB, cfg safedriver.Config) {
	t.Helper()
	if n := one[int](t, dbtest.SQL(t, cfg), "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"); n != 0 {
		t.Errorf("there are %d relations in it", n)
	}
}

// checksum is a migration's, as a manifest tells it.
func checksum(m db.Migration) string { return fmt.Sprintf("%x", m.Checksum) }

// What is refused leaves the database as it was.
func TestRestoreRefused(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	if err := dbtest.Open(t, cfg).LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := backUp(t, cfg)
	if err := db.Restore(t.Context(), cfg, a, silent); !errors.Is(err, db.ErrNotEmpty) {
		t.Errorf("over data: %v", err)
	}
	for _, something := range []string{"TABLE x ()", "VIEW x AS SELECT 1", "SEQUENCE x", "SCHEMA y CREATE TABLE x ()"} {
		used := dbtest.Empty(t)
		execute(t, dbtest.SQL(t, used), "CREATE "+something)
		if err := db.Restore(t.Context(), used, a, silent); !errors.Is(err, db.ErrNotEmpty) {
			t.Errorf("beside %s: %v", something, err)
		}
	}
	if _, err := db.Backup(t.Context(), dbtest.Empty(t), "", io.Discard, silent); !errors.Is(err, db.ErrSchema) {
		t.Errorf("a backup of nothing: %v", err)
	}
	empty := dbtest.Empty(t)
	for name, c := range map[string]struct {
		change func(*archive.Archive)
		want   error
	}{
		"a newer schema": {func(a *archive.Archive) {
			a.Manifest.Schema = append(slices.Clone(a.Manifest.Schema), archive.Step{Version: 99})
		}, db.ErrSchema},
		"another schema": {func(a *archive.Archive) { a.Manifest.Schema = []archive.Step{{Version: 1, Checksum: "00"}} }, db.ErrSchema},
		"a table less":   {func(a *archive.Archive) { a.Manifest.Tables = a.Manifest.Tables[1:] }, db.ErrSchema},
		"other columns": {func(a *archive.Archive) {
			a.Manifest.Tables = slices.Clone(a.Manifest.Tables)
			a.Manifest.Tables[0].Columns = a.Manifest.Tables[0].Columns[1:]
		}, db.ErrSchema},
		"other rows": {func(a *archive.Archive) {
			a.Manifest.Tables = slices.Clone(a.Manifest.Tables)
			a.Manifest.Tables[4].SHA256 = fmt.Sprintf("%x", sha256.Sum256(nil))
		}, db.ErrMismatch},
	} {
		changed := *a
		c.change(&changed)
		if err := db.Restore(t.Context(), empty, &changed, silent); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		nothingIn(t, empty)
	}
	if err := db.Restore(t.Context(), empty, a, silent); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// An archive of an older schema is loaded as that, and brought up to date.
func TestRestoreOfAnOlderSchema(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	if err := dbtest.Open(t, cfg).LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := backUp(t, cfg)
	steps, err := db.Migrations()
	if err != nil {
		t.Fatal(err)
	}
	same(t, checksum(steps[0]), a.Manifest.Schema[0].Checksum)
	next := db.Migration{Version: len(steps) + 1, Name: "next", SQL: "ALTER TABLE providers ADD COLUMN note text NOT NULL DEFAULT 'none'; UPDATE providers SET note = name"}
	newer := append(slices.Clone(steps), next)
	empty := dbtest.Empty(t)
	if err := db.RestoreTo(t.Context(), empty, a, newer); err != nil {
		t.Fatal(err)
	}
	pool := dbtest.SQL(t, empty)
	if got := one[string](t, pool, "SELECT note FROM providers WHERE id = 1"); got != "Demonstration cloud" {
		t.Errorf("the new column says %q", got)
	}
	// and an older program does not take the newer one's
	b := backUp(t, empty)
	if err := db.Restore(t.Context(), dbtest.Empty(t), b, silent); !errors.Is(err, db.ErrSchema) {
		t.Errorf("an older program: %v", err)
	}
	if err := db.RestoreTo(t.Context(), dbtest.Empty(t), b, newer); err != nil {
		t.Errorf("the same program: %v", err)
	}
	if _, err := dbtest.Open(t, empty).ImageRequest(t.Context(), nobody, db.DemoRequest); err != nil {
		t.Errorf("the documented example: %v", err)
	}
}
