package access_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// place is a row in the database: its ids.
type place struct {
	row
	request, version, instance, lease uuid.UUID
	name                              string
}

var (
	asked   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	past    = asked.Add(time.Hour)
	future  = asked.AddDate(900, 0, 0)
	unknown = place{request: uuid.MustParse("0197fa3c-0000-7000-8000-000000000000"), version: uuid.MustParse("0197fa3c-0000-7000-8000-000000000001"),
		lease: uuid.MustParse("0197fa3c-0000-7000-8000-000000000002"), instance: uuid.MustParse("0197fa3c-0000-7000-8000-000000000003"), name: "nothing"}
)

// put stores rows, each with all its secrets and two events, behind the service's back: no rule of it is asked.
func (h *house) put(t testing.TB, rows ...row) []place {
	t.Helper()
	places := make([]place, len(rows))
	var requests, versions, events []map[string]any
	for i, r := range rows {
		p := place{row: r, request: uuid.New(), version: uuid.New(), instance: uuid.New(), lease: uuid.New()}
		p.name = "image " + p.request.String()
		places[i] = p
		requests = append(requests, p.imageRequest())
		versions = append(versions, p.versionRow())
		for seq, action := range []string{"REQUESTED", "EDITED"} {
			events = append(events, map[string]any{
				"image_request_id": p.request, "seq": seq + 1, "at": asked, "actor": "owner", "action": action, "message": "whispered",
				"changes": map[string]any{
					"sharedWith":            map[string]any{"from": []string{"former"}, "to": []string{"listed"}},
					"version.failureDetail": map[string]any{"from": nil, "to": "sda1"},
				},
			})
		}
	}
	h.insert(t, "image_requests", requests)
	h.insert(t, "versions", versions)
	h.insert(t, "events", events)
	return places
}

func (p place) imageRequest() map[string]any {
	shared, end := []string{}, any(nil)
	if p.visibility == "USERS" {
		shared = []string{"listed"}
	}
	switch p.state {
	case "retired":
		end = past
	case "to be retired":
		end = future
		if p.visibility == "PRIVATE" {
			end = tonight()
		}
	}
	return map[string]any{
		"id": p.request, "name": p.name, "icon": "icon.png", "description": "", "tags": []string{"tag"}, "created_by": "owner", "visibility": p.visibility,
		"shared_with": shared, "start_date": asked, "end_date": end, "revision": 2, "reports": 0, "status": p.status, "instance": p.instance,
		"provider_id": 1, "search_text": searchText(p.name, "tag"), "shared_since": 2,
	}
}

// tonight is the end of today, by UTC, of which the counts know less than of later ends; unless it is near.
func tonight() time.Time {
	end := time.Now().UTC().Truncate(24 * time.Hour).Add(24*time.Hour - time.Microsecond)
	if time.Until(end) < 10*time.Minute {
		return future
	}
	return end
}

// searchText is how the service spells the texts of a request for its searches. What they find is asked through the doors.
func searchText(name, tag string) string {
	r := imaging.ImageRequest{Name: name, Tags: []string{tag}, Versions: []*imaging.Version{{}}}
	r.Settle()
	return r.SearchText
}

func (p place) versionRow() map[string]any {
	v := map[string]any{
		"id": p.version, "image_request_id": p.request, "name": p.name, "visibility": p.visibility, "ordinal": 1, "alias": p.version, "version": "1", "change_log": "", "instance": p.instance,
		"ip_address": "10.0.0.1", "provider_id": 1, "software": "R", "sys": "fstab", "exclude": "/root/.ssh", "requested_by": "owner", "authors": []string{"owner"},
		"start_date": asked, "status": p.status, "decided_by": "reviewer", "decided_at": asked, "decision": "fine", "questioned_by": "reviewer",
		"questioned_at": asked, "question": "Which disk?", "excluded": []string{"/root/.ssh"}, "imaging_started": asked, "attempt": 1,
		"end_date": nil, "lease_token": nil, "lease_holder": nil, "lease_seconds": nil, "lease_expires_at": nil,
		"failure_code": nil, "failure_message": nil, "failure_detail": nil, "failure_retryable": nil,
	}
	switch p.status {
	case "DENIED", "CANCELLED", "FAILED":
		v["end_date"] = past
	case "IMAGING":
		v["lease_token"], v["lease_holder"], v["lease_seconds"], v["lease_expires_at"] = p.lease, "worker", 3600, future
	}
	if p.state == "ended" {
		v["end_date"] = past
	}
	if p.status == "FAILED" || p.status == "CANCELLED" {
		v["failure_code"], v["failure_message"], v["failure_detail"], v["failure_retryable"] = "DISK_FULL", "No space.", "sda1", true
	}
	return v
}

// insert stores rows of a table that have the same columns.
func (h *house) insert(t testing.TB, table string, rows []map[string]any) {
	t.Helper()
	columns := strings.Join(slices.Sorted(maps.Keys(rows[0])), ", ")
	text, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	statement := fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM jsonb_populate_recordset(NULL::%s, $1::jsonb)", table, columns, columns, table)
	if table == "events" { // each behind the one before
		statement += " WITH ORDINALITY ORDER BY ordinality"
	}
	if _, err := h.sql.ExecContext(t.Context(), statement, string(text)); err != nil {
		t.Fatal(err)
	}
}

// footprint is what each request, with its versions and events, is made of, and how many events it has.
func (h *house) footprint(t testing.TB) (sums map[uuid.UUID]string, events map[uuid.UUID]int) {
	t.Helper()
	sums, events = map[uuid.UUID]string{}, map[uuid.UUID]int{}
	found, err := h.sql.QueryContext(t.Context(), `SELECT r.id::text, md5(r::text || coalesce((SELECT string_agg(v::text, ' ' ORDER BY v.id) FROM versions v WHERE v.image_request_id = r.id), '')),
		(SELECT count(*) FROM events e WHERE e.image_request_id = r.id) FROM image_requests r`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		var id, sum string
		var n int
		if err := found.Scan(&id, &sum, &n); err != nil {
			t.Fatal(err)
		}
		sums[uuid.MustParse(id)], events[uuid.MustParse(id)] = sum, n
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return sums, events
}
