package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"imagerequests/db/archive"
	"imagerequests/db/safedriver"
)

// aTableTakes is how long reading or writing one table may take at most.
const aTableTakes = 24 * time.Hour

// unbounded takes the time limits of the service's statements away from a transaction that works on all of the data.
const unbounded = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"

// Progress is told of the rows and bytes of a table that have gone by, again and again.
type Progress func(table string, rows, bytes int64)

// Backup writes an archive of all that the service keeps, as it is at one moment, while others go on reading and writing:
// it has no number among transactions, so that no reader of events waits for it, and holds no lock but one against changes
// of the schema. It is for whoever may read the database; the schema may be of any version.
func Backup(ctx context.Context, cfg safedriver.Config, program string, w io.Writer, progress Progress) (m *archive.Manifest, err error) {
	err = alone(ctx, cfg, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, func(c *sql.Conn, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, unbounded); err != nil {
			return err
		}
		found, err := describe(ctx, tx)
		if err != nil {
			return err
		}
		if err := hold(ctx, tx, found.Tables); err != nil {
			return err
		}
		found.Program = program
		out := archive.NewWriter(w)
		for _, t := range found.Tables {
			if err := out.Add(t, func(w io.Writer) error {
				return safedriver.CopyTo(ctx, c, newMeter(w, t.Name, progress), copyOut(t))
			}); err != nil {
				return fmt.Errorf("table %s: %w", t.Name, err)
			}
		}
		m, err = out.Close(*found)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return m, nil
}

// hold keeps changes of the schema waiting until the transaction ends, and fails if there was one since it began: what a table
// held before it was written anew, or truncated, nobody can read.
func hold(ctx context.Context, tx *sql.Tx, tables []archive.Table) error {
	if len(tables) == 0 {
		return nil
	}
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = t.Name
	}
	if _, err := tx.ExecContext(ctx, "LOCK TABLE "+quoted(names...)+" IN ACCESS SHARE MODE"); err != nil {
		return err
	}
	changed, err := rowsOf(ctx, tx, `SELECT relname FROM pg_class
		WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relfilenode <> pg_relation_filenode(oid)`, // as it was, and as it is
		func(name *string) []any { return []any{name} })
	if err == nil && len(changed) > 0 {
		err = fmt.Errorf("the schema was changed meanwhile (%s): try again", strings.Join(changed, ", "))
	}
	return err
}

// alone runs f in a transaction on a connection of its own, and commits.
func alone(ctx context.Context, cfg safedriver.Config, o *sql.TxOptions, f func(*sql.Conn, *sql.Tx) error) (err error) {
	cfg.ReadTimeout, cfg.WriteTimeout, cfg.CommitTimeout = aTableTakes, aTableTakes, time.Hour
	connector, err := safedriver.New(cfg)
	if err != nil {
		return err
	}
	pool := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, pool.Close()) }()
	c, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if closing := c.Close(); !errors.Is(closing, sql.ErrConnDone) { // by an error before
			err = errors.Join(err, closing)
		}
	}()
	tx, err := c.BeginTx(ctx, o)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if err := f(c, tx); err != nil {
		if ctx.Err() != nil { // whatever came of it
			return ctx.Err()
		}
		return err
	}
	return tx.Commit()
}

// describe is the manifest of what the database holds; it counts nothing yet. ErrSchema if it is none of the service's.
func describe(ctx context.Context, tx *sql.Tx) (*archive.Manifest, error) {
	m := &archive.Manifest{}
	var ours bool
	err := tx.QueryRowContext(ctx, "SELECT current_setting('server_version'), now(), to_regclass('schema_migrations') IS NOT NULL").Scan(&m.Postgres, &m.TakenAt, &ours)
	if err != nil {
		return nil, err
	}
	if !ours {
		return nil, fmt.Errorf("%w: it holds nothing of this service", ErrSchema)
	}
	if m.Schema, err = rowsOf(ctx, tx, "SELECT version, name, encode(checksum, 'hex') FROM schema_migrations ORDER BY version", func(s *archive.Step) []any {
		return []any{&s.Version, &s.Name, &s.Checksum}
	}); err != nil {
		return nil, err
	}
	if m.Tables, err = tables(ctx, tx); err != nil {
		return nil, err
	}
	if m.Sequences, err = sequences(ctx, tx); err != nil {
		return nil, err
	}
	return m, nil
}

