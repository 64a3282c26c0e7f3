package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// doors is every path of the service over a database of its own, called as its clients call it: through both doors.
type doors struct {
	store    *db.Store
	sql      *sql.DB
	handler  http.Handler
	stopping atomic.Bool
	tokens   map[string]string // by caller; nobody has none, and the one of "bad" is not known
}

// callers are those who call, each with a token of their own but the first.
var callers = []string{"nobody", "owner", "listed", "stranger", "reviewer", "worker", "worker of 2", "admin", "bad"}

// openDoors starts with the demonstration data: providers 1 and 2, of which 2 takes no new requests. The owner is the
// user named username.
func openDoors(t testing.TB) *doors {
	t.Helper()
	cfg := dbtest.Config(t)
	d := &doors{store: dbtest.Open(t, cfg), sql: dbtest.SQL(t, cfg)}
	if err := d.store.LoadDemo(context.Background()); err != nil {
		t.Fatal(err)
	}
	var err error
	if d.handler, err = (serve{Demo: true}).handler(d.store, db.NewFeed(d.store), slog.New(slog.DiscardHandler), &d.stopping); err != nil {
		t.Fatal(err)
	}
	d.tokens = map[string]string{
		"owner": "demo-username", "reviewer": "demo-reviewer", "worker": "demo-worker", "admin": "demo-admin", "bad": "demo-nobody",
	}
	for caller, token := range map[string]imaging.Token{
		"listed":      {Username: "listed", Roles: []imaging.Role{imaging.Requester}},
		"stranger":    {Username: "stranger", Roles: []imaging.Role{imaging.Requester}},
		"worker of 2": {Username: "worker2", Roles: []imaging.Role{imaging.Worker}, Providers: []int{2}},
	} {
		if d.tokens[caller], _, err = d.store.CreateToken(context.Background(), demoTokens["demo-admin"], token); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   string
}

// send sends a request; headers are given as "Name: value".
func (d *doors) send(method, target, body string, headers ...string) reply {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "localhost:8080"
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.String()}
}

// as is the header that signs the caller in.
func (d *doors) as(caller string) string {
	if token := d.tokens[caller]; token != "" {
		return "Authorization: Token " + token
	}
	return "X-Requested-With: nobody"
}

const (
	sendsJSON    = "Content-Type: application/json"
	wantsProblem = "Accept: application/problem+json"
)

// graphql sends an operation with variables, which are JSON.
func (d *doors) graphql(caller, query, variables string) reply {
	text, _ := json.Marshal(query)
	return d.send(http.MethodPost, "/graphql", `{"query":`+string(text)+`,"variables":`+variables+`}`, sendsJSON, d.as(caller))
}

// withoutCost is an answer of GraphQL but for what it cost.
func withoutCost(body string) string {
	if answer, _, ok := strings.Cut(body, `,"extensions":{"cost":`); ok {
		return answer + "}"
	}
	return body
}

// rest reads a path.
func (d *doors) rest(caller, path string, headers ...string) reply {
	return d.send(http.MethodGet, path, "", append(headers, d.as(caller))...)
}

// refusal is what a client learns of one error.
type refusal struct {
	Code, Field, Message, Status string
}

func (r refusal) String() string {
	return strings.TrimSuffix(fmt.Sprintf("%s %s: %s %s", r.Code, r.Field, r.Message, r.Status), " ")
}

// graphqlRefusals are the errors of a GraphQL answer, in its order. It must be one, whatever its status.
func (r reply) graphqlRefusals(t testing.TB) []refusal {
	t.Helper()
	var answer struct {
		Errors []struct {
			Message    string
			Extensions struct{ Code, Field, Status string }
		}
	}
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil {
		t.Errorf("not an answer of GraphQL: %d %s", r.status, r.body)
	}
	var all []refusal
	for _, e := range answer.Errors {
		all = append(all, refusal{e.Extensions.Code, e.Extensions.Field, e.Message, e.Extensions.Status})
	}
	return all
}

// restRefusals are the errors of a problem document, in its order; none if it is a success.
func (r reply) restRefusals(t testing.TB) []refusal {
	t.Helper()
	if r.status == http.StatusOK {
		return nil
	}
	var problem struct {
		Status        int
		Code, Detail  string
		CurrentStatus string `json:"current_status"`
		Errors        []struct {
			Field, Detail, Code string
			CurrentStatus       string `json:"current_status"`
		}
	}
	if err := json.Unmarshal([]byte(r.body), &problem); err != nil || problem.Status != r.status || r.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("not a problem document: %d %v %s", r.status, r.header, r.body)
	}
	if problem.Errors == nil {
		return []refusal{{problem.Code, "", problem.Detail, problem.CurrentStatus}}
	}
	var all []refusal
	for _, e := range problem.Errors {
		all = append(all, refusal{e.Code, e.Field, e.Detail, e.CurrentStatus})
	}
	return all
}

// members are members of a JSON object, their values in JSON; "" leaves one out.
type members map[string]string

// object is the base with the changes, sorted by name.
func object(base, changes members) string {
	all := maps.Clone(base)
	maps.Copy(all, changes)
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != "" {
			texts = append(texts, fmt.Sprintf("%q:%s", name, all[name]))
		}
	}
	return "{" + strings.Join(texts, ",") + "}"
}

// requestImage is the mutation, with all that the other door shows in its answer.
const requestImage = `mutation($input: RequestImageInput!) { requestImage(input: $input) { version { id } imageRequest { ...Item } } }` + item

const item = ` fragment Item on ImageRequest {
	id icon createdBy name tags description startDate endDate visibility
	versions { alias version startDate endDate provider { id } } }`

// requestByGraphQL asks for an image in which nothing is wrong but what the changes make so.
func (d *doors) requestByGraphQL(caller string, changes members) reply {
	base := members{"name": `"An image"`, "instance": quote(uuid.NewString()), "provider": "1", "visibility": `"PRIVATE"`}
	return d.graphql(caller, requestImage, `{"input":`+object(base, changes)+`}`)
}

// requestByREST does the same through the other door.
func (d *doors) requestByREST(caller string, changes members, headers ...string) reply {
	base := members{
		"name": `"An image"`, "instance": quote(uuid.NewString()), "provider": "1", "vis": `"private"`,
		"description": `""`, "software": `""`, "exclude": `""`, "tags": `[]`,
	}
	return d.send(http.MethodPost, "/image_requests", object(base, changes), append(headers, sendsJSON, d.as(caller))...)
}

func quote(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// content is how many rows each table of the database has, and a checksum of them all.
func (d *doors) content(t testing.TB) map[string]string {
	t.Helper()
	var tables string
	err := d.sql.QueryRow(`SELECT string_agg(quote_ident(tablename), ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'`).Scan(&tables)
	if err != nil || len(strings.Fields(tables)) < 7 {
		t.Fatalf("tables %s: %v", tables, err)
	}
	sums := map[string]string{}
	for _, table := range strings.Fields(tables) {
		var sum string
		if err := d.sql.QueryRow(`SELECT count(*) || ' rows ' || md5(coalesce(string_agg(x::text, ' ' ORDER BY x::text), '')) FROM ` + table + ` x`).Scan(&sum); err != nil {
			t.Fatal(err)
		}
		sums[table] = sum
	}
	return sums
}

// unchanged fails if the database is not as it was before.
func (d *doors) unchanged(t testing.TB, before map[string]string) {
	t.Helper()
	if diff := cmp.Diff(before, d.content(t)); diff != "" {
		t.Errorf("something was stored (-before +after):\n%s", diff)
	}
}
