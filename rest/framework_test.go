package rest_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/rest"
)

// asOwner is the header of the tests' usual caller.
const asOwner = "Authorization: Token " + owner

// quiet is a log that nobody reads.
var quiet = slog.New(slog.DiscardHandler)

const isJSON = "Content-Type: application/json"

// TestFramework is what Django REST framework 3 answers, recorded from one, where neither the fields of a
// POST nor the pages of a list are concerned: those have tests of their own.
func TestFramework(t *testing.T) {
	t.Parallel()
	s := serve(t)
	item := "/image_requests/" + db.DemoRequest.String()
	detail := func(text string) string { return `{"detail":"` + text + `"}` }
	const missing, invalid = "Authentication credentials were not provided.", "Invalid token."
	for _, row := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		want                     string // "": any
		header                   string // one that is to be there, as "Name: value"
	}{
		{"format json", "GET", item + "?format=json", "", nil, 200, documented(t, 0), ""},
		{"format xml", "GET", item + "?format=xml", "", nil, 404, detail("Not found."), ""},
		{"format xml comes first", "PUT", item + "?format=xml", "", []string{"Authorization: Token bad"}, 404, detail("Not found."), ""},
		{"no accept", "GET", item, "", nil, 200, documented(t, 0), ""},
		{"accept of the real clients", "GET", item, "", []string{"Accept: application/json, text/javascript, */*; q=0.01", isJSON}, 200, documented(t, 0), ""},
		{"accept with parameters", "GET", item, "", []string{"Accept: application/json; indent=4"}, 200, documented(t, 0), ""},
		{"accept any application", "GET", item, "", []string{"Accept: text/html;q=0.9, application/*;q=0.1"}, 200, "", ""},
		{"accept html", "GET", item, "", []string{"Accept: text/html"}, 406, detail("Could not satisfy the request Accept header."), ""},
		{"accept anything but json", "GET", item, "", []string{"Accept: */*, application/json;q=0"}, 406, "", ""},
		{"406 before 401", "POST", "/image_requests", "", []string{"Accept: text/html", "Authorization: Token bad"}, 406, "", ""},

		{"unknown id", "GET", "/image_requests/00000000-0000-4000-8000-000000000000", "", nil, 404, detail("Not found."), ""},
		{"malformed id", "GET", "/image_requests/abc", "", nil, 404, detail("Not found."), ""},
		{"braces around the id", "GET", "/image_requests/%7B" + db.DemoRequest.String() + "%7D", "", nil, 404, detail("Not found."), ""},
		{"NUL in the id", "GET", "/image_requests/%00", "", nil, 404, detail("Not found."), ""},
		{"upper case id", "GET", "/image_requests/" + strings.ToUpper(db.DemoRequest.String()), "", nil, 200, documented(t, 0), ""},
		{"undashed id", "GET", "/image_requests/" + strings.ReplaceAll(db.DemoRequest.String(), "-", ""), "", nil, 200, documented(t, 0), ""},
		{"two slashes at the end", "GET", item + "//", "", nil, 404, detail("Not found."), ""},
		{"a path below", "GET", item + "/versions", "", nil, 404, detail("Not found."), ""},
		{"two slashes", "GET", "/image_requests//", "", nil, 404, detail("Not found."), ""},
		{"a path that only begins so", "GET", "/image_requestsx", "", nil, 404, detail("Not found."), ""},

		{"no token", "POST", "/image_requests", "{}", []string{isJSON}, 401, detail(missing), "WWW-Authenticate: Token"},
		{"bad token", "POST", "/image_requests", "{}", []string{isJSON, "Authorization: Token bad"}, 401, detail(invalid), "WWW-Authenticate: Token"},
		{"bad token on a public read", "GET", item, "", []string{"Authorization: Token bad"}, 401, detail(invalid), "WWW-Authenticate: Token"},
		{"bad bearer", "GET", item, "", []string{"Authorization: bearer bad"}, 401, detail(invalid), "WWW-Authenticate: Token"},
		{"empty token", "GET", item, "", []string{"Authorization: Token"}, 401, detail("Invalid token header. No credentials provided."), "WWW-Authenticate: Token"},
		{"token with a blank", "GET", item, "", []string{"Authorization: token a b"}, 401, detail("Invalid token header. Token string should not contain spaces."), "WWW-Authenticate: Token"},
		{"scheme in any case", "GET", item, "", []string{"Authorization: tOKEN " + owner}, 200, "", ""},
		{"another scheme is no token", "GET", item, "", []string{"Authorization: Basic YTpi"}, 200, "", ""},

		{"wrong method", "PUT", item, "", []string{asOwner}, 405, detail(`Method \"PUT\" not allowed.`), "Allow: GET, HEAD, OPTIONS"},
		{"wrong method on the collection", "DELETE", "/image_requests", "", []string{asOwner}, 405, detail(`Method \"DELETE\" not allowed.`), "Allow: GET, POST, HEAD, OPTIONS"},
		{"post on an item", "POST", item, "{}", []string{asOwner, isJSON}, 405, detail(`Method \"POST\" not allowed.`), "Allow: GET, HEAD, OPTIONS"},
		{"401 before 405", "PUT", item, "", nil, 401, detail(missing), "Allow: GET, HEAD, OPTIONS"},
		{"405 before 415", "PATCH", "/image_requests", "x", []string{asOwner, "Content-Type: text/plain"}, 405, "", ""},

		{"wrong media type", "POST", "/image_requests", "x", []string{asOwner, "Content-Type: text/plain"}, 415, detail(`Unsupported media type \"text/plain\" in request.`), ""},
		{"wrong media type with a charset", "POST", "/image_requests", "x", []string{asOwner, "Content-Type: text/plain; charset=utf-8"}, 415, detail(`Unsupported media type \"text/plain; charset=utf-8\" in request.`), ""},
		{"no media type", "POST", "/image_requests", "{}", []string{asOwner}, 415, detail(`Unsupported media type \"\" in request.`), ""},
		{"401 before 415", "POST", "/image_requests", "x", []string{"Content-Type: text/plain"}, 401, "", ""},

		{"head", "HEAD", item, "", nil, 200, "", "Content-Type: application/json"},
		{"head of what is not there", "HEAD", "/image_requests/abc", "", nil, 404, "", "Content-Type: application/json"},
		{"options", "OPTIONS", "/image_requests", "", nil, 200, `{"name":"Image Request Collection","description":"Collection of all Image Requests.","renders":["application/json"],"parses":["application/json","application/x-www-form-urlencoded","multipart/form-data"]}`, "Allow: GET, POST, HEAD, OPTIONS"},
		{"options of an item", "OPTIONS", item + "/", "", nil, 200, `{"name":"Image Request","description":"A single Image Request object.","renders":["application/json"],"parses":["application/json","application/x-www-form-urlencoded","multipart/form-data"]}`, "Allow: GET, HEAD, OPTIONS"},
		{"options with a bad token", "OPTIONS", item, "", []string{"Authorization: Token bad"}, 401, "", ""},
	} {
		a := s.send(row.method, row.path, row.body, row.headers...)
		if a.status != row.status || row.want != "" && a.body != row.want {
			t.Errorf("%s: got  %d %s\nwant %d %s", row.name, a.status, a.body, row.status, row.want)
		}
		name, value, _ := strings.Cut(row.header, ": ")
		if row.header != "" && a.header.Get(name) != value {
			t.Errorf("%s: %s is %q", row.name, row.header, a.header.Get(name))
		}
		for _, always := range []string{"Allow", "Vary", "Content-Type"} {
			if a.header.Get(always) == "" {
				t.Errorf("%s: no %s", row.name, always)
			}
		}
		if a.header.Get("Content-Type") != "application/json" || a.header.Get("Vary") != "Accept" {
			t.Errorf("%s: Content-Type %q, Vary %q", row.name, a.header.Get("Content-Type"), a.header.Get("Vary"))
		}
		if row.method == http.MethodHead && a.body != "" {
			t.Errorf("%s: a body: %s", row.name, a.body)
		}
	}
}

