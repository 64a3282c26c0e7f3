package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"imagerequests/db"
)

// TestEndpoints holds what each path of the service answers a browser or a probe.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	const plain = "text/plain; charset=utf-8"
	ids := map[string]bool{}
	for _, row := range []struct {
		method, path string
		status       int
		contentType  string
		body         string // a part of it
	}{
		{"GET", "/", 200, plain, "/graphql"},
		{"GET", "/healthz", 200, plain, "ok\n"},
		{"GET", "/readyz", 200, plain, "ready\n"},
		{"GET", "/metrics", 401, plain, "admins"},
		{"GET", "/openapi.json", 200, "application/json", `"openapi": "3.1`},
		{"GET", "/playground", 200, "text/html; charset=utf-8", "<!DOCTYPE html>"},
		{"GET", "/playground/", 200, "text/html; charset=utf-8", "<!DOCTYPE html>"},
		{"GET", "/playground/nothing", 404, plain, ""},
		{"POST", "/playground", 405, plain, ""},
		{"GET", "/graphql?query=%7Bviewer%7Busername%7D%7D", 200, "application/json; charset=utf-8", `{"data":{"viewer":null},"extensions":{"cost":`},
		{"GET", "/graphql", 400, "application/json; charset=utf-8", "query is missing"},
		{"GET", "/image_requests", 200, "application/json", `{"count":4,`},
		{"GET", "/image_requests/", 200, "application/json", `{"count":4,`},
		{"GET", "/image_requests/nothing", 404, "application/json", `{"detail":"Not found."}`},
		{"GET", "/image_requestsx", 404, plain, "There is nothing here."},
		{"GET", "/nothing", 404, plain, "There is nothing here."},
		{"POST", "/nothing", 404, plain, "There is nothing here."},
		{"GET", "//image_requests", 404, plain, "There is nothing here."},
		{"GET", "/graphql/", 404, plain, "There is nothing here."},
		{"GET", "/healthz/", 404, plain, "There is nothing here."},
	} {
		r := d.send(row.method, row.path, "")
		if r.status != row.status || r.header.Get("Content-Type") != row.contentType || !strings.Contains(r.body, row.body) {
			t.Errorf("%s %s: %d %s %.200s\nwant %d %s …%s…", row.method, row.path, r.status, r.header.Get("Content-Type"), r.body, row.status, row.contentType, row.body)
		}
		for name, want := range held {
			got := r.header.Values(name)
			if page := strings.HasPrefix(row.contentType, "text/html"); page && name == "Content-Security-Policy" {
				if len(got) != 1 || !strings.Contains(got[0], "default-src 'none'") || !strings.Contains(got[0], "frame-ancestors 'none'") {
					t.Errorf("%s %s: %s %q", row.method, row.path, name, got)
				}
			} else if len(got) != 1 || got[0] != want[0] {
				t.Errorf("%s %s: %s %q, want %q", row.method, row.path, name, got, want)
			}
		}
		if got := r.header.Get("Strict-Transport-Security"); got != "" {
			t.Errorf("%s %s: without TLS it is said that there is: %s", row.method, row.path, got)
		}
		id := r.header.Get("X-Request-Id")
		if len(id) < 20 || ids[id] {
			t.Errorf("%s %s: X-Request-Id %q is missing or was given before", row.method, row.path, id)
		}
		ids[id] = true
	}
	if r := d.send("GET", "/openapi.json", ""); !json.Valid([]byte(r.body)) || !strings.Contains(r.body, `"/image_requests/{id}"`) {
		t.Errorf("%.200s", r.body)
	}
}

// TestPrefix: with a prefix the REST interface is there and nowhere else.
func TestPrefix(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	var err error
	if d.handler, err = (serve{Prefix: "/api/v1"}).handler(d.store, db.NewFeed(d.store), slog.New(slog.DiscardHandler), &d.stopping); err != nil {
		t.Fatal(err)
	}
	for path, status := range map[string]int{
		"/api/v1/image_requests": 200, "/api/v1/image_requests/": 200, "/image_requests": 404, "/api/v1": 404, "/api/v1/graphql": 404, "/healthz": 200,
	} {
		if r := d.send("GET", path, ""); r.status != status {
			t.Errorf("%s: %d, want %d", path, r.status, status)
		}
	}
	if r := d.send("GET", "/", ""); !strings.Contains(r.body, "/api/v1/image_requests") {
		t.Errorf("the front page does not name the prefix: %s", r.body)
	}
	if r := d.rest("owner", "/api/v1/image_requests"); r.status != http.StatusUnauthorized {
		t.Errorf("the demonstration's token without the demonstration: %d %s", r.status, r.body)
	}
	if r := d.graphql("owner", "{ viewer { username } }", "{}"); r.status != http.StatusUnauthorized {
		t.Errorf("the demonstration's token without the demonstration: %d %s", r.status, r.body)
	}
}

// TestReadiness: not ready while stopping or without the database; alive all the same.
func TestReadiness(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	ready := func(status int, body string) {
		t.Helper()
		if r := d.send("GET", "/readyz", ""); r.status != status || r.body != body {
			t.Errorf("%d %s, want %d %s", r.status, r.body, status, body)
		}
		if r := d.send("GET", "/healthz", ""); r.status != http.StatusOK {
			t.Errorf("not alive: %d %s", r.status, r.body)
		}
	}
	ready(200, "ready\n")
	d.stopping.Store(true)
	ready(503, "stopping\n")
	d.stopping.Store(false)
	if _, err := d.sql.ExecContext(context.Background(), "ALTER TABLE schema_migrations RENAME TO hidden"); err != nil {
		t.Fatal(err)
	}
	ready(503, "the database does not answer\n")
	if _, err := d.sql.ExecContext(context.Background(), "ALTER TABLE hidden RENAME TO schema_migrations"); err != nil {
		t.Fatal(err)
	}
	ready(200, "ready\n")
}
