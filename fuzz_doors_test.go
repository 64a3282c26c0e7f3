package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"imagerequests/db"
	"imagerequests/db/safedriver"
)

// leaving records an answer, and lets its client leave at a stream's first event.
type leaving struct {
	*httptest.ResponseRecorder
	leave context.CancelFunc
}

func (w leaving) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("event: next")) {
		w.leave()
	}
	return w.ResponseRecorder.Write(b)
}

// FuzzDoor sends requests to any path, by any method, with any two headers: none is answered by a failure of ours, what is
// called JSON is JSON, and nothing that was sent begins a line of the answer's head.
func FuzzDoor(f *testing.F) {
	h := whole(f)
	for i, target := range []string{"/", "/image_requests", "/image_requests/bdc31c14-f807-11e3-8ef5-b2227cce2b54", "/image_requests?page=last&page_size=1", "/graphql?query=%7Bviewer%7Busername%7D%7D",
		"/playground", "/playground/..%2f..", "/openapi.json", "/healthz", "/readyz", "//image_requests", "/image_requests/%00", "/image_requests/a/b", "/graphql?query=subscription%7Bevents%7Bcursor%7D%7D"} {
		headers := []string{"Accept", "text/event-stream, application/problem+json;q=0.5", "If-None-Match", `W/"a", *`, "Range", "bytes=0-0,-1", "Host", "localhost:99999",
			"Forwarded", "for=1.2.3.4;host=evil", "X-Forwarded-For", "1.2.3.4, x", "Origin", "https://evil.example.org", "Idempotency-Key", "a\tb", "Authorization", "Token demo-nobody",
			"Accept-Encoding", "gzip;q=NaN, br", "Last-Event-ID", "x", "Content-Encoding", "gzip", "Transfer-Encoding", "chunked", "Access-Control-Request-Method", "POST"}
		first, second := 2*i, (2*i+6)%len(headers)
		f.Add("GET", target, headers[first], headers[first+1], headers[second], headers[second+1], "")
	}
	f.Add("POST", "/image_requests", "Content-Type", "multipart/form-data; boundary=x", "Idempotency-Key", "k", "--x\r\nContent-Disposition: form-data; name=\"tags\"\r\n\r\na\r\n--x--")
	f.Add("POST", "/image_requests", "Content-Type", "application/x-www-form-urlencoded;charset=utf-16", "Expect", "100-continue", "a=%zz")
	f.Add("POST", "/graphql", "Content-Type", "application/json", "Accept", "application/graphql-response+json", `{"query":"{viewer{username}}","operationName":null}`)
	f.Add("OPTIONS", "/image_requests", "Origin", "null", "Access-Control-Request-Headers", "authorization, x", "")
	f.Fuzz(func(t *testing.T, method, target, name, value, other, also, body string) {
		patience := time.Minute
		if strings.Contains(value+also, "event-stream") {
			patience = 200 * time.Millisecond // a stream may have nothing to say
		}
		ctx, leave := context.WithTimeout(t.Context(), patience)
		defer leave()
		at, invalid := url.ParseRequestURI(target) // as net/http reads it
		r, err := http.NewRequestWithContext(ctx, method, "/", strings.NewReader(body))
		if err != nil || invalid != nil {
			return
		}
		r.URL = at
		r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1"
		r.Header.Set("Authorization", "Token demo-username")
		for name, value := range map[string]string{name: value, other: also} {
			if strings.EqualFold(name, "upgrade") {
				return // FuzzSocket has a connection to upgrade
			}
			r.Header[http.CanonicalHeaderKey(name)] = []string{value}
		}
		w := leaving{httptest.NewRecorder(), leave}
		h.ServeHTTP(w, r)
		text := w.Body.String()
		if w.Code >= http.StatusInternalServerError && (ctx.Err() == nil || w.Code != http.StatusServiceUnavailable) || strings.Contains(text, `"code":"INTERNAL"`) {
			t.Errorf("%s %q: %d %s", method, target, w.Code, text)
		}
		kind := w.Header().Get("Content-Type")
		if strings.Contains(kind, "json") && w.Header().Get("Content-Encoding") == "" && text != "" && !json.Valid([]byte(text)) {
			t.Errorf("%s %q: %s is no JSON: %q", method, target, kind, text)
		}
		for name, values := range w.Header() {
			if strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") {
				t.Errorf("%s %q: the header %q holds %q", method, target, name, values)
			}
		}
	})
}

// FuzzSettings gives serve arguments, settings and a configuration of any kind. It is told what they are for, or refused; and
// what the check has let pass works.
func FuzzSettings(f *testing.F) {
	f.Add("--rate=NaN", "IMAGEREQUESTS_LISTEN", "127.0.0.1:0", "/api", "https://images.example.org", "portal.example.org", "10.0.0.0/8", 1.5)
	f.Add("--demo", "IMAGEREQUESTS_RATE", "1e400", "", "http://user:pw@h", "*", "::/0", -1.)
	f.Add("--trusted-proxy=x", "IMAGEREQUESTS_TRUSTED_PROXIES", "10.0.0.0/8,", "/..", "javascript:", "http://[::1]:80", "0.0.0.0/0", 0.)
	f.Add("--listen", "DATABASE_URL", "postgres://u:p@h/d?sslmode=x", "//", "//", "", "1.2.3.4/33", 1e9)
	store, err := db.Open(safedriver.Config{Network: "unix", Addr: "/nowhere", User: "nobody", Database: "none"}, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = store.Close() })
	f.Fuzz(func(t *testing.T, argument, name, value, prefix, base, origin, proxy string, rate float64) {
		ended, end := context.WithCancel(t.Context())
		end()
		getenv := func(asked string) string {
			if asked == name {
				return value
			}
			return ""
		}
		if !strings.HasPrefix(argument, "--") || len(argument) == 2 { // else it would hide the help
			argument = "--listen=" + argument
		}
		if err := run(ended, []string{"serve", argument, "--help"}, getenv, io.Discard, io.Discard); err != nil && !strings.Contains(err.Error(), "--help explains") {
			t.Errorf("%q and %s=%q: %v", argument, name, value, err)
		}
		s := serve{Listen: "127.0.0.1:0", Prefix: prefix, BaseURL: base, Origin: []string{origin}, Host: []string{origin}, Rate: rate, Burst: 1}
		if p, err := netip.ParsePrefix(proxy); err == nil {
			s.TrustedProxy = []netip.Prefix{p}
		}
		if s.check() != nil {
			return
		}
		if _, err := s.handler(store, db.NewFeed(store), slog.New(slog.DiscardHandler), new(atomic.Bool)); err != nil {
			t.Errorf("%+v was let pass: %v", s, err)
		}
	})
}
