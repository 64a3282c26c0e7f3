package access_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// everything of a request and of a version that not everybody reads, by the names that the oracle has for it.
const everything = `
fragment R on ImageRequest { id name status createdBy visibility sharedWith sys exclude events { totalCount nodes { actor message changes { field } } } history { text } versions { ...V } }
fragment V on Version { id status requestedBy sys exclude excludePaths ipAddress decision { message } question { message } failure { message detail } progress { attempt excluded } }
`

var secretPaths = map[string][]any{
	"sharedWith": {"sharedWith"}, "events": {"events"}, "history": {"history"}, "sys": {"sys"}, "exclude": {"exclude"},
	"version.sys": {"versions", 0, "sys"}, "version.exclude": {"versions", 0, "exclude"}, "version.excludePaths": {"versions", 0, "excludePaths"},
	"version.ipAddress": {"versions", 0, "ipAddress"}, "version.decision": {"versions", 0, "decision"}, "version.question": {"versions", 0, "question"},
	"version.failure": {"versions", 0, "failure"}, "version.failure.detail": {"versions", 0, "failure", "detail"},
	"version.progress.excluded": {"versions", 0, "progress", "excluded"},
}

// secretsIn are the secrets of a request, with the fragment R, that were told.
func secretsIn(request any) []string {
	var told []string
	for name, path := range secretPaths {
		if at(request, path...) != nil {
			told = append(told, name)
		}
	}
	if changes, _ := at(request, "events", "nodes", 0, "changes").([]any); len(changes) > 1 {
		told = append(told, "events.failureDetail")
	}
	slices.Sort(told)
	return told
}

// read is an operation that reads a row.
type read struct {
	query     string
	variables func(place) map[string]any
	request   []any  // where the answer has the request, with R
	hidden    string // the outcome for what does not exist: a refusal, or "null"
	signedIn  bool   // only for who is
}

// the id of the request, or of the version, as $id
func requestID(p place) map[string]any { return map[string]any{"id": p.request} }
func versionID(p place) map[string]any { return map[string]any{"id": p.version} }

// reads are all root fields of Query that read rows; those of nobody are in TestReadsOfNothing.
var reads = map[string]read{
	"node": {`query ($id: ID!) { node(id: $id) { ...R } }` + everything, requestID, []any{"node"}, "null", false},
	"node of a version": {`query ($id: ID!) { node(id: $id) { ... on Version { imageRequest { ...R } } } }` + everything, versionID,
		[]any{"node", "imageRequest"}, "null", false},
	"nodes": {`query ($ids: [ID!]!) { nodes(ids: $ids) { ... on ImageRequest { ...R } ... on Version { id } } }` + everything,
		func(p place) map[string]any { return map[string]any{"ids": []uuid.UUID{p.request, p.version}} }, []any{"nodes", 0}, "null", false},
	"imageRequest":           {`query ($id: ID!) { imageRequest(id: $id) { ...R } }` + everything, requestID, []any{"imageRequest"}, "NOT_FOUND", false},
	"imageRequest, its name": {`query ($id: ID!) { imageRequest(id: $id) { name } }`, requestID, nil, "NOT_FOUND", false},
	"version":                {`query ($id: ID!) { version(id: $id) { imageRequest { ...R } } }` + everything, versionID, []any{"version", "imageRequest"}, "NOT_FOUND", false},
	"version, its label":     {`query ($id: ID!) { version(id: $id) { version queuePosition secondsLeft } }`, versionID, nil, "NOT_FOUND", false},
	"imageRequests": {`query ($id: ID!) { imageRequests(filter: {ids: [$id], ended: null}) { totalCount pageInfo { hasNextPage startCursor } nodes { ...R } } }` + everything,
		requestID, []any{"imageRequests", "nodes", 0}, "null", false},
	"imageRequests, how many": {`query ($id: ID!) { imageRequests(filter: {ids: [$id], ended: null}) { totalCount } }`, requestID, nil, "0", false},
	"imageRequests by search": {`query ($name: String!) { imageRequests(filter: {search: $name, ended: null}, orderBy: {field: NAME}) { edges { cursor node { ...R } } } }` + everything,
		func(p place) map[string]any { return map[string]any{"name": p.name} }, []any{"imageRequests", "edges", 0, "node"}, "null", false},
	"versions": {`query ($id: ID!) { versions(filter: {imageRequest: $id}) { totalCount pageInfo { hasNextPage endCursor } nodes { imageRequest { ...R } } } }` + everything,
		requestID, []any{"versions", "nodes", 0, "imageRequest"}, "null", false},
	"versions by instance, how many": {`query ($id: ID!) { versions(filter: {instance: $id}) { totalCount } }`,
		func(p place) map[string]any { return map[string]any{"id": p.instance} }, nil, "0", false},
}

