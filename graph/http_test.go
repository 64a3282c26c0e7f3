package graph_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"imagerequests/auth"
	"imagerequests/db/dbtest"
	"imagerequests/graph"
	"imagerequests/graph/transport"
)

const graphqlJSON = "application/graphql-response+json"

// TestHTTP is what HTTP says of requests, good and bad. Each answer is JSON with a code, whatever went wrong.
func TestHTTP(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	get := func(query string) string { return "/graphql?query=" + url.QueryEscape(query) }
	post := func(body string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	with := func(r *http.Request, header, value string) *http.Request {
		r.Header.Set(header, value)
		return r
	}
	const ok = `{"query":"{ viewer { username } }"}`
	named := func(name string) string {
		return `{"query":"mutation($n: String!) { requestImage(input: {name: $n, instance: \"3f0c6c1e-0000-4000-8000-000000000000\", provider: 1, visibility: PUBLIC}) { version { id } } }","variables":{"n":"` + name + `"}}`
	}
	for name, c := range map[string]struct {
		request *http.Request
		status  int
		header  string // a header that the answer must have, "Name: value"
		body    string // what the answer must contain
	}{
		"a query":                    {post(ok), 200, "Content-Type: application/json; charset=utf-8", `{"data":{"viewer":null},"extensions":{"cost":{"requested":200,"remaining":null}}}`},
		"a query by GET":             {httptest.NewRequest(http.MethodGet, get("{ viewer { username } }"), nil), 200, "", `{"data":{"viewer":null},"extensions":{"cost":{"requested":200,"remaining":null}}}`},
		"the type that is asked for": {with(post(ok), "Accept", graphqlJSON+", application/json"), 200, "Content-Type: " + graphqlJSON + "; charset=utf-8", `"data"`},
		"the type that is dearer":    {with(post(ok), "Accept", "application/json;q=0.5, "+graphqlJSON+";q=0.4"), 200, "Content-Type: application/json; charset=utf-8", `"data"`},
		"a type we do not have":      {with(post(ok), "Accept", "text/html"), 406, "", `"code":"INVALID"`},
		"a mutation by GET":          {httptest.NewRequest(http.MethodGet, get("mutation { editImageRequest(input: {imageRequest: 1}) { imageRequest { id } } }"), nil), 405, "Allow: POST", `"code":"INVALID"`},
		"another method":             {httptest.NewRequest(http.MethodPut, "/graphql", nil), 405, "Allow: GET, POST", `"code":"INVALID"`},
		"text/plain":                 {with(post(ok), "Content-Type", "text/plain"), 415, "Accept-Post: application/json", `"code":"INVALID"`},
		"a form":                     {with(post("query=x"), "Content-Type", "application/x-www-form-urlencoded"), 415, "", `"code":"INVALID"`},
		"another charset":            {with(post(ok), "Content-Type", "application/json; charset=latin1"), 415, "", ""},
		"no query":                   {post(`{}`), 400, "", "query is missing"},
		"an array of operations":     {post(`[` + ok + `]`), 400, "", "not a JSON object"},
		"JSON cut in the middle":     {post(`{"query": "{ viewer`), 400, "", "It goes wrong at byte 19."},
		"variables that are a list":  {post(`{"query":"{ viewer { username } }","variables":[]}`), 400, "", "variables must be a JSON object"},
		"a query that is a number":   {post(`{"query":1}`), 400, "", "query must be a text"},
		"bytes that are not UTF-8":   {post(named("\xff")), 400, "", "not UTF-8"},
		"2 MiB":                      {post(`{"query":"` + strings.Repeat(" ", 2<<20) + `"}`), 413, "", `"code":"LIMITED"`},
		"an unknown token":           {with(post(ok), "Authorization", "Token nobody"), 401, "WWW-Authenticate: Token", `"code":"UNAUTHENTICATED"`},
		"a malformed token":          {with(post(ok), "Authorization", "Token a b"), 401, "", "should not contain spaces"},
		"a foreign page":             {with(post(ok), "Sec-Fetch-Site", "cross-site"), 403, "", `"code":"FORBIDDEN"`},
		"a document with an error":   {with(post(`{"query":"{ nothing }"}`), "Accept", graphqlJSON), 400, "", `"code":"GRAPHQL_VALIDATION_FAILED"`},
		"the same for old clients":   {post(`{"query":"{ nothing }"}`), 200, "", `"code":"GRAPHQL_VALIDATION_FAILED"`},
		"too many tokens":            {post(`{"query":"{` + strings.Repeat(" viewer{username}", 300) + `}"}`), 200, "", `"errors"`},
		"NUL":                        {with(post(named(`\u0000`)), "Authorization", "Token username"), 200, "", `"field":"name"`},
		"a lone surrogate":           {with(post(named(`\ud800`)), "Authorization", "Token username"), 200, "", `"field":"name"`},
		"one in the document":        {with(post(strings.NewReplacer("name: $n", `name: \"\\udfff\"`, "mutation($n: String!)", "mutation").Replace(named(""))), "Authorization", "Token username"), 200, "", `"field":"name"`},
		"a pair of surrogates":       {with(post(named(`\ud83d\ude00`)), "Authorization", "Token username"), 200, "", `"data":{"requestImage":{`},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			d.ServeHTTP(w, c.request)
			header, value, _ := strings.Cut(c.header, ": ")
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) || header != "" && w.Header().Get(header) != value {
				t.Errorf("%d %v %s\nwant %d %s …%s…", w.Code, w.Header(), w.Body, c.status, c.header, c.body)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Errorf("not JSON: %s", w.Body)
			}
		})
	}
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	store := dbtest.Store(t)
	h := graph.New(graph.Options{Store: store, Auth: auth.New(store, known), Throttle: auth.NewThrottle(0.01, 2, nil), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	d := door{t, store, h}
	body := []byte(`{"query":"{ viewer { username } }"}`)
	for range 2 {
		if w := d.post("username", body); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	w := d.post("username", body)
	if w.Code != 429 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"retryAfter":`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := d.post("stranger", body); w.Code != 200 {
		t.Errorf("another user pays for it: %d %s", w.Code, w.Body)
	}
}

func TestBodyLimitIsTold(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	body := append([]byte(`{"query":"{ viewer { username } }"}`), make([]byte, transport.MaxBody)...)
	for i := range body[35:] {
		body[35+i] = ' '
	}
	if w := d.post("", body[:transport.MaxBody]); w.Code != 200 {
		t.Errorf("a body of the limit: %d %s", w.Code, w.Body)
	}
	if w := d.post("", body[:transport.MaxBody+1]); w.Code != 413 {
		t.Errorf("a body over the limit: %d %s", w.Code, w.Body)
	}
}

// TestOpenStreams: who has as many sockets and streams open as there may be gets no other, until one is closed.
func TestOpenStreams(t *testing.T) {
	t.Parallel()
	store := dbtest.Store(t)
	throttle := auth.NewThrottle(1000, 1000, nil)
	h := graph.New(graph.Options{Store: store, Auth: auth.New(store, known), Throttle: throttle, Log: slog.New(slog.DiscardHandler)})
	request := func() *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(`{"query":"{ viewer { username } }"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "text/event-stream")
		r.Header.Set("Authorization", "Token username")
		return r
	}
	stream := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request())
		return w
	}
	var open []func()
	for range auth.MostOpen {
		closed, err := throttle.Open(request(), known["username"])
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, closed)
	}
	if w := stream(); w.Code != http.StatusTooManyRequests || !strings.Contains(w.Body.String(), `"code":"LIMITED"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	open[0]()
	for range 2 { // the first is closed when it has ended
		if w := stream(); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `{"username":"username"}`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}
