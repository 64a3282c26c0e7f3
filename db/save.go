package db

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

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
// statement ends, so the order of its parts means nothing.
func (w *rows) save(ctx context.Context, tx bun.Tx) error {
	insert := func(models any) *bun.InsertQuery { return tx.NewInsert().Model(models).Returning("NULL") }
	put := insert
	if w.changed {
		put = func(models any) *bun.InsertQuery { return insert(models).On("CONFLICT (id) DO UPDATE") }
	}
	q := tx.NewSelect().ColumnExpr("pg_notify(?, '')", channel)
	if len(w.keys) > 0 {
		q = q.With("keys", insert(&w.keys))
	}
	if len(w.requests) > 0 {
		q = q.With("requests", put(&w.requests))
	}
	if len(w.versions) > 0 {
		q = q.With("versions", put(&w.versions))
	}
	if _, err := q.With("events", insert(&w.events)).Exec(ctx); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}