// tables are all tables of the schema, those first that others refer to. That of the migrations is not among them: it is
// written by who applies them.
func tables(ctx context.Context, tx *sql.Tx) ([]archive.Table, error) {
	type row struct{ name, columns, key, refersTo string }
	all, err := rowsOf(ctx, tx, `
		SELECT t.relname,
		  (SELECT string_agg(a.attname, ' ' ORDER BY a.attnum) FROM pg_attribute a
		    WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
		  coalesce((SELECT string_agg(a.attname, ' ' ORDER BY k.place) FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (number, place), pg_attribute a
		    WHERE i.indrelid = t.oid AND i.indisprimary AND a.attrelid = t.oid AND a.attnum = k.number), ''),
		  coalesce((SELECT string_agg(DISTINCT r.relname, ' ') FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid
		    WHERE c.conrelid = t.oid AND c.contype = 'f' AND c.confrelid <> t.oid), '')
		FROM pg_class t
		WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relispartition AND t.relname <> 'schema_migrations'
		  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
		ORDER BY t.relname`, func(r *row) []any { return []any{&r.name, &r.columns, &r.key, &r.refersTo} })
	if err != nil {
		return nil, err
	}
	var sorted []archive.Table
	for len(all) > 0 {
		i := slices.IndexFunc(all, func(r row) bool {
			return !slices.ContainsFunc(all, func(other row) bool { return slices.Contains(strings.Fields(r.refersTo), other.name) })
		})
		if i < 0 {
			return nil, fmt.Errorf("the tables %v refer to each other in a circle", all)
		}
		r := all[i]
		if r.key == "" {
			return nil, fmt.Errorf("the table %s has no primary key", r.name)
		}
		sorted = append(sorted, archive.Table{Name: r.name, Columns: strings.Fields(r.columns), Key: strings.Fields(r.key)})
		all = slices.Delete(all, i, i+1)
	}
	return sorted, nil
}

// sequences are where the counters stand. They count past the data of this moment, never behind it.
func sequences(ctx context.Context, tx *sql.Tx) ([]archive.Sequence, error) {
	all := []archive.Sequence{}
	names, err := rowsOf(ctx, tx, "SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema() ORDER BY 1", func(name *string) []any { return []any{name} })
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		s := archive.Sequence{Name: name}
		if err := tx.QueryRowContext(ctx, "SELECT last_value, is_called FROM "+quoted(name)).Scan(&s.Last, &s.Called); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func rowsOf[T any](ctx context.Context, tx *sql.Tx, query string, into func(*T) []any) (all []T, err error) {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var one T
		if err := rows.Scan(into(&one)...); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// copyOut reads a table in the order of its key, so that equal tables have equal checksums.
func copyOut(t archive.Table) string {
	return "COPY (SELECT " + quoted(t.Columns...) + " FROM " + quoted(t.Name) + " ORDER BY " + quoted(t.Key...) + ") TO STDOUT"
}

func copyIn(t archive.Table) string {
	return "COPY " + quoted(t.Name) + " (" + quoted(t.Columns...) + ") FROM STDIN"
}

func quoted(names ...string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	}
	return strings.Join(list, ", ")
}

// meter tells of what passes to or from a table.
type meter struct {
	w        io.Writer
	table    string
	counter  *archive.Counter
	progress Progress
}

func newMeter(w io.Writer, table string, progress Progress) *meter {
	return &meter{w, table, archive.NewCounter(), progress}
}

func (m *meter) Write(b []byte) (int, error) {
	n, err := m.w.Write(b)
	_, _ = m.counter.Write(b[:n])
	rows, bytes := m.counter.Seen()
	m.progress(m.table, rows, bytes)
	return n, err
}
