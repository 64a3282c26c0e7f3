package graph_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// lifeVersion is what the tests below read of a version.
type lifeVersion struct {
	ID, Status, Alias string
	EndDate           *string
	ExcludePaths      []string
	Decision          *struct{ By, Message string }
	Failure           *struct {
		Code, Message string
		Detail        *string
		Retryable     bool
	}
	Progress *struct {
		Stage    string
		Percent  int
		Attempt  int
		Excluded []string
	}
	ImageRequest struct {
		CreatedBy, Visibility string
		History               []struct{ Text string }
		Events                *struct {
			Nodes []struct{ Action, Actor, Message, From, To string }
		}
	}
}

const lifeRead = `query($id: ID!) { version(id: $id) { id status alias endDate excludePaths decision { by message }
	failure { code message detail retryable } progress { stage percent attempt excluded }
	imageRequest { createdBy visibility history { text } events(first: 100) { nodes { action actor message from to } } } } }`

// read is the version as the user sees it; nil if it is not there for them.
func (d lifeDoor) read(user string, s *subject) *lifeVersion {
	d.t.Helper()
	r := d.as(user, lifeRead, map[string]any{"id": s.version})
	var got struct{ Version *lifeVersion }
	if err := json.Unmarshal(r.Data, &got); err != nil {
		d.t.Fatal(err)
	}
	if (got.Version == nil) != (len(r.Errors) == 1 && r.Errors[0].Extensions["code"] == "NOT_FOUND") {
		d.t.Fatalf("%+v", r.Errors)
	}
	return got.Version
}

// accepted fails unless the operation has no errors.
func (d lifeDoor) accepted(user, operation string, in map[string]any) result {
	d.t.Helper()
	r := d.as(user, operation, map[string]any{"in": in})
	if len(r.Errors) > 0 {
		d.t.Fatalf("%s as %s: %+v", operation, user, r.Errors)
	}
	return r
}

// refusedAs fails unless the one error of the answer has the code.
func refusedAs(t *testing.T, what string, r result, code string) {
	t.Helper()
	if len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != code {
		t.Errorf("%s: %+v, want %s", what, r.Errors, code)
	}
}

const lifeEdit = `mutation($in: EditImageRequestInput!) { editImageRequest(input: $in) { imageRequest { id } } }`

// The ten things that went wrong in the system that this one follows, each by its number.
func TestWhatWentWrongThere(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T, lifeDoor){
		"1 a requester could set their own status; approve and deny were GET links":  ownStatus,
		"2 any user could read or patch any id":                                      anyID,
		"3 the reviewer's reply was dropped; nobody was told of a denial or failure": replyDropped,
		"4 status never became failed; errors lived in a text that drove the resume": neverFailed,
		"5 live progress was deleted; people waited without a sign":                  noProgress,
		"6 one open request per instance was looked up, then inserted":               lookedUp,
		"7 *@email.edu matched me@email.edu.evil.org":                                patterns,
		"8 what was excluded was not; the default was public":                        notExcluded,
		"9 only the creator could change an image; visibility could not be changed":  onlyCreator,
		"10 lists of open states differed":                                           openStates,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newLifeDoor(t))
		})
	}
}

func ownStatus(t *testing.T, d lifeDoor) {
	for _, owner := range []string{"owner", "both"} {
		s := d.subject(t, owner, imaging.Pending, imaging.Private)
		for _, mutation := range []string{"approveVersion", "denyVersion", "questionVersion", "completeVersion"} {
			refusedAs(t, mutation, d.send(owner, mutation, s), "FORBIDDEN")
		}
		if v := d.read(owner, s); v.Status != "PENDING" {
			t.Errorf("it is %s", v.Status)
		}
	}
	schema, err := os.ReadFile("../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	inputs := regexp.MustCompile(`(?s)\ninput (\w+Input) \{.*?\n\}`).FindAllStringSubmatch(string(schema), -1)
	if len(inputs) < 15 {
		t.Fatalf("%d inputs", len(inputs))
	}
	for _, in := range inputs { // no mutation takes a status at all
		if regexp.MustCompile(`\n\s+(status|createdBy|decision|decidedBy)\b`).MatchString(in[0]) {
			t.Errorf("%s can name who or where it is", in[1])
		}
	}
	s := d.subject(t, "owner", imaging.Pending, imaging.Private)
	link := "/graphql?query=" + url.QueryEscape(`mutation { approveVersion(input: {version: "`+s.version.String()+`", revision: 1}) { version { id } } }`)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r := httptest.NewRequest(method, link, http.NoBody)
		r.Header.Set("Authorization", "Token reviewer")
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s of a link: %d", method, w.Code)
		}
	}
	if v := d.read("reviewer", s); v.Status != "PENDING" {
		t.Errorf("a link made it %s", v.Status)
	}
}

