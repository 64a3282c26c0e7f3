package db

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"imagerequests/db/safedriver"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrationLock is the advisory lock that one migrating program holds; any number that no one else uses will do.
const migrationLock = 4_216_015_001

// ErrSchema is a database that this program must not work on: its schema is newer, or was made by other migrations.
var ErrSchema = errors.New("the database's schema is not this program's")

// Migration is one step of the schema.
type Migration struct {
	Version  int
	Name     string
	SQL      string
	Checksum [sha256.Size]byte
}

// Migrations are all steps this program knows, in order.
func Migrations() ([]Migration, error) { return migrations(migrationFiles) }

// Migrate brings the schema up to date and tells how many steps that took. All of it is one transaction under an advisory
// lock: any number of programs may start at once, one applies, and a crash leaves nothing half done. ErrSchema if the
// schema is newer than the program or a step that was applied is not the one the program knows.
func (s *Store) Migrate(ctx context.Context) (int, error) {
	steps, err := Migrations()
	if err != nil {
		return 0, err
	}
	return s.migrate(ctx, steps)
}

func (s *Store) migrate(ctx context.Context, steps []Migration) (applied int, err error) {
	cfg := s.cfg
	cfg.ReadTimeout = time.Hour // an index on a large table takes its time
	connector, err := safedriver.New(cfg)
	if err != nil {
		return 0, err
	}
	pool := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, pool.Close()) }()
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if applied, err = apply(ctx, tx, steps); err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	if err := settleStream(ctx, tx); err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	return applied, nil
}

// apply waits for its turn, compares what was applied with what is known, and applies the rest.
func apply(ctx context.Context, tx *sql.Tx, steps []Migration) (int, error) {
	if _, err := tx.ExecContext(ctx, `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '60s';
		SET LOCAL lock_timeout = '10min'; SELECT pg_advisory_xact_lock(`+strconv.Itoa(migrationLock)+`); SET LOCAL lock_timeout = '30s'`); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (
		version integer PRIMARY KEY, name text NOT NULL, checksum bytea NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
		COMMENT ON TABLE schema_migrations IS 'The steps that made this schema.'`); err != nil {
		return 0, err
	}
	done, err := compare(ctx, tx, steps)
	if err != nil {
		return 0, err
	}
	for _, m := range steps[done:] {
		if _, err := tx.ExecContext(ctx, m.SQL); err != nil {
			return 0, fmt.Errorf("step %d, %s: %w", m.Version, m.Name, err)
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)", m.Version, m.Name, m.Checksum[:]); err != nil {
			return 0, fmt.Errorf("step %d, %s: %w", m.Version, m.Name, err)
		}
	}
	return len(steps) - done, nil
}

// compare tells how many of the steps were applied.
func compare(ctx context.Context, tx *sql.Tx, steps []Migration) (done int, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT version, name, checksum FROM schema_migrations ORDER BY version")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for ; rows.Next(); done++ {
		var version int
		var name string
		var checksum []byte
		if err := rows.Scan(&version, &name, &checksum); err != nil {
			return 0, err
		}
		switch {
		case done >= len(steps):
			return 0, fmt.Errorf("%w: it has step %d, %s, and this program knows %d steps: start a newer program", ErrSchema, version, name, len(steps))
		case steps[done].Version != version || !bytes.Equal(steps[done].Checksum[:], checksum):
			return 0, fmt.Errorf("%w: step %d, %s, was applied with another content", ErrSchema, version, name)
		}
	}
	return done, rows.Err()
}

func migrations(files fs.FS) ([]Migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	steps := make([]Migration, len(names))
	for i, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		base := strings.TrimSuffix(strings.TrimPrefix(name, "migrations/"), ".sql")
		number, title, _ := strings.Cut(base, "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migrations are numbered from 1 without a gap, %s is not", name)
		}
		steps[i] = Migration{Version: version, Name: title, SQL: string(text), Checksum: sha256.Sum256(text)}
	}
	return steps, nil
}
