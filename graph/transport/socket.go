package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
)

// socket is one connection. The handler's goroutine reads; each operation has a goroutine of its own, and so have the closing
// and the pings. All end with ctx, whose cause says how to close.
type socket struct {
	WebSocket
	ws   *websocket.Conn
	wire *wire
	exec graphql.GraphExecutor
	ctx  context.Context
	end  context.CancelCauseFunc

	request *http.Request   // the upgrade; after connection_init with the Authorization that counts
	live    context.Context // ends with the token; nil before connection_init
	unwatch func()

	writing sync.Mutex
	running sync.WaitGroup

	mu         sync.Mutex
	operations map[string]*operation
	slots      chan struct{} // one for each goroutine of an operation, those that are about to end included
}

// message is what both sides send.
type message struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
}

func (m message) encoded() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	if m.ID != "" {
		member(&b, "id", m.ID)
	}
	member(&b, "type", m.Type)
	if len(m.Payload) > 0 {
		member(&b, "payload", m.Payload)
	}
	b.WriteByte('}')
	return b.Bytes()
}

var errGone = errors.New("the connection is gone")

func (s *socket) serve() {
	defer s.end(errGone) // should one of ours panic: the others end, too
	late := time.AfterFunc(s.InitTimeout, func() { s.end(closing{closeInitTimeout, "Connection initialisation timeout"}) })
	defer late.Stop()
	s.running.Go(s.close)
	s.running.Go(s.ping)
	for s.read(late) {
	}
	s.running.Wait()
	if s.unwatch != nil {
		s.unwatch()
	}
}

// read takes one message. It goes on while the socket is being closed, for the other side's last word.
func (s *socket) read(late *time.Timer) bool {
	kind, text, err := s.ws.Read(context.Background()) // the wire ends it
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		s.end(closing{code: websocket.StatusMessageTooBig}) // the library has told it; what is left is to wait for the answer
		return false
	case err != nil:
		s.end(errGone)
		return false
	case s.ctx.Err() != nil:
		return true
	}
	if err := s.take(kind, text, late); err != nil {
		s.end(err)
	}
	return true
}

func (s *socket) take(kind websocket.MessageType, text []byte, late *time.Timer) error {
	var m message
	if kind != websocket.MessageText || !utf8.Valid(text) || json.Unmarshal(text, &m) != nil {
		return badMessage("Invalid message received: send JSON as text")
	}
	switch m.Type {
	case "connection_init":
		if s.live != nil {
			return closing{closeTooManyInits, "Too many initialisation requests"}
		}
		late.Stop()
		return s.init(m.Payload)
	case "ping":
		return s.send(message{Type: "pong", Payload: m.Payload})
	case "pong":
		return nil
	case "subscribe":
		return s.subscribe(m)
	case "complete":
		s.complete(m.ID)
		return nil
	}
	return badMessage("Invalid message received: its type is unknown")
}

// init signs in: by the payload if that has something to say, else by the header of the upgrade.
func (s *socket) init(payload json.RawMessage) error {
	credentials, err := authorization(payload, true)
	if err != nil {
		return badMessage("Invalid connection_init: the payload must be an object, and Authorization in it a text")
	}
	r := s.request.Clone(s.ctx)
	if len(credentials) > 0 {
		r.Header["Authorization"] = credentials
	}
	done, err := s.turn(r.Context())
	if err != nil {
		return closed(err, closeForbidden)
	}
	defer done()
	if _, err := s.Admit(r); err != nil {
		return closed(err, closeForbidden)
	}
	live, stop, err := s.Watch(r)
	if err != nil {
		return closed(err, closeForbidden)
	}
	context.AfterFunc(live, func() {
		s.end(closed(context.Cause(live), closeUnauthorized)) // changes nothing if it was the socket that ended
	})
	s.request, s.live, s.unwatch = r, live, stop
	s.ws.SetReadLimit(s.ReadLimit)
	return s.send(message{Type: "connection_ack"})
}

// authorization finds what clients send of their credentials: {"Authorization": "Token …"}, in whatever case, or at the
// top the same within {"headers": {…}}.
func authorization(object json.RawMessage, top bool) (values []string, err error) {
	var members map[string]json.RawMessage
	if len(object) > 0 {
		err = json.Unmarshal(object, &members)
	}
	for name, value := range members {
		var text string
		switch {
		case strings.EqualFold(name, "authorization"):
			err = errors.Join(err, json.Unmarshal(value, &text))
		case name == "headers" && top:
			within, wrong := authorization(value, false)
			values, err = append(values, within...), errors.Join(err, wrong)
		}
		if text != "" {
			values = append(values, text)
		}
	}
	return values, err
}

// send writes one message. A write that fails ends the socket.
func (s *socket) send(m message) error {
	text := m.encoded()
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.ws.Write(context.Background(), websocket.MessageText, text); err != nil { // the wire has its time for it
		s.end(errGone)
		return errGone
	}
	return nil
}

// close waits for the end of the socket, tells the other side why, and lets the connection go.
func (s *socket) close() {
	<-s.ctx.Done()
	if c, ok := farewell(context.Cause(s.ctx)); ok {
		s.wire.finish(s.CloseTimeout)
		_ = s.ws.Close(c.code, short(c.reason)) // it waits for the answer, which may not come
	}
	_ = s.wire.Close()
	_ = s.ws.CloseNow()
}

// ping keeps the connection in use, and drops a peer that does not answer.
func (s *socket) ping() {
	tick := time.NewTicker(s.Ping)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), s.Ping) // not of s.ctx, whose end would cut the closing short
		err := s.ws.Ping(ctx)
		cancel()
		if err != nil {
			s.end(errGone)
		}
	}
}
