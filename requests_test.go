package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"imagerequests/db"
)

// TestBadRequests holds what no door lets in, whatever it asks for: bodies, media types and tokens.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	before := d.content(t)
	const ask = `{"query":"mutation { requestImage(input: {name: \"A\", instance: \"74089c18-f80a-11e3-8ef5-b2227cce2b54\", provider: 1, visibility: PUBLIC}) { version { id } } }"}`
	const post = `{"name":"A","instance":"74089c18-f80a-11e3-8ef5-b2227cce2b54","provider":1,"description":"","software":"","exclude":"","tags":[],"vis":"public"}`
	owner := d.as("owner")
	for _, row := range []struct {
		name          string
		graphql, rest string // bodies
		headers       []string
		status        int // of both doors
		want, body    string
	}{
		{"cut in the middle", ask[:40], post[:40], []string{sendsJSON, owner}, 400,
			"INVALID : The body is not a JSON object. It goes wrong at byte 40.", `{"detail":"JSON parse error - Unterminated string starting at: line 1 column 24 (char 23)"}`},
		{"cut on the second line", "{\n\"query\": ", "{\n\"name\": ", []string{sendsJSON, owner}, 400,
			"INVALID : The body is not a JSON object. It goes wrong at byte 11.", `{"detail":"JSON parse error - Expecting value: line 2 column 9 (char 10)"}`},
		{"more than one value", ask + "{}", post + "{}", []string{sendsJSON, owner}, 400,
			fmt.Sprintf("INVALID : The body is not a JSON object. It goes wrong at byte %d.", len(ask)+1), fmt.Sprintf(`{"detail":"JSON parse error - Extra data: line 1 column %d (char %d)"}`, len(post)+1, len(post))},
		{"a list", "[" + ask + "]", "[" + post + "]", []string{sendsJSON, owner}, 400,
			"INVALID : The body is not a JSON object.", `{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}`},
		{"a raw NUL", "{\"a\": \"\x00\"}", "{\"a\": \"\x00\"}", []string{sendsJSON, owner}, 400,
			"INVALID : The body is not a JSON object. It goes wrong at byte 8.", `{"detail":"JSON parse error - Invalid control character at: line 1 column 8 (char 7)"}`},
		{"brackets without end", strings.Repeat("[", 20000), strings.Repeat("[", 20000), []string{sendsJSON, owner}, 400,
			"INVALID : The body is not a JSON object. It goes wrong at byte 10001.", `{"detail":"JSON parse error - Too deeply nested: line 1 column 10001 (char 10000)"}`},
		{"2 MiB", ask + strings.Repeat(" ", 2<<20), post + strings.Repeat(" ", 2<<20), []string{sendsJSON, owner}, 413,
			"LIMITED : The body is larger than 256 KiB.", `{"detail":"The request body is larger than 1048576 bytes."}`},
		{"text/plain", ask, post, []string{"Content-Type: text/plain", owner}, 415,
			"INVALID : Send application/json in UTF-8.", `{"detail":"Unsupported media type \"text/plain\" in request."}`},
		{"no media type", ask, post, []string{owner}, 415,
			"INVALID : Send application/json in UTF-8.", `{"detail":"Unsupported media type \"\" in request."}`},
		{"a strange media type", ask, post, []string{"Content-Type: application/jsonp;;=", owner}, 415,
			"INVALID : Send application/json in UTF-8.", `{"detail":"Unsupported media type \"application/jsonp;;=\" in request."}`},
		{"an unknown token", ask, post, []string{sendsJSON, "Authorization: Token nobody"}, 401,
			"UNAUTHENTICATED : Invalid token.", `{"detail":"Invalid token."}`},
		{"an empty token", ask, post, []string{sendsJSON, "Authorization: Token"}, 401,
			"UNAUTHENTICATED : Invalid token header. No credentials provided.", `{"detail":"Invalid token header. No credentials provided."}`},
		{"a token with a blank", ask, post, []string{sendsJSON, "Authorization: bearer a b"}, 401,
			"UNAUTHENTICATED : Invalid token header. Token string should not contain spaces.", `{"detail":"Invalid token header. Token string should not contain spaces."}`},
		{"a token that is not UTF-8", ask, post, []string{sendsJSON, "Authorization: Token \xff"}, 401,
			"UNAUTHENTICATED : Invalid token header. Token string should not contain invalid characters.", `{"detail":"Invalid token header. Token string should not contain invalid characters."}`},
		{"two tokens", ask, post, []string{sendsJSON, owner, owner}, 401,
			"UNAUTHENTICATED : Invalid token header. Send one Authorization header.", `{"detail":"Invalid token header. Send one Authorization header."}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := d.send(http.MethodPost, "/graphql", row.graphql, row.headers...)
			if got := texts(g.graphqlRefusals(t)); g.status != row.status || len(got) != 1 || got[0] != row.want {
				t.Errorf("GraphQL: %d %q\nwant %d %q", g.status, got, row.status, row.want)
			}
			r := d.send(http.MethodPost, "/image_requests", row.rest, row.headers...)
			if r.status != row.status || r.body != row.body {
				t.Errorf("REST: %d %s\nwant %d %s", r.status, r.body, row.status, row.body)
			}
			p := d.send(http.MethodPost, "/image_requests", row.rest, append(row.headers, wantsProblem)...)
			code, _, _ := strings.Cut(row.want, " ")
			if diff := cmp.Diff(flat(t, code, r.body), texts(p.restRefusals(t))); diff != "" || p.status != row.status {
				t.Errorf("REST: %d, and the problem document says otherwise (-body +problem):\n%s", p.status, diff)
			}
			for name, door := range map[string]reply{"GraphQL": g, "REST": r, "problem": p} {
				if got := door.header.Get("WWW-Authenticate"); (got == "Token") != (row.status == http.StatusUnauthorized) {
					t.Errorf("%s: WWW-Authenticate %q", name, got)
				}
			}
			d.unchanged(t, before)
		})
	}
	// Nobody has signed in: a refusal of the operation, which GraphQL answers with a 200.
	g, r := d.requestByGraphQL("nobody", nil), d.requestByREST("nobody", nil, wantsProblem)
	if diff := cmp.Diff(texts(g.graphqlRefusals(t)), texts(r.restRefusals(t))); diff != "" || g.status != 200 || r.status != 401 {
		t.Errorf("nobody: %d %d %s", g.status, r.status, diff)
	}
	// What is sound without a flaw would have been taken.
	for _, sound := range []reply{d.send(http.MethodPost, "/graphql", ask, sendsJSON, owner), d.send(http.MethodPost, "/image_requests", strings.Replace(post, "74089c18", "74089c19", 1), sendsJSON, owner)} {
		if sound.status != http.StatusOK || strings.Contains(sound.body, "errors") {
			t.Errorf("%d %s", sound.status, sound.body)
		}
	}
}

// TestAccepted holds what looks like bad input and is none.
func TestAccepted(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	for _, staff := range []string{"reviewer", "admin"} {
		for _, made := range []reply{
			d.requestByGraphQL(staff, members{"tags": `["Featured"]`}), d.requestByREST(staff, members{"tags": `["Featured"]`}),
		} {
			if made.status != http.StatusOK || !strings.Contains(made.body, `"tags":["Featured"]`) {
				t.Errorf("%s gives Featured: %d %s", staff, made.status, made.body)
			}
		}
	}
	worker := []reply{d.requestByGraphQL("worker", members{"tags": `["Featured"]`}), d.requestByREST("worker", members{"tags": `["Featured"]`})}
	for _, refused := range worker {
		if !strings.Contains(refused.body, featured) {
			t.Errorf("a worker gives Featured: %d %s", refused.status, refused.body)
		}
	}
	// REST takes numbers for texts, as its clients know it, in a list of users, too.
	numbers := d.requestByREST("owner", members{"vis": `[7,8]`})
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(numbers.body), &made); err != nil || numbers.status != http.StatusOK {
		t.Fatalf("%d %s", numbers.status, numbers.body)
	}
	g := d.graphql("owner", `query($id: ID!) { imageRequest(id: $id) { visibility sharedWith } }`, `{"id":"`+made.ID+`"}`)
	if want := `{"data":{"imageRequest":{"visibility":"USERS","sharedWith":["7","8"]}}}`; withoutCost(g.body) != want {
		t.Errorf("%s\nwant %s", g.body, want)
	}
}

// TestTimesBeyondTheCalendar: REST has no times to be sent, in a body or in a filter, and ignores what it does not know.
func TestTimesBeyondTheCalendar(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	before := d.content(t)
	const edit = `mutation($e: EditImageRequestInput!) { editImageRequest(input: $e) { imageRequest { id } } }`
	const outside = "Ensure this time lies in the years 1 to 9999 in UTC."
	for end, want := range map[string]string{
		`"9999-12-31T23:59:59-12:00"`: "INVALID endDate: " + outside,
		`"0001-01-01T00:00:00+00:01"`: "INVALID endDate: " + outside,
		`"10000-01-01T00:00:00Z"`:     "INVALID endDate: write a time as 2006-01-02T15:04:05Z",
		`"2026-02-30T00:00:00Z"`:      "INVALID endDate: write a time as 2006-01-02T15:04:05Z",
		`7`:                           "INVALID endDate: write a time as 2006-01-02T15:04:05Z",
	} {
		g := d.graphql("owner", edit, `{"e":{"imageRequest":"`+db.DemoRequest.String()+`","endDate":`+end+`}}`)
		if got := texts(g.graphqlRefusals(t)); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", end, got, want)
		}
		d.unchanged(t, before)
	}
	made := d.requestByREST("owner", members{"end_date": `"9999-12-31T23:59:59-12:00"`, "start_date": `7`})
	if made.status != http.StatusOK || strings.Count(made.body, `"end_date":null`) != 2 {
		t.Errorf("%d %s", made.status, made.body)
	}
	all, some := d.rest("owner", "/image_requests"), d.rest("owner", "/image_requests?end_date=9999-12-31T23:59:59-12:00")
	if some.status != http.StatusOK || all.body != some.body {
		t.Errorf("%d %s\nwant %s", some.status, some.body, all.body)
	}
}

// TestDuplicate: an instance that is taken by a request of another door, of one's own or of somebody else.
func TestDuplicate(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	instance := uuid.NewString()
	made := d.requestByGraphQL("owner", members{"name": `"The first \"one\""`, "instance": quote(instance)})
	id := into[madeByGraphQL](t, made).Data.RequestImage.ImageRequest.ID
	before := d.content(t)
	named := `This instance already has an open request: "The first \"one\"", id ` + id + `, version "1", is PENDING.`
	for caller, want := range map[string]refusal{
		"owner":    {"CONFLICT", "instance", named, "PENDING"},
		"reviewer": {"CONFLICT", "instance", named, "PENDING"},
		"admin":    {"CONFLICT", "instance", named, "PENDING"},
		"stranger": {"CONFLICT", "instance", "This instance already has an open request.", ""},
		"worker":   {"CONFLICT", "instance", "This instance already has an open request.", ""},
	} {
		g := d.requestByGraphQL(caller, members{"instance": quote(instance)})
		if diff := cmp.Diff([]refusal{want}, g.graphqlRefusals(t)); diff != "" {
			t.Errorf("GraphQL, %s (-want +got):\n%s", caller, diff)
		}
		detail := strings.Replace(want.Message, "PENDING", "pending", 1)
		r := d.requestByREST(caller, members{"instance": quote(instance)})
		if want := `{"detail":` + quote(detail) + `}`; r.status != http.StatusConflict || r.body != want {
			t.Errorf("REST, %s: %d %s\nwant 409 %s", caller, r.status, r.body, want)
		}
		p := d.requestByREST(caller, members{"instance": quote(instance)}, wantsProblem).restRefusals(t)
		if len(p) != 1 || p[0].Code != want.Code || p[0].Message != detail || p[0].Status != strings.ToLower(want.Status) {
			t.Errorf("REST, %s: %v", caller, p)
		}
		d.unchanged(t, before)
	}
}

// TestKeyWithAnotherInput: a key that one door has seen is taken at the other one, too.
func TestKeyWithAnotherInput(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	d.requestByGraphQL("owner", members{"idempotencyKey": `"a key"`})
	d.requestByREST("owner", nil, "Idempotency-Key: another key")
	before := d.content(t)
	const used = "This idempotency key was used for another input."
	for _, key := range []string{"a key", "another key"} {
		g := d.requestByGraphQL("owner", members{"idempotencyKey": quote(key)})
		if got := texts(g.graphqlRefusals(t)); len(got) != 1 || got[0] != "CONFLICT idempotencyKey: "+used {
			t.Errorf("GraphQL, %s: %q", key, got)
		}
		r := d.requestByREST("owner", nil, "Idempotency-Key: "+key)
		if r.status != http.StatusConflict || r.body != `{"detail":"`+used+`"}` {
			t.Errorf("REST, %s: %d %s", key, r.status, r.body)
		}
		if p := d.requestByREST("owner", nil, "Idempotency-Key: "+key, wantsProblem).restRefusals(t); len(p) != 1 || p[0].Code != "CONFLICT" || p[0].Message != used {
			t.Errorf("REST, %s: %v", key, p)
		}
	}
	d.unchanged(t, before)
	if other := d.requestByREST("stranger", nil, "Idempotency-Key: a key"); other.status != http.StatusOK {
		t.Errorf("a key of somebody else: %d %s", other.status, other.body)
	}
}

// madeByGraphQL is the answer to requestImage.
type madeByGraphQL struct {
	Data struct {
		RequestImage struct {
			Version      struct{ ID string }
			ImageRequest graphqlItem
		}
	}
}

// into decodes a 200.
func into[T any](t testing.TB, r reply) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), &v); err != nil || r.status != http.StatusOK || strings.HasPrefix(r.body, `{"errors"`) {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return v
}