// outcome is what a read came to, as the oracle says it: a refusal, "null", a number, or the secrets that were told.
func (o read) outcome(t *testing.T, r reply) string {
	t.Helper()
	if refusal := r.refusal(t); refusal != "" {
		return refusal
	}
	a := r.answer(t)
	if o.request != nil {
		request := at(a.Data, o.request...)
		if request == nil {
			return "null"
		}
		return "tells " + strings.Join(secretsIn(request), " ")
	}
	for _, field := range a.Data {
		if n := at(field, "totalCount"); n != nil {
			return fmt.Sprint(n)
		}
	}
	return "tells"
}

func (o read) want(a actor, r row) string {
	switch {
	case a.refused():
		return "401"
	case !a.sees(r):
		return o.hidden
	case o.request != nil:
		return "tells " + strings.Join(a.secrets(r), " ")
	case o.hidden == "0":
		return "1"
	}
	return "tells"
}

// TestReads asks for every row by every way, as everybody.
func TestReads(t *testing.T) {
	t.Parallel()
	h := open(t)
	places := h.put(t, rows()...)
	var cells []func()
	for name, o := range reads {
		for _, a := range actors {
			nothing := h.ask(a, o.query, o.variables(unknown))
			if got := o.outcome(t, nothing); got != o.hidden && !a.refused() {
				want := o.hidden
				t.Errorf("%s of an unknown id as %s: %s, want %s", name, a.name, got, want)
			}
			for _, p := range places {
				if passedOver(a, p, strings.HasPrefix(name, "imageRequests")) {
					continue
				}
				cells = append(cells, func() {
					r := h.ask(a, o.query, o.variables(p))
					if got, want := o.outcome(t, r), o.want(a, p.row); got != want {
						fail(t, "%s of %s as %s: %s, want %s", name, p, a.name, got, want)
					}
					if !a.sees(p.row) && !same(r, nothing) {
						fail(t, "%s of %s as %s is answered\n%s, and an unknown id\n%s", name, p, a.name, r.body, nothing.body)
					}
				})
			}
		}
	}
	run(t, cells)
}

// TestReadsByREST does so through the other door, by all its methods.
func TestReadsByREST(t *testing.T) {
	t.Parallel()
	h := open(t)
	places := h.put(t, rows()...)
	var cells []func()
	for _, o := range []struct {
		method string
		path   func(place) string
		want   func(actor, place) int
	}{
		{"GET", item, seen}, {"HEAD", item, seen},
		{"GET", func(p place) string { return item(p) + "/" }, seen},
		{"GET", func(p place) string { return "/image_requests/" + p.version.String() }, func(actor, place) int { return 404 }}, // it is of requests
		{"OPTIONS", item, func(actor, place) int { return 200 }},                                                                // it tells of the method alone
		{"GET", found, func(actor, place) int { return 200 }}, {"HEAD", found, func(actor, place) int { return 200 }},
		{"POST", item, refusedMethod}, {"PUT", item, refusedMethod}, {"PATCH", item, refusedMethod}, {"DELETE", item, refusedMethod},
	} {
		for _, a := range actors {
			nothing := h.send(a, o.method, o.path(unknown), "")
			for _, p := range places {
				if passedOver(a, p, o.method == "GET") {
					continue
				}
				cells = append(cells, func() {
					r := h.send(a, o.method, o.path(p), "")
					want := o.want(a, p)
					if a.refused() {
						want = http.StatusUnauthorized
					}
					if r.status != want {
						fail(t, "%s %s of %s as %s: %d, want %d", o.method, o.path(p), p, a.name, r.status, want)
					}
					listed := strings.Contains(o.path(p), "?") && o.method == "GET" && r.status == 200
					if n := count(r.body); listed && n != shown(a, p) {
						fail(t, "GET %s of %s as %s lists %d", o.path(p), p, a.name, n)
					}
					if (!a.sees(p.row) || a.refused()) && !same(r, nothing) {
						fail(t, "%s %s of %s as %s is answered\n%d %v %s, and an unknown id\n%d %v %s", o.method, o.path(p), p, a.name, r.status, r.header, r.body, nothing.status, nothing.header, nothing.body)
					}
				})
			}
		}
	}
	run(t, cells)
}

