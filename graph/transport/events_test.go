package transport_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// stream is an answer that is read event by event.
type stream struct {
	t *testing.T
	*http.Response
	lines *bufio.Reader
}

// stream asks for server-sent events. Headers are given as "Name: value".
func (h *house) stream(method, query string, headers ...string) *stream {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	target, body := h.url, fmt.Sprintf(`{"query":%q}`, query)
	if method == http.MethodGet {
		target, body = h.url+"?query="+url.QueryEscape(query), ""
	}
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range headers {
		if name, value, ok := strings.Cut(line, ": "); ok {
			r.Header.Set(name, value)
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		cancel()
		_ = response.Body.Close()
	})
	return &stream{h.t, response, bufio.NewReader(response.Body)}
}

// block is the next event or comment, without the blank line at its end; "" at the end of the stream.
func (s *stream) block() string {
	var b strings.Builder
	for {
		line, err := s.lines.ReadString('\n')
		if line != "\n" {
			b.WriteString(line)
		}
		if err != nil || line == "\n" {
			return strings.TrimSuffix(b.String(), "\n")
		}
	}
}

// event is the next block that is more than a sign of life.
func (s *stream) event() string {
	for {
		if b := s.block(); b != ":" {
			return b
		}
	}
}

// wants reads the events that must come now, just so.
func (s *stream) wants(events ...string) {
	s.t.Helper()
	for _, want := range events {
		if got := s.event(); got != want {
			s.t.Fatalf("got  %q\nwant %q", got, want)
		}
	}
}

const complete = "event: complete\ndata:"

// TestEvents is what a request for a stream is answered, good and bad.
func TestEvents(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const post, get = http.MethodPost, http.MethodGet
	next := func(data string) string { return "event: next\ndata: " + data }
	for _, c := range []struct {
		method, query, header string
		want                  []string
	}{
		{post, "{ hello }", "", []string{next(`{"data":{"hello":"hello"}}`), complete, ""}},
		{get, "{ hello }", "", []string{next(`{"data":{"hello":"hello"}}`), complete, ""}},
		{post, "{ who }", "Authorization: Token ann", []string{next(`{"data":{"who":"ann"}}`), complete, ""}},
		{post, "mutation { change }", "", []string{next(`{"data":{"change":"change"}}`), complete, ""}},
		{post, "subscription { count(to: 2) }", "", []string{"event: next\nid: 1\ndata: " + `{"data":{"count":1}}`, "event: next\nid: 2\ndata: " + `{"data":{"count":2}}`, complete, ""}},
		{get, "subscription { count(to: 1) }", "", []string{"event: next\nid: 1\ndata: " + `{"data":{"count":1}}`, complete, ""}},
		{get, "subscription { lines }", "", []string{next(`{"data":{"lines": 1  }}`), complete, ""}},
		{get, "subscription { count(to: 1) }", "Accept: application/graphql-response+json, application/json, text/event-stream, multipart/mixed", []string{"event: next\nid: 1\ndata: " + `{"data":{"count":1}}`, complete, ""}},
		{get, "{ panics }", "", []string{next(`{"errors":[{"message":"It broke.","extensions":{"code":"INTERNAL"}}]}`), complete, ""}},
		{get, "subscription { panics }", "", []string{next(`{"errors":[{"message":"It broke.","extensions":{"code":"INTERNAL"}}]}`), complete, ""}},
		{get, "subscription { refused }", "", []string{next(`{"errors":[{"message":"You do not have permission to perform this action.","extensions":{"code":"FORBIDDEN"}}]}`), complete, ""}},
	} {
		s := h.stream(c.method, c.query, c.header)
		if s.StatusCode != http.StatusOK || s.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" || s.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %s %v", c.method, c.query, s.Status, s.Header)
			continue
		}
		s.wants(c.want...)
	}
	s := h.stream(get, "{ nothing }") // what is wrong with the document is told in the stream
	if got := s.event(); s.StatusCode != http.StatusOK || !strings.HasPrefix(got, next(`{"errors":[{`)) || !strings.Contains(got, "GRAPHQL_VALIDATION_FAILED") {
		t.Errorf("%s %s", s.Status, got)
	}
	s.wants(complete, "")
	if s := h.stream(get, "{ hello }", "Accept: application/json, text/event-stream"); s.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("a query to whom likes JSON better: %v", s.Header)
	}
	for _, c := range []struct {
		method, query, header string
		status                int
		body                  string
	}{
		{get, "mutation { change }", "", 405, "GET serves queries only."},
		{post, "", "", 400, "query is missing"},
		{get, "", "", 400, "query is missing"},
		{post, "{ hello }", "Content-Type: text/plain", 415, "application/json"},
		{post, "{ hello }", "Authorization: Token bad", 401, "UNAUTHENTICATED"},
		{get, "subscription { forever }", "Authorization: Token limited", 429, "LIMITED"},
		{http.MethodPut, "{ hello }", "", 405, "Use GET"},
		{get, "subscription { forever }", "Accept: application/json", 400, "graphql-transport-ws"},
		{post, "subscription { forever }", "Accept: */*", 400, "text/event-stream"},
		{post, "{ hello }", "Accept: text/html", 406, "text/event-stream"},
		{post, "subscription { forever }", "Accept: application/json, text/event-stream;q=0", 400, "text/event-stream"},
	} {
		s := h.stream(c.method, c.query, c.header)
		body, _ := io.ReadAll(s.Body)
		if s.StatusCode != c.status || !strings.Contains(string(body), c.body) || s.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("%s %s %s: %s %s", c.method, c.query, c.header, s.Status, body)
		}
	}
}

