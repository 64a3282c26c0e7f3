package db_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imagerequests/imaging"
)

// keptAndThere compares what is kept of a table with its rows, span by span.
const keptAndThere = `
	WITH kept AS (SELECT span, since, visibility, status, provider_id, dated, sum(n) AS n FROM counts WHERE of = '%[1]s' GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(n) <> 0),
	there AS (
		SELECT s.span, s.since, %[2]s AS visibility, r.status, r.provider_id, r.end_date IS NOT NULL AS dated, count(*) AS n
		FROM %[1]s AS r, LATERAL (VALUES ('ALL', date '1970-01-01'), ('MONTH', date_trunc('month', r.start_date)::date), ('DAY', r.start_date::date),
			('END', r.end_date::date)) AS s (span, since)
		WHERE s.since IS NOT NULL AND (s.span = 'ALL' OR %[3]t) GROUP BY 1, 2, 3, 4, 5, 6)
	SELECT coalesce(string_agg(x::text, ' '), '') FROM (
		(SELECT 'kept', kept.* FROM kept EXCEPT ALL SELECT 'kept', there.* FROM there) UNION ALL (SELECT 'there', there.* FROM there EXCEPT ALL SELECT 'there', kept.* FROM kept)) AS x`

func (b bench) checkCounts(t *testing.T) {
	t.Helper()
	for _, query := range []string{fmt.Sprintf(keptAndThere, "image_requests", "r.visibility", true),
		fmt.Sprintf(keptAndThere, "versions", "(SELECT visibility FROM image_requests WHERE id = r.image_request_id)", false)} {
		if wrong := one[string](t, b.sql, query); wrong != "" {
			t.Error("what is kept, and what is there: ", wrong)
		}
	}
}

// Whatever many do at once, the counts that are kept are those of the rows.
func TestCountsAreThoseOfTheRows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var there []*imaging.Version
	for range 12 {
		there = append(there, b.request(t, ann, image()))
	}
	b.checkCounts(t)
	_, errs := all(t.Context(), 120, func(ctx context.Context, i int) (*imaging.Outcome, error) {
		v := there[rand.IntN(len(there))]
		switch i % 6 {
		case 0:
			in := image()
			in.Visibility, in.Provider = pickOne(imaging.Public, imaging.Private), pickOne(1, 2)
			_, err := b.RequestImage(ctx, ann, in)
			return nil, err
		case 1:
			_, err := b.EditImageRequest(ctx, ann, imaging.EditImageRequestInput{ImageRequest: v.ImageRequestID, Visibility: new(pickOne(imaging.Public, imaging.Private))})
			return nil, err
		case 2:
			end := imaging.SetTo(pickOne(nil, new(time.Now().AddDate(1, 0, 0))))
			_, err := b.EditImageRequest(ctx, ann, imaging.EditImageRequestInput{ImageRequest: v.ImageRequestID, EndDate: end})
			return nil, err
		case 3:
			r, err := b.ImageRequest(ctx, admin, v.ImageRequestID)
			if err != nil {
				return nil, err
			}
			in := imaging.DecisionInput{Version: r.Newest().ID, Revision: r.Revision, Message: new("because")}
			return b.Step(ctx, reviewer, in.Version, in.Step(pickOne(imaging.Approve, imaging.Deny)))
		case 4:
			in := imaging.RemarkInput{Version: v.ID}
			return b.Step(ctx, ann, v.ID, in.Step(pickOne(imaging.Cancel, imaging.Resubmit)))
		default:
			return b.ClaimVersion(ctx, worker, imaging.ClaimVersionInput{Provider: pickOne(1, 2), LeaseSeconds: 60})
		}
	})
	for code, n := range codes(errs) {
		if code != "" && code != imaging.Conflict {
			t.Errorf("%d times %s", n, code)
		}
	}
	b.checkCounts(t)
	if n := one[int](t, b.sql, "SELECT count(*) FROM counts WHERE slot > 15 OR slot < 0"); n != 0 {
		t.Errorf("%d rows beyond the slots", n)
	}
}

func pickOne[T any](from ...T) T { return from[rand.IntN(len(from))] }

// What will end is no longer counted as soon as its end has come, also on the day itself.
func TestWhatWillEndIsCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, ends := range []string{"NULL", "now() - interval '1 second'", "now() - interval '1 day'", "(today + 1) AT TIME ZONE 'UTC' - interval '1 microsecond'",
		"(today + 1) AT TIME ZONE 'UTC'", "now() + interval '1 year'"} {
		for _, visibility := range []imaging.Visibility{imaging.Public, imaging.Private} {
			in := image()
			in.Visibility = visibility
			v := b.request(t, ann, in)
			execute(t, b.sql, "UPDATE image_requests SET start_date = start_date - interval '2 days', end_date = "+strings.ReplaceAll(ends, "today", "(now() AT TIME ZONE 'UTC')::date")+" WHERE id = $1", v.ImageRequestID)
		}
	}
	for _, test := range []struct {
		actor          imaging.Actor
		current, ended int
	}{{imaging.Actor{}, 4, 2}, {ann, 8, 4}, {admin, 8, 4}} {
		for ended, want := range map[bool]int{false: test.current, true: test.ended} {
			if got, err := b.CountImageRequests(t.Context(), test.actor, &imaging.Filter{Ended: &ended}); err != nil || got != want {
				t.Errorf("%s, ended %t: %d, %v, want %d", test.actor.Username, ended, got, err, want)
			}
		}
	}
	b.checkCounts(t)
}

// Each page by number of the usual list has what the list has there, for everybody, from either end, also beyond the last row.
func TestPagesByNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 9, 60)
	days := map[string]bool{}
	for i, r := range w.requests { // over months, with ends to come and without
		r.StartDate = epoch.AddDate(0, 0, -7*(i%25)).Add(time.Duration(i%3) * time.Hour)
		r.EndDate = nil
		if i%4 == 0 {
			r.EndDate = new(time.Now().AddDate(1, 0, 0))
		}
		days[r.StartDate.Format(time.DateOnly)] = true
		execute(t, w.sql, "UPDATE image_requests SET start_date = $2, end_date = $3 WHERE id = $1", r.ID, r.StartDate, r.EndDate)
	}
	if len(days) < 20 {
		t.Errorf("only %d days", len(days))
	}
	for _, a := range actors() {
		for _, d := range []imaging.Direction{imaging.Asc, imaging.Desc} {
			o := &imaging.Order{Field: imaging.ByStartDate, Direction: d}
			list, err := w.ImageRequests(t.Context(), a, imaging.Slice{First: new(100)}, nil, o)
			if err != nil {
				t.Fatal(err)
			}
			whole := list.Nodes()
			for offset := range len(whole) + 2 {
				got, err := w.ImageRequestPage(t.Context(), a, offset, 3, nil, o)
				if want := whole[min(offset, len(whole)):min(offset+3, len(whole))]; err != nil || len(want)+len(got) > 0 && !reflect.DeepEqual(want, got) {
					t.Fatalf("%v, %s, from %d of %d on: %v (-want +got):\n%s", a, d, offset, len(whole), err, cmp.Diff(want, got))
				}
			}
		}
	}
}
