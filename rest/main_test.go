package rest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/imaging"
	"imagerequests/rest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// Tokens of the tests' users.
const (
	owner = "token-username"
	other = "token-other"
	staff = "token-reviewer"
)

var known = map[string]imaging.Actor{
	owner: {Username: "username", Roles: []imaging.Role{imaging.Requester}},
	other: {Username: "other", Roles: []imaging.Role{imaging.Requester}},
	staff: {Username: "reviewer", Roles: []imaging.Role{imaging.Requester, imaging.Reviewer}},
}

// service is the interface over a database of its own, with the documented example in it. Each answer that it gives is
// checked against the OpenAPI document.
type service struct {
	t     testing.TB
	store *db.Store
	log   *bytes.Buffer
	http.Handler
	document *openapi3.T
}

func serve(t testing.TB, change ...func(*rest.Options)) *service {
	t.Helper()
	s := &service{t: t, store: dbtest.Store(t), log: &bytes.Buffer{}}
	if err := s.store.LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := rest.Options{
		Store: s.store, Auth: auth.New(s.store, known), Throttle: auth.NewThrottle(0, 0, nil), Log: slog.New(slog.NewTextHandler(s.log, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	h, err := rest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Handler = auth.Identify(h)
	s.document = load(t, o)
	return s
}

// load reads the OpenAPI document the way a client does.
func load(t testing.TB, o rest.Options) *openapi3.T {
	t.Helper()
	h, err := rest.OpenAPI(o)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	document, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request with headers given as "Name: value"; a token is one of them.
func (s *service) send(method, target, body string, headers ...string) answer {
	s.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "localhost:8080"
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
		} else {
			r.Header.Add(name, value)
		}
	}
	return s.answer(r)
}

func (s *service) answer(r *http.Request) answer {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	a := answer{w.Code, w.Header(), w.Body.String()}
	s.conforms(r, a)
	return a
}

func (s *service) get(target string, headers ...string) answer {
	s.t.Helper()
	return s.send(http.MethodGet, target, "", headers...)
}

// post sends JSON as the owner.
func (s *service) post(body string, headers ...string) answer {
	s.t.Helper()
	return s.send(http.MethodPost, "/image_requests", body, append([]string{"Content-Type: application/json", "Authorization: Token " + owner}, headers...)...)
}

// conforms checks an answer against the operation that the document has for it. A method that the document does not know
// is answered with 405 or with what comes before that, as POST on the collection is.
func (s *service) conforms(r *http.Request, a answer) {
	s.t.Helper()
	_, tail, ok := strings.Cut(r.URL.Path, "/image_requests")
	if !ok || a.header.Get("Content-Encoding") != "" {
		return
	}
	path, method := "/image_requests", r.Method
	if strings.Trim(tail, "/") != "" {
		path = "/image_requests/{id}"
	}
	item := s.document.Paths.Value(path)
	operation := item.GetOperation(method)
	if operation == nil {
		path, method = "/image_requests", http.MethodPost
		item = s.document.Paths.Value(path)
		operation = item.Post
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: r, Route: &routers.Route{Spec: s.document, Path: path, PathItem: item, Method: method, Operation: operation},
		},
		Status: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	if operation.Responses.Status(a.status) == nil {
		s.t.Errorf("%s %s answers %d, which the document does not know", r.Method, r.URL, a.status)
	}
	if err := openapi3filter.ValidateResponse(r.Context(), input); err != nil {
		s.t.Errorf("%s %s: %d %s\ndoes not conform: %v", r.Method, r.URL, a.status, a.body, err)
	}
}

// is checks status and body.
func (a answer) is(t testing.TB, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body {
		t.Errorf("got  %d %s\nwant %d %s", a.status, a.body, status, body)
	}
}

// into decodes a 200.
func into[T any](t testing.TB, a answer) T {
	t.Helper()
	var v T
	if a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

// imageRequest and page are the documented shapes, as a client declares them.
type imageRequest struct {
	ID        string   `json:"id"`
	CreatedBy string   `json:"created_by"`
	Name      string   `json:"name"`
	Tags      []string `json:"tags"`
	Private   bool     `json:"private"`
	Versions  []struct {
		Alias    string `json:"alias"`
		Provider int    `json:"provider"`
	} `json:"versions"`
}

type page struct {
	Count    int            `json:"count"`
	Next     *string        `json:"next"`
	Previous *string        `json:"previous"`
	Results  []imageRequest `json:"results"`
}
