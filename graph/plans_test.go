package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/graph"
	"imagerequests/graph/generated"
	"imagerequests/graph/plan/plantest"
	"imagerequests/imaging"
)

// planDoors are two doors to one database, with plans and without.
type planDoors struct {
	with, without door
	ids           []string
	cursors       []string
}

// newPlanDoors fills the database with versions in every status, seen by few and by all.
func newPlanDoors(t *testing.T) *planDoors {
	t.Helper()
	d := newLifeDoor(t)
	o := graph.Options{Store: d.store, Auth: auth.New(d.store, lifeActors), Throttle: auth.NewThrottle(0, 0, nil), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	const (
		report = `mutation($in: ReportVersionInput!) { done: reportVersion(input: $in) { cancelRequested } }`
		edit   = `mutation($in: EditImageRequestInput!) { done: editImageRequest(input: $in) { imageRequest { id } } }`
	)
	p := &planDoors{with: d.door, without: door{t, d.store, graph.New(o.Unplanned())}, ids: []string{"", "x", uuid.NewString()}}
	for _, status := range []imaging.Status{
		imaging.Pending, imaging.NeedsInfo, imaging.Denied, imaging.Cancelled, imaging.Imaging, imaging.Completed, imaging.Failed,
		imaging.Approved, // these last, else they would be claimed
	} {
		for _, visibility := range imaging.Visibilities {
			s := d.subject(t, "owner", status, visibility)
			p.ids = append(p.ids, s.request.String(), s.version.String())
			if status == imaging.Imaging {
				d.accepted("worker", report, map[string]any{"version": s.version, "leaseToken": s.lease, "stage": "copy \"a\\b\"", "percent": 40})
			}
			if visibility == imaging.Public {
				d.accepted("owner", edit, map[string]any{
					"imageRequest": s.request, "icon": "icons/\tx.png", "description": "ä\n\u2028\u0001", "tags": []string{"a", "b \"c\""}, "endDate": time.Now().AddDate(1, 0, 0),
				})
				if _, err := d.store.RequestVersion(t.Context(), lifeActors["owner"], imaging.RequestVersionInput{
					ImageRequest: s.request, Work: imaging.Work{Instance: uuid.New(), Provider: 2, Sys: "fstab", Exclude: "/home\n*.pem\nprose"},
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	found := data[map[string]struct{ Edges []struct{ Cursor string } }](t, p.with.as("admin", `{
		imageRequests(first: 5) { edges { cursor } } versions(first: 5) { edges { cursor } } byName: imageRequests(first: 5, orderBy: {field: NAME}) { edges { cursor } } }`, nil))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		for _, e := range found[name].Edges {
			p.cursors = append(p.cursors, e.Cursor)
		}
	}
	p.cursors = append(p.cursors, "bad")
	return p
}

// both sends a document through both doors, and compares the answers to the last byte; the errors of several root fields come
// in any order.
func (p *planDoors) both(t *testing.T, user, text string, variables map[string]any) (answered bool) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": text, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	with, without := p.with.post(user, body), p.without.post(user, body)
	if with.Code != without.Code || with.Body.String() != without.Body.String() && inOrder(t, with.Body.Bytes()) != inOrder(t, without.Body.Bytes()) {
		t.Fatalf("%s: %s\nwith plans %d %s\nwithout    %d %s", user, body, with.Code, with.Body, without.Code, without.Body)
	}
	if with.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", body, with.Code, with.Body)
	}
	return strings.HasPrefix(with.Body.String(), `{"data":{`)
}

// inOrder is an answer with its errors sorted.
func inOrder(t *testing.T, body []byte) string {
	t.Helper()
	var parts struct {
		Errors           []json.RawMessage `json:"errors"`
		Data, Extensions json.RawMessage
	}
	if err := json.Unmarshal(body, &parts); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(parts.Errors, func(a, b json.RawMessage) int { return strings.Compare(string(a), string(b)) })
	text, err := json.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var planRoots = plantest.Roots{
	"imageRequest": {`(id: $id)`},
	"imageRequests": {
		"", `(first: $first, after: $after)`, `(last: $last, before: $before, filter: {ended: null})`, `(first: 3, filter: {status: [PENDING, COMPLETED], tags: "a"})`,
		`(filter: {search: "ubu"}, orderBy: {field: NAME, direction: ASC}, after: $after, first: $first)`, `(filter: {createdBy: $id, provider: 2})`,
	},
	"version":  {`(id: $id)`},
	"versions": {"", `(first: $first, after: $after)`, `(last: $last, filter: {imageRequest: $id})`, `(filter: {visibility: PUBLIC, ended: true}, orderBy: {field: STATUS}, first: 4)`},
	"node":     {`(id: $id)`},
	"nodes":    {`(ids: [$id])`, `(ids: $ids)`},
}

var planTypes = plantest.Types{"id": "ID!", "ids": "[ID!]!", "first": "Int", "last": "Int", "after": "String", "before": "String"}

// TestPlannedAnswers: random documents over what is stored, as everybody, are answered alike.
func TestPlannedAnswers(t *testing.T) {
	t.Parallel()
	p := newPlanDoors(t)
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	pick := func(from []string) string { return from[rnd.IntN(len(from))] }
	maybe := func(v any) any { return []any{nil, v}[rnd.IntN(2)] }
	users := append(slices.Sorted(maps.Keys(lifeActors)), "")
	const documents = 200
	answered := 0
	for range documents {
		text := plantest.Document(schema, rnd.IntN, planRoots, planTypes)
		for range 2 {
			variables := map[string]any{
				"id": pick(p.ids), "ids": []string{pick(p.ids), pick(p.ids), pick(p.ids)},
				"first": maybe(rnd.IntN(6)), "last": maybe(1 + rnd.IntN(5)), "after": maybe(pick(p.cursors)), "before": maybe(pick(p.cursors)),
			}
			for _, name := range plantest.Conditions {
				variables[name] = rnd.IntN(2) == 0
			}
			if p.both(t, pick(users), text, variables) {
				answered++
			}
		}
	}
	if answered < documents/4 {
		t.Errorf("of %d answers only %d have no error", 2*documents, answered)
	}
}

// TestPlansAreUsed counts the fields that gqlgen resolves: the root fields alone, and none where there is but one with an id.
func TestPlansAreUsed(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := fmt.Sprint(db.DemoRequest)
	var resolved atomic.Int32
	exec := graph.Options{Store: d.store, Throttle: auth.NewThrottle(0, 0, nil)}.Executor(func(ctx context.Context, next graphql.Resolver) (any, error) {
		resolved.Add(1)
		return next(ctx)
	})
	for text, want := range map[string]int32{
		`{ imageRequests { totalCount nodes { id versions { id provider { name } } } } versions { edges { cursor node { id } } } }`: 2,
		`{ a: imageRequest(id: "` + id + `") { id ...F } } fragment F on ImageRequest { versions { id } }`:                          0,
		`{ node(id: "` + id + `") { id } }`:                            0,
		`{ node(id: "813557f2-f808-11e3-8ef5-b2227cce2b54") { id } }`:  0,
		`{ ... { node(id: "` + id + `") { id } } }`:                    1,
		`{ node(id: "` + id + `") @include(if: true) { id } }`:         1,
		`{ a: node(id: "` + id + `") { id } b: node(id: "x") { id } }`: 2,
		`mutation { __typename }`:                                      0,
	} {
		resolved.Store(0)
		ctx := graphql.StartOperationTrace(auth.WithActor(t.Context(), known["username"]))
		op, errs := exec.CreateOperationContext(ctx, &graphql.RawParams{Query: text})
		if errs != nil {
			t.Fatal(errs)
		}
		next, ctx := exec.DispatchOperation(ctx, op)
		response := next(ctx)
		if got := resolved.Load(); len(response.Errors) > 0 || got != want || response.Extensions["cost"] == nil {
			t.Errorf("%s: %d fields were resolved, want %d: %s %v %v", text, got, want, response.Data, response.Errors, response.Extensions)
		}
	}
}

// TestPlannedColumns asks for each field by itself: what its plan reads is enough to write it.
func TestPlannedColumns(t *testing.T) {
	t.Parallel()
	p := newPlanDoors(t)
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	asked := 0
	var ask func(before, after, of string, deep int)
	ask = func(before, after, of string, deep int) {
		for _, f := range schema.Types[of].Fields {
			switch below := schema.Types[f.Type.Name()]; {
			case strings.HasPrefix(f.Name, "__"):
			case below.IsLeafType():
				p.both(t, "admin", before+f.Name+after, nil)
				asked++
			case deep > 0:
				ask(before+f.Name+" { ", " }"+after, below.Name, deep-1)
			}
		}
	}
	request, version := `"`+p.ids[3]+`"`, `"`+p.ids[4]+`"`
	ask(`{ imageRequests(first: 7, filter: {ended: null}) { `, " } }", "ImageRequestConnection", 3)
	ask(`{ versions(last: 7, filter: {ended: null}) { `, " } }", "VersionConnection", 3)
	ask(`{ imageRequest(id: `+request+`) { `, " } }", "ImageRequest", 0)
	ask(`{ version(id: `+version+`) { `, " } }", "Version", 0)
	ask(`{ node(id: `+request+`) { ... on ImageRequest { `, " } } }", "ImageRequest", 1)
	ask(`{ nodes(ids: [`+request+`, `+version+`]) { ... on Version { `, " } } }", "Version", 1)
	if asked < 300 {
		t.Errorf("only %d fields were asked for", asked)
	}
}