func item(p place) string  { return "/image_requests/" + p.request.String() }
func found(p place) string { return "/image_requests?search=" + strings.ReplaceAll(p.name, " ", "+") }

func seen(a actor, p place) int {
	if a.sees(p.row) {
		return http.StatusOK
	}
	return http.StatusNotFound
}

func refusedMethod(a actor, _ place) int {
	switch {
	case !a.signedIn():
		return http.StatusUnauthorized
	case a.token == "read only":
		return http.StatusForbidden
	}
	return http.StatusMethodNotAllowed
}

// shown is how many rows a list of the row has: none that is retired.
func shown(a actor, p place) int {
	if a.sees(p.row) && p.state != "retired" {
		return 1
	}
	return 0
}

func count(body string) int {
	var list struct{ Count int }
	_ = json.Unmarshal([]byte(body), &list) // none then
	return list.Count
}

// TestWholeLists reads all lists to their end, as everybody: what they hold, how they count, in which order they stand.
func TestWholeLists(t *testing.T) {
	t.Parallel()
	h := open(t)
	places := h.put(t, rows()...)
	var cells []func()
	for _, a := range actors {
		if a.refused() {
			continue
		}
		lists := map[string][]string{}
		for list, has := range map[string]func(p place) bool{
			"imageRequests(":                                              func(p place) bool { return p.state != "retired" },
			"imageRequests(filter: {ended: null}, ":                       func(place) bool { return true },
			"imageRequests(filter: {ended: true}, ":                       func(p place) bool { return p.state == "retired" },
			"versions(":                                                   func(place) bool { return true },
			"versions(filter: {visibility: USERS}, ":                      func(p place) bool { return p.visibility == "USERS" },
			"imageRequests(filter: {ended: false, visibility: PRIVATE}, ": func(p place) bool { return p.state != "retired" && p.visibility == "PRIVATE" },
		} {
			lists[list] = nil
			for _, p := range places {
				if a.sees(p.row) && has(p) {
					id := p.request
					if strings.HasPrefix(list, "versions") {
						id = p.version
					}
					lists[list] = append(lists[list], id.String())
				}
			}
			slices.SortFunc(lists[list], func(x, y string) int { return -cmp.Compare(x, y) }) // all began at the same time
		}
		listed := len(lists["imageRequests("])
		cells = append(cells, func() {
			for list, want := range lists {
				got, total, more := h.pages(t, a, list)
				if !slices.Equal(got, want) || total != len(want) || more {
					fail(t, "%s as %s: %d of %d, more %v: %v\nwant %v", list, a.name, len(got), total, more, got, want)
				}
			}
			if n := count(h.send(a, "GET", "/image_requests?page_size=1", "").body); n != listed {
				fail(t, "GET /image_requests as %s counts %d, want %d", a.name, n, listed)
			}
		})
	}
	run(t, cells)
}

// pages are the ids of a list, read seven at a time.
func (h *house) pages(t *testing.T, a actor, list string) (ids []string, total int, more bool) {
	t.Helper()
	after := "null"
	for range 100 {
		body := h.ask(a, `{ `+list+`first: 7, after: `+after+`) { totalCount nodes { id } pageInfo { hasNextPage endCursor } } }`, nil).answer(t)
		page := body.Data[list[:strings.Index(list, "(")]]
		nodes, _ := at(page, "nodes").([]any)
		for _, n := range nodes {
			ids = append(ids, fmt.Sprint(at(n, "id")))
		}
		n, _ := at(page, "totalCount").(float64)
		total = int(n)
		if more, _ = at(page, "pageInfo", "hasNextPage").(bool); !more {
			return ids, total, false
		}
		after = fmt.Sprintf("%q", at(page, "pageInfo", "endCursor"))
	}
	return ids, total, more
}