func anyID(t *testing.T, d lifeDoor) {
	s := d.subject(t, "owner", imaging.Pending, imaging.Private)
	unknown := &subject{request: uuid.New(), version: uuid.New(), lease: s.lease, revision: 1}
	for _, user := range []string{"stranger", "worker"} {
		if d.read(user, s) != nil {
			t.Errorf("%s reads it", user)
		}
		for mutation := range lifeCells(lifeMoves) {
			if mutation == "claimVersion" {
				continue // names no version
			}
			there, nowhere := d.send(user, mutation, s), d.send(user, mutation, unknown)
			refusedAs(t, mutation, there, "NOT_FOUND")
			if string(there.Data) != string(nowhere.Data) || there.Errors[0].Message != nowhere.Errors[0].Message || len(there.Errors[0].Extensions) != len(nowhere.Errors[0].Extensions) {
				t.Errorf("%s: %s can tell it from an unknown id: %+v, %+v", mutation, user, there, nowhere)
			}
		}
	}
}

func replyDropped(t *testing.T, d lifeDoor) {
	denied := d.read("owner", d.subject(t, "owner", imaging.Denied, imaging.Private))
	if denied.Decision == nil || denied.Decision.By != "reviewer" || denied.Decision.Message != "Licensed." || denied.EndDate == nil {
		t.Errorf("the owner reads of the denial: %+v", denied.Decision)
	}
	d.told(t, denied, "DENIED", "reviewer", "Licensed.", "PENDING")
	failed := d.read("owner", d.subject(t, "owner", imaging.Failed, imaging.Private))
	if failed.Failure == nil || failed.Failure.Code != "DISK_FULL" || failed.Failure.Message != "No space." || failed.EndDate == nil {
		t.Errorf("the owner reads of the failure: %+v", failed.Failure)
	}
	d.told(t, failed, "FAILED", "worker", "No space.", "IMAGING")
}

// told fails unless the last event and the last sentence say who did what, and what was said.
func (d lifeDoor) told(t *testing.T, v *lifeVersion, action, actor, message, from string) {
	t.Helper()
	events := v.ImageRequest.Events.Nodes
	last := events[len(events)-1]
	if last.Action != action || last.Actor != actor || last.Message != message || last.From != from || last.To != v.Status {
		t.Errorf("the last event: %+v", last)
	}
	history := v.ImageRequest.History
	if text := history[len(history)-1].Text; !strings.HasPrefix(text, actor) || !strings.Contains(text, message) {
		t.Errorf("the history ends: %s", text)
	}
}

func neverFailed(t *testing.T, d lifeDoor) {
	s := d.subject(t, "owner", imaging.Failed, imaging.Private)
	if v := d.read("owner", s); v.Status != "FAILED" || v.Failure.Detail != nil {
		t.Errorf("the owner reads %+v", v.Failure)
	}
	if v := d.read("reviewer", s); v.Failure.Detail == nil || *v.Failure.Detail != "trace" {
		t.Errorf("staff read %+v", v.Failure)
	}
	refusedAs(t, "a retry by the owner", d.send("owner", "retryVersion", s), "FORBIDDEN")
	d.accepted("reviewer", `mutation($in: RetryVersionInput!) { retryVersion(input: $in) { version { id } } }`, map[string]any{"version": s.version, "message": "resume at copying"})
	v := d.read("owner", s)
	if v.Status != "APPROVED" || v.Failure != nil || v.EndDate != nil || v.Progress != nil {
		t.Errorf("after a retry: %+v", v)
	}
}

