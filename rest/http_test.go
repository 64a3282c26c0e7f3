package rest_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/imaging"
	"imagerequests/rest"
)

func TestETag(t *testing.T) {
	t.Parallel()
	s := serve(t)
	item := "/image_requests/" + db.DemoRequest.String()
	tag := s.get(item).header.Get("ETag")
	if !strings.HasPrefix(tag, `"`) || s.get(item).header.Get("ETag") != tag || s.get("/image_requests").header.Get("ETag") == tag {
		t.Fatalf("ETag %s", tag)
	}
	for header, want := range map[string]int{tag: 304, `"x", W/` + tag: 304, "*": 304, `"x"`: 200, strings.Trim(tag, `"`): 200} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			a := s.send(method, item, "", "If-None-Match: "+header)
			if a.status != want || a.header.Get("ETag") != tag || want == 304 && (a.body != "" || a.header.Get("Allow") == "" || a.header.Get("Vary") == "") {
				t.Errorf("%s If-None-Match %s: %d %v", method, header, a.status, a.header)
			}
		}
	}
	if a := s.send(http.MethodOptions, item, "", "If-None-Match: *"); a.status != http.StatusOK {
		t.Errorf("OPTIONS: %d", a.status)
	}
}

func TestCompression(t *testing.T) {
	t.Parallel()
	s := serve(t)
	many(t, s, 10)
	plain := s.get("/image_requests")
	for header, want := range map[string]bool{"gzip": true, "br, GZIP;q=0.5": true, "*": true, "gzip;q=0": false, "br": false, "": false, "*, gzip;q=0": false} {
		a := s.get("/image_requests", "Accept-Encoding: "+header)
		if got := a.header.Get("Content-Encoding") == "gzip"; got != want || a.header.Get("Vary") != "Accept, Accept-Encoding" {
			t.Errorf("%q: compressed %v, Vary %s", header, got, a.header.Get("Vary"))
		}
		if !want {
			a.is(t, http.StatusOK, plain.body)
			continue
		}
		z, err := gzip.NewReader(strings.NewReader(a.body))
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(z); err != nil || string(body) != plain.body {
			t.Errorf("%q: %v %s", header, err, body)
		}
		if tag := a.header.Get("ETag"); tag != "W/"+plain.header.Get("ETag") {
			t.Errorf("ETag %s", tag)
		}
		if again := s.get("/image_requests", "Accept-Encoding: "+header, "If-None-Match: "+a.header.Get("ETag")); again.status != http.StatusNotModified {
			t.Errorf("%q: %d", header, again.status)
		}
	}
	if a := s.get("/image_requests/"+db.DemoRequest.String(), "Accept-Encoding: gzip"); a.header.Get("Content-Encoding") != "" {
		t.Error("a short answer is compressed")
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	s := serve(t, func(o *rest.Options) { o.Origins = []string{"https://app.example.org"} })
	const ours, theirs, question = "Origin: https://app.example.org", "Origin: https://evil.example.org", "Access-Control-Request-Method: POST"
	for _, c := range []struct {
		method  string
		headers []string
		status  int
		origin  string
	}{
		{http.MethodGet, []string{ours}, 200, "https://app.example.org"},
		{http.MethodGet, []string{theirs}, 200, ""},
		{http.MethodGet, nil, 200, ""},
		{http.MethodPost, []string{ours}, 401, "https://app.example.org"},
		{http.MethodOptions, []string{ours, question}, 204, "https://app.example.org"},
		{http.MethodOptions, []string{ours, question, "Accept: text/html"}, 204, "https://app.example.org"},
		{http.MethodOptions, []string{theirs, question}, 200, ""},
		{http.MethodOptions, []string{ours}, 200, "https://app.example.org"},
	} {
		a := s.send(c.method, "/image_requests", "", c.headers...)
		if a.status != c.status || a.header.Get("Access-Control-Allow-Origin") != c.origin || !strings.HasPrefix(a.header.Get("Vary"), "Accept, Origin") {
			t.Errorf("%s %v: %d %v", c.method, c.headers, a.status, a.header)
		}
		if c.status == 204 && (a.header.Get("Access-Control-Allow-Methods") != "GET, POST, HEAD, OPTIONS" ||
			!strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "Authorization") || a.body != "") {
			t.Errorf("%v", a.header)
		}
		if a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Error("credentials are allowed")
		}
	}
	all := serve(t, func(o *rest.Options) { o.Origins = []string{"*"} })
	if got := all.get("/image_requests", theirs).header.Get("Access-Control-Allow-Origin"); got != "*" {
		t.Errorf("%q", got)
	}
	none := serve(t)
	if a := none.send(http.MethodOptions, "/image_requests", "", ours, question); a.status != http.StatusOK || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without CORS: %d %v", a.status, a.header)
	}
}

