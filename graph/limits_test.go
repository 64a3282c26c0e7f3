package graph_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/graph"
	"imagerequests/graph/generated"
	"imagerequests/graph/limits"
)

// door with options of its own.
func doorWith(t *testing.T, change func(*graph.Options)) door {
	t.Helper()
	store := dbtest.Store(t)
	if err := store.LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := graph.Options{Store: store, Auth: auth.New(store, known), Throttle: auth.NewThrottle(0, 0, nil), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	change(&o)
	return door{t, store, graph.New(o)}
}

// TestHostileRequests: each is refused in time, with an answer of a few kilobytes that names what it is.
func TestHostileRequests(t *testing.T) {
	d := newDoor(t)
	document := func(text string) string {
		body, _ := json.Marshal(map[string]any{"query": text})
		return string(body)
	}
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(format, "%d", fmt.Sprint(i)))
		}
		return b.String()
	}
	const ok = `{"query":"{ viewer { username } }"}`
	for _, c := range []struct {
		name, body string
		header     string // "Name: value"
		status     int
		code       string
	}{
		{"10,000 equal fields", document("{" + many(10_000, " viewer{id}") + "}"), "", 200, "LIMITED"},
		{"2,000 aliases", document("{" + many(2000, " a%d: providers { id }") + "}"), "", 200, "LIMITED"},
		{"200 aliases of the dearest list", document("{" + many(200, " a%d: imageRequests(first: 100) { totalCount nodes { id } }") + "}"), "", 200, "LIMITED"},
		{"fragments spread twice by the one before", document("{ ...F0 }" + func() (s string) {
			for i := range 24 {
				s += fmt.Sprintf(" fragment F%d on Query { ...F%d ...F%d }", i, i+1, i+1)
			}
			return s + " fragment F24 on Query { imageRequests(first: 100) { nodes { id } } }"
		}()), "", 200, "LIMITED"},
		{"nesting of 100,000", document(strings.Repeat("{ a", 50_000)), "", 200, "LIMITED"},
		{"nesting of 100,000 lists", document("{ a(b: " + strings.Repeat("[", 100_000)), "", 200, "LIMITED"},
		{"circular fragments", document("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"), "", 200, "GRAPHQL_VALIDATION_FAILED"},
		{"10,000 directives", document("{ viewer" + many(10_000, " @skip(if: true)") + " { username } }"), "", 200, "LIMITED"},
		{"__schema a hundred times", document("{" + strings.Repeat(" __schema { types { name } }", 100) + "}"), "", 200, "LIMITED"},
		{"60 kB of a document", document("{ viewer { username } } #" + strings.Repeat("x", 60_000)), "", 200, "LIMITED"},
		{"30 kB of a name that goes wrong", document("{ viewer { " + strings.Repeat("x", 30_000)), "", 200, "LIMITED"},
		{"30 kB of a text that goes wrong", document(`{ viewer { "` + strings.Repeat("x", 30_000) + `" } }`), "", 200, "GRAPHQL_PARSE_FAILED"},
		{"200 kB of an operation's name", `{"query":"{ viewer { username } }","operationName":"` + strings.Repeat("x", 200_000) + `"}`, "", 200, "INVALID"},
		{"200 kB of a variable's value", `{"query":"query($n: Int) { imageRequests(first: $n) { totalCount } }","variables":{"n":"` + strings.Repeat("x", 200_000) + `"}}`, "", 200, "INVALID"},
		{"200 kB of an unknown variable's name", `{"query":"query($i: ImageRequestFilter) { imageRequests(filter: $i) { totalCount } }","variables":{"i":{"` + strings.Repeat("x", 200_000) + `":1}}}`, "", 200, "INVALID"},
		{"200 kB of a time", `{"query":"query($i: ImageRequestFilter) { imageRequests(filter: $i) { totalCount } }","variables":{"i":{"startedFrom":"` + strings.Repeat("x", 200_000) + `"}}}`, "", 200, "INVALID"},
		{"a number beyond all measure for a time", document(`{ imageRequests(filter: {startedFrom: ` + strings.Repeat("9", 100) + `}) { totalCount } }`), "", 200, "GRAPHQL_VALIDATION_FAILED"},
		{"variables nested 9,000 deep", `{"query":"{ viewer { username } }","variables":{"a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}}`, "", 200, "LIMITED"},
		{"variables nested 100,000 deep", `{"query":"{ viewer { username } }","variables":{"a":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}}`, "", 400, "INVALID"},
		{"a body of 16 MiB", `{"query":"` + strings.Repeat(" ", 16<<20) + `"}`, "", 413, "LIMITED"},
		{"an array of operations", "[" + ok + "," + ok + "]", "", 400, "INVALID"},
		{"a form", "query=%7Bviewer%7Busername%7D%7D", "Content-Type: application/x-www-form-urlencoded", 415, "INVALID"},
		{"a form of parts", "--a\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n" + ok + "\r\n--a--", "Content-Type: multipart/form-data; boundary=a", 415, "INVALID"},
		{"text/plain", ok, "Content-Type: text/plain", 415, "INVALID"},
		{"a foreign Origin", ok, "Origin: https://elsewhere.example.org", 403, "FORBIDDEN"},
		{"a foreign page", ok, "Sec-Fetch-Site: cross-site", 403, "FORBIDDEN"},
	} {
		var w *httptest.ResponseRecorder
		best := time.Hour
		for range 5 { // a busy machine is slow for other reasons
			r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(c.body))
			r.Header.Set("Content-Type", "application/json")
			if name, value, ok := strings.Cut(c.header, ": "); ok {
				r.Header.Set(name, value)
			}
			w = httptest.NewRecorder()
			start := time.Now()
			d.ServeHTTP(w, r)
			best = min(best, time.Since(start))
		}
		var r result
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || len(r.Errors) == 0 || r.Errors[0].Extensions["code"] != c.code || w.Code != c.status {
			t.Errorf("%s: want %d %s, %d %.300s", c.name, c.status, c.code, w.Code, w.Body)
		}
		if w.Body.Len() > 4<<10 {
			t.Errorf("%s: an answer of %d bytes", c.name, w.Body.Len())
		}
		if best > slower*100*time.Millisecond {
			t.Errorf("%s: took %v", c.name, best)
		}
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/graphql?query="+url.QueryEscape(`mutation { cancelVersion(input: {version: "1"}) { version { id } } }`), nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("a mutation by GET: %d %s", w.Code, w.Body)
	}
}