func noProgress(t *testing.T, d lifeDoor) {
	s := d.subject(t, "owner", imaging.Imaging, imaging.Private)
	for percent, stage := range []string{"snapshot", "copy"} {
		d.accepted("worker", `mutation($in: ReportVersionInput!) { reportVersion(input: $in) { version { id } } }`,
			map[string]any{"version": s.version, "leaseToken": s.lease, "stage": stage, "percent": percent * 50})
		v := d.read("owner", s)
		if v.Progress == nil || v.Progress.Stage != stage || v.Progress.Percent != percent*50 || v.Progress.Attempt != 1 {
			t.Errorf("the owner sees %+v", v.Progress)
		}
	}
}

func lookedUp(t *testing.T, d lifeDoor) {
	instance := uuid.NewString()
	results := make([]result, 50)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			body, _ := json.Marshal(map[string]any{"query": requestImage, "variables": input("instance", instance, "provider", 1+i%2)})
			_ = json.Unmarshal(d.post([]string{"owner", "stranger", "both"}[i%3], body).Body.Bytes(), &results[i])
		})
	}
	wg.Wait()
	open := 0
	for _, r := range results {
		if len(r.Errors) == 0 {
			open++
			continue
		}
		refusedAs(t, "a second request", r, "CONFLICT")
		if e := r.Errors[0]; e.Extensions["field"] != "instance" || strings.Contains(e.Message, "per provider") {
			t.Errorf("%+v", e)
		}
	}
	if open != 1 {
		t.Errorf("%d open requests", open)
	}
}

func patterns(t *testing.T, d lifeDoor) {
	in := imaging.RequestImageInput{
		Name: "x", Visibility: imaging.Users, SharedWith: []string{"*@email.edu", "me@email.edu", "listed%", "stran_er"},
		Work: imaging.Work{Instance: uuid.New(), Provider: 1},
	}
	v, err := d.store.RequestImage(t.Context(), lifeActors["owner"], in)
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]bool{
		"me@email.edu": true, "me@email.edu.evil.org": false, "you@email.edu": false, "ME@email.edu": false, "me@email.ed": false, "e@email.edu": false,
		"*@email.edu": true, "listed": false, "listed%": true, "stranger": false, "": false,
	} {
		a := imaging.Actor{Username: user, Roles: []imaging.Role{imaging.Requester}}
		_, err := d.store.ImageRequest(t.Context(), a, v.ImageRequestID)
		if seen := err == nil; seen != want {
			t.Errorf("%q sees it: %v, want %v", user, seen, want)
		}
		n, err := d.store.CountImageRequests(t.Context(), a, nil)
		if err != nil || (n == 1) != want {
			t.Errorf("%q counts %d, %v", user, n, err)
		}
	}
}

