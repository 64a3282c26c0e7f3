package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"imagerequests/rest"
)

// TestDocument checks the OpenAPI document by the specification's rules, its examples by its schemas. That it tells the
// truth is checked by every other test: see service.conforms.
func TestDocument(t *testing.T) {
	t.Parallel()
	document := load(t, rest.Options{})
	if err := document.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.1") {
		t.Errorf("version %s", document.OpenAPI)
	}
	got := map[string]string{}
	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			got[method+" "+path] = operation.OperationID
		}
	}
	want := map[string]string{
		"GET /image_requests": "listImageRequests", "HEAD /image_requests": "checkImageRequests",
		"POST /image_requests": "requestImage", "OPTIONS /image_requests": "describeImageRequests",
		"GET /image_requests/{id}": "retrieveImageRequest", "HEAD /image_requests/{id}": "checkImageRequest",
		"OPTIONS /image_requests/{id}": "describeImageRequest",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestConformanceCanFail shows that the check of every answer is one: wrong keys, statuses and headers are noticed.
func TestConformanceCanFail(t *testing.T) {
	t.Parallel()
	good := answer{http.StatusNotFound, http.Header{"Content-Type": {"application/json"}, "Allow": {"GET"}, "Vary": {"Accept"}}, `{"detail":"x"}`}
	for name, c := range map[string]struct {
		change func(*answer)
		fails  bool
	}{
		"good":          {func(*answer) {}, false},
		"other keys":    {func(a *answer) { a.body = `{"detail":"x","more":1}` }, true},
		"other type":    {func(a *answer) { a.body = `{"detail":1}` }, true},
		"unknown":       {func(a *answer) { a.status = http.StatusTeapot }, true},
		"missing Allow": {func(a *answer) { a.header.Del("Allow") }, true},
		"content type":  {func(a *answer) { a.header.Set("Content-Type", "text/html") }, true},
	} {
		probe := &probe{TB: t}
		s := &service{t: probe, document: load(t, rest.Options{})}
		a := answer{good.status, good.header.Clone(), good.body}
		c.change(&a)
		s.conforms(httptest.NewRequest(http.MethodGet, "/image_requests/abc", nil), a)
		if probe.failed != c.fails {
			t.Errorf("%s: noticed %v", name, probe.failed)
		}
	}
}

// probe notes a failure instead of failing.
type probe struct {
	testing.TB
	failed bool
}

func (p *probe) Errorf(string, ...any) { p.failed = true }

func TestDocumentServers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ base, prefix, want string }{
		{"", "", "/"}, {"", "/api/v1", "/api/v1"}, {"https://images.example.org/", "", "https://images.example.org"},
		{"https://images.example.org", "/api", "https://images.example.org/api"},
	} {
		document := load(t, rest.Options{BaseURL: c.base, Prefix: c.prefix})
		if got := document.Servers[0].URL; got != c.want || len(document.Servers) != 1 {
			t.Errorf("%+v: %s", c, got)
		}
	}
	if _, err := rest.OpenAPI(rest.Options{Prefix: "x"}); err == nil {
		t.Error("a bad prefix is accepted")
	}
}

func TestDocumentOverHTTP(t *testing.T) {
	t.Parallel()
	h, err := rest.OpenAPI(rest.Options{Origins: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	send := func(method string, headers ...string) answer {
		r := httptest.NewRequest(method, "/openapi.json", nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return answer{w.Code, w.Header(), w.Body.String()}
	}
	get := send(http.MethodGet, "Accept", "text/html", "Origin", "https://app.example.org")
	if !json.Valid([]byte(get.body)) || get.status != 200 || get.header.Get("Content-Type") != "application/json" || get.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d %v", get.status, get.header)
	}
	for want, a := range map[int]answer{
		200: send(http.MethodHead), 304: send(http.MethodGet, "If-None-Match", get.header.Get("ETag")),
		204: send(http.MethodOptions), 405: send(http.MethodPost),
	} {
		if a.status != want || a.header.Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("%d, want %d: %v", a.status, want, a.header)
		}
	}
}
