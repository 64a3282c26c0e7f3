package dbtest

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/imaging"
)

// History plays the events of a request, the first to the last, and compares what they tell with what is stored: they are
// numbered without a gap, each begins where the one before ended, and the last state told is the stored one, field by field.
func History(ctx context.Context, store *db.Store, pool *sql.DB, id uuid.UUID) error {
	told, err := play(ctx, pool, id)
	if err != nil {
		return fmt.Errorf("request %s: %w", id, err)
	}
	r, err := store.ImageRequest(ctx, imaging.Service(), id)
	if err != nil {
		return err
	}
	stored, err := state(r)
	if err != nil {
		return err
	}
	for field, value := range stored {
		if !reflect.DeepEqual(told.fields[field], value) {
			return fmt.Errorf("request %s: the events tell that %s is %v, it is %v", id, field, told.fields[field], value)
		}
	}
	if len(told.fields) != len(stored) || told.seq != r.Revision+r.Reports {
		return fmt.Errorf("request %s: %d events tell %d fields; it has revision %d, %d reports and %d fields",
			id, told.seq, len(told.fields), r.Revision, r.Reports, len(stored))
	}
	for _, v := range r.Versions {
		if told.statuses[v.ID] != v.Status {
			return fmt.Errorf("request %s: the last event of version %s tells %s, it is %s", id, v.ID, told.statuses[v.ID], v.Status)
		}
	}
	return nil
}

// Histories does so for all requests, and tells how many events they have.
func Histories(ctx context.Context, store *db.Store, pool *sql.DB) (events int, err error) {
	var all string
	const every = "SELECT coalesce(string_agg(id::text, ' '), ''), (SELECT count(*) FROM events WHERE seq IS NOT NULL) FROM image_requests"
	if err := pool.QueryRowContext(ctx, every).Scan(&all, &events); err != nil {
		return 0, err
	}
	for _, id := range strings.Fields(all) {
		if err := History(ctx, store, pool, uuid.MustParse(id)); err != nil {
			return events, err
		}
	}
	return events, nil
}

// story is what events tell: the fields of a request, those of a version behind the version's id.
type story struct {
	fields   map[string]any
	statuses map[uuid.UUID]imaging.Status
	seq      int
}

func play(ctx context.Context, pool *sql.DB, id uuid.UUID) (story, error) {
	s := story{fields: map[string]any{}, statuses: map[uuid.UUID]imaging.Status{}}
	rows, err := pool.QueryContext(ctx, "SELECT seq, version_id, from_status, to_status, changes::text FROM events WHERE image_request_id = $1 ORDER BY id", id.String())
	if err != nil {
		return s, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var seq int
		var version uuid.NullUUID
		var from, to *imaging.Status
		var changes string
		if err := rows.Scan(&seq, &version, &from, &to, &changes); err != nil {
			return s, err
		}
		if err := s.add(seq, version, from, to, changes); err != nil {
			return s, fmt.Errorf("event %d: %w", seq, err)
		}
	}
	return s, rows.Err()
}

func (s *story) add(seq int, version uuid.NullUUID, from, to *imaging.Status, text string) error {
	if s.seq++; seq != s.seq {
		return fmt.Errorf("it comes after %d", s.seq-1)
	}
	if version.Valid {
		if before, ok := s.statuses[version.UUID]; ok != (from != nil) || ok && *from != before {
			return fmt.Errorf("it begins elsewhere than at %q", before)
		}
		s.statuses[version.UUID] = *to
	}
	var changes imaging.Changes
	if err := json.Unmarshal([]byte(text), &changes); err != nil {
		return err
	}
	for field, change := range changes {
		if name, ok := strings.CutPrefix(field, "version."); ok {
			field = version.UUID.String() + "." + name
		}
		was, err := plain(change.From)
		if err != nil {
			return err
		}
		if before, ok := s.fields[field]; ok && !reflect.DeepEqual(before, was) {
			return fmt.Errorf("it changes %s from %v, which was %v", field, was, before)
		}
		if s.fields[field], err = plain(change.To); err != nil {
			return err
		}
	}
	return nil
}

// state is a stored request in the same form.
func state(r *imaging.ImageRequest) (map[string]any, error) {
	all := map[string]any{}
	put := func(prefix string, changes imaging.Changes, err error) error {
		for name, change := range changes {
			if err == nil {
				all[prefix+name], err = plain(change.To)
			}
		}
		return err
	}
	changes, err := imaging.Diff(nil, r)
	err = put("", changes, err)
	for _, v := range r.Versions {
		if err == nil {
			changes, err = imaging.Diff(nil, v)
			err = put(v.ID.String()+".", changes, err)
		}
	}
	return all, err
}

func plain(text json.RawMessage) (v any, err error) {
	if len(text) == 0 {
		return nil, nil
	}
	err = json.Unmarshal(text, &v)
	return v, err
}
