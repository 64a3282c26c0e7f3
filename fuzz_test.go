package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"log/slog"

	"imagerequests/db"
	"imagerequests/db/dbtest"
)

// whole is every path of the service over a database of its own.
func whole(f *testing.F) http.Handler {
	f.Helper()
	store := dbtest.Store(f)
	if err := store.LoadDemo(f.Context()); err != nil {
		f.Fatal(err)
	}
	h, err := serve{Demo: true}.handler(store, db.NewFeed(store), slog.New(slog.DiscardHandler), new(atomic.Bool))
	if err != nil {
		f.Fatal(err)
	}
	return h
}

// send answers a request of the demonstration's user; 5xx fails.
func send(t *testing.T, h http.Handler, method, target, contentType, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body))
	if err != nil {
		return
	}
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(target, "?")
	r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1"
	r.Header.Set("Authorization", "Token demo-username")
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code >= http.StatusInternalServerError || strings.Contains(w.Body.String(), `"code":"INTERNAL"`) {
		t.Errorf("%s %q %q: %d %s", method, target, body, w.Code, w.Body)
	}
}

// FuzzREST sends requests of any kind: whatever comes is answered, and never by an error of ours.
func FuzzREST(f *testing.F) {
	h := whole(f)
	for _, s := range []string{
		"", "/", "?page=2&page_size=1", "?page=last", "?search=a+b&ordering=-name&status=pending", "?created_by=username&tag=R&provider=1",
		"/bdc31c14-f807-11e3-8ef5-b2227cce2b54", "/x/", "?page=%00&search=%ff", "?provider=99999999999999999999",
	} {
		f.Add("GET", s, "application/json", "")
	}
	for _, body := range []string{
		`{ instance: "74089c18-f80a-11e3-8ef5-b2227cce2b54", provider: 1, description: "", software: "", exclude: "/a", tags: ["a"], vis: "public"}`,
		`{"instance":"x","provider":"1","tags":"a,b","vis":["a"],"shared_with":[1],"name":"\ud800"}`, `[`, `{"a":`, `null`,
	} {
		f.Add("POST", "", "application/json", body)
	}
	f.Add("POST", "", "application/x-www-form-urlencoded", "instance=a&tags=b&vis=public")
	f.Add("OPTIONS", "", "text/plain", "")
	f.Fuzz(func(t *testing.T, method, target, contentType, body string) {
		send(t, h, method, "/image_requests"+target, contentType, body)
	})
}

// FuzzGraphQL sends documents and variables of any kind.
func FuzzGraphQL(f *testing.F) {
	h := whole(f)
	f.Add(`{ imageRequests(first: 2, after: "x", filter: {search: "a", tags: ["b"]}) { totalCount nodes { id versions { id } } } }`, `{}`)
	f.Add(`query($i: ImageRequestFilter, $o: ImageRequestOrder) { imageRequests(filter: $i, orderBy: $o) { nodes { id } } }`, `{"i":{"startedFrom":"2020-01-01T00:00:00Z","ended":null},"o":{"field":"NAME"}}`)
	f.Add(`query($s: String) { imageRequests(after: $s) { edges { cursor } } versions(before: $s, last: 3) { nodes { id } } }`, `{"s":"UHd_9HtcaW1hZ2VfcmVxdWVzdApOQU1FCkFTQwpHZW5vbWUgYXNzZW1ibHkgd29ya2JlbmNoAaIKIjgRezWF4PV7Apa7_g"}`)
	f.Add(`mutation($i: RequestImageInput!) { requestImage(input: $i) { version { id } } }`, `{"i":{"name":"a","instance":"74089c18-f80a-11e3-8ef5-b2227cce2b54","provider":1,"visibility":"USERS","sharedWith":["b"],"idempotencyKey":"k"}}`)
	f.Add(`mutation { editImageRequest(input: {imageRequest: "bdc31c14-f807-11e3-8ef5-b2227cce2b54", endDate: "0001-01-01T00:00:00Z", icon: null}) { imageRequest { icon } } }`, `null`)
	f.Fuzz(func(t *testing.T, query, variables string) {
		body, err := json.Marshal(map[string]any{"query": query, "variables": json.RawMessage(variables)})
		if err != nil { // the variables are no JSON: send them as they are
			body = []byte(`{"query":"{viewer{username}}","variables":` + variables + `}`)
		}
		send(t, h, http.MethodPost, "/graphql", "application/json", string(body))
	})
}
