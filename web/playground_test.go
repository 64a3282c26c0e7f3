package web

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var demo = Options{
	Token: "demo-username",
	Users: []User{{"username", "demo-username"}, {"reviewer", "demo-reviewer"}},
}

func TestPageHeaders(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/playground", "/playground/"} {
		res := get(t, demo, path)
		if res.Code != http.StatusOK {
			t.Fatalf("%s: status %d", path, res.Code)
		}
		want := map[string]string{
			"Content-Type":                 "text/html; charset=utf-8",
			"Cache-Control":                "no-store",
			"X-Content-Type-Options":       "nosniff",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
		}
		for name, value := range want {
			if got := res.Header().Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
	}
}

// TestPolicy compares the whole policy with one worked out from the page as a browser would.
func TestPolicy(t *testing.T) {
	t.Parallel()
	res := get(t, demo, "/playground")
	sum := sha256.Sum256([]byte(inlineScript(t, res.Body.String())))
	want := "default-src 'none'; script-src 'self' 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; " +
		"style-src 'self' 'nonce-" + nonce(t, res.Body.String()) + "'; connect-src 'self'; img-src 'self' data:; " +
		"font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if diff := cmp.Diff(want, res.Header().Get("Content-Security-Policy")); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
}

func TestNonceIsNewForEachAnswer(t *testing.T) {
	t.Parallel()
	h := playground(t, demo)
	seen := map[string]bool{}
	for range 10 {
		res := httptest.NewRecorder()
		h.ServeHTTP(res, httptest.NewRequest(http.MethodGet, "/playground", nil))
		n := nonce(t, res.Body.String())
		if len(n) < 22 || seen[n] { // 22 characters of base64 are 128 bits
			t.Errorf("nonce %q is short or was there before", n)
		}
		seen[n] = true
	}
}

