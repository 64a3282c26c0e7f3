package db_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/db/embedded"
	"imagerequests/imaging"
)

// Creates on a Postgres that forces each commit to the disk, as the embedded one does, by one caller and by 64 at once.
//
//	go test ./db -run '^$' -bench RequestImage -benchtime 3s
func BenchmarkRequestImage(b *testing.B) {
	s, pool := durable(b)
	for _, callers := range []int{1, 64} {
		for _, with := range []string{"no key", "key"} {
			b.Run(fmt.Sprintf("%d callers, %s", callers, with), func(b *testing.B) {
				before, cpu := counted(b, pool), processor()
				var left atomic.Int64
				left.Store(int64(b.N))
				var done sync.WaitGroup
				for range callers {
					done.Go(func() {
						for left.Add(-1) >= 0 {
							in := image()
							if with == "key" {
								in.IdempotencyKey = new(in.Instance.String())
							}
							if _, err := s.RequestImage(b.Context(), ann, in); err != nil {
								b.Error(err)
							}
						}
					})
				}
				done.Wait()
				after, n := counted(b, pool), float64(b.N)
				b.ReportMetric(n/b.Elapsed().Seconds(), "creates/s")
				b.ReportMetric((after-before)/n, "syncs/create")
				b.ReportMetric(float64((processor()-cpu).Microseconds())/n, "own-µs/create")
			})
		}
	}
}

// counted is how often the server's log was forced to the disk.
func counted(b *testing.B, pool *sql.DB) float64 {
	b.Helper()
	return one[float64](b, pool, "SELECT wal_sync FROM pg_stat_wal")
}

// processor is the time that this process has computed.
func processor() time.Duration {
	var use syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &use)
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// durable is a store over a Postgres of its own that is as the service runs it.
func durable(b *testing.B) (*db.Store, *sql.DB) {
	b.Helper()
	dir, err := os.MkdirTemp("", "durable")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // as root, the database's own user must get through
		b.Fatal(err)
	}
	cluster, err := embedded.Start(b.Context(), embedded.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := cluster.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	})
	cfg := cluster.Config("postgres")
	s := dbtest.Open(b, cfg)
	if _, err := s.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	if _, err := s.SaveProvider(b.Context(), admin, imaging.SaveProviderInput{ID: 1, Name: new("one")}); err != nil {
		b.Fatal(err)
	}
	return s, dbtest.SQL(b, cfg)
}
