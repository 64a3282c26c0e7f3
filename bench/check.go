package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// oldItem is an image request as REST tells it.
type oldItem struct {
	ID          uuid.UUID    `json:"id"`
	Icon        *string      `json:"icon"`
	CreatedBy   string       `json:"created_by"`
	Name        string       `json:"name"`
	Tags        []string     `json:"tags"`
	Description string       `json:"description"`
	StartDate   time.Time    `json:"start_date"`
	EndDate     *time.Time   `json:"end_date"`
	Private     bool         `json:"private"`
	Versions    []oldVersion `json:"versions"`
}

type oldVersion struct {
	Alias     string     `json:"alias"`
	Version   string     `json:"version"`
	StartDate time.Time  `json:"start_date"`
	EndDate   *time.Time `json:"end_date"`
	Provider  int        `json:"provider"`
}

// answer is what any of the ways may answer.
type answer struct {
	Data struct {
		ImageRequest  *scanned
		ImageRequests struct {
			TotalCount *int
			Nodes      []*scanned
		}
		RequestImage struct{ ImageRequest, Version created }
	}
	Count   *int
	Results []*oldItem
}

// check does the work once each way: all must answer the same rows, down to the last field.
func (b *bench) check(ctx context.Context, conn *pgx.Conn, s *stage, w *work) error {
	one := s.known[len(s.known)/2]
	var first []*oldItem
	for _, way := range ways {
		if !w.done(way) {
			continue
		}
		rows, took, err := s.quickest(ctx, conn, w, way, one)
		if err != nil {
			return fmt.Errorf("%s: %w", way, err)
		}
		s.took[cell{size: s.size, work: w.name, way: way}] = took
		if first == nil {
			first = rows
		}
		if difference := cmp.Diff(first, rows); difference != "" && !w.creates {
			return fmt.Errorf("%s answers otherwise (-first +this):\n%s", way, difference)
		}
	}
	return nil
}

// quickest is what the work answers this way, and how long that takes where nothing else is in the way.
func (s *stage) quickest(ctx context.Context, conn *pgx.Conn, w *work, way string, one known) (rows []*oldItem, took time.Duration, err error) {
	for range 3 {
		began := time.Now()
		if rows, err = s.rows(ctx, conn, w, way, one); err != nil {
			return nil, 0, err
		}
		if this := time.Since(began); took == 0 || this < took {
			took = this
		}
		if took <= tooSlow {
			break
		}
	}
	return rows, took, nil
}

// rows are what the work answers this way.
func (s *stage) rows(ctx context.Context, conn *pgx.Conn, w *work, way string, one known) ([]*oldItem, error) {
	if way == alone {
		return w.read(ctx, conn, one.id)
	}
	body, err := once(s.process(way).address, w.asks[way], one)
	if err != nil {
		return nil, err
	}
	var got answer
	var item oldItem
	if err := errors.Join(json.Unmarshal(body, &got), json.Unmarshal(body, &item)); err != nil {
		return nil, fmt.Errorf("%w: %s", err, body)
	}
	count := got.Count
	if way == graphQL {
		count = got.Data.ImageRequests.TotalCount
	}
	if w.count && !w.signed && (way == rest || w.name == listWithCount) && (count == nil || *count != s.visible) {
		return nil, fmt.Errorf("the count is not %d: %.300s", s.visible, body)
	}
	rows, data := got.Results, got.Data
	for _, r := range append(data.ImageRequests.Nodes, data.ImageRequest) {
		if r != nil {
			rows = append(rows, r.old())
		}
	}
	if item.ID != uuid.Nil {
		rows = append(rows, &item)
	}
	if made := data.RequestImage; w.creates && len(rows) == 0 && (made.Version.ID == uuid.Nil || made.ImageRequest.Status != "PENDING") {
		return nil, fmt.Errorf("nothing was made: %s", body)
	}
	if len(rows) < w.least {
		return nil, fmt.Errorf("%d rows where at least %d are expected: %.300s", len(rows), w.least, body)
	}
	return rows, nil
}

// old is the request as REST tells it: in milliseconds.
func (r *scanned) old() *oldItem {
	o := &oldItem{r.ID, r.Icon, r.CreatedBy, r.Name, r.Tags, r.Description, old(r.StartDate), oldOrNil(r.EndDate), r.Visibility != "PUBLIC", nil}
	for _, v := range r.Versions {
		o.Versions = append(o.Versions, oldVersion{v.Alias, v.Version, old(v.StartDate), oldOrNil(v.EndDate), v.Provider.ID})
	}
	return o
}

func old(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func oldOrNil(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	cut := old(*t)
	return &cut
}
