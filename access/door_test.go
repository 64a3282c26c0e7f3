package access_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/graph"
	"imagerequests/imaging"
	"imagerequests/rest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// house is both doors over a database of its own.
type house struct {
	store   *db.Store
	sql     *sql.DB
	handler http.Handler
	tokens  map[string]string // by the actor's name

	asked, answered atomic.Int64 // of non-interference: questions, and those that rows were told to
}

var root = imaging.Actor{Username: "root", Roles: []imaging.Role{imaging.Admin}}

func open(t testing.TB) *house {
	t.Helper()
	cfg := dbtest.Config(t)
	h := &house{store: dbtest.Open(t, cfg), sql: dbtest.SQL(t, cfg), tokens: map[string]string{}}
	log := slog.New(slog.DiscardHandler)
	known, throttle, feed := auth.New(h.store, nil), auth.NewThrottle(0, 0, nil), db.NewFeed(h.store)
	shim, err := rest.New(rest.Options{Store: h.store, Auth: known, Throttle: throttle, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/graphql", graph.New(graph.Options{Store: h.store, Feed: feed, Auth: known, Throttle: throttle, Log: log}))
	mux.Handle("/", shim)
	h.handler = mux
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = feed.Run(ctx) }) // the context's end
	t.Cleanup(func() { stop(); running.Wait() })
	for id, name := range []string{"first", "second", "parking"} {
		if _, err := h.store.SaveProvider(ctx, root, imaging.SaveProviderInput{ID: id + 1, Name: &name}); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range actors {
		h.tokens[a.name] = h.token(t, a)
	}
	return h
}

// token makes the actor's, as bad as it is to be.
func (h *house) token(t testing.TB, a actor) string {
	t.Helper()
	ctx := context.Background()
	token := imaging.Token{Username: a.username, Providers: a.providers}
	for _, role := range a.roles {
		token.Roles = append(token.Roles, imaging.Role(role))
	}
	switch a.token {
	case "none":
		return ""
	case "bad":
		return imaging.Secret()
	case "expired":
		token.ExpiresAt = new(time.Now().Add(-time.Minute))
	case "read only":
		token.ReadOnly = true
	}
	secret, made, err := h.store.CreateToken(ctx, root, token)
	if err == nil && a.token == "revoked" {
		_, err = h.store.RevokeToken(ctx, root, made.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func named(name string) actor {
	return actors[slices.IndexFunc(actors, func(a actor) bool { return a.name == name })]
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   string
}

// send sends a request as the actor; headers are given as "Name: value".
func (h *house) send(a actor, method, target, body string, headers ...string) reply {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "localhost:8080"
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	if token := h.tokens[a.name]; token != "" {
		r.Header.Set("Authorization", "Token "+token)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.String()}
}

const sendsJSON = "Content-Type: application/json"

// ask sends an operation of GraphQL with variables.
func (h *house) ask(a actor, query string, variables any) reply {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		panic(err) // they are ours
	}
	return h.send(a, http.MethodPost, "/graphql", string(body), sendsJSON)
}

// answer is that of GraphQL.
type answer struct {
	Data   map[string]any
	Errors []struct {
		Message    string
		Extensions struct{ Code, Field, Status string }
	}
}

func (r reply) answer(t testing.TB) (a answer) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), &a); err != nil {
		t.Errorf("not JSON: %d %s", r.status, r.body)
	}
	return a
}

// refusal is the only error that came back, as the oracle calls it: its code, and with it the status of the version if it
// tells one; 401 for a token that is none. "" if there is no error.
func (r reply) refusal(t testing.TB) string {
	t.Helper()
	a := r.answer(t)
	switch {
	case r.status == http.StatusUnauthorized && len(a.Errors) == 1 && a.Errors[0].Extensions.Code == "UNAUTHENTICATED" && a.Data == nil:
		return "401"
	case r.status != http.StatusOK || len(a.Errors) > 1:
		return fmt.Sprintf("%d %s", r.status, r.body)
	case len(a.Errors) == 0:
		return ""
	}
	return strings.TrimSpace(a.Errors[0].Extensions.Code + " " + a.Errors[0].Extensions.Status)
}

// at follows a path of members and numbers through decoded JSON; nil where it ends.
func at(v any, path ...any) any {
	for _, step := range path {
		switch in := v.(type) {
		case map[string]any:
			name, _ := step.(string)
			v = in[name]
		case []any:
			n, ok := step.(int)
			if !ok || n >= len(in) {
				return nil
			}
			v = in[n]
		default:
			return nil
		}
	}
	return v
}

// side by side does f for each of the things, several at once.
func sideBySide[T any](things []T, f func(T)) {
	var running sync.WaitGroup
	next := make(chan T)
	for range 2 * runtime.GOMAXPROCS(0) {
		running.Go(func() {
			for thing := range next {
				f(thing)
			}
		})
	}
	for _, thing := range things {
		next <- thing
	}
	close(next)
	running.Wait()
}
