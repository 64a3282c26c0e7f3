package main

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// value is what a line of the metrics says; "" if there is none.
func value(text, line string) string {
	for l := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(l, line+" "); ok {
			return strings.TrimSuffix(rest, "\n")
		}
	}
	return ""
}

// Requests are counted by door and status, errors of GraphQL by code, and what waits by status; nobody but admins is
// told where everybody can ask.
func TestMetrics(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	d.rest("nobody", "/image_requests")
	d.rest("nobody", "/image_requests/nothing")
	d.rest("bad", "/image_requests")
	d.send("GET", "/nobody/knows/this-path-"+strings.Repeat("x", 50), "")
	d.graphql("owner", "{ imageRequest(id: \"01980000-0000-7000-8000-000000000009\") { id } }", "{}")
	for caller, want := range map[string]int{"nobody": 401, "bad": 401, "owner": 403, "reviewer": 403, "worker": 403, "admin": 200} {
		if r := d.rest(caller, "/metrics"); r.status != want || want != 200 && strings.Contains(r.body, "imagerequests_") {
			t.Errorf("%s: %d %s", caller, r.status, r.body)
		}
	}
	r := d.rest("admin", "/metrics")
	for line, want := range map[string]string{
		`imagerequests_requests_total{door="rest",status="200"}`:                  "1",
		`imagerequests_requests_total{door="rest",status="404"}`:                  "1",
		`imagerequests_requests_total{door="rest",status="401"}`:                  "1",
		`imagerequests_requests_total{door="other",status="404"}`:                 "1",
		`imagerequests_requests_total{door="graphql",status="200"}`:               "1",
		`imagerequests_request_seconds_count{door="rest"}`:                        "3",
		`imagerequests_graphql_errors_total{code="NOT_FOUND"}`:                    "1",
		`imagerequests_open_versions{status="PENDING",provider="1"}`:              "2",
		`imagerequests_open_versions{status="APPROVED",provider="1"}`:             "1",
		`imagerequests_leases_overdue`:                                            "0",
		`imagerequests_feed_lag_seconds`:                                          "0",
		`imagerequests_leases_expired_total`:                                      "0",
		`imagerequests_database_up`:                                               "1",
		`imagerequests_waiting{of="pages"}`:                                       "0",
		`imagerequests_pool_limit`:                                                "8",
		`imagerequests_build_info{version="unreleased",go="` + goVersion() + `"}`: "1",
	} {
		if got := value(r.body, line); got != want {
			t.Errorf("%s is %q, want %s", line, got, want)
		}
	}
	// other tests hold transactions on this server, and so events back
	if seconds, err := strconv.ParseFloat(value(r.body, "imagerequests_events_waiting_seconds"), 64); err != nil || seconds < 0 || seconds > 600 {
		t.Errorf("events wait for %v s, %v", seconds, err)
	}
	if t.Failed() {
		t.Log(r.body)
	}
	for n, line := range strings.Split(strings.TrimSuffix(r.body, "\n"), "\n") {
		if !wellFormed.MatchString(line) {
			t.Errorf("line %d is no line of metrics: %s", n, line)
		}
	}
	for _, secret := range []string{"demo-", "username", "this-path", "Ubuntu"} {
		if strings.Contains(r.body, secret) {
			t.Errorf("the metrics tell %s", secret)
		}
	}
}

var wellFormed = regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [-+.e0-9]+)$`)

// With --metrics they are told at an address of their own, also while the database is away; sockets are counted and not timed.
func TestMetricsOfTheirOwn(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	store := dbtest.Open(t, cfg)
	secret, _, err := store.CreateToken(t.Context(), operator, imaging.Token{Username: "ann", Roles: []imaging.Role{imaging.Requester}})
	if err != nil {
		t.Fatal(err)
	}
	m := newMetrics(store, nil, nil)
	if _, err := m.listen("192.0.2.1:1"); err == nil {
		t.Error("it listens on an address that is not this machine's")
	}
	address := free(t)
	s := serveHere(t, map[string]string{"DATABASE_URL": urlOf(cfg)}, "--listen=127.0.0.1:0", "--metrics="+address)
	c := connect(t, s.base, secret)
	c.viewer(t)
	_ = c.Close(websocket.StatusNormalClosure, "")
	var text string
	eventually(t, "the socket is counted", func() bool {
		text = fetch(t, http.MethodGet, "http://"+address+"/metrics", "", "").body
		return value(text, `imagerequests_requests_total{door="graphql",status="101"}`) == "1"
	})
	if got := value(text, `imagerequests_request_seconds_count{door="graphql"}`); got != "" {
		t.Errorf("%s sockets were timed", got)
	}
	if a := fetch(t, http.MethodGet, "http://"+address+"/image_requests", "", ""); a.status != http.StatusNotFound || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("beside the metrics there is %d %s", a.status, a.body)
	}
	if a := fetch(t, http.MethodGet, s.base+"/metrics", secret, ""); a.status != http.StatusForbidden {
		t.Errorf("the service tells a requester %d", a.status)
	}
	execute := dbtest.SQL(t, cfg)
	if _, err := execute.ExecContext(t.Context(), "ALTER TABLE versions RENAME TO hidden"); err != nil { // as good as away
		t.Fatal(err)
	}
	eventually(t, "the database is told to be away", func() bool {
		text = fetch(t, http.MethodGet, "http://"+address+"/metrics", "", "").body
		return value(text, "imagerequests_database_up") == "0"
	})
	if strings.Contains(text, "imagerequests_open_versions{") || value(text, "go_goroutines") == "" {
		t.Errorf("without the database: %s", text)
	}
	s.stop(t)
	if _, err := ask(t.Context(), http.MethodGet, "http://"+address+"/metrics", "", ""); err == nil {
		t.Error("the metrics outlive the service")
	}
}
