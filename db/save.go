package db

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// rows are what a use case stores, in one statement: each that it waits for Postgres would cost as much as the writing.
type rows struct {
	changed bool // requests and versions may be there already

	keys     []*made
	requests []*imaging.ImageRequest
	versions []*imaging.Version
	events   []*eventRow
}

// eventRow is an event with its changes as a text: what Bun takes for JSON it changes, and a backslash before u0000 is then
// none that Postgres takes.
type eventRow struct {
	bun.BaseModel `bun:"table:events,alias:event"`
	imaging.Event
	Changes string
}

// save writes a changed or new request, the versions that its events concern, and the events.
func save(ctx context.Context, tx bun.Tx, r *imaging.ImageRequest, events []*imaging.Event) error {
	rows := rows{changed: true}
	if err := rows.add(r, events); err != nil {
		return err
	}
	return rows.save(ctx, tx)
}

// record writes events of what is no image request.
func record(ctx context.Context, tx bun.Tx, events ...*imaging.Event) error {
	var rows rows
	if err := rows.tell(events); err != nil {
		return err
	}
	return rows.save(ctx, tx)
}

// add adds a request, the versions that its events concern, and the events; nothing if it fails.
func (w *rows) add(r *imaging.ImageRequest, events []*imaging.Event) error {
	if err := w.tell(events); err != nil {
		return err
	}
	w.requests = append(w.requests, r)
	saved := map[uuid.UUID]bool{}
	for _, e := range events {
		if e.VersionID != nil && !saved[*e.VersionID] {
			saved[*e.VersionID] = true
			w.versions = append(w.versions, r.Version(*e.VersionID))
		}
	}
	return nil
}

func (w *rows) tell(events []*imaging.Event) error {
	told := make([]*eventRow, len(events))
	for i, e := range events {
		changes, err := json.Marshal(e.Changes)
		if err != nil {
			return fmt.Errorf("save event: %w", err)
		}
		told[i] = &eventRow{Event: *e, Changes: string(changes)}
	}
	w.events = append(w.events, told...)
	return nil
}

// channel is what listeners listen on.
const channel = "events"

// save writes all of them and tells those who listen, once the transaction is committed. Foreign keys are looked at when the
// statement ends, so the order of its parts means nothing. What most use cases write, a row or two of each table, is prepared:
// Postgres takes half a millisecond to plan it.
func (w *rows) save(ctx context.Context, tx bun.Tx) error {
	q := putting{gen: schema.NewQueryGen(tx.Dialect())}
	put(&q, w.keys, false)
	put(&q, w.requests, w.changed)
	put(&q, w.versions, w.changed)
	put(&q, w.events, false)
	if len(w.requests) <= 1 && len(w.versions) <= 1 && len(w.events) <= 2 {
		ctx = safedriver.Prepared(ctx)
	}
	if _, err := tx.Tx.ExecContext(ctx, "WITH "+strings.Join(q.parts, ", ")+" SELECT pg_notify('"+channel+"', '')", q.values...); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

// putting is a statement that writes rows of several tables.
type putting struct {
	gen    schema.QueryGen
	parts  []string
	values []any // texts, or nil for NULL
}

// put adds rows of a table; over those that are there already, if they may be.
func put[T any](q *putting, rows []*T, over bool) {
	if len(rows) == 0 {
		return
	}
	table := q.gen.Dialect().Tables().Get(reflect.TypeFor[T]())
	var names, sets, places []string
	for _, f := range table.Fields {
		if !f.AutoIncrement {
			names, sets = append(names, f.Name), append(sets, f.Name+" = EXCLUDED."+f.Name)
		}
	}
	for _, row := range rows {
		var of []string
		for _, f := range table.Fields {
			if !f.AutoIncrement {
				q.values = append(q.values, unquoted(f.AppendValue(q.gen, nil, reflect.ValueOf(row).Elem())))
				of = append(of, "$"+strconv.Itoa(len(q.values)))
			}
		}
		places = append(places, "("+strings.Join(of, ", ")+")")
	}
	part := fmt.Sprintf("put_%[1]s AS (INSERT INTO %[1]s (%s) VALUES %s", table.Name, strings.Join(names, ", "), strings.Join(places, ", "))
	if over {
		part += " ON CONFLICT (id) DO UPDATE SET " + strings.Join(sets, ", ")
	}
	q.parts = append(q.parts, part+")")
}

// unquoted is a value as Bun writes it into SQL, without what SQL needs around it.
func unquoted(literal []byte) any {
	switch text := string(literal); {
	case text == "NULL":
		return nil
	case text[0] == '\'':
		return strings.ReplaceAll(text[1:len(text)-1], "''", "'")
	default:
		return text
	}
}
