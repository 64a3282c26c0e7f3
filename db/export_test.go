package db

import (
	"context"
	"io/fs"
	"reflect"
	"time"

	"github.com/google/uuid"
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

// PutFound stores requests just as they are, each with the event of one that came from elsewhere.
func (s *Store) PutFound(ctx context.Context, requests ...*imaging.ImageRequest) error {
	return s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, r := range requests {
			event, err := imaging.Found(r)
			if err != nil {
				return err
			}
			if err := save(ctx, tx, r, []*imaging.Event{event}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Put stores requests just as they are, with all their versions and without events.
func (s *Store) Put(ctx context.Context, requests ...*imaging.ImageRequest) error {
	return s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, r := range requests {
			r.SharedSince = max(1, r.SharedSince)
			if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
				return err
			}
			for _, v := range r.Versions {
				if _, err := tx.NewInsert().Model(v).Exec(ctx); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// NewFeedOf is a feed that reads the table that often without a hint, and has that many events in its window at most.
func NewFeedOf(s *Store, every time.Duration, most int) *Feed {
	f := NewFeed(s)
	f.every, f.most = every, most
	return f
}

// StreamCursor is the cursor of the event with this id.
var StreamCursor = streamCursor

// Window is how many events the feed keeps.
func (f *Feed) Window() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.window)
}

// Ask is how a subscriber asks for requests; what it answers tells one look-up from another.
func (f *Feed) Ask(ids ...uuid.UUID) any { return f.fresh.ask(ids) }

// Lookup is what a subscriber asks for.
func (f *Feed) Lookup(ctx context.Context, ids ...uuid.UUID) (map[uuid.UUID]*imaging.ImageRequest, error) {
	return f.fresh.requests(ctx, ids...)
}

// Field is a field of a row's struct, as Bun knows it.
type Field struct {
	Column string
	Index  []int
}

// Fields are those of T with a column of their own.
func Fields[T any](s *Store) []Field {
	var all []Field
	for _, f := range s.db.Table(reflect.TypeFor[T]()).Fields {
		all = append(all, Field{f.Name, f.Index})
	}
	return all
}

// ColumnNames are the columns that can be read, of requests, versions and providers.
func ColumnNames() (requests, versions, providers []string) {
	return namesOf("", requestColumns), namesOf("", versionColumns), namesOf("", providerColumns)
}