func notExcluded(t *testing.T, d lifeDoor) {
	in := input("exclude", "/root/.ssh\n*.pem\nand my keys")
	made := data[struct {
		RequestImage struct{ Version struct{ ID uuid.UUID } }
	}](t, d.as("owner", requestImage, in)).RequestImage.Version
	s := &subject{version: made.ID, revision: 1}
	d.accepted("reviewer", `mutation($in: ApproveVersionInput!) { approveVersion(input: $in) { version { id } } }`, map[string]any{"version": made.ID, "revision": 1})
	claimed := data[struct {
		ClaimVersion struct {
			Version struct{ ExcludePaths []string }
			Lease   struct{ Token string }
		}
	}](t, d.accepted("worker", `mutation($in: ClaimVersionInput!) { claimVersion(input: $in) { version { excludePaths } lease { token } } }`, map[string]any{"provider": 1})).ClaimVersion
	if got := strings.Join(claimed.Version.ExcludePaths, " "); got != "/root/.ssh *.pem" {
		t.Errorf("the worker is told to leave out %s", got)
	}
	d.accepted("worker", `mutation($in: CompleteVersionInput!) { completeVersion(input: $in) { version { id } } }`,
		map[string]any{"version": made.ID, "leaseToken": claimed.Lease.Token, "alias": "ami-1", "excluded": []string{"/root/.ssh"}})
	v := d.read("owner", s)
	if strings.Join(v.ExcludePaths, " ") != "/root/.ssh *.pem" || strings.Join(v.Progress.Excluded, " ") != "/root/.ssh" {
		t.Errorf("understood %v, left out %v", v.ExcludePaths, v.Progress.Excluded)
	}
	unsaid := input()
	delete(unsaid["input"].(map[string]any), "visibility")
	if r := d.as("owner", requestImage, unsaid); len(r.Errors) == 0 { // nobody makes an image public by saying nothing
		t.Errorf("accepted without a visibility: %s", r.Data)
	}
	preview := `query($input: RequestImageInput!) { previewImageRequest(input: $input) { blockers { code } warnings { field } } }`
	warned := data[struct {
		PreviewImageRequest struct{ Warnings []struct{ Field string } }
	}](t, d.as("owner", preview, input("visibility", "PUBLIC", "description", "For all.", "software", "password: hunter2"))).PreviewImageRequest.Warnings
	if len(warned) != 2 || warned[0].Field != "exclude" || warned[1].Field != "software" {
		t.Errorf("warned of %v", warned)
	}
}

func onlyCreator(t *testing.T, d lifeDoor) {
	s := d.subject(t, "owner", imaging.Completed, imaging.Private)
	for _, change := range []struct {
		visibility string
		users      []string
		strangers  bool
	}{{"USERS", []string{"stranger"}, true}, {"USERS", []string{"listed"}, false}, {"PUBLIC", nil, true}, {"PRIVATE", nil, false}} {
		in := map[string]any{"imageRequest": s.request, "visibility": change.visibility}
		if change.users != nil {
			in["sharedWith"] = change.users
		}
		d.accepted("owner", lifeEdit, in)
		if seen := d.read("stranger", s) != nil; seen != change.strangers {
			t.Errorf("%s %v: a stranger sees it: %v", change.visibility, change.users, seen)
		}
	}
	d.accepted("admin", lifeEdit, map[string]any{"imageRequest": s.request, "name": "Mended by an admin"})
	d.accepted("owner", `mutation($in: TransferImageRequestInput!) { transferImageRequest(input: $in) { imageRequest { id } } }`,
		map[string]any{"imageRequest": s.request, "to": "stranger"})
	if d.read("owner", s) != nil {
		t.Error("who gave it away still sees it")
	}
	v := d.read("stranger", s)
	if v == nil || v.ImageRequest.CreatedBy != "stranger" {
		t.Fatalf("the new owner reads %+v", v)
	}
	d.told(t, &lifeVersion{ImageRequest: v.ImageRequest}, "TRANSFERRED", "owner", "", "")
	d.accepted("stranger", lifeEdit, map[string]any{"imageRequest": s.request, "visibility": "PUBLIC"})
}

// openStates: what the domain calls open is what the database lets be there once.
func openStates(t *testing.T, d lifeDoor) {
	for _, status := range imaging.Statuses {
		s := d.subject(t, "owner", status, imaging.Private)
		var instance string
		if err := d.sql.QueryRowContext(t.Context(), "SELECT instance::text FROM versions WHERE id = $1", s.version.String()).Scan(&instance); err != nil {
			t.Fatal(err)
		}
		preview := `query($input: RequestImageInput!) { previewImageRequest(input: $input) { blockers { code field } } }`
		blockers := data[struct {
			PreviewImageRequest struct {
				Blockers []struct{ Code, Field string }
			}
		}](t, d.as("owner", preview, input("instance", instance))).PreviewImageRequest.Blockers
		r := d.as("owner", requestImage, input("instance", instance))
		if status.Open() != (len(r.Errors) == 1) || status.Open() != (len(blockers) == 1) {
			t.Errorf("%s is open: %v; another request: %+v, in the preview: %+v", status, status.Open(), r.Errors, blockers)
		}
		d.retireSubject(t, s)
	}
}
