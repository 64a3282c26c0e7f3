// Package dbtest gives each test a database of its own on a throw-away Postgres, cloned from a migrated template.
package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"imagerequests/db"
	"imagerequests/db/embedded"
	"imagerequests/db/safedriver"
)

const template = "template_imagerequests"

// cluster is the throw-away Postgres of this test binary, started by the first test that needs it.
var cluster struct {
	once   sync.Once
	dir    string
	server *embedded.Cluster
	admin  *sql.DB
	err    error
	made   atomic.Int64
}

// Main runs the tests of a package and stops Postgres after them: func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	if cluster.admin != nil {
		_ = cluster.admin.Close()
	}
	if cluster.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := cluster.server.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "dbtest:", err)
		}
	}
	if cluster.dir != "" {
		_ = os.RemoveAll(cluster.dir)
	}
	return code
}

// Config is the address of a new database with the current schema, dropped when the test ends.
func Config(t testing.TB) safedriver.Config {
	t.Helper()
	Cluster(t)
	return create(t, " TEMPLATE "+template+" STRATEGY file_copy")
}

// Empty is the address of a new database without any schema, dropped when the test ends.
func Empty(t testing.TB) safedriver.Config {
	t.Helper()
	Cluster(t)
	return create(t, "")
}

// ASCII is the same in a database that knows no letters but ASCII's, as an operator's may.
func ASCII(t testing.TB) safedriver.Config {
	t.Helper()
	Cluster(t)
	return create(t, " TEMPLATE template0 LC_CTYPE 'C'")
}

// Store is a store over a database of its own.
func Store(t testing.TB) *db.Store {
	t.Helper()
	return Open(t, Config(t))
}

// Open is a store over the database, closed when the test ends.
func Open(t testing.TB, cfg safedriver.Config) *db.Store {
	t.Helper()
	s, err := db.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// SQL is a pool on the database for what a test wants to see behind the store's back.
func SQL(t testing.TB, cfg safedriver.Config) *sql.DB {
	t.Helper()
	connector, err := safedriver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	pool := sql.OpenDB(connector)
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// Cluster is the throw-away Postgres itself.
func Cluster(t testing.TB) *embedded.Cluster {
	t.Helper()
	cluster.once.Do(func() { cluster.err = start() })
	if cluster.err != nil {
		t.Fatal(cluster.err)
	}
	return cluster.server
}

func create(t testing.TB, how string) safedriver.Config {
	t.Helper()
	name := fmt.Sprintf("t%d", cluster.made.Add(1))
	if _, err := cluster.admin.Exec("CREATE DATABASE " + name + how); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := cluster.admin.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return patient(cluster.server.Config(name))
}

// patient has limits that no stall of a busy machine comes near, and the waits for an answer follow them: a test of a limit sets its
// own.
func patient(cfg safedriver.Config) safedriver.Config {
	cfg.DialTimeout = time.Minute
	cfg.ConnParams = map[string]string{"lock_timeout": "1min", "statement_timeout": "1min", "idle_in_transaction_session_timeout": "1min"}
	return cfg
}

func start() (err error) {
	if cluster.dir, err = os.MkdirTemp("", "dbtest"); err != nil {
		return err
	}
	if err := os.Chmod(cluster.dir, 0o711); err != nil { //nolint:gosec // as root, the database's own user must get through
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if cluster.server, err = embedded.Start(ctx, embedded.Options{Dir: cluster.dir, Throwaway: true, MaxConnections: 200, Log: slog.New(slog.DiscardHandler)}); err != nil {
		return err
	}
	connector, err := safedriver.New(patient(cluster.server.Config("postgres")))
	if err != nil {
		return err
	}
	cluster.admin = sql.OpenDB(connector)
	if _, err := cluster.admin.ExecContext(ctx, "CREATE DATABASE "+template); err != nil {
		return err
	}
	s, err := db.Open(patient(cluster.server.Config(template)), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if _, err := s.Migrate(ctx); err != nil {
		return err
	}
	return s.Close()
}
