package transport

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"

	"imagerequests/imaging"
)

const subprotocol = "graphql-transport-ws"

// WebSocket serves many operations a connection, as graphql-transport-ws says. Its limits are zero for their defaults.
type WebSocket struct {
	Door

	InitTimeout  time.Duration // for connection_init; by default 10 s
	Ping         time.Duration // between two pings, and for their answers; by default 25 s
	WriteTimeout time.Duration // for each write, after which a slow reader is dropped; by default 10 s
	CloseTimeout time.Duration // for the other side's last word; by default 5 s
	ReadLimit    int64         // bytes of a message of who has signed in; by default MaxBody
	Operations   int           // at once on a socket; by default 50
}

var _ graphql.Transport = WebSocket{}

// Supports takes upgrades to WebSocket.
func (WebSocket) Supports(r *http.Request) bool {
	for _, upgrade := range r.Header.Values("Upgrade") {
		for protocol := range strings.SplitSeq(upgrade, ",") {
			if strings.EqualFold(strings.TrimSpace(protocol), "websocket") {
				return true
			}
		}
	}
	return false
}

// closing is why a socket is closed, by us.
type closing struct {
	code   websocket.StatusCode
	reason string
}

func (c closing) Error() string { return c.reason }

// The closings of the protocol; beside them there are those of WebSocket itself.
const (
	closeBadRequest     websocket.StatusCode = 4400
	closeUnauthorized   websocket.StatusCode = 4401
	closeForbidden      websocket.StatusCode = 4403
	closeBadSubprotocol websocket.StatusCode = 4406
	closeInitTimeout    websocket.StatusCode = 4408
	closeDuplicate      websocket.StatusCode = 4409
	closeTooManyInits   websocket.StatusCode = 4429
)

// Limits in bytes.
const (
	maxInit        = 64 << 10 // a message before anybody has signed in
	maxReason      = 123      // what a closing has room for
	maxOperationID = 255
)

func badMessage(reason string) error { return closing{closeBadRequest, reason} }

// closed is how a socket is closed because of a refusal; signIn is the code if it is about the token.
func closed(err error, signIn websocket.StatusCode) closing {
	e := imaging.All(err)[0]
	code := websocket.StatusInternalError
	switch e.Code {
	case imaging.Unauthenticated, imaging.Forbidden:
		code = signIn
	case imaging.Limited, imaging.Unavailable:
		code = websocket.StatusTryAgainLater
	}
	return closing{code, e.Message}
}

// short is as much of a reason as a closing has room for.
func short(reason string) string {
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	return reason
}

// Do serves one socket until it is closed.
func (t WebSocket) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	if t.Origins.Foreign(r) {
		RefuseForeign(w, r)
		return
	}
	streams, _ := r.Context().Value(streamsKey{}).(*Streams)
	ended, ok := streams.socket()
	if !ok {
		a, _ := answerTo(w, r)
		a.fail(imaging.Errorf(imaging.Unavailable, "The server is stopping."))
		return
	}
	defer ended()
	t = t.withDefaults()
	below := &wire{timeout: t.WriteTimeout}
	ws, err := websocket.Accept(&takeover{w, below}, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // origins were looked at above
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return // it has answered
	}
	ws.SetReadLimit(min(t.ReadLimit, maxInit))
	ctx, end := untilStop(r.Context())
	s := &socket{
		WebSocket: t, ws: ws, wire: below, exec: exec, request: r, ctx: ctx, end: end,
		operations: map[string]*operation{}, slots: make(chan struct{}, t.Operations),
	}
	if ws.Subprotocol() == "" {
		s.end(closing{closeBadSubprotocol, "Subprotocol not acceptable: offer " + subprotocol})
	}
	s.serve()
}

func (t WebSocket) withDefaults() WebSocket {
	t.InitTimeout = cmp.Or(t.InitTimeout, 10*time.Second)
	t.Ping = cmp.Or(t.Ping, 25*time.Second)
	t.WriteTimeout = cmp.Or(t.WriteTimeout, 10*time.Second)
	t.CloseTimeout = cmp.Or(t.CloseTimeout, 5*time.Second)
	t.ReadLimit = cmp.Or(t.ReadLimit, MaxBody)
	t.Operations = cmp.Or(t.Operations, 50)
	return t
}

// farewell is how to close a socket whose context ended; not ok if there is nobody left to tell.
func farewell(why error) (c closing, ok bool) {
	if errors.Is(why, errStopping) {
		return closing{websocket.StatusServiceRestart, "The server stops: connect again"}, true
	}
	ok = errors.As(why, &c)
	return c, ok
}