func TestProblemDocuments(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for accept, want := range map[string]bool{
		"application/problem+json": true, "application/json, application/problem+json": true, "application/problem+json;q=0.5, */*;q=0.5": true,
		"application/problem+json;q=0.5, application/json": false, "application/*": false, "*/*": false, "application/problem+json;q=0, */*": false,
	} {
		a := s.get("/image_requests/abc", "Accept: "+accept)
		if got := a.header.Get("Content-Type") == "application/problem+json"; got != want || a.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", accept, a.status, a.body)
		}
	}
	const wanted = "Accept: application/problem+json, application/json"
	s.get("/image_requests/abc", wanted).is(t, http.StatusNotFound, `{"type":"about:blank","title":"Not Found","status":404,"detail":"Not found.","code":"NOT_FOUND"}`)
	s.post(valid(map[string]string{"name": `" "`, "tags": `["a",{}]`}), wanted).is(t, http.StatusBadRequest,
		`{"type":"about:blank","title":"Bad Request","status":400,"detail":"The request has 2 problems.","code":"INVALID","errors":[`+
			`{"field":"name","detail":"This field may not be blank.","code":"INVALID"},{"field":"tags.1","detail":"Not a valid string.","code":"INVALID"}]}`)
	s.post(`[`, wanted).is(t, http.StatusBadRequest,
		`{"type":"about:blank","title":"Bad Request","status":400,"detail":"JSON parse error - Expecting value: line 1 column 2 (char 1)","code":"INVALID"}`)
	if a := s.get("/image_requests/"+db.DemoRequest.String(), "Accept: application/problem+json"); a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("success: %d %s", a.status, a.header.Get("Content-Type"))
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const want = `{"detail":"The request body is larger than 1048576 bytes."}`
	large := valid(map[string]string{"unknown": `"` + strings.Repeat("x", 2<<20) + `"`})
	s.post(large).is(t, http.StatusRequestEntityTooLarge, want)
	r := httptest.NewRequest(http.MethodPost, "/image_requests", io.MultiReader(strings.NewReader(large))) // of unknown length
	r.Header.Set("Authorization", "Token "+owner)
	r.Header.Set("Content-Type", "application/json")
	s.answer(r).is(t, http.StatusRequestEntityTooLarge, want)
	into[imageRequest](t, s.post(valid(map[string]string{"unknown": `"` + strings.Repeat("x", 1<<20-1000) + `"`})))
}

// slow is a connection that notes the deadlines it is given, and a body that breaks off with err.
type slow struct {
	http.ResponseWriter
	err       error
	deadlines []time.Time
}

func (s *slow) SetReadDeadline(at time.Time) error { s.deadlines = append(s.deadlines, at); return nil }
func (s *slow) Read([]byte) (int, error)           { return 0, s.err }

