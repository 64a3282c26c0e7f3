package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"imagerequests/db"
)

// socket is the client's side of GraphQL over WebSocket.
type socket struct{ *websocket.Conn }

// connect opens a socket and signs in.
func connect(t testing.TB, base, token string) socket {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), base+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPClient: browserWithoutTimeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	s := socket{c}
	if got := s.ask(t, `{"type":"connection_init","payload":{"Authorization":"Token `+token+`"}}`); got != `{"type":"connection_ack"}` {
		t.Fatalf("signing in is answered %s", got)
	}
	return s
}

// browserWithoutTimeout is for sockets: a client's timeout would be that of the whole of one.
var browserWithoutTimeout = &http.Client{Transport: browser.Transport}

// ask sends a message and reads one.
func (s socket) ask(t testing.TB, message string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
	_, text, err := s.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// viewer asks who is signed in.
func (s socket) viewer(t testing.TB) string {
	t.Helper()
	return s.ask(t, `{"id":"1","type":"subscribe","payload":{"query":"{ viewer { username } }"}}`)
}

// closes fails unless the server closes the socket with the code.
func (s socket) closes(t testing.TB, code websocket.StatusCode) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		if _, _, err := s.Read(ctx); err != nil {
			var closed websocket.CloseError
			if !errors.As(err, &closed) || closed.Code != code {
				t.Errorf("closed by %v, want %d", err, code)
			}
			return
		}
	}
}

// TestSocketsEnd with their tokens, and with the server; another one's token is no matter.
func TestSocketsEnd(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	p := startServer(t, dir, "--demo")
	create := func(args ...string) (secret, id string) {
		t.Helper()
		out, log, err := command(nil, append([]string{"token", "create", "--user=ann", "--data=" + dir}, args...)...)
		match := regexp.MustCompile(`Token (\S+) for`).FindStringSubmatch(log)
		if err != nil || match == nil {
			t.Fatal(err, log)
		}
		return strings.TrimSpace(out), match[1]
	}
	revoked, id := create()
	lasting, _ := create()
	first, second, demo := connect(t, p.base, revoked), connect(t, p.base, lasting), connect(t, p.base, "demo-username")
	expired, _ := create("--expires=20s")
	third := connect(t, p.base, expired)
	third.closes(t, 4401)
	for _, s := range []socket{first, second} {
		if got := s.viewer(t); !strings.HasPrefix(got, `{"id":"1","type":"next","payload":{"data":{"viewer":{"username":"ann"}},"extensions":{"cost":{`) {
			t.Errorf("the viewer is %s", got)
		}
		if _, _, err := s.Read(t.Context()); err != nil { // complete
			t.Error(err)
		}
	}
	if _, _, err := command(nil, "token", "revoke", id, "--data="+dir); err != nil {
		t.Fatal(err)
	}
	first.closes(t, 4401)
	if got := second.viewer(t); !strings.Contains(got, `"ann"`) {
		t.Errorf("another token was revoked, and the viewer is %s", got)
	}
	p.signal(syscall.SIGTERM)
	second.closes(t, 1012)
	demo.closes(t, 1012)
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.err)
	}
}

var viewerStream = regexp.MustCompile(`^:\n\nevent: next\ndata: {"data":{"viewer":null},"extensions":{"cost":{[^\n]*}}}\n\nevent: complete\ndata:\n\n$`)

// TestPagesOfOtherOrigins open sockets if they are named, or if the service is reached by that name.
func TestPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	for _, c := range []struct {
		settings serve
		origin   string
		status   int
	}{
		{serve{}, "https://portal.example.org", http.StatusForbidden},
		{serve{Origin: []string{"https://portal.example.org"}}, "https://portal.example.org", http.StatusOK},
		{serve{Origin: []string{"https://portal.example.org"}}, "https://evil.example.org", http.StatusForbidden},
		{serve{BaseURL: "https://images.example.org/api"}, "https://images.example.org", http.StatusOK},
	} {
		handler, err := c.settings.handler(d.store, db.NewFeed(d.store), slog.New(slog.DiscardHandler), &d.stopping)
		if err != nil {
			t.Fatal(err)
		}
		d.handler = handler
		r := d.send("GET", "/graphql?query=%7Bviewer%7Busername%7D%7D", "", "Origin: "+c.origin, "Accept: text/event-stream")
		if r.status != c.status || c.status == http.StatusOK && !viewerStream.MatchString(r.body) {
			t.Errorf("%+v %s: %d %s", c.settings.Origin, c.origin, r.status, r.body)
		}
	}
}
