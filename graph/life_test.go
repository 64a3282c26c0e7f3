package graph_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/auth"
	"imagerequests/db/dbtest"
	"imagerequests/graph"
	"imagerequests/imaging"
)

// lifeMoves is the life cycle as the design draws it: where each mutation leads from each status, for whoever may send it.
// A dot is a CONFLICT. IMAGING behind cancelVersion is the owner's wish, which the worker obeys; a claim finds nothing but
// what is APPROVED.
const lifeMoves = `
                      PENDING    NEEDS_INFO  DENIED   CANCELLED  APPROVED   IMAGING    COMPLETED  FAILED
approveVersion        APPROVED   .           .        .          .          .          .          .
denyVersion           DENIED     .           .        .          .          .          .          .
questionVersion       NEEDS_INFO .           .        .          .          .          .          .
answerQuestion        .          PENDING     .        .          .          .          .          .
cancelVersion         CANCELLED  CANCELLED   .        .          CANCELLED  IMAGING    .          .
resubmitVersion       .          .           PENDING  .          .          .          .          .
retryVersion          .          .           .        .          .          .          .          APPROVED
claimVersion          nothing    nothing     nothing  nothing    IMAGING    nothing    nothing    nothing
reportVersion         .          .           .        .          .          IMAGING    .          .
completeVersion       .          .           .        .          .          COMPLETED  .          .
failVersion           .          .           .        .          .          FAILED     .          .
releaseVersion        .          .           .        .          .          APPROVED   .          .
editVersion           PENDING    PENDING     .        .          .          .          .          .
retire                .          .           .        .          .          .          COMPLETED  .
editImageRequest      PENDING    NEEDS_INFO  DENIED   CANCELLED  APPROVED   IMAGING    COMPLETED  FAILED
transferImageRequest  PENDING    NEEDS_INFO  DENIED   CANCELLED  APPROVED   IMAGING    COMPLETED  FAILED
`

// lifeMay is who may do what, as the design's table of roles says, on a request that they see. The reviewer, the worker and
// "both", an owner who is a reviewer, are of the version's provider; reviewer2 and worker2 are of another one.
const lifeMay = `
                      owner  stranger  listed  reviewer  reviewer2  worker  worker2  admin  both
approveVersion        no     no        no      yes       no         no      no       yes    no
denyVersion           no     no        no      yes       no         no      no       yes    no
questionVersion       no     no        no      yes       no         no      no       yes    no
answerQuestion        yes    no        no      no        no         no      no       yes    yes
cancelVersion         yes    no        no      no        no         no      no       yes    yes
resubmitVersion       yes    no        no      no        no         no      no       yes    yes
retryVersion          no     no        no      yes       no         no      no       yes    yes
claimVersion          no     no        no      no        no         yes     no       yes    no
reportVersion         no     no        no      no        no         yes     no       yes    no
completeVersion       no     no        no      no        no         yes     no       yes    no
failVersion           no     no        no      no        no         yes     no       yes    no
releaseVersion        no     no        no      no        no         yes     no       yes    no
editVersion           yes    no        no      no        no         no      no       yes    yes
retire                yes    no        no      no        no         no      no       yes    yes
editImageRequest      yes    no        no      no        no         no      no       yes    yes
transferImageRequest  yes    no        no      no        no         no      no       yes    yes
`

// lifeSees is who sees a request that is shared with the listed user alone, by its version's status; a PUBLIC one is seen by
// everybody.
const lifeSees = `
            PENDING    NEEDS_INFO  DENIED   CANCELLED  APPROVED   IMAGING    COMPLETED  FAILED
owner       yes        yes         yes      yes        yes        yes        yes        yes
stranger    no         no          no       no         no         no         no         no
listed      yes        yes         yes      yes        yes        yes        yes        yes
reviewer    yes        yes         yes      yes        yes        yes        yes        yes
reviewer2   yes        yes         yes      yes        yes        yes        yes        yes
worker      no         no          no       no         yes        yes        no         no
worker2     no         no          no       no         no         no         no         no
admin       yes        yes         yes      yes        yes        yes        yes        yes
both        yes        yes         yes      yes        yes        yes        yes        yes
`

