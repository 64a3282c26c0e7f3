package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"imagerequests/imaging"
)

// restItem is what REST answers, and graphqlItem the same as GraphQL answers it.
type restItem struct {
	ID          string        `json:"id"`
	Icon        *string       `json:"icon"`
	CreatedBy   string        `json:"created_by"`
	Name        string        `json:"name"`
	Tags        []string      `json:"tags"`
	Description string        `json:"description"`
	StartDate   *string       `json:"start_date"`
	EndDate     *string       `json:"end_date"`
	Private     bool          `json:"private"`
	Versions    []restVersion `json:"versions"`
}

type restVersion struct {
	Alias     string  `json:"alias"`
	Version   string  `json:"version"`
	StartDate *string `json:"start_date"`
	EndDate   *string `json:"end_date"`
	Provider  int     `json:"provider"`
}

type graphqlItem struct {
	ID, CreatedBy, Name, Description string
	Icon                             *string
	Tags                             []string
	Visibility                       imaging.Visibility
	StartDate, EndDate               *string
	Versions                         []struct {
		Alias, Version     string
		StartDate, EndDate *string
		Provider           struct{ ID int }
	}
}

// asREST is the item as the other door has to answer it.
func (g graphqlItem) asREST() restItem {
	r := restItem{
		g.ID, g.Icon, g.CreatedBy, g.Name, g.Tags, g.Description, millis(g.StartDate), millis(g.EndDate),
		g.Visibility != imaging.Public, []restVersion{},
	}
	for _, v := range g.Versions {
		r.Versions = append(r.Versions, restVersion{v.Alias, v.Version, millis(v.StartDate), millis(v.EndDate), v.Provider.ID})
	}
	return r
}

// millis cuts microseconds down to milliseconds.
func millis(t *string) *string {
	if t == nil {
		return nil
	}
	return new(strings.TrimSuffix(*t, "Z")[:len("2006-01-02T15:04:05.000")] + "Z")
}

// readItem is the query that reads what REST shows.
const readItem = `query($id: ID!) { imageRequest(id: $id) { ...Item } }` + item

type readByGraphQL struct {
	Data struct{ ImageRequest graphqlItem }
}

// settle puts requests of every visibility and status into the database, some of them the owner's and some of somebody
// else, on both providers, shared with the listed user, retired, about to be, and neither. It gives their ids.
func (d *doors) settle(t testing.TB) (ids []string) {
	t.Helper()
	_, err := d.sql.Exec(`
WITH asked AS MATERIALIZED (
  SELECT gen_random_uuid() AS id, gen_random_uuid() AS version, gen_random_uuid() AS instance, visibility, status, owner,
         row_number() OVER (ORDER BY owner, visibility, status) AS n
  FROM unnest(ARRAY['PUBLIC', 'PRIVATE', 'USERS']) visibility, unnest(ARRAY['username', 'somebody']) owner,
       unnest(ARRAY['PENDING', 'NEEDS_INFO', 'DENIED', 'CANCELLED', 'APPROVED', 'IMAGING', 'COMPLETED', 'FAILED']) status
), shown AS MATERIALIZED (
  SELECT *, (ARRAY['Alpha', 'beta', 'Größe 7 "x"', 'a, b %_\'])[n % 4 + 1] AS name, 'Described ' || n AS description,
         (ARRAY['{R}', '{R,"two words"}', '{}', '{"it''s",r}', '{Featured}'])[n % 5 + 1]::text[] AS tags,
         timestamptz '2026-01-02 03:04:05.678999Z' + n % 7 * interval '1 hour' AS start_date
  FROM asked
), requests AS (
  INSERT INTO image_requests
  SELECT id, name, CASE n % 3 WHEN 0 THEN 'icons/x.png' END, description, tags, owner, visibility,
         CASE visibility WHEN 'USERS' THEN ARRAY['listed', 'zoe'] ELSE '{}' END, start_date,
         CASE n % 5 WHEN 0 THEN timestamptz '2026-02-03 04:05:06.0009Z' WHEN 1 THEN timestamptz '9999-12-31 23:59:59.999999Z' END,
         1, 0, status, instance, n % 2 + 1, lower(concat_ws(E'\n', name, description, nullif(array_to_string(tags, E'\n'), '')))
  FROM shown
)
INSERT INTO versions (id, image_request_id, ordinal, alias, version, change_log, instance, ip_address, provider_id, software, sys, exclude,
  requested_by, authors, start_date, status, name, visibility, end_date, decided_by, decided_at, decision, question, questioned_by, questioned_at,
  lease_token, lease_holder, lease_seconds, lease_expires_at, failure_code, failure_message, failure_retryable)
SELECT version, id, 1, CASE status WHEN 'COMPLETED' THEN 'image ' || n ELSE version::text END, '1', '', instance, '10.0.0.1', n % 2 + 1, '', 'sys', '/secret',
  owner, ARRAY[owner], start_date, status, name, visibility, CASE WHEN status IN ('DENIED', 'CANCELLED', 'FAILED') THEN start_date END, 'reviewer', start_date, 'because', 'why?', 'reviewer', start_date,
  CASE status WHEN 'IMAGING' THEN gen_random_uuid() END, CASE status WHEN 'IMAGING' THEN 'worker' END, CASE status WHEN 'IMAGING' THEN 60 END, CASE status WHEN 'IMAGING' THEN start_date END,
  CASE status WHEN 'FAILED' THEN 'CODE' END, CASE status WHEN 'FAILED' THEN 'It failed.' END, CASE status WHEN 'FAILED' THEN true END
FROM shown`)
	if err != nil {
		t.Fatal(err)
	}
	var all string
	if err := d.sql.QueryRow("SELECT string_agg(id::text, ' ' ORDER BY id) FROM image_requests").Scan(&all); err != nil {
		t.Fatal(err)
	}
	return strings.Fields(all)
}

