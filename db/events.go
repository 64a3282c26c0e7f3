package db

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"imagerequests/imaging"
)

const eventTable = "event"

// bySeq is the only order that events have.
var bySeq = imaging.Order{Field: imaging.BySeq, Direction: imaging.Asc}

// Events is a page of what happened to the request, oldest first; nil if the actor may not read its details. The request
// is one that the actor was shown. INVALID by field for a bad slice or cursor.
func (s *Store) Events(ctx context.Context, a imaging.Actor, r *imaging.ImageRequest, slice imaging.Slice) (*EventConnection, error) {
	page, err := newCut(slice, eventTable, bySeq, nil)
	if err != nil || !imaging.SeesDetails(a, r) {
		return nil, err
	}
	list := func() *bun.SelectQuery { return s.eventsOf(a, r) }
	rows := []*imaging.Event{}
	if err := page.apply(list()).Scan(ctx, &rows); err != nil {
		return nil, s.translate(err)
	}
	for i, e := range rows {
		rows[i] = show(e, a, r)
	}
	cursor := func(e *imaging.Event) string {
		return encodeCursor(eventTable, bySeq, eventValue(e), uuid.Nil)
	}
	there := func(ctx context.Context, beyond *cut) (bool, error) {
		found, err := beyond.within(list()).Exists(ctx)
		return found, s.translate(err)
	}
	return connect(page, rows, cursor, there, func(ctx context.Context) (int, error) {
		n, err := list().Count(ctx)
		return int(n), s.translate(err)
	}), nil
}

// show is the event as the actor may read it, with its cursor. The request is as the actor may read it.
func show(e *imaging.Event, a imaging.Actor, r *imaging.ImageRequest) *imaging.Event {
	shown := e.Show(a, r)
	shown.Cursor = streamCursor(e.ID)
	return shown
}

// History is what happened to the request, in sentences, the newest maxHistory of them; nil if the actor may not read its details.
func (s *Store) History(ctx context.Context, a imaging.Actor, r *imaging.ImageRequest) ([]*imaging.HistoryEntry, error) {
	if !imaging.SeesDetails(a, r) {
		return nil, nil
	}
	rows := []*imaging.Event{}
	// a mere sign of life tells nobody anything, and of a worker's reports one after the other the last tells all
	said := s.eventsOf(a, r).ColumnExpr("event.*, lead(event.action) OVER (ORDER BY event.seq) AS next").
		Where("event.action <> 'PROGRESSED' OR event.changes <> '{}'")
	err := s.db.NewSelect().Model(&rows).ModelTableExpr("(?) AS event", said).
		Where("event.action <> 'PROGRESSED' OR event.next IS DISTINCT FROM 'PROGRESSED'").
		OrderExpr("event.seq DESC").Limit(maxHistory).Scan(ctx)
	if err != nil {
		return nil, s.translate(err)
	}
	slices.Reverse(rows)
	history := make([]*imaging.HistoryEntry, len(rows))
	for i, e := range rows {
		history[i] = e.Tell()
	}
	return history, nil
}

// maxHistory is how many sentences a history has at most; all of it is in the events.
const maxHistory = 1000

// eventsOf selects the events of a request, asking once more whether the actor may see it.
func (s *Store) eventsOf(a imaging.Actor, r *imaging.ImageRequest) *bun.SelectQuery {
	q := s.db.NewSelect().Model((*imaging.Event)(nil)).
		Join("JOIN image_requests AS image_request ON image_request.id = event.image_request_id").
		Where("event.image_request_id = ?", r.ID)
	return visible(q, a)
}