// lifeActors are the tokens of these tests: each role's name is its token.
var lifeActors = map[string]imaging.Actor{
	"owner":     {Username: "owner", Roles: []imaging.Role{imaging.Requester}},
	"stranger":  {Username: "stranger", Roles: []imaging.Role{imaging.Requester}},
	"listed":    {Username: "listed", Roles: []imaging.Role{imaging.Requester}},
	"reviewer":  {Username: "reviewer", Roles: []imaging.Role{imaging.Reviewer}, Providers: []int{1}},
	"reviewer2": {Username: "reviewer2", Roles: []imaging.Role{imaging.Reviewer}, Providers: []int{2}},
	"worker":    {Username: "worker", Roles: []imaging.Role{imaging.Worker}, Providers: []int{1}},
	"worker2":   {Username: "worker2", Roles: []imaging.Role{imaging.Worker}, Providers: []int{2}},
	"admin":     {Username: "admin", Roles: []imaging.Role{imaging.Admin}},
	"both":      {Username: "both", Roles: []imaging.Role{imaging.Requester, imaging.Reviewer}},
}

// lifeDoor is the GraphQL handler over a database of its own with two providers, and a look behind it.
type lifeDoor struct {
	door
	sql *sql.DB
}

func newLifeDoor(t *testing.T) lifeDoor {
	t.Helper()
	cfg := dbtest.Config(t)
	store := dbtest.Open(t, cfg)
	for id, name := range []string{1: "one", 2: "two"} {
		if id == 0 {
			continue
		}
		if _, err := store.SaveProvider(t.Context(), lifeActors["admin"], imaging.SaveProviderInput{ID: id, Name: &name}); err != nil {
			t.Fatal(err)
		}
	}
	handler := graph.New(graph.Options{
		Store: store, Auth: auth.New(store, lifeActors), Throttle: auth.NewThrottle(0, 0, nil), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	return lifeDoor{door{t, store, handler}, dbtest.SQL(t, cfg)}
}

// lifeCells reads a table: row, column, cell.
func lifeCells(table string) map[string]map[string]string {
	lines := strings.Split(strings.TrimSpace(table), "\n")
	columns, all := strings.Fields(lines[0]), map[string]map[string]string{}
	for _, line := range lines[1:] {
		row := strings.Fields(line)
		all[row[0]] = map[string]string{}
		for i, column := range columns {
			all[row[0]][column] = row[i+1]
		}
	}
	return all
}

// lifeWanted is a cell of the whole matrix: the new status, or the code of the refusal. What is not seen is not there, and
// who may not do a thing learns nothing of the status.
func lifeWanted(mutation, role string, status imaging.Status, visibility imaging.Visibility) string {
	to := lifeCells(lifeMoves)[mutation][string(status)]
	switch {
	case role == "":
		return "UNAUTHENTICATED"
	case visibility != imaging.Public && mutation != "claimVersion" && lifeCells(lifeSees)[role][string(status)] == "no":
		return "NOT_FOUND"
	case lifeCells(lifeMay)[mutation][role] == "no":
		return "FORBIDDEN"
	case to == ".":
		return "CONFLICT"
	}
	return to
}

// subject is a version to act upon.
type subject struct {
	request, version uuid.UUID
	lease            uuid.UUID
	revision         int
	status           imaging.Status
}

// subject makes a version that stands in the status, by the steps that lead there.
func (d lifeDoor) subject(t *testing.T, owner string, status imaging.Status, visibility imaging.Visibility) *subject {
	t.Helper()
	in := imaging.RequestImageInput{Name: "Ubuntu", Visibility: visibility, Work: imaging.Work{Instance: uuid.New(), Provider: 1}}
	if visibility == imaging.Users {
		in.SharedWith = []string{"listed"}
	}
	v, err := d.store.RequestImage(t.Context(), lifeActors[owner], in)
	if err != nil {
		t.Fatal(err)
	}
	s := &subject{request: v.ImageRequestID, version: v.ID, lease: uuid.New(), revision: 1, status: imaging.Pending}
	take := func(role string, step imaging.Step) {
		t.Helper()
		if _, err := d.store.Step(t.Context(), lifeActors[role], s.version, step); err != nil {
			t.Fatal(err)
		}
	}
	one := 1
	switch status {
	case imaging.NeedsInfo:
		take("reviewer", imaging.Step{Action: imaging.Question, Revision: &one, Message: "Which disk?"})
	case imaging.Denied:
		take("reviewer", imaging.Step{Action: imaging.Deny, Revision: &one, Message: "Licensed."})
	case imaging.Cancelled:
		take(owner, imaging.Step{Action: imaging.Cancel})
	case imaging.Approved, imaging.Imaging, imaging.Completed, imaging.Failed:
		take("reviewer", imaging.Step{Action: imaging.Approve, Revision: &one})
	default: // it is PENDING
	}
	if status == imaging.Imaging || status == imaging.Completed || status == imaging.Failed {
		out, err := d.store.ClaimVersion(t.Context(), lifeActors["worker"], imaging.ClaimVersionInput{Provider: 1, LeaseSeconds: 60})
		if err != nil || out.Version == nil || out.Version.ID != s.version {
			t.Fatalf("claimed %+v, %v", out, err)
		}
		s.lease = out.Lease.Token
	}
	if status == imaging.Completed {
		take("worker", imaging.Step{Action: imaging.Complete, Lease: s.lease, Alias: "ami-" + s.version.String()})
	}
	if status == imaging.Failed {
		take("worker", imaging.Step{Action: imaging.Fail, Lease: s.lease, Code: "DISK_FULL", Message: "No space.", Detail: "trace"})
	}
	if status != imaging.Imaging {
		s.lease = uuid.New() // what is sent again with its own lease is a test of its own
	}
	r, err := d.store.ImageRequest(t.Context(), lifeActors["admin"], s.request)
	if err != nil || r.Status != status {
		t.Fatalf("it is %s, %v, want %s", r.Status, err, status)
	}
	s.revision, s.status = r.Revision, r.Status
	return s
}

// send sends a row's mutation for the subject.
func (d lifeDoor) send(role, mutation string, s *subject) result {
	in := map[string]any{"version": s.version}
	payload := "imageRequest { id status } version { id status }"
	switch mutation {
	case "approveVersion", "denyVersion", "questionVersion":
		in["revision"], in["message"] = s.revision, "so"
	case "answerQuestion", "cancelVersion", "resubmitVersion", "retryVersion":
		in["message"] = "so"
	case "claimVersion":
		in, payload = map[string]any{"provider": 1}, payload+" lease { token expiresAt }"
	case "reportVersion":
		in["leaseToken"], in["stage"], in["percent"], payload = s.lease, "copy", 40, payload+" cancelRequested lease { token }"
	case "completeVersion":
		in["leaseToken"], in["alias"] = s.lease, "ami-9"
	case "failVersion":
		in["leaseToken"], in["code"], in["message"] = s.lease, "DISK_FULL", "No space."
	case "releaseVersion":
		in["leaseToken"] = s.lease
	case "editVersion":
		in["software"] = "R"
	case "retire":
		mutation, in["endDate"] = "editVersion", time.Now().AddDate(1, 0, 0)
	case "editImageRequest":
		in, payload = map[string]any{"imageRequest": s.request, "visibility": "USERS", "sharedWith": []string{"listed", "more"}}, "imageRequest { id status }"
	case "transferImageRequest":
		in, payload = map[string]any{"imageRequest": s.request, "to": "heir"}, "imageRequest { id status }"
	}
	operation := fmt.Sprintf("mutation($in: %s%sInput!) { done: %s(input: $in) { %s } }", strings.ToUpper(mutation[:1]), mutation[1:], mutation, payload)
	return d.as(role, operation, map[string]any{"in": in})
}

// trace is all that is stored of the subject, to see whether something has changed.
func (d lifeDoor) trace(t *testing.T, s *subject) (text string) {
	t.Helper()
	const all = `SELECT row_to_json(r)::text || row_to_json(v)::text || (SELECT count(*) FROM events)
		FROM image_requests r JOIN versions v ON v.image_request_id = r.id WHERE v.id = $1`
	if err := d.sql.QueryRowContext(t.Context(), all, s.version.String()).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

// Every mutation as every role on a version of every status, seen by few and by all: what comes of it is what the tables
// say, and a refusal leaves no trace.
func TestLifeMatrix(t *testing.T) {
	t.Parallel()
	for _, visibility := range []imaging.Visibility{imaging.Users, imaging.Public} {
		for _, status := range imaging.Statuses {
			t.Run(fmt.Sprintf("%s %s", status, visibility), func(t *testing.T) {
				t.Parallel()
				d := newLifeDoor(t)
				var kept map[string]*subject // one for the owner, one for both; a new one when it has been moved
				for mutation := range lifeCells(lifeMoves) {
					for _, role := range []string{"", "owner", "stranger", "listed", "reviewer", "reviewer2", "worker", "worker2", "admin", "both"} {
						owner := "owner"
						if role == "both" {
							owner = "both"
						}
						if kept[owner] == nil { // never two at once: a claim would find the other
							for _, s := range kept {
								d.retireSubject(t, s)
							}
							kept = map[string]*subject{owner: d.subject(t, owner, status, visibility)}
						}
						if d.try(t, role, mutation, kept[owner], visibility) {
							d.retireSubject(t, kept[owner])
							kept = nil
						}
					}
				}
			})
		}
	}
}

// retireSubject takes a subject out of the way of claims.
func (d lifeDoor) retireSubject(t *testing.T, s *subject) {
	t.Helper()
	if _, err := d.sql.ExecContext(t.Context(), `UPDATE versions SET status = 'CANCELLED', end_date = now(), alias = id::text, cancel_requested = false,
		failure_code = NULL, failure_message = NULL, failure_detail = NULL, failure_retryable = NULL,
		lease_token = NULL, lease_holder = NULL, lease_seconds = NULL, lease_expires_at = NULL WHERE id = $1`, s.version.String()); err != nil {
		t.Fatal(err)
	}
}

// try sends one mutation as one role, and tells whether something has changed, as it should.
func (d lifeDoor) try(t *testing.T, role, mutation string, s *subject, visibility imaging.Visibility) (changed bool) {
	t.Helper()
	name, want := fmt.Sprintf("%s of %s as %q", mutation, s.status, role), lifeWanted(mutation, role, s.status, visibility)
	before := d.trace(t, s)
	r := d.send(role, mutation, s)
	changed = d.trace(t, s) != before
	if strings.Contains("UNAUTHENTICATED NOT_FOUND FORBIDDEN CONFLICT", want) {
		if len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != want || changed {
			t.Errorf("%s: %+v, changed %v, want %s", name, r, changed, want)
			return changed
		}
		status, told := r.Errors[0].Extensions["status"]
		if told != (want == "CONFLICT") || told && status != string(s.status) {
			t.Errorf("%s: the status told is %v", name, status)
		}
		return changed
	}
	var done struct {
		Done struct {
			ImageRequest, Version *struct{ ID, Status string }
			Lease                 *struct{ Token string }
			CancelRequested       *bool
		}
	}
	if len(r.Errors) > 0 || json.Unmarshal(r.Data, &done) != nil {
		t.Errorf("%s: %+v, want %s", name, r.Errors, want)
		return changed
	}
	if want == "nothing" {
		if changed || done.Done.Version != nil || done.Done.ImageRequest != nil || done.Done.Lease != nil {
			t.Errorf("%s: %s, changed %v", name, r.Data, changed)
		}
		return changed
	}
	after, err := d.store.Version(t.Context(), lifeActors["admin"], s.version)
	if err != nil {
		t.Fatal(err)
	}
	sees := lifeCells(lifeSees)[role][want] == "yes" || visibility == imaging.Public
	if mutation == "transferImageRequest" && role == "owner" && visibility != imaging.Public {
		sees = false // it is no longer theirs
	}
	if mutation == "editImageRequest" {
		sees = true
	}
	if !changed || string(after.Status) != want || (done.Done.ImageRequest != nil) != sees || sees && done.Done.ImageRequest.Status != want {
		t.Errorf("%s: it is %s, changed %v, the answer %s; want %s", name, after.Status, changed, r.Data, want)
	}
	if v := done.Done.Version; v != nil && (v.ID != s.version.String() || v.Status != want) {
		t.Errorf("%s: the answer %s", name, r.Data)
	}
	return changed
}