// TestWhatLiesBeyond asks at the place of each private row, as everybody, whether there is anything up to it and from it on:
// what is hidden is not.
func TestWhatLiesBeyond(t *testing.T) {
	t.Parallel()
	h := open(t)
	seen := map[string]row{}
	for _, p := range h.put(t, rows()...) {
		seen[p.request.String()] = p.row
	}
	const private = `imageRequests(filter: {visibility: PRIVATE, ended: null}, `
	edges, _ := at(h.ask(named("admin"), `{ `+private+`first: 100) { edges { cursor node { id } } } }`, nil).answer(t).Data["imageRequests"], "edges").([]any)
	if len(edges) < 5 {
		t.Fatalf("%d private rows", len(edges))
	}
	var cells []func()
	for _, a := range actors {
		if a.refused() {
			continue
		}
		for i, edge := range edges {
			sees := func(edges []any) bool {
				return slices.ContainsFunc(edges, func(edge any) bool { return a.sees(seen[fmt.Sprint(at(edge, "node", "id"))]) })
			}
			cells = append(cells, func() {
				only := fmt.Sprintf("imageRequests(filter: {search: %q, ended: null}, ", at(edge, "node", "id")) // which is in its name
				for list, parts := range map[string][2][]any{private: {edges[:i+1], edges[i:]}, only: {edges[i : i+1], edges[i : i+1]}} {
					body := h.ask(a, fmt.Sprintf(`{ before: %[1]sfirst: 1, after: %[2]q) { pageInfo { hasPreviousPage } } beyond: %[1]slast: 1, before: %[2]q) { pageInfo { hasNextPage } } }`, list, at(edge, "cursor")), nil).answer(t)
					before, beyond := at(body.Data["before"], "pageInfo", "hasPreviousPage"), at(body.Data["beyond"], "pageInfo", "hasNextPage")
					if before != sees(parts[0]) || beyond != sees(parts[1]) {
						fail(t, "%s at row %d of %d as %s: before it %v, beyond it %v", list, i, len(edges), a.name, before, beyond)
					}
				}
			})
		}
	}
	run(t, cells)
}

// TestReadsOfNothing are those that are of no row.
func TestReadsOfNothing(t *testing.T) {
	t.Parallel()
	h := open(t)
	places := h.put(t, rows()...)
	var cells []func()
	for _, a := range actors {
		for query, want := range map[string]string{
			"{ viewer { username roles providers } }": viewerOf(a),
			"{ providers { id name } }":               `{"providers":[{"id":1,"name":"first"},{"id":2,"name":"second"},{"id":3,"name":"parking"}]}`,
			"{ nodes(ids: []) { id } }":               `{"nodes":[]}`,
		} {
			cells = append(cells, func() {
				r := h.ask(a, query, nil)
				var body struct{ Data json.RawMessage }
				_ = json.Unmarshal([]byte(r.body), &body)
				if a.refused() {
					want = "401"
				}
				if got := cmp.Or(r.refusal(t), string(body.Data)); got != want {
					fail(t, "%s as %s: %s, want %s", query, a.name, got, want)
				}
			})
		}
		// what is in the way of an image of an instance; what is hidden has no name
		for _, p := range places {
			cells = append(cells, func() {
				const query = `query ($input: RequestImageInput!) { previewImageRequest(input: $input) { blockers { code message } } }`
				r := h.ask(a, query, map[string]any{"input": image(p)})
				got := r.refusal(t)
				if got == "" {
					blockers, _ := at(r.answer(t).Data, "previewImageRequest", "blockers").([]any)
					got = "done"
					for _, b := range blockers {
						got = fmt.Sprint(at(b, "code"))
						if strings.Contains(r.body, p.name) && strings.Contains(r.body, p.request.String()) {
							got += " " + p.status
						}
					}
				}
				want := a.requestAgain(p.row) // it tells what requestImage would say, and may be asked by whoever signs in
				if got != want {
					fail(t, "previewImageRequest of %s as %s: %s, want %s: %s", p, a.name, got, want, r.body)
				}
			})
		}
	}
	run(t, cells)
}

func viewerOf(a actor) string {
	if !a.signedIn() {
		return `{"viewer":null}`
	}
	roles, _ := json.Marshal(a.roles)
	providers, _ := json.Marshal(a.providers)
	return fmt.Sprintf(`{"viewer":{"username":%q,"roles":%s,"providers":%s}}`, a.username, roles, providers)
}

// image is an input that asks for an image of the row's instance.
func image(p place) map[string]any {
	return map[string]any{"name": "again", "instance": p.instance, "provider": 1, "visibility": "PRIVATE"}
}

// same tells whether two answers are so, but for the number each answer has.
func same(a, b reply) bool {
	x, y := maps.Clone(a.header), maps.Clone(b.header)
	for _, h := range []http.Header{x, y} {
		h.Del("X-Request-Id")
	}
	return a.status == b.status && a.body == b.body && maps.EqualFunc(x, y, slices.Equal[[]string])
}