func TestBodyDeadline(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for err, want := range map[error]int{os.ErrDeadlineExceeded: http.StatusRequestTimeout, io.ErrUnexpectedEOF: http.StatusBadRequest} {
		w := httptest.NewRecorder()
		body := &slow{ResponseWriter: w, err: err}
		r := httptest.NewRequest(http.MethodPost, "/image_requests", body)
		r.Header.Set("Authorization", "Token "+owner)
		r.Header.Set("Content-Type", "application/json")
		before := time.Now()
		s.ServeHTTP(body, r)
		s.conforms(r, answer{w.Code, w.Header(), w.Body.String()})
		if w.Code != want {
			t.Errorf("%v: %d %s", err, w.Code, w.Body)
		}
		if len(body.deadlines) != 1 || !body.deadlines[0].After(before.Add(time.Second)) { // it must hold for the rest of the body, too
			t.Errorf("deadlines %v: want one in some seconds", body.deadlines)
		}
	}
}

func TestAbsoluteLinks(t *testing.T) {
	t.Parallel()
	proxy := netip.MustParsePrefix("192.0.2.0/24") // httptest's peer is 192.0.2.1
	trusting := func(o *rest.Options) { o.TrustedProxies = []netip.Prefix{proxy} }
	hosts := func(o *rest.Options) { o.Hosts = []string{"images.example.org", "other.example.org:8443"} }
	fixed := func(o *rest.Options) { o.BaseURL = "https://fixed.example.org/here/" }
	forwarded := []string{"X-Forwarded-Host: evil.example.org, images.example.org", "X-Forwarded-Proto: http, https"}
	for name, c := range map[string]struct {
		change  []func(*rest.Options)
		host    string
		headers []string
		want    string
	}{
		"loopback":                {nil, "localhost:8080", nil, "http://localhost:8080"},
		"loopback address":        {nil, "127.0.0.2", nil, "http://127.0.0.2"},
		"loopback IPv6":           {nil, "[::1]:80", nil, "http://[::1]:80"},
		"unknown host":            {nil, "evil.example.org", nil, ""},
		"loopback in a name":      {nil, "localhost.evil.example.org", nil, ""},
		"no host at all":          {nil, "localhost:80\"<x", nil, ""},
		"a port too great":        {nil, "localhost:99999", nil, ""},
		"known host":              {[]func(*rest.Options){hosts}, "Images.example.org:8443", nil, "http://Images.example.org:8443"},
		"known host, other port":  {[]func(*rest.Options){hosts}, "other.example.org:80", nil, ""},
		"known host and port":     {[]func(*rest.Options){hosts}, "other.example.org:8443", nil, "http://other.example.org:8443"},
		"fixed":                   {[]func(*rest.Options){fixed}, "evil.example.org", forwarded, "https://fixed.example.org/here"},
		"forwarded by a stranger": {[]func(*rest.Options){hosts}, "localhost", forwarded, "http://localhost"},
		"forwarded by the proxy":  {[]func(*rest.Options){hosts, trusting}, "localhost", forwarded, "https://images.example.org"},
		"forwarded unknown host":  {[]func(*rest.Options){trusting}, "localhost", forwarded, ""},
	} {
		s := serve(t, c.change...)
		p := into[page](t, s.get("/image_requests?page_size=1", append(c.headers, "Host: "+c.host)...))
		if want := c.want + "/image_requests?page=2&page_size=1"; text(p.Next) != want {
			t.Errorf("%s: %s, want %s", name, text(p.Next), want)
		}
	}
}

// TestTexts shows what becomes of characters that other encoders escape.
func TestTexts(t *testing.T) {
	t.Parallel()
	s := serve(t)
	name := "<é&>\u2028\"\\/\x7f😀"
	text, err := json.Marshal(name + "\n\t\r\b\f\x01.")
	if err != nil {
		t.Fatal(err)
	}
	made := s.post(valid(map[string]string{"description": string(text)}))
	if want := `"description":"<é&>` + "\u2028" + `\"\\/` + "\x7f😀" + `\n\t\r\b\f\u0001.",`; !strings.Contains(made.body, want) {
		t.Errorf("%s\nhas no %s", made.body, want)
	}
}

