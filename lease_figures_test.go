package main

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/db/embedded"
	"imagerequests/imaging"
)

// yard is where the workers of TestLeases work: a durable database, a provider, and the part of serve that takes back
// leases.
type yard struct {
	t        testing.TB
	cluster  *embedded.Cluster
	store    *db.Store
	sql      *sql.DB
	url      string
	script   string // makes an image
	provider string // the folder in which it does: each image is a file
	hurried  bool   // the leases of the dead are cut short, too

	all, hands []*hand // ever, and now
	places     chan struct{}
	standing   sync.WaitGroup
	asked      atomic.Int64 // versions
	outlived   atomic.Int64
	close      func() // ends all workers in order, and the taking back

	mu   sync.Mutex
	gone []string
}

// makeImage takes a moment, and makes a file that tells which attempt at which version it is of, and no other is named as.
const makeImage = `#!/bin/sh
read -r job
version=${job#*'"version":"'} attempt=${job##*'"attempt":'}
sleep 0.4
image=$(mktemp "$1/${version%%'"'*}.${attempt%%[!0-9]*}.XXXXXXXXXX") && echo "{\"alias\":\"${image##*/}\"}"
`

var yardAdmin = imaging.Actor{Username: "admin", Roles: []imaging.Role{imaging.Admin}}

func newYard(t testing.TB) *yard {
	t.Helper()
	y := &yard{t: t, hurried: !*leasesFull, places: make(chan struct{}, 1), provider: t.TempDir()}
	if *leasesFull {
		y.places = make(chan struct{}, 3)
	}
	y.script = filepath.Join(t.TempDir(), "make-image")
	if err := os.WriteFile(y.script, []byte(makeImage), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	var err error
	if y.cluster, err = embedded.Start(t.Context(), embedded.Options{Dir: folder(t), Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := y.cluster.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	cfg := y.cluster.Config(databaseName)
	y.url, y.store, y.sql = urlOf(cfg), dbtest.Open(t, cfg), dbtest.SQL(t, cfg)
	if _, err := y.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := y.store.SaveProvider(t.Context(), yardAdmin, imaging.SaveProviderInput{ID: 1, Name: new("one"), AutoApprove: new(true)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var minding sync.WaitGroup
	minding.Go(func() { every(ctx, 100*time.Millisecond, func() { y.mind(ctx) }) })
	y.close = func() {
		for _, w := range y.hands {
			w.stop(t)
		}
		cancel()
		minding.Wait()
	}
	t.Cleanup(func() { cancel(); minding.Wait(); y.standing.Wait() })
	return y
}

// mind takes back leases, as serve does, and sends back into the queue what was given up after three workers were lost, as
// a reviewer would. What fails while the database is away is done the next time.
func (y *yard) mind(ctx context.Context) {
	y.mu.Lock()
	gone := append([]string(nil), y.gone...)
	y.mu.Unlock()
	if y.hurried {
		y.cutShort(gone...)
	}
	_, _ = y.store.ExpireLeases(ctx)
	var id uuid.UUID
	var code string
	if y.sql.QueryRowContext(ctx, "SELECT id::text, failure_code FROM versions WHERE status = 'FAILED' LIMIT 1").Scan(&id, &code) != nil {
		return
	}
	if code != "LEASE_LOST" {
		y.t.Errorf("a version has failed: %s", code)
	}
	_, _ = y.store.Step(ctx, yardAdmin, id, imaging.Step{Action: imaging.Retry})
}

// count is a number in the database; not ok while that is away.
func (y *yard) count(query string, args ...any) (n int, ok bool) {
	err := y.sql.QueryRowContext(context.Background(), query, args...).Scan(&n)
	return n, err == nil
}

// figures are what came of it all.
type figures struct {
	versions, completed, once, doubled int // once, doubled: by their events
	claims, expired, gaveUp            int
	outlived                           int
	images                             int // made at the provider
	foreign                            int // versions with an alias that no worker made for their last attempt
	late, stopped                      int // images that were refused, or given up, because the lease was lost
}

func (f figures) String() string {
	return fmt.Sprintf("completed exactly once %d, doubled %d, lost %d\nleases: %d given, %d ran out (%d of them the third of a version, which was sent back)\n"+
		"images: %d made, %d of them beyond the first of a version\nlate completions: %d refused by the database, %d held back by the worker itself",
		f.once, f.doubled, f.versions-f.completed, f.claims, f.expired+f.gaveUp, f.gaveUp, f.images, f.images-f.versions, f.late, f.stopped)
}

// check fails unless each version was completed once, under the last of its leases, and something could have gone wrong.
func (f figures) check(t testing.TB, o ordeal) {
	t.Helper()
	if f.versions != o.versions || f.completed != o.versions || f.once != o.versions || f.doubled != 0 || f.foreign != 0 {
		t.Errorf("of %d versions %d are there and %d completed, %d once and %d more often; %d have another's image",
			o.versions, f.versions, f.completed, f.once, f.doubled, f.foreign)
	}
	if f.claims != f.completed+f.expired+f.gaveUp {
		t.Errorf("%d leases were given, but %d completed and %d ran out", f.claims, f.completed, f.expired+f.gaveUp)
	}
	if f.outlived != o.stops || f.late == 0 || f.images <= f.versions {
		t.Errorf("nothing was shown: %d of %d workers outlived a lease, %d completions came late, %d images for %d versions",
			f.outlived, o.stops, f.late, f.images, f.versions)
	}
}

// figures reads the database, the provider and the logs of the workers, which must have ended.
func (y *yard) figures() (f figures) {
	y.t.Helper()
	err := y.sql.QueryRowContext(y.t.Context(), `WITH done AS (SELECT count(*) AS n FROM events WHERE to_status = 'COMPLETED' GROUP BY version_id)
		SELECT (SELECT count(*) FROM versions), (SELECT count(*) FROM versions WHERE status = 'COMPLETED'),
			(SELECT count(*) FROM done WHERE n = 1), (SELECT count(*) FROM done WHERE n > 1),
			count(*) FILTER (WHERE action = 'CLAIMED'), count(*) FILTER (WHERE action = 'LEASE_EXPIRED'), count(*) FILTER (WHERE action = 'GAVE_UP')
		FROM events`).Scan(&f.versions, &f.completed, &f.once, &f.doubled, &f.claims, &f.expired, &f.gaveUp)
	if err != nil {
		y.t.Fatal(err)
	}
	images, err := os.ReadDir(y.provider)
	if err != nil {
		y.t.Fatal(err)
	}
	f.images, f.outlived, f.foreign = len(images), int(y.outlived.Load()), y.foreign()
	for _, w := range y.all {
		for line := range strings.Lines(w.err.String()) {
			switch {
			case strings.Contains(line, "the image came too late"):
				f.late++
			case strings.Contains(line, "the work was given up") && !strings.Contains(line, `unused_image=""`):
				f.stopped++
			}
		}
	}
	return f
}

// foreign counts the versions whose alias is not that of an image made by the attempt which they were completed by.
func (y *yard) foreign() (n int) {
	y.t.Helper()
	rows, err := y.sql.QueryContext(y.t.Context(), "SELECT id::text || '.' || attempt, alias FROM versions")
	if err != nil {
		y.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var attempt, alias string
		if err := rows.Scan(&attempt, &alias); err != nil {
			y.t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(y.provider, alias)); err != nil || !strings.HasPrefix(alias, attempt+".") {
			n++
		}
	}
	if err := rows.Err(); err != nil {
		y.t.Fatal(err)
	}
	return n
}
