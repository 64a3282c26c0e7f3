package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSlowBodies: whoever begins a body and does not go on keeps no connection, whatever the path answers.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	s := startServer(t, folder(t), "--demo")
	for _, request := range []string{
		"POST /image_requests", "POST /graphql", "GET /image_requests", "POST /healthz", "PUT /graphql", "POST /playground",
		"POST /graphql as a stream", "GET /graphql?query=%7Bviewer%7Busername%7D%7D as a stream",
	} {
		t.Run(strings.ReplaceAll(request, " /", " "), func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", strings.TrimPrefix(s.base, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if err := c.SetDeadline(time.Now().Add(2 * readTimeout)); err != nil {
				t.Fatal(err)
			}
			head, streamed := strings.CutSuffix(request, " as a stream")
			head += " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token demo-username\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
			if streamed {
				head += "Accept: text/event-stream\r\n"
			}
			head += "\r\n{"
			if _, err := io.WriteString(c, head); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(c)
			if a, err := http.ReadResponse(in, nil); err == nil {
				_, _ = io.Copy(io.Discard, a.Body)
				_ = a.Body.Close()
			}
			if _, err := io.Copy(io.Discard, in); err != nil { // the end of the connection is what is waited for
				t.Errorf("the connection is kept: %v", err)
			}
		})
	}
}

// TestAnotherProtocolOffered: whoever offers an upgrade beside is served all the same.
func TestAnotherProtocolOffered(t *testing.T) {
	t.Parallel()
	s := startServer(t, folder(t), "--demo")
	for _, path := range []string{"/graphql", "/image_requests/"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.base+path, strings.NewReader(`{"query":"{viewer{username}}"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Upgrade", "h2c")
		r.Header.Set("Connection", "Upgrade, HTTP2-Settings")
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if a.StatusCode != http.StatusOK && a.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", path, a.Status)
		}
	}
}

// TestDemoAnswersToLocalhost: a name that was made to lead here must not use the tokens that everybody knows.
func TestDemoAnswersToLocalhost(t *testing.T) {
	t.Parallel()
	s := startServer(t, folder(t), "--demo")
	for host, want := range map[string]int{"evil.example": 421, "evil.example:80": 421, "localhost": 200, "127.0.0.1:1": 200, "[::1]:80": 200} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if a.StatusCode != want {
			t.Errorf("%s: %d, want %d", host, a.StatusCode, want)
		}
	}
}
