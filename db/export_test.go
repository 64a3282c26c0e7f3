package db

import (
	"context"
	"database/sql"
	"io/fs"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/db/archive"
	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// What the tests of this package use of its inside.
var (
	EncodeCursor = encodeCursor
	DecodeCursor = decodeCursor
	OrderValues  = orderValues
	ErrNested    = errNested
	DemoAlias    = demoAlias
	DemoInstance = demoInstance
	Guarded      = guarded
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
	return s.inTx(ctx, imaging.Service(), f)
}

// PutFound stores requests just as they are, each with the event of one that came from elsewhere.
func (s *Store) PutFound(ctx context.Context, requests ...*imaging.ImageRequest) error {
	return s.inTx(ctx, imaging.Service(), func(ctx context.Context, tx bun.Tx) error {
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

// ListSQL is the statement that reads the ids of a list of requests.
func (s *Store) ListSQL(a imaging.Actor, f *imaging.Filter) string {
	return wanted(s.db, requestTable, a, f).Column("image_request.id").String()
}

// Put stores requests just as they are, with all their versions and without events.
func (s *Store) Put(ctx context.Context, requests ...*imaging.ImageRequest) error {
	return s.inTx(ctx, imaging.Service(), func(ctx context.Context, tx bun.Tx) error {
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

// ScanRows makes requests of the rows of a prepared read of these columns.
func ScanRows(c *Columns, rows []safedriver.Row) ([]*imaging.ImageRequest, error) {
	g := gathering{picked: c.pick(purpose{requestTable, imaging.ByStartDate})}
	for _, r := range rows {
		if err := g.row(r); err != nil {
			return nil, err
		}
	}
	return g.requests, nil
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

// BatchLanes is how many batches of creates are carried out at once.
const BatchLanes = batchLanes

// LookupLanes and LookupSize are how many round trips of lookups there are at once, and how many lookups in one.
func LookupLanes() int { return lookupLanes() }

const LookupSize = lookupSize

// PageLanes is how many pages are read at once.
const PageLanes = pageLanes

// CreatesWaiting is how many wait for the next batch.
func (s *Store) CreatesWaiting() int { return s.batches.count() }

// LookupsWaiting is how many wait for the next round trip.
func (s *Store) LookupsWaiting() int { return s.lookups.count() }

// PagesWaiting is how many wait for a lane.
func (s *Store) PagesWaiting() int { return s.pages.count() }

// LookUpAll carries a prepared read out for each of these arguments, all in one round trip.
func (s *Store) LookUpAll(ctx context.Context, query string, args ...string) (rows [][]safedriver.Row, errs []error) {
	var all []*lookup
	for _, arg := range args {
		all = append(all, &lookup{query: query, args: []string{arg}})
	}
	s.lookUpAll(ctx, all)
	for _, l := range all {
		rows, errs = append(rows, l.rows), append(errs, l.err)
	}
	return rows, errs
}

// LookupTime is what a round trip of lookups may take from now on. Nothing is looked up meanwhile.
func (s *Store) LookupTime(most time.Duration) { s.lookups.time, s.pages.time = most, most }

// BreakBatches lets each batch of creates panic.
func (s *Store) BreakBatches() {
	s.batches.run = func(context.Context, []*creation) { panic("broken inside") }
}

// Hold is what a backup does before it reads its tables.
func Hold(ctx context.Context, tx *sql.Tx) error {
	m, err := describe(ctx, tx)
	if err != nil {
		return err
	}
	return hold(ctx, tx, m.Tables)
}

// RestoreTo restores by a program that knows these steps.
func RestoreTo(ctx context.Context, cfg safedriver.Config, a *archive.Archive, steps []Migration) error {
	return restore(ctx, cfg, a, steps, func(string, int64, int64) {})
}

// Reaching is the store whose pages are walked along for so many times the rows they have, and gathered of so many at most.
func (s *Store) Reaching(each, few int) *Store {
	other := *s
	other.reach = reach{each: each, few: few}
	return &other
}

// Statement is one that was sent, without arguments; what is prepared is carried out with Run.
type Statement struct{ Prepared, Run string }

// Statements are those that f sends with the store, first the one that is prepared, whose places have these arguments.
func (s *Store) Statements(f func(*Store) error, a imaging.Actor, slice imaging.Slice, table string, o imaging.Order) ([]Statement, error) {
	sent, other := statements{}, *s
	other.db, other.hot = bun.NewDB(s.db.DB, pgdialect.New()).WithQueryHook(&sent), &hot{}
	if err := f(&other); err != nil {
		return nil, err
	}
	c, err := newCut(slice, table, o, nil)
	if err != nil {
		return nil, err
	}
	var all []Statement
	other.hot.texts.Range(func(_, text any) bool {
		_, _, args := c.prepared()
		all = append(all, Statement{text.(string), "EXECUTE page" + arguments(append(args, a.Username, numbers(a.Providers)), text.(string))})
		return true
	})
	for _, text := range sent {
		all = append(all, Statement{Run: text})
	}
	return all, nil
}

// arguments are those of a statement that has places for some of them.
func arguments(args []string, text string) string {
	var list []string
	for i, arg := range args {
		if strings.Contains(text, "$"+strconv.Itoa(i+1)) {
			list = append(list, "'"+strings.ReplaceAll(arg, "'", "''")+"'")
		}
	}
	if list == nil {
		return ""
	}
	return "(" + strings.Join(list, ", ") + ")"
}

// statements are those that bun has sent.
type statements []string

func (s *statements) BeforeQuery(ctx context.Context, e *bun.QueryEvent) context.Context { return ctx }

func (s *statements) AfterQuery(_ context.Context, e *bun.QueryEvent) { *s = append(*s, e.Query) }