// TestSameReads: everyone reads each request through both doors alike, or through neither; and then each door answers,
// byte for byte and header for header, as it answers for an id that was never given out.
func TestSameReads(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	ids := d.settle(t)
	seen := map[string]int{}
	for _, caller := range callers {
		absent := uuid.NewString()
		noGraphQL, noREST := d.graphql(caller, readItem, `{"id":"`+absent+`"}`), d.rest(caller, "/image_requests/"+absent)
		for _, id := range ids {
			g, r := d.graphql(caller, readItem, `{"id":"`+id+`"}`), d.rest(caller, "/image_requests/"+id)
			if r.status != http.StatusOK {
				same(t, caller+" GraphQL", noGraphQL, g)
				same(t, caller+" REST", noREST, r)
				continue
			}
			seen[caller]++
			got, want := into[restItem](t, r), into[readByGraphQL](t, g).Data.ImageRequest.asREST()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s reads otherwise (-GraphQL +REST):\n%s", caller, diff)
			}
		}
		p := d.rest(caller, "/image_requests/"+absent, wantsProblem)
		if diff := cmp.Diff(texts(noGraphQL.graphqlRefusals(t)), texts(p.restRefusals(t))); diff != "" {
			t.Errorf("%s is refused otherwise (-GraphQL +REST):\n%s", caller, diff)
		}
	}
	// Of 48 and the demonstration's 6 (4 of them public, 3 the owner's, 1 shared with the owner and approved on provider 1).
	want := map[string]int{
		"nobody": 16 + 4, "owner": 24 + 8 + 6, "listed": 32 + 4, "stranger": 16 + 4, "reviewer": 54, "admin": 54,
		"worker": 16 + 8 + 5, "worker of 2": 16 + 4 + 4,
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("how many each caller sees (-want +got):\n%s", diff)
	}
}

// same fails unless two answers are the same to the byte, but for the request's id.
func same(t testing.TB, what string, want, got reply) {
	t.Helper()
	for _, r := range []*reply{&want, &got} {
		r.header = maps.Clone(r.header)
		r.header.Del("X-Request-Id")
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(reply{})); diff != "" {
		t.Errorf("%s answers otherwise than for an id that was never given out (-want +got):\n%s", what, diff)
	}
}

