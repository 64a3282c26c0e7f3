package db

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"imagerequests/db/archive"
	"imagerequests/db/safedriver"
)

// Errors of a restore, wrapped with the particulars.
var (
	// ErrNotEmpty: there is something in the database already. It is as it was.
	ErrNotEmpty = errors.New("the database is not empty")
	// ErrMismatch: what was loaded is not what was backed up. It was taken back.
	ErrMismatch = errors.New("what was loaded is not what the archive's manifest says")
)

// Restore loads an archive into an empty database: all of it, or nothing. The schema is made as it was when the archive was
// written, the rows are loaded and compared with the manifest, and then the schema is brought up to date. Places of events
// whose transactions this server has yet to come to are moved, as restored.go says. ErrNotEmpty, ErrSchema, ErrMismatch.
func Restore(ctx context.Context, cfg safedriver.Config, a *archive.Archive, progress Progress) error {
	steps, err := Migrations()
	if err != nil {
		return err
	}
	return restore(ctx, cfg, a, steps, progress)
}

func restore(ctx context.Context, cfg safedriver.Config, a *archive.Archive, steps []Migration, progress Progress) error {
	known, err := stepsOf(&a.Manifest, steps)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	err = alone(ctx, cfg, nil, func(c *sql.Conn, tx *sql.Tx) error {
		if err := claimEmpty(ctx, tx); err != nil {
			return err
		}
		if _, err := apply(ctx, tx, steps[:known]); err != nil {
			return err
		}
		if err := fits(ctx, tx, &a.Manifest); err != nil {
			return err
		}
		for _, t := range a.Manifest.Tables {
			if err := load(ctx, c, tx, a, t, progress); err != nil {
				return fmt.Errorf("table %s: %w", t.Name, err)
			}
		}
		for _, s := range a.Manifest.Sequences {
			if _, err := tx.ExecContext(ctx, "SELECT setval($1::regclass, $2, $3)", quoted(s.Name), s.Last, s.Called); err != nil {
				return fmt.Errorf("sequence %s: %w", s.Name, err)
			}
		}
		if _, err := apply(ctx, tx, steps); err != nil {
			return err
		}
		if err := settleStream(ctx, tx); err != nil {
			return err
		}
		return analyze(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

// stepsOf tells how many of the steps had made the schema of the archive. ErrSchema if it was made by others.
func stepsOf(m *archive.Manifest, steps []Migration) (int, error) {
	for i, s := range m.Schema {
		switch {
		case i >= len(steps):
			return 0, fmt.Errorf("%w: the archive has step %d, %s, and this program knows %d steps: restore it by a newer program", ErrSchema, s.Version, s.Name, len(steps))
		case steps[i].Version != s.Version || hex.EncodeToString(steps[i].Checksum[:]) != s.Checksum:
			return 0, fmt.Errorf("%w: in the archive step %d, %s, has another content", ErrSchema, s.Version, s.Name)
		}
	}
	return len(m.Schema), nil
}

// claimEmpty waits for its turn as migrating programs do, and refuses a database that anything is in but what an
// extension has brought. ErrNotEmpty.
func claimEmpty(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, unbounded+"; SET LOCAL lock_timeout = '10min'; SELECT pg_advisory_xact_lock("+strconv.Itoa(migrationLock)+")"); err != nil {
		return err
	}
	var found sql.NullString
	err := tx.QueryRowContext(ctx, `SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%' AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
		  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')`).Scan(&found)
	if err != nil {
		return err
	}
	if found.Valid {
		return fmt.Errorf("%w: there are %s; an archive is loaded into a new database only", ErrNotEmpty, found.String)
	}
	return nil
}

// fits compares the tables that the archive has with those that there are.
func fits(ctx context.Context, tx *sql.Tx, m *archive.Manifest) error {
	there, err := describe(ctx, tx)
	if err != nil {
		return err
	}
	same := slices.EqualFunc(there.Tables, m.Tables, func(a, b archive.Table) bool {
		return a.Name == b.Name && slices.Equal(a.Columns, b.Columns) && slices.Equal(a.Key, b.Key)
	}) && slices.EqualFunc(there.Sequences, m.Sequences, func(a, b archive.Sequence) bool { return a.Name == b.Name })
	if !same {
		return fmt.Errorf("%w: the archive's tables are not those of its schema", ErrSchema)
	}
	return nil
}

// analyze lets the planner know what there is, before the first request comes.
func analyze(ctx context.Context, tx *sql.Tx) error {
	all, err := tables(ctx, tx)
	if err != nil {
		return err
	}
	for _, t := range all {
		if _, err := tx.ExecContext(ctx, "ANALYZE "+quoted(t.Name)); err != nil {
			return err
		}
	}
	return nil
}

// load copies the rows of a table in, without its triggers, which have done their work when the rows were written, and reads
// them back: that is what is compared with the manifest.
func load(ctx context.Context, c *sql.Conn, tx *sql.Tx, a *archive.Archive, t archive.Table, progress Progress) error {
	rows, err := a.Rows(t.Name)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	if _, err := tx.ExecContext(ctx, "ALTER TABLE "+quoted(t.Name)+" DISABLE TRIGGER USER"); err != nil {
		return err
	}
	if err := safedriver.CopyFrom(ctx, c, io.TeeReader(rows, newMeter(io.Discard, t.Name, progress)), copyIn(t)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "SET CONSTRAINTS ALL IMMEDIATE"); err != nil { // or the table could not be altered
		return err
	}
	if _, err := tx.ExecContext(ctx, "ALTER TABLE "+quoted(t.Name)+" ENABLE TRIGGER USER"); err != nil {
		return err
	}
	counter := archive.NewCounter()
	if err := safedriver.CopyTo(ctx, c, counter, copyOut(t)); err != nil {
		return err
	}
	if got := counter.Digest(); got != t.Digest {
		return fmt.Errorf("%w: there are %d rows with checksum %s, it says %d with %s", ErrMismatch, got.Rows, got.SHA256, t.Rows, t.SHA256)
	}
	return nil
}
