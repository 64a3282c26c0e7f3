package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// client is the other side of a socket.
type client struct {
	t *testing.T
	*websocket.Conn
}

// dial opens a socket. Headers are given as "Name: value".
func (h *house) dial(headers ...string) *client {
	h.t.Helper()
	c, response, err := h.tryDial([]string{"graphql-transport-ws"}, headers...)
	if err != nil {
		h.t.Fatalf("%v %v", err, response)
	}
	return c
}

func (h *house) tryDial(protocols []string, headers ...string) (*client, *http.Response, error) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	header := http.Header{}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		header.Add(name, value)
	}
	conn, response, err := websocket.Dial(ctx, h.url, &websocket.DialOptions{Subprotocols: protocols, HTTPHeader: header})
	if err != nil {
		return nil, response, err
	}
	conn.SetReadLimit(-1)
	h.t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{h.t, conn}, response, nil
}

// sign opens a socket and signs in; an empty payload is none.
func (h *house) sign(payload string, headers ...string) *client {
	h.t.Helper()
	c := h.dial(headers...)
	c.init(payload)
	return c
}

func (c *client) init(payload string) {
	c.t.Helper()
	if payload != "" {
		payload = `,"payload":` + payload
	}
	c.send(`{"type":"connection_init"` + payload + `}`)
	c.wants(`{"type":"connection_ack"}`)
}

func (c *client) send(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatalf("send %.100s: %v", text, err)
	}
}

// subscribe sends an operation.
func (c *client) subscribe(id, query string) {
	c.t.Helper()
	text, _ := json.Marshal(query)
	c.send(fmt.Sprintf(`{"id":%q,"type":"subscribe","payload":{"query":%s}}`, id, text))
}

func (c *client) read() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, text, err := c.Read(ctx)
	return string(text), err
}

// wants reads the messages that must come now, just so.
func (c *client) wants(messages ...string) {
	c.t.Helper()
	for _, want := range messages {
		if got, err := c.read(); err != nil || got != want {
			c.t.Fatalf("got  %s, %v\nwant %s", got, err, want)
		}
	}
}

// has reads one message that must contain all the parts.
func (c *client) has(parts ...string) {
	c.t.Helper()
	got, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, part := range parts {
		if !strings.Contains(got, part) {
			c.t.Fatalf("%s\nhas no %s", got, part)
		}
	}
}

// closes reads until the socket is closed, and fails unless it is so.
func (c *client) closes(code websocket.StatusCode, reason string) {
	c.t.Helper()
	for {
		_, err := c.read()
		if err == nil {
			continue
		}
		var closed websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != code || !strings.HasPrefix(closed.Reason, reason) {
			c.t.Errorf("closed by %v, want %d %s", err, code, reason)
		}
		return
	}
}