// TestLastEventID: a stream that is opened again goes on where the client stopped, whatever the operation says.
func TestLastEventID(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const query = "subscription { count(to: 100, after: 10) }"
	last := 10
	for reconnect := 0; last < 100; reconnect++ {
		var headers []string
		if reconnect > 0 {
			headers = append(headers, fmt.Sprintf("Last-Event-ID: %d", last))
		}
		s := h.stream(http.MethodGet, query, headers...)
		for range min(7, 100-last) {
			last++
			s.wants(fmt.Sprintf("event: next\nid: %d\ndata: {\"data\":{\"count\":%d}}", last, last))
		}
		_ = s.Body.Close()
	}
	h.quiet()
}

// TestStreamLastsLonger than a request may, kept alive while it has nothing to say.
func TestStreamLastsLonger(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second
	h := newHouse(t, func(s *setup) {
		s.KeepAlive = 20 * time.Millisecond
		s.server.ReadTimeout, s.server.WriteTimeout = limit, limit
	})
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		s := h.stream(method, "subscription { forever }")
		began := time.Now()
		s.wants("event: next\ndata: " + `{"data":{"forever":1}}`)
		for time.Since(began) < 3*limit/2 {
			if b := s.block(); b != ":" {
				t.Fatalf("%s: after %v: %q", method, time.Since(began), b)
			}
		}
		_ = s.Body.Close()
	}
	h.quiet() // a client that leaves ends its source
}

// TestStreamEndsWithToken, and says so.
func TestStreamEndsWithToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.stream(http.MethodGet, "subscription { forever }", "Authorization: Token ann")
	s.wants("event: next\ndata: " + `{"data":{"forever":1}}`)
	h.revoke()
	s.wants("event: next\ndata: "+`{"errors":[{"message":"The token is no longer in force.","extensions":{"code":"UNAUTHENTICATED"}}]}`, complete, "")
	h.quiet()
}

// TestStreamEndsWithServer without complete, so that its client comes again.
func TestStreamEndsWithServer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.stream(http.MethodGet, "subscription { forever }")
	s.wants("event: next\ndata: " + `{"data":{"forever":1}}`)
	h.streams.Stop()
	const goodbye = "retry: 1000\n: The server stops. Connect again, with the id of the last event as Last-Event-ID."
	s.wants(goodbye, "")
	h.quiet()
	late := h.stream(http.MethodGet, "subscription { forever }")
	for b := late.event(); b != goodbye; b = late.event() {
		if b == "" {
			t.Fatal("a stream that began late was not told")
		}
	}
	late.wants("")
}

// TestStreamOfSlowReader ends: whoever does not read holds nothing.
func TestStreamOfSlowReader(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(s *setup) { s.HTTP.WriteTimeout = 200 * time.Millisecond })
	c, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, "GET /?query=subscription%7Bflood%7D HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the source runs", func() bool { return h.begun.Load() == 1 })
	h.quiet()
}

// TestOriginsAreTold: browsers learn which pages may read the answers.
func TestOriginsAreTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		named  []string
		origin string
		want   string
	}{
		{nil, "https://portal.example.org", ""},
		{[]string{"https://portal.example.org"}, "https://portal.example.org", "https://portal.example.org"},
		{[]string{"https://portal.example.org"}, "https://evil.example.org", ""},
		{[]string{"https://portal.example.org"}, "", ""},
		{[]string{"*"}, "https://any.example.org", "*"},
	} {
		h := newHouse(t, func(s *setup) { s.origins = c.named })
		var headers []string
		if c.origin != "" {
			headers = append(headers, "Origin: "+c.origin)
		}
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if got := h.stream(method, "{ hello }", headers...).Header.Get("Access-Control-Allow-Origin"); got != c.want {
				t.Errorf("%v %s %s: %q", c.named, c.origin, method, got)
			}
		}
		question := h.stream(http.MethodOptions, "", append(headers, "Access-Control-Request-Method: POST")...)
		status := http.StatusMethodNotAllowed
		if c.want != "" {
			status = http.StatusNoContent
		}
		if question.StatusCode != status || c.want != "" && !strings.Contains(question.Header.Get("Access-Control-Allow-Headers"), "Last-Event-ID") {
			t.Errorf("%v %s: %s %v", c.named, c.origin, question.Status, question.Header)
		}
	}
}