// TestNothingFromOutside looks for addresses of other hosts in all that we wrote, and for what the page loads. The
// libraries contain addresses as text only; the policy keeps them from being used.
func TestNothingFromOutside(t *testing.T) {
	t.Parallel()
	html := get(t, demo, "/playground").Body.String()
	ours := map[string]string{"the page": html}
	for _, name := range []string{"page/playground.js", "page/playground.css"} {
		content, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		ours[name] = string(content)
	}
	outside := regexp.MustCompile(`(?i)(https?|wss?):|["'(]//`)
	for name, content := range ours {
		for _, found := range outside.FindAllString(strings.ReplaceAll(content, `"//")`, ""), -1) {
			t.Errorf("%s names another host: %q", name, found)
		}
	}
	loaded := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(html, -1)
	if len(loaded) != 8 {
		t.Errorf("the page has %d addresses, want 8", len(loaded))
	}
	for _, m := range loaded {
		if m[1] != "data:," && !strings.HasPrefix(m[1], "/playground/assets/") {
			t.Errorf("the page names %q", m[1])
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	o := demo
	o.Endpoint = "/api/graphql"
	o.Example = []Tab{
		{Query: "{ a }"},
		{Query: "{ b }", Variables: `{"x": 1}`, User: "reviewer"},
		{Query: "{ c }", User: "unknown"},
	}
	username := "{\n  \"Authorization\": \"Token demo-username\"\n}"
	reviewer := "{\n  \"Authorization\": \"Token demo-reviewer\"\n}"
	want := config{
		Endpoint:  "/api/graphql",
		FreshUUID: FreshUUID,
		Headers:   username,
		Tabs:      []configTab{{"{ a }", "", username}, {"{ b }", `{"x": 1}`, reviewer}, {"{ c }", "", username}},
		Users:     o.Users,
	}
	if diff := cmp.Diff(want, configOf(t, get(t, o, "/playground").Body.String())); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

// TestWithoutDemo: by default the examples are open, nobody is signed in, and the headers tell how to.
func TestWithoutDemo(t *testing.T) {
	t.Parallel()
	c := configOf(t, get(t, Options{}, "/playground").Body.String())
	if c.Endpoint != "/graphql" || len(c.Tabs) != len(Examples()) || len(c.Users) != 0 {
		t.Errorf("endpoint %q, %d tabs, %d users", c.Endpoint, len(c.Tabs), len(c.Users))
	}
	for _, tab := range c.Tabs {
		headers := map[string]string{}
		if err := json.Unmarshal([]byte(tab.Headers), &headers); err != nil {
			t.Fatalf("headers %q: %v", tab.Headers, err)
		}
		if headers["// Authorization"] == "" {
			t.Errorf("headers %q have no hint", tab.Headers)
		}
		for name := range headers {
			if !strings.HasPrefix(name, "//") {
				t.Errorf("the header %q is sent", name)
			}
		}
	}
}

// TestNothingBreaksOut puts markup and quotes wherever a value can be given: the page keeps its one inline script, and
// the value arrives as it was.
func TestNothingBreaksOut(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{
		`</script><script>alert(1)</script>`, `"); alert(1); ("`, `'); alert(1)//`, "`${alert(1)}`", `<!--<script>`,
		"line\u2028separator\u2029\n", `\";alert(1)//`, `]]>`, nonceMark,
	} {
		o := Options{
			Endpoint: "/" + strings.ReplaceAll(evil, `\`, ""),
			Token:    evil,
			Users:    []User{{evil, evil}},
			Example:  []Tab{{Query: evil, Variables: evil, User: evil}},
		}
		res := get(t, o, "/playground")
		html := res.Body.String()
		if n := strings.Count(strings.ToLower(html), "</script"); n != 5 {
			t.Errorf("%q: %d scripts end in the page, want 5", evil, n)
		}
		sum := sha256.Sum256([]byte(inlineScript(t, html)))
		hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		if !strings.Contains(res.Header().Get("Content-Security-Policy"), hash) {
			t.Errorf("%q: the policy does not allow the script", evil)
		}
		c := configOf(t, html)
		if diff := cmp.Diff(User{evil, evil}, c.Users[0]); diff != "" {
			t.Errorf("%q: user (-want +got):\n%s", evil, diff)
		}
		headers := map[string]string{}
		if err := json.Unmarshal([]byte(c.Tabs[0].Headers), &headers); err != nil {
			t.Fatalf("%q: headers: %v", evil, err)
		}
		if headers["Authorization"] != "Token "+evil || c.Tabs[0].Query != evil || c.Tabs[0].Variables != evil {
			t.Errorf("%q arrives as %+v", evil, c.Tabs[0])
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	h := playground(t, demo)
	asset := regexp.MustCompile(`/playground/assets/[^"]*`).FindString(get(t, demo, "/playground").Body.String())
	for _, path := range []string{"/playground", asset} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"} {
			res := httptest.NewRecorder()
			h.ServeHTTP(res, httptest.NewRequest(method, path, nil))
			if res.Code != http.StatusMethodNotAllowed || res.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: status %d, Allow %q", method, path, res.Code, res.Header().Get("Allow"))
			}
		}
	}
	for _, path := range []string{"/", "/playground/x", "/playground/assets/", "/playground/assets/graphiql.min.js"} {
		if res := get(t, demo, path); res.Code != http.StatusNotFound {
			t.Errorf("GET %s: status %d, want 404", path, res.Code)
		}
	}
}

// TestHead needs a real server, because a recorder keeps the body of an answer to HEAD.
func TestHead(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(playground(t, demo))
	t.Cleanup(srv.Close)
	res, err := srv.Client().Head(srv.URL + "/playground")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("status %d, headers %v", res.StatusCode, res.Header)
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"whole address":      {Endpoint: "https://example.org/graphql"},
		"other host":         {Endpoint: "//example.org/graphql"},
		"other host, evilly": {Endpoint: `/\example.org/graphql`},
		"relative":           {Endpoint: "graphql"},
		"nameless user":      {Users: []User{{Token: "t"}}},
		"user without token": {Users: []User{{Name: "n"}}},
	} {
		if _, err := Playground(o); err == nil || !strings.HasPrefix(err.Error(), "web: ") {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func playground(t *testing.T, o Options) http.Handler {
	t.Helper()
	h, err := Playground(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(t *testing.T, o Options, path string) *httptest.ResponseRecorder {
	t.Helper()
	res := httptest.NewRecorder()
	playground(t, o).ServeHTTP(res, httptest.NewRequest(http.MethodGet, path, nil))
	return res
}

// inlineScript is the text of the page's only script without src.
func inlineScript(t *testing.T, html string) string {
	t.Helper()
	found := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(html, -1)
	if len(found) != 1 {
		t.Fatalf("the page has %d inline scripts, want 1", len(found))
	}
	return found[0][1]
}

func nonce(t *testing.T, html string) string {
	t.Helper()
	found := regexp.MustCompile(` nonce="([^"]*)"`).FindAllStringSubmatch(html, -1)
	if len(found) != 1 {
		t.Fatalf("the page has %d nonces, want 1", len(found))
	}
	return found[0][1]
}

// configOf reads what the page's script is started with.
func configOf(t *testing.T, html string) config {
	t.Helper()
	text := strings.TrimSuffix(strings.TrimPrefix(inlineScript(t, html), "startPlayground("), ");")
	var c config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatalf("config %s: %v", text, err)
	}
	return c
}
