package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"imagerequests/db"
	"imagerequests/db/embedded"
)

var (
	//go:embed prepare.sql
	prepareSQL string
	//go:embed before.sql
	beforeSQL string
	//go:embed load.sql
	loadSQL string
	//go:embed after.sql
	afterSQL string
)

// chunk is how many image requests are loaded in one transaction.
const chunk = 25_000

// cluster is a Postgres of the benchmark's own, with a database for each size.
type cluster struct {
	pg       *embedded.Cluster
	programs string // folder of pgbench
	keep     bool
	dir      string
	log      io.Writer
}

func startCluster(ctx context.Context, s *settings, log io.Writer) (_ *cluster, err error) {
	c := &cluster{dir: s.keep, keep: s.keep != "", log: log}
	if !c.keep {
		if c.dir, err = os.MkdirTemp("", "bench"); err != nil {
			return nil, err
		}
	} else if err := os.MkdirAll(c.dir, 0o755); err != nil { //nolint:gosec // Postgres may run as another user
		return nil, err
	}
	if err := os.Chmod(c.dir, 0o711); err != nil { //nolint:gosec // likewise
		return nil, err
	}
	found, err := embedded.Find("")
	if err != nil {
		return nil, err
	}
	c.programs = found[0].Dir
	options := embedded.Options{Dir: c.dir, BinDir: c.programs, Throwaway: s.throwaway, Log: slog.New(slog.DiscardHandler), MaxConnections: 200}
	if c.pg, err = embedded.Start(ctx, options); err != nil {
		return nil, err
	}
	return c, c.exec(ctx, "postgres", "ALTER SYSTEM SET autovacuum = off; ALTER SYSTEM SET max_wal_size = '8GB'; ALTER SYSTEM SET checkpoint_timeout = '1h'; SELECT pg_reload_conf()")
}

func (c *cluster) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := c.pg.Stop(ctx)
	if !c.keep {
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	return err
}

// url is how a database is reached, as the server and pgx both read it.
func (c *cluster) url(database string) string {
	cfg := c.pg.Config(database)
	return fmt.Sprintf("host=%s dbname=%s user=%s password='%s'", filepath.Dir(cfg.Addr), cfg.Database, cfg.User, cfg.Password)
}

func (c *cluster) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, c.url(database))
}

// exec carries out statements one after the other, each a transaction of its own unless they say otherwise.
func (c *cluster) exec(ctx context.Context, database string, statements ...string) error {
	conn, err := c.connect(ctx, database)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for statement := range strings.SplitSeq(strings.Join(statements, ";"), "; ") {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// database is one with so many image requests, to be used up. What is kept is a template of it, as the migrations and the
// loading are now.
func (c *cluster) database(ctx context.Context, size int) (string, error) {
	name := fmt.Sprintf("rows_%d", size)
	if !c.keep {
		return name, c.load(ctx, name, size)
	}
	steps, err := db.Migrations()
	if err != nil {
		return "", err
	}
	made := sha256.New()
	for _, step := range steps {
		made.Write(step.Checksum[:])
	}
	_, _ = io.WriteString(made, prepareSQL+beforeSQL+loadSQL+afterSQL)
	template := fmt.Sprintf("%s_%x", name, made.Sum(nil)[:6])
	conn, err := c.connect(ctx, "postgres")
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, _ := conn.Query(ctx, "SELECT datname FROM pg_database WHERE datname = $1 OR datname LIKE $2", name, name+`\_%`)
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", err
	}
	loaded := false
	for _, old := range there {
		if loaded = loaded || old == template; old == template {
			continue
		}
		if _, err := conn.Exec(ctx, "DROP DATABASE "+old+" WITH (FORCE)"); err != nil {
			return "", err
		}
	}
	if !loaded {
		if err := c.load(ctx, name, size); err != nil {
			return "", err
		}
		if _, err := conn.Exec(ctx, "ALTER DATABASE "+name+" RENAME TO "+template); err != nil {
			return "", err
		}
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template+" STRATEGY file_copy")
	return name, err
}

func (c *cluster) load(ctx context.Context, name string, size int) error {
	began := time.Now()
	_, _ = fmt.Fprintf(c.log, "loading %d image requests\n", size)
	if err := c.exec(ctx, "postgres", "CREATE DATABASE "+name); err != nil {
		return err
	}
	store, err := db.Open(c.pg.Config(name), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	_, err = store.Migrate(ctx)
	if err = errors.Join(err, store.Close()); err != nil {
		return err
	}
	conn, err := c.connect(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	script := func(text string) error {
		return conn.PgConn().Exec(ctx, text).Close()
	}
	if err := script(beforeSQL); err != nil {
		return err
	}
	var chunks []string
	for from := 1; from <= size; from += chunk {
		span := strings.NewReplacer(":from", strconv.Itoa(from), ":total", strconv.Itoa(size), ":to", strconv.Itoa(min(from+chunk-1, size)))
		chunks = append(chunks, span.Replace(loadSQL))
	}
	if err := c.atOnce(ctx, name, "chunks of rows", prepareSQL+"SET synchronous_commit = off; SET jit = off", chunks); err != nil {
		return err
	}
	rows, _ := conn.Query(ctx, "SELECT definition FROM dropped ORDER BY definition LIKE '%trgm%' DESC, name") // that of all texts takes longest
	indexes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if err := c.atOnce(ctx, name, "indexes", "SET maintenance_work_mem = '512MB'", indexes); err != nil {
		return err
	}
	if err := script(afterSQL); err != nil {
		return err
	}
	// what pgbench picks one of, which knows no texts
	err = script("CREATE SCHEMA bench; CREATE TABLE bench.ids AS SELECT row_number() OVER ()::int AS n, id FROM (SELECT id FROM image_requests WHERE visibility = 'PUBLIC' ORDER BY md5(id::text) LIMIT 10000) AS picked;" +
		"ALTER TABLE bench.ids ADD PRIMARY KEY (n)")
	if err == nil {
		err = c.exec(ctx, name, "VACUUM ANALYZE; CHECKPOINT")
	}
	_, _ = fmt.Fprintf(c.log, "loaded in %v\n", time.Since(began).Round(time.Second/10))
	return err
}

// atOnce carries out scripts over a connection for each processor, each of which begins with first, and tells how far it is.
func (c *cluster) atOnce(ctx context.Context, database, what, first string, scripts []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now()
	var next, done atomic.Int64
	var all sync.WaitGroup
	carryOut := func() error {
		conn, err := c.connect(ctx, database)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(ctx) }()
		err = conn.PgConn().Exec(ctx, first).Close()
		for i := next.Add(1); err == nil && i <= int64(len(scripts)); i = next.Add(1) {
			if err = conn.PgConn().Exec(ctx, scripts[i-1]).Close(); err != nil {
				break
			}
			if n := int(done.Add(1)); n%20 == 0 || n == len(scripts) {
				_, _ = fmt.Fprintf(c.log, "%d of %d %s in %v\n", n, len(scripts), what, time.Since(began).Round(time.Second))
			}
		}
		return err
	}
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			if err := carryOut(); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