// TestInvisibleEverywhere asks for what may not be seen in every other way there is.
func TestInvisibleEverywhere(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	d.settle(t)
	var request, version string
	err := d.sql.QueryRow(`SELECT image_request_id, id FROM versions WHERE status = 'PENDING' AND image_request_id IN
		(SELECT id FROM image_requests WHERE visibility = 'PRIVATE' AND created_by = 'somebody')`).Scan(&request, &version)
	if err != nil {
		t.Fatal(err)
	}
	asks := map[string]func(caller, request, version string) reply{}
	for _, query := range []string{
		`query($r: ID, $v: ID!) { version(id: $v) { id } }`,
		`query($r: ID!, $v: ID) { version(id: $r) { id } }`,
		`query($r: ID, $v: ID!) { imageRequest(id: $v) { id } }`,
		`query($r: ID!, $v: ID) { node(id: $r) { id } }`,
		`query($r: ID!, $v: ID!) { nodes(ids: [$v, $r]) { id } }`,
		`query($r: ID!, $v: ID!) { imageRequests(filter: {ids: [$r, $v]}) { totalCount nodes { id } } }`,
		`query($r: ID!, $v: ID) { versions(filter: {imageRequest: $r}) { totalCount nodes { id } } }`,
		`mutation($r: ID!, $v: ID) { editImageRequest(input: {imageRequest: $r, name: "Mine", revision: 7}) { imageRequest { id } } }`,
		`mutation($r: ID!, $v: ID) { requestVersion(input: {imageRequest: $r, instance: "74089c18-f80a-11e3-8ef5-b2227cce2b54", provider: 1}) { version { id } } }`,
		`mutation($r: ID, $v: ID!) { requestVersion(input: {imageRequest: $v, instance: "74089c18-f80a-11e3-8ef5-b2227cce2b54", provider: 1, idempotencyKey: "k"}) { version { id } } }`,
	} {
		asks[query] = func(caller, request, version string) reply {
			return d.graphql(caller, query, fmt.Sprintf(`{"r":%q,"v":%q}`, request, version))
		}
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "PUT", "POST", "DELETE"} {
		asks[method+" with a slash"] = func(caller, request, _ string) reply {
			return d.send(method, "/image_requests/"+request+"/", "{}", sendsJSON, "If-None-Match: *", d.as(caller))
		}
		asks[method+" of a version"] = func(caller, _, version string) reply {
			return d.send(method, "/image_requests/"+strings.ToUpper(version), "", wantsProblem, d.as(caller))
		}
	}
	before := d.content(t)
	for what, ask := range asks {
		for _, caller := range []string{"nobody", "owner", "listed", "stranger", "worker", "bad"} {
			same(t, caller+", "+what, ask(caller, uuid.NewString(), uuid.NewString()), ask(caller, request, version))
		}
	}
	d.unchanged(t, before)
	if seen := asks["GET with a slash"]("reviewer", request, version); seen.status != http.StatusNotModified {
		t.Errorf("a reviewer: %d %s", seen.status, seen.body)
	}
}

// TestDocumentedBody sends the document's body as it stands there, with its bare names, and reads it through both doors.
func TestDocumentedBody(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	document, err := os.ReadFile("rest/testdata/image_requests.apib")
	if err != nil {
		t.Fatal(err)
	}
	_, tail, _ := strings.Cut(string(document), "+ Request (application/json)\n\n")
	body, _, ok := strings.Cut(tail, "\n+ Response")
	if !ok || json.Valid([]byte(body)) || !strings.Contains(body, `instance: "74089c18`) {
		t.Fatalf("this is not the documented body:\n%s", body)
	}
	posted := d.send(http.MethodPost, "/image_requests", body, sendsJSON, d.as("owner"))
	made := into[restItem](t, posted)
	if r := d.rest("owner", "/image_requests/"+made.ID); r.body != posted.body {
		t.Errorf("%s\nwant %s", r.body, posted.body)
	}
	g := d.graphql("owner", readItem, `{"id":"`+made.ID+`"}`)
	if diff := cmp.Diff(into[readByGraphQL](t, g).Data.ImageRequest.asREST(), made); diff != "" {
		t.Errorf("(-GraphQL +REST):\n%s", diff)
	}
	g = d.graphql("owner", `query($id: ID!) { imageRequest(id: $id) { name visibility instance status software sys exclude tags versions { ipAddress } } }`, `{"id":"`+made.ID+`"}`)
	want := `{"data":{"imageRequest":{"name":"Image of 74089c18-f80a-11e3-8ef5-b2227cce2b54","visibility":"PUBLIC","instance":"74089c18-f80a-11e3-8ef5-b2227cce2b54",` +
		`"status":"PENDING","software":"Description of software installed on the machine.","sys":"I'm not sure what this field means.",` +
		`"exclude":"I do not need any files excluded from the image.","tags":["ESD","BGF","apache2","SpliceGrapher"],"versions":[{"ipAddress":"127.0.0.1"}]}}}`
	if withoutCost(g.body) != want {
		t.Errorf("%s\nwant %s", g.body, want)
	}
	if !slices.Contains(made.Tags, "SpliceGrapher") || made.Private {
		t.Errorf("%+v", made)
	}
}