// TestServerErrors takes the database away: UNAVAILABLE, and nothing of the cause.
func TestServerErrors(t *testing.T) {
	t.Parallel()
	s := serve(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	a := s.answer(httptest.NewRequest(http.MethodGet, "/image_requests", nil).WithContext(gone))
	a.is(t, http.StatusServiceUnavailable, `{"detail":"The database is not to be reached just now. Try again."}`)
	if got := a.header.Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After %q", got)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	s := serve(t)
	good := rest.Options{Store: s.store, Auth: auth.New(s.store, nil), Throttle: auth.NewThrottle(0, 0, nil), Log: quiet}
	if _, err := rest.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*rest.Options){
		"no store":         func(o *rest.Options) { o.Store = nil },
		"no authenticator": func(o *rest.Options) { o.Auth = nil },
		"no throttle":      func(o *rest.Options) { o.Throttle = nil },
		"no log":           func(o *rest.Options) { o.Log = nil },
		"slash at the end": func(o *rest.Options) { o.Prefix = "/api/" },
		"no slash":         func(o *rest.Options) { o.Prefix = "api" },
		"dots":             func(o *rest.Options) { o.Prefix = "/api/.." },
		"base is a path":   func(o *rest.Options) { o.BaseURL = "/api" },
		"base is a script": func(o *rest.Options) { o.BaseURL = "javascript://x" },
		"base with a user": func(o *rest.Options) { o.BaseURL = "http://u@images.example.org" },
		"any host":         func(o *rest.Options) { o.Hosts = []string{"*"} },
		"a URL for a host": func(o *rest.Options) { o.Hosts = []string{"http://images.example.org"} },
		"empty host":       func(o *rest.Options) { o.Hosts = []string{""} },
		"origin no URL":    func(o *rest.Options) { o.Origins = []string{"app.example.org"} },
		"origin null":      func(o *rest.Options) { o.Origins = []string{"null"} },
		"origin a path":    func(o *rest.Options) { o.Origins = []string{"https://app.example.org/"} },
		"everybody proxy":  func(o *rest.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} },
		"no proxy":         func(o *rest.Options) { o.TrustedProxies = []netip.Prefix{{}} },
	} {
		o := good
		change(&o)
		if h, err := rest.New(o); err == nil || h != nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// TestOverTheWire asks a real server for what a recorder cannot show: no redirect, and HEAD without a body.
func TestOverTheWire(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(serve(t))
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	t.Cleanup(client.CloseIdleConnections)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return errors.New("a redirect") }
	for _, path := range []string{"", "/", "/" + db.DemoRequest.String(), "/" + db.DemoRequest.String() + "/", "//x", "/../image_requests"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/image_requests"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(r)
			if err != nil {
				t.Errorf("%s %s: %v", method, path, err)
				continue
			}
			body, err := io.ReadAll(response.Body)
			if err != nil || response.Body.Close() != nil || response.ContentLength <= 0 || (len(body) == 0) != (method == http.MethodHead) {
				t.Errorf("%s %s: length %d, body %s, %v", method, path, response.ContentLength, body, err)
			}
		}
	}
}

// TestSharedList shows that a page tells each reader of what they may see, and of nothing else.
func TestSharedList(t *testing.T) {
	t.Parallel()
	s := serve(t)
	in := imaging.RequestImageInput{
		Name: "Shared", Work: imaging.Work{Instance: uuid.New(), Provider: 1}, Tags: []string{"shared"}, Visibility: imaging.Users, SharedWith: []string{"other"},
	}
	if _, err := s.store.RequestImage(t.Context(), known[owner], in); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{"": names(into[page](t, s.get("/image_requests?tag=shared")))}
	for token := range known {
		got[token] = names(into[page](t, s.get("/image_requests?tag=shared", "Authorization: Token "+token)))
	}
	if diff := cmp.Diff(map[string][]string{"": {}, owner: {"Shared"}, other: {"Shared"}, staff: {"Shared"}}, got); diff != "" {
		t.Error(diff)
	}
}
