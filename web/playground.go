// Package web serves the GraphQL playground: GraphiQL in a page of our own that works without any other host. Its
// libraries are embedded (assets/update.sh tells where they come from), and a Content-Security-Policy forbids the
// page to load or reach anything but this server.
package web

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strings"
)

// Options says what the playground talks to and what it opens with.
type Options struct {
	// Endpoint is the path of the GraphQL endpoint on this host; by default /graphql.
	Endpoint string
	// Example holds the tabs that are open at first; by default Examples().
	Example []Tab
	// Token signs in every tab that names no user. It is readable by all who can open the page: leave it empty
	// unless it is meant for them, as in a demonstration.
	Token string
	// Users are those a person may switch between. Their tokens are as public as Token.
	Users []User
}

// User is someone whom the playground can sign in as.
type User struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}

// Tab is one operation, ready to be run.
type Tab struct {
	// Query is the GraphQL document. The tab is titled with the name of its operation.
	Query string
	// Variables is a JSON object or empty. Each FreshUUID in it becomes a random UUID when the page is loaded.
	Variables string
	// User is the name of the user in Options.Users that the tab is signed in as. If it is empty or not there, the
	// tab is signed in with Options.Token.
	User string
}

// FreshUUID stands in Tab.Variables for a UUID that nobody has used yet.
const FreshUUID = "00000000-0000-0000-0000-000000000000"

// config is what the page's script is started with.
type config struct {
	Endpoint  string      `json:"endpoint"`
	FreshUUID string      `json:"freshUUID"`
	Headers   string      `json:"headers"` // of a new tab
	Tabs      []configTab `json:"tabs"`    // at least one
	Users     []User      `json:"users"`
}

type configTab struct {
	Query     string `json:"query"`
	Variables string `json:"variables"`
	Headers   string `json:"headers"`
}

// Playground answers GET and HEAD for /playground and its files under /playground/assets/, 405 for other methods
// there, and 404 for everything else. It fails if the endpoint is not a path, or a user lacks a name or token.
func Playground(o Options) (http.Handler, error) {
	c, err := newConfig(o)
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	assets, err := loadAssets()
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	p, err := newPage(c, assets)
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}

	mux := http.NewServeMux()
	mux.Handle("GET /playground", p)
	mux.Handle("GET /playground/{$}", p)
	for _, a := range assets {
		mux.Handle("GET "+a.path, a)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		mux.ServeHTTP(w, r)
	}), nil
}

func newConfig(o Options) (config, error) {
	c := config{Endpoint: o.Endpoint, FreshUUID: FreshUUID, Headers: headers(o.Token), Users: []User{}}
	if c.Endpoint == "" {
		c.Endpoint = "/graphql"
	}
	// Browsers read both // and /\ as the beginning of another host's address.
	if c.Endpoint[0] != '/' || strings.HasPrefix(c.Endpoint, "//") || strings.Contains(c.Endpoint, `\`) {
		return config{}, fmt.Errorf("the endpoint %q is not a path on this host", c.Endpoint)
	}
	tokens := map[string]string{}
	for _, u := range o.Users {
		if u.Name == "" || u.Token == "" {
			return config{}, errors.New("each user of the playground needs a name and a token")
		}
		tokens[u.Name] = u.Token
		c.Users = append(c.Users, u)
	}
	tabs := o.Example
	if len(tabs) == 0 {
		tabs = Examples()
	}
	for _, t := range tabs {
		token, ok := tokens[t.User]
		if !ok {
			token = o.Token
		}
		c.Tabs = append(c.Tabs, configTab{Query: t.Query, Variables: t.Variables, Headers: headers(token)})
	}
	return c, nil
}

// headers writes what a tab's headers pane shows: the token's header, so that people see how signing in is done, or a
// hint. JSON has no comments; the page's script does not send names that begin with two slashes.
func headers(token string) string {
	lines := map[string]string{"Authorization": "Token " + token}
	if token == "" {
		lines = map[string]string{"//": "to sign in, take away the // below", "// Authorization": "Token YOUR-TOKEN"}
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // a person reads it; the page's template escapes it once more
	enc.SetIndent("", "  ")
	_ = enc.Encode(lines) // strings always encode, and a strings.Builder takes all that is written
	return strings.TrimSpace(b.String())
}

// page is the document in two halves; between them each answer gets its own nonce.
type page struct {
	before, after string
	scriptHash    string
}

// nonceMark stands in the rendered page where the nonce goes. Before it the page holds nothing that was configured.
const nonceMark = "NONCE"

func newPage(c config, assets map[string]*asset) (*page, error) {
	t, err := template.ParseFS(files, "page/playground.html")
	if err != nil {
		return nil, fmt.Errorf("read the page: %w", err)
	}
	paths := map[string]string{}
	for name, a := range assets {
		paths[name] = a.path
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"Config": c, "Paths": paths, "Nonce": nonceMark})
	if err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	before, after, ok := strings.Cut(b.String(), nonceMark)
	if !ok {
		return nil, errors.New("the page has no place for the nonce")
	}
	_, script, ok := strings.Cut(after, "<script>")
	script, _, closed := strings.Cut(script, "</script>")
	if !ok || !closed {
		return nil, errors.New("the page has no inline script")
	}
	sum := sha256.Sum256([]byte(script))
	return &page{before: before, after: after, scriptHash: base64.StdEncoding.EncodeToString(sum[:])}, nil
}

func (p *page) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	nonce := rand.Text()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.policy(nonce))
	// The page holds tokens and a nonce: no cache may keep it.
	h.Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, p.before+nonce+p.after) // an error here means that the client has gone
}

// policy allows the embedded files, the one inline script by its hash, and requests to this server. GraphiQL sets
// inline styles through the DOM only, which needs no permission, but its dialogs and menus add one <style> element
// while they are open: that is what the nonce is for, so that 'unsafe-inline' is not needed. Its style sheet
// has fonts and pictures as data: addresses.
func (p *page) policy(nonce string) string {
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self' 'sha256-" + p.scriptHash + "'",
		"style-src 'self' 'nonce-" + nonce + "'",
		"connect-src 'self'",
		"img-src 'self' data:",
		"font-src 'self' data:",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
	}, "; ")
}