func TestHeadHasTheHeadersOfGet(t *testing.T) {
	t.Parallel()
	s := serve(t)
	get, head := s.get("/image_requests?page_size=2"), s.send(http.MethodHead, "/image_requests?page_size=2", "")
	for _, name := range []string{"Content-Length", "Content-Type", "ETag", "Link", "Allow", "Vary"} {
		if got, want := head.header.Get(name), get.header.Get(name); got != want || got == "" {
			t.Errorf("%s: HEAD %q, GET %q", name, got, want)
		}
	}
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	s := serve(t, func(o *rest.Options) { o.Throttle = auth.NewThrottle(1.0/60, 2, nil) })
	began := time.Now()
	first := s.get("/image_requests/abc")
	first.is(t, http.StatusNotFound, `{"detail":"Not found."}`)
	for name, want := range map[string]string{"RateLimit-Limit": "2", "RateLimit-Remaining": "1", "RateLimit-Reset": "60"} {
		if got := first.header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	s.get("/image_requests")
	last := s.send(http.MethodGet, "/image_requests", "")
	wait, err := strconv.Atoi(last.header.Get("Retry-After"))
	if err != nil || wait > 60 || wait < 60-int(time.Since(began).Seconds()) {
		t.Errorf("Retry-After %q, want what is left of 60 seconds, rounded up", last.header.Get("Retry-After"))
	}
	last.is(t, http.StatusTooManyRequests, fmt.Sprintf(`{"detail":"Request was throttled. Expected available in %d seconds."}`, wait))
	if a := s.send(http.MethodGet, "/image_requests", "", "Authorization: Token bad"); a.status != http.StatusUnauthorized {
		t.Errorf("401 comes before 429, got %d", a.status)
	}
	s.send(http.MethodPut, "/image_requests", "", asOwner)
	s.send(http.MethodPut, "/image_requests", "", asOwner)
	if a := s.send(http.MethodPut, "/image_requests", "", asOwner); a.status != http.StatusTooManyRequests {
		t.Errorf("429 comes before 405, got %d", a.status)
	}
}

// TestInvisible shows that what may not be seen is answered, byte for byte, like what is not there.
func TestInvisible(t *testing.T) {
	t.Parallel()
	s := serve(t)
	made := into[imageRequest](t, s.post(valid(map[string]string{"vis": `["other"]`})))
	if !made.Private {
		t.Error("not private")
	}
	path := "/image_requests/" + made.ID
	for token, want := range map[string]int{owner: 200, other: 200, staff: 200} {
		if a := s.get(path, "Authorization: Token "+token); a.status != want {
			t.Errorf("%s: %d", token, a.status)
		}
	}
	absent, hidden := s.get("/image_requests/abc"), s.get(path)
	for _, h := range []http.Header{absent.header, hidden.header} {
		h.Del("X-Request-Id")
	}
	hidden.is(t, absent.status, absent.body)
	for name := range hidden.header {
		if !slices.Equal(hidden.header[name], absent.header[name]) {
			t.Errorf("%s differs", name)
		}
	}
	for _, r := range into[page](t, s.get("/image_requests")).Results {
		if r.ID == made.ID {
			t.Error("listed")
		}
	}
}
