package db

import (
	"context"
	"errors"
	"io/fs"

	"github.com/uptrace/bun"

	"imagerequests/imaging"
)

// What the tests of this package use of its inside.
var (
	EncodeCursor = encodeCursor
	DecodeCursor = decodeCursor
	SQLValue     = sqlValue
	ErrNested    = errNested
	DemoAlias    = demoAlias
	DemoInstance = demoInstance
)

// MigrationLock is the advisory lock of Migrate.
const MigrationLock = migrationLock

// Attempts is how often a transaction is tried.
const Attempts = attempts

// MigrationsIn reads the steps in the folder migrations of files.
func MigrationsIn(files fs.FS) ([]Migration, error) { return migrations(files) }

// MigrateTo brings the schema to these steps.
func (s *Store) MigrateTo(ctx context.Context, steps []Migration) (int, error) {
	return s.migrate(ctx, steps)
}

// Translate is translate.
func (s *Store) Translate(err error) error { return s.translate(err) }

// InTx is inTx.
func (s *Store) InTx(ctx context.Context, f func(context.Context, bun.Tx) error) error {
	return s.inTx(ctx, f)
}

// Put stores requests just as they are, with all their versions and without events.
func (s *Store) Put(ctx context.Context, requests ...*imaging.ImageRequest) error {
	return s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, r := range requests {
			if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
				return err
			}
			for _, v := range r.Versions {
				if err := put(ctx, tx, *v); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// besides is what the database demands of a version in this status and the domain's type does not have yet.
var besides = map[imaging.Status]string{
	imaging.NeedsInfo: "questioned_by = 'reviewer', questioned_at = now(), question = 'Name the disk.'",
	imaging.Imaging:   "lease_token = gen_random_uuid(), lease_holder = 'worker', lease_expires_at = now() + interval '1h'",
	imaging.Failed:    "failure_code = 'DISK_FULL', failure_message = 'No space.', failure_retryable = true",
}

func put(ctx context.Context, tx bun.Tx, v imaging.Version) error {
	status := v.Status
	more, needed := besides[status]
	if needed {
		v.Status = imaging.Pending
	}
	if _, err := tx.NewInsert().Model(&v).Exec(ctx); err != nil || !needed {
		return err
	}
	result, err := tx.ExecContext(ctx, "UPDATE versions SET status = ?, "+more+" WHERE id = ?", status, v.ID)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, errors.New("the version was not brought into its status"))
	}
	return nil
}