// TestHostileDocumentsLeaveNothing: a thousand documents of 60 kB, and a thousand of the largest that are carried out, each
// with its hash, leave no more in memory than the caches may hold.
func TestHostileDocumentsLeaveNothing(t *testing.T) {
	d := newDoor(t)
	send := func(text string) {
		hash := sha256.Sum256([]byte(text))
		body, _ := json.Marshal(map[string]any{"query": text, "extensions": map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": hex.EncodeToString(hash[:])}}})
		d.post("", body)
	}
	send("{ viewer { username } }")
	before := heap()
	for i := range 1000 {
		send(fmt.Sprintf("{ viewer { username } } #%d %s", i, strings.Repeat("x", 60_000)))
	}
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("refused documents left %d KiB", grown>>10)
	}
	wide := strings.Repeat(" providers { id name active autoApprove }", 20)
	for i := range 1000 {
		send(fmt.Sprintf("{ %s } #%d %s", wide, i, strings.Repeat("x", 25_000)))
	}
	if grown := heap() - before; grown > 40<<20 { // 16 MiB of documents and 4 MiB of texts, and room for the collector
		t.Errorf("documents left %d KiB", grown>>10)
	}
	runtime.KeepAlive(d)
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestLegitimateDocuments: what clients send is carried out: the introspection of graphql-js with all and with GraphiQL's
// options, and lists of 100 as Apollo's and Relay's clients write them.
func TestLegitimateDocuments(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	files, err := filepath.Glob(filepath.Join("testdata", "documents", "*.graphql"))
	if err != nil || len(files) < 6 {
		t.Fatalf("%d documents, %v", len(files), err)
	}
	given := map[string]map[string]any{
		"relay_queue.graphql":  {"count": 100, "provider": 1},
		"request_page.graphql": {"id": db.DemoRequest.String()},
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if r := d.as("admin", string(text), given[filepath.Base(file)]); len(r.Errors) > 0 {
			t.Errorf("%s: %+v", file, r.Errors)
		}
	}
	r := d.as("username", `query($n: Int!) { imageRequests(first: $n) { nodes { versions { imageRequest { versions { imageRequest { versions { id } } } } } } } }`, map[string]any{"n": json.Number("100")})
	if len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "LIMITED" {
		t.Errorf("a size in a variable is not counted: %+v", r.Errors)
	}
}

// TestCostIsTold on each answer, whatever it is, and taken from the budget that it names.
func TestCostIsTold(t *testing.T) {
	t.Parallel()
	d := doorWith(t, func(o *graph.Options) { o.Throttle = auth.NewThrottle(0.0001, 20, nil) }) // 4000 points, and next to none a second
	const list = "{ imageRequests(first: 100) { nodes { id name } edges { cursor } } }"         // 10 + 1 + 200 + 1 + 100
	for i, step := range []struct {
		query                string
		status               int
		requested, remaining float64
	}{
		{"{ viewer { username } }", 200, 200, 3800},
		{list, 200, 312, 3488},
		{"{ nothing }", 200, 200, 3288},
		{"{", 200, 200, 3088},
		{`{ imageRequest(id: "nothing") { id } }`, 200, 200, 2888},
		{"{ __schema { queryType { name } } }", 200, 2000, 888},
		{"{ __schema { queryType { name } } }", 429, 2000, 688}, // a refusal costs a request
		{list, 200, 312, 376},
		{list, 200, 312, 64},
	} {
		body, _ := json.Marshal(map[string]any{"query": step.query})
		w := d.post("username", body)
		var r struct {
			Errors     []struct{ Extensions map[string]any }
			Extensions struct {
				Cost struct{ Requested, Remaining float64 }
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
			t.Fatalf("%s: %v", w.Body, err)
		}
		if c := r.Extensions.Cost; w.Code != step.status || c.Requested != step.requested || c.Remaining != step.remaining {
			t.Errorf("step %d: want %+v, %d %s", i, step, w.Code, w.Body)
		}
		if step.status == 429 {
			wait, _ := r.Errors[0].Extensions["retryAfter"].(float64)
			if r.Errors[0].Extensions["code"] != "LIMITED" || wait < 1 || w.Header().Get("Retry-After") != fmt.Sprint(wait) {
				t.Errorf("step %d: %v %s", i, w.Header(), w.Body)
			}
		}
	}
}

// TestPersistedQueriesOverHTTP: by POST and by GET, as Apollo's clients send them, and by documentId.
func TestPersistedQueriesOverHTTP(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	const text = "{ viewer { username } }"
	hash := sha256.Sum256([]byte(text))
	id := hex.EncodeToString(hash[:])
	extensions := `{"persistedQuery":{"version":1,"sha256Hash":"` + id + `"}}`
	get := func(query string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/graphql?"+query, nil))
		return w
	}
	const served, unknown = `{"data":{"viewer":null}`, `"code":"PERSISTED_QUERY_NOT_FOUND"`
	for i, step := range []struct {
		w    *httptest.ResponseRecorder
		want string
	}{
		{get("extensions=" + url.QueryEscape(extensions)), unknown},
		{d.post("", []byte(`{"extensions":`+extensions+`}`)), unknown},
		{d.post("", []byte(`{"query":null,"documentId":"`+id+`"}`)), unknown},
		{d.post("", []byte(`{"query":"`+text+`","extensions":`+extensions+`}`)), served},
		{d.post("", []byte(`{"extensions":`+extensions+`}`)), served},
		{get("extensions=" + url.QueryEscape(extensions)), served},
		{d.post("", []byte(`{"documentId":"sha256:`+id+`"}`)), served},
		{get("documentId=" + id), served},
		{d.post("", []byte(`{"documentId":5}`)), "query is missing"},
		{d.post("", []byte(`{"documentId":""}`)), "query is missing"},
	} {
		if !strings.Contains(step.w.Body.String(), step.want) {
			t.Errorf("step %d: %d %s\nwant %s", i, step.w.Code, step.w.Body, step.want)
		}
	}
	mutation := `mutation { cancelVersion(input: {version: "1"}) { version { id } } }`
	sum := sha256.Sum256([]byte(mutation))
	known, _ := json.Marshal(map[string]any{"query": mutation, "extensions": map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": hex.EncodeToString(sum[:])}}})
	d.post("", known)
	if w := get("documentId=" + hex.EncodeToString(sum[:])); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("a mutation by GET, by its hash: %d %s", w.Code, w.Body)
	}
}

// TestClosedDoor: no introspection, no hint, and trusted documents alone.
func TestClosedDoor(t *testing.T) {
	t.Parallel()
	trusted, err := graph.Trust([]byte(`{"a1": "{ viewer { username } }"}`), true)
	if err != nil {
		t.Fatal(err)
	}
	d := doorWith(t, func(o *graph.Options) { o.NoIntrospection, o.Trusted = true, trusted })
	for body, want := range map[string]string{
		`{"documentId":"a1"}`:                         `{"viewer":{"username":"username"}}`,
		`{"query":"{ viewer { username } }"}`:         `{"viewer":{"username":"username"}}`,
		`{"query":"{ providers { id } }"}`:            `"code":"FORBIDDEN"`,
		`{"query":"{ __schema { types { name } } }"}`: `"code":"FORBIDDEN"`,
		`{"documentId":"a2"}`:                         `"code":"PERSISTED_QUERY_NOT_FOUND"`,
	} {
		if w := d.post("username", []byte(body)); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %s", body, w.Body)
		}
	}
	closed := doorWith(t, func(o *graph.Options) { o.NoIntrospection = true })
	r := closed.as("admin", "{ __schema { types { name } } viewe { username } }", nil)
	if len(r.Errors) != 2 || strings.Contains(fmt.Sprint(r.Errors), "Did you mean") {
		t.Errorf("%+v", r.Errors)
	}
}

// TestVariableErrors are told all at once, by their fields, and what fits reaches the store.
func TestVariableErrors(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	r := d.as("username", requestImage, input("provider", "1", "name", 5, "visibility", "private", "tags", []any{"a", 1}, "color", "red"))
	var got []string
	for _, e := range r.Errors {
		got = append(got, fmt.Sprint(e.Extensions["code"], " ", e.Extensions["field"]))
		if e.Message == "" || e.Path != nil {
			t.Errorf("%+v", e)
		}
	}
	if want := "INVALID color INVALID name INVALID provider INVALID tags.1 INVALID visibility"; strings.Join(got, " ") != want || r.Data != nil {
		t.Errorf("%v %s\nwant %s", got, r.Data, want)
	}
	if r := d.as("username", requestImage, input("tags", "one", "provider", json.Number("1.0"))); len(r.Errors) > 0 {
		t.Errorf("%+v", r.Errors)
	}
}

// TestEveryQueryOfItsOwnHasAPrice: a field with a resolver of its own asks the database for each object.
func TestEveryQueryOfItsOwnHasAPrice(t *testing.T) {
	t.Parallel()
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	root := reflect.TypeFor[generated.ResolverRoot]()
	resolvers := 0
	for i := range root.NumMethod() {
		of := schema.Types[root.Method(i).Name]
		if of == nil || of.IsInputType() {
			continue
		}
		object := root.Method(i).Type.Out(0)
		for j := range object.NumMethod() {
			name := object.Method(j).Name
			name = strings.ToLower(name[:1]) + name[1:]
			if of.Fields.ForName(name) == nil {
				t.Errorf("%s has no field %s", of.Name, name)
			} else if price := limits.Price(schema, of, name); price < 10 {
				t.Errorf("%s.%s costs %d", of.Name, name, price)
			}
			resolvers++
		}
	}
	for _, connection := range schema.Types {
		if connection.Fields.ForName("totalCount") != nil && limits.Price(schema, connection, "totalCount") < 10 {
			t.Errorf("%s.totalCount costs next to nothing", connection.Name)
		}
	}
	if resolvers < 20 {
		t.Errorf("only %d resolvers found", resolvers)
	}
}
