package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pages are those whose examples are run, with how many each has. An example is a block that asks, followed by a block that
// answers: curl or http, or a GraphQL document whose first line says who asks.
var pages = map[string]int{"README.md": 2, "docs/errors.md": 10, "docs/pagination.md": 7, "docs/compatibility.md": 1}

// TestExamples runs the examples of the pages, each page's in their order against a demonstration of its own. What differs from
// one run to the next, made ids, times and cursors, may differ, but each always in the same way.
func TestExamples(t *testing.T) {
	t.Parallel()
	for page, count := range pages {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			d, b := openDoors(t), bindings{map[string]string{}, map[string]string{}}
			all := example.FindAllStringSubmatch(string(text), -1)
			for _, m := range all {
				kind, ask, want := m[1], b.live(m[2]), m[3]
				if got := d.try(t, kind, ask, want); !b.same(want, got) {
					t.Errorf("%s\n(-page +answer):\n%s", ask, cmp.Diff(want, got))
				}
			}
			if len(all) != count {
				t.Errorf("%d examples found, want %d", len(all), count)
			}
		})
	}
}

var example = regexp.MustCompile("(?s)```(|graphql|http)\n((?:curl |# as |GET |POST )(?:[^`]|`[^`])*?)\n```\n\n```(?:json|http)\n((?:[^`]|`[^`])*?)\n```")

// try asks what an example asks and gives the answer in the form of the page's, so far as that can be.
func (d *doors) try(t *testing.T, kind, ask, want string) string {
	t.Helper()
	var r *http.Request
	switch kind {
	case "graphql":
		first, _, _ := strings.Cut(ask, "\n")
		body, _ := json.Marshal(map[string]string{"query": ask})
		r = request(t, "POST /graphql\nContent-Type: application/json\n\n"+string(body))
		if user := strings.TrimPrefix(first, "# as "); user != "nobody" {
			r.Header.Set("Authorization", "Token demo-"+user)
		}
	case "http":
		r = request(t, ask)
	default:
		r = request(t, curl(t, ask))
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	if r.URL.Path == "/graphql" {
		return inFormOf(t, want, w.Body.Bytes())
	}
	head, _, ok := strings.Cut(want, "\n\n")
	if !ok {
		return w.Body.String()
	}
	got := []string{fmt.Sprintf("HTTP/1.1 %d %s", w.Code, http.StatusText(w.Code))}
	for _, line := range strings.Split(head, "\n")[1:] {
		name, _, _ := strings.Cut(line, ":")
		got = append(got, name+": "+w.Header().Get(name))
	}
	return strings.Join(got, "\n") + "\n\n" + w.Body.String()
}

// request is one as HTTP writes it, but for the version and what goes without saying.
func request(t *testing.T, text string) *http.Request {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:8080"
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf("no header: %s", line)
		}
		r.Header.Set(name, value)
	}
	return r
}

var (
	header  = regexp.MustCompile(` -H '([^']*)'`)
	address = regexp.MustCompile(`^curl -s http://127\.0\.0\.1:8080(/\S*)`)
)

// curl understands as much of a curl command as the pages use, and nothing else: headers, and a body from a here-document.
func curl(t *testing.T, command string) string {
	t.Helper()
	line, body, _ := strings.Cut(command, "\n")
	target := address.FindStringSubmatch(line)
	if target == nil {
		t.Fatalf("not understood: %s", line)
	}
	request, rest := "GET "+target[1], strings.TrimPrefix(line, target[0])
	if sends, with := strings.CutSuffix(rest, ` --data-binary @- <<'END'`); with {
		request, rest, body = "POST "+target[1], sends, strings.TrimSuffix(body, "\nEND")
	}
	for _, m := range header.FindAllStringSubmatch(rest, -1) {
		request += "\n" + m[1]
	}
	if unread := header.ReplaceAllString(rest, ""); unread != "" {
		t.Fatalf("not understood: %s", unread)
	}
	return request + "\n\n" + body
}

// inFormOf gives an answer the blanks and line ends of what the page has, if it is the same but for them; extensions of the
// whole answer, which pages do not repeat each time, are left out where the page has none.
func inFormOf(t *testing.T, want string, answer []byte) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(answer, &members); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	got, names := []byte("{"), []string{"errors", "data"}
	if strings.Contains(want, `"extensions":{"cost":`) {
		names = append(names, "extensions")
	}
	for _, name := range names {
		if members[name] != nil {
			got = append(append(got, `"`+name+`":`...), append(members[name], ',')...)
		}
	}
	got = append(bytes.TrimSuffix(got, []byte(",")), '}')
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(want)); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	written, made := varying.FindAllString(want, -1), varying.FindAllString(string(got), -1)
	if varying.ReplaceAllString(compact.String(), "") != varying.ReplaceAllString(string(got), "") || len(written) != len(made) {
		return string(got)
	}
	at := -1
	return varying.ReplaceAllStringFunc(want, func(string) string { at++; return made[at] })
}

// varying is what differs from one run to the next: ids, times, cursors and what is left of a budget.
var varying = regexp.MustCompile(`"remaining":(?:null|\d+)|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z|[A-Za-z0-9_-]{60,}`)

// bindings are what is written in a page for what is made when its examples are run, and the other way round.
type bindings struct{ made, written map[string]string }

// live puts into an example what was made where the page has what was made when it was written.
func (b bindings) live(text string) string {
	return varying.ReplaceAllStringFunc(text, func(s string) string {
		if made, ok := b.made[s]; ok {
			return made
		}
		return s
	})
}

// same tells whether an answer is that of the page, and binds what varies.
func (b bindings) same(want, got string) bool {
	written, made := varying.FindAllString(want, -1), varying.FindAllString(got, -1)
	if varying.ReplaceAllString(want, "") != varying.ReplaceAllString(got, "") || len(written) != len(made) {
		return false
	}
	for i, w := range written {
		if b.made[w] != "" && b.made[w] != made[i] || b.written[made[i]] != "" && b.written[made[i]] != w {
			return false
		}
		if w != made[i] && (slices.Contains(documented, w) || slices.Contains(documented, made[i])) {
			return false
		}
		b.made[w], b.written[made[i]] = made[i], w
	}
	return true
}

// documented are what never varies: the ids and times of the documented example, and the ids for trying things out.
var documented = []string{
	"bdc31c14-f807-11e3-8ef5-b2227cce2b54", "813557f2-f808-11e3-8ef5-b2227cce2b54", "2014-02-05T01:03:27.903Z", "2014-02-04T23:56:40.077Z",
	"01980000-0000-7000-8000-000000000001", "01980000-0000-7000-8000-000000000002",
}
