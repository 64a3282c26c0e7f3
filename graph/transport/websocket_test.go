package transport_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const ack = `{"type":"connection_init"}`

// TestCloseCodes: each breach of the protocol has its code, and ends every operation of the socket.
func TestCloseCodes(t *testing.T) {
	t.Parallel()
	const hello = `"type":"subscribe","payload":{"query":"{ hello }"}`
	const forever = `{"id":"1","type":"subscribe","payload":{"query":"subscription { forever }"}}`
	for name, c := range map[string]struct {
		messages []string
		code     websocket.StatusCode
		reason   string
	}{
		"no JSON":                    {[]string{ack, "hello"}, 4400, "Invalid message"},
		"a list":                     {[]string{ack, "[]"}, 4400, "Invalid message"},
		"two messages in one":        {[]string{ack + ack}, 4400, "Invalid message"},
		"bytes that are no UTF-8":    {[]string{`{"type":"ping","payload":{"a":"` + "\xff" + `"}}`}, 4400, "Invalid message"},
		"no type":                    {[]string{ack, `{"id":"1"}`}, 4400, "Invalid message"},
		"an unknown type":            {[]string{ack, forever, `{"id":"1","type":"start"}`}, 4400, "Invalid message"},
		"a message of the server's":  {[]string{ack, `{"type":"connection_ack"}`}, 4400, "Invalid message"},
		"an id that is no text":      {[]string{ack, `{"id":1,` + hello + `}`}, 4400, "Invalid message"},
		"no id":                      {[]string{ack, `{` + hello + `}`}, 4400, "Invalid subscribe"},
		"a very long id":             {[]string{ack, `{"id":"` + strings.Repeat("x", 256) + `",` + hello + `}`}, 4400, "Invalid subscribe"},
		"no payload":                 {[]string{ack, `{"id":"1","type":"subscribe"}`}, 4400, "Invalid subscribe"},
		"no query":                   {[]string{ack, `{"id":"1","type":"subscribe","payload":{}}`}, 4400, "Invalid subscribe: query"},
		"a query that is no text":    {[]string{ack, `{"id":"1","type":"subscribe","payload":{"query":1}}`}, 4400, "Invalid subscribe: query"},
		"variables that are a list":  {[]string{ack, `{"id":"1","type":"subscribe","payload":{"query":"{ hello }","variables":[]}}`}, 4400, "Invalid subscribe: variables"},
		"a payload that is a text":   {[]string{`{"type":"connection_init","payload":"x"}`}, 4400, "Invalid connection_init"},
		"a token that is a number":   {[]string{`{"type":"connection_init","payload":{"Authorization":1}}`}, 4400, "Invalid connection_init"},
		"headers that are a list":    {[]string{`{"type":"connection_init","payload":{"headers":[]}}`}, 4400, "Invalid connection_init"},
		"an operation before init":   {[]string{`{"id":"1",` + hello + `}`}, 4401, "Unauthorized"},
		"a bad token":                {[]string{`{"type":"connection_init","payload":{"Authorization":"Token bad"}}`}, 4403, "Invalid token."},
		"too many requests":          {[]string{`{"type":"connection_init","payload":{"Authorization":"Token limited"}}`}, 1013, "Request was throttled."},
		"a long reason":              {[]string{`{"type":"connection_init","payload":{"Authorization":"Token away"}}`}, 1013, "The database is away. éé"},
		"the same id twice":          {[]string{ack, forever, forever}, 4409, "Subscriber for 1 already exists"},
		"init twice":                 {[]string{ack, forever, ack}, 4429, "Too many initialisation requests"},
		"a message that is too long": {[]string{ack, forever, `{"type":"ping","payload":{"x":"` + strings.Repeat("x", 2000) + `"}}`}, 1009, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(s *setup) { s.ReadLimit = 1000 })
			socket := h.dial()
			for _, message := range c.messages {
				socket.send(message)
			}
			socket.closes(c.code, c.reason)
			h.quiet()
		})
	}
	t.Run("a binary frame", func(t *testing.T) {
		t.Parallel()
		socket := newHouse(t).sign("")
		if err := socket.Write(context.Background(), websocket.MessageBinary, []byte(`{"type":"ping"}`)); err != nil {
			t.Fatal(err)
		}
		socket.closes(4400, "Invalid message")
	})
	t.Run("a message that is too long for a stranger", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		long := `{"type":"ping","payload":{"x":"` + strings.Repeat("x", 100<<10) + `"}}`
		socket := h.sign("")
		socket.send(long)
		socket.has(`{"type":"pong"`)
		stranger := h.dial()
		stranger.send(long)
		stranger.closes(1009, "read limited")
	})
	t.Run("no init in time", func(t *testing.T) {
		t.Parallel()
		socket := newHouse(t, func(s *setup) { s.InitTimeout = 50 * time.Millisecond }).dial()
		socket.closes(4408, "Connection initialisation timeout")
	})
	for name, protocols := range map[string][]string{"another subprotocol": {"graphql-ws"}, "no subprotocol": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket, _, err := newHouse(t).tryDial(protocols)
			if err != nil {
				t.Fatal(err)
			}
			socket.closes(4406, "Subprotocol not acceptable")
		})
	}
}

// TestInitInTime: who has signed in is not late.
func TestInitInTime(t *testing.T) {
	t.Parallel()
	timeout := 3 * time.Second
	socket := newHouse(t, func(s *setup) { s.InitTimeout = timeout }).dial()
	late := time.After(timeout + time.Second)
	socket.init("")
	<-late
	socket.subscribe("1", "{ hello }")
	socket.wants(`{"id":"1","type":"next","payload":{"data":{"hello":"hello"}}}`, `{"id":"1","type":"complete"}`)
}

// TestOperations: queries, mutations and subscriptions, and what is wrong with one is no harm to the others.
func TestOperations(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	socket := h.dial()
	socket.send(`{"type":"ping","payload":{"n":[1,"<"]}}`) // also before the init
	socket.wants(`{"type":"pong","payload":{"n":[1,"<"]}}`)
	socket.init("{}")
	socket.send(`{"type":"pong"}`)
	socket.send(`{"type":"ping"}`)
	socket.wants(`{"type":"pong"}`)
	socket.send(`{"id":"nothing","type":"complete"}`)

	socket.subscribe("forever", "subscription { forever }")
	socket.wants(`{"id":"forever","type":"next","payload":{"data":{"forever":1}}}`)
	for range 2 { // the same id may be used again
		socket.subscribe("a", "{ hello }")
		socket.wants(`{"id":"a","type":"next","payload":{"data":{"hello":"hello"}}}`, `{"id":"a","type":"complete"}`)
	}
	socket.subscribe("b", "mutation { change }")
	socket.wants(`{"id":"b","type":"next","payload":{"data":{"change":"change"}}}`, `{"id":"b","type":"complete"}`)
	socket.send(`{"id":"c","type":"subscribe","payload":{"query":"query Q { hello } subscription S($n: Int!) { count(to: $n) }","operationName":"S","variables":{"n":3}}}`)
	for n := 1; n <= 3; n++ {
		socket.wants(fmt.Sprintf(`{"id":"c","type":"next","payload":{"data":{"count":%d}}}`, n))
	}
	socket.wants(`{"id":"c","type":"complete"}`)

	socket.subscribe("d", "{ nothing }")
	socket.has(`{"id":"d","type":"error","payload":[{`, "nothing", "GRAPHQL_VALIDATION_FAILED")
	socket.subscribe("e", "{ hello")
	socket.has(`{"id":"e","type":"error","payload":[{`, "GRAPHQL_PARSE_FAILED")
	socket.subscribe("f", "subscription { refused }")
	socket.has(`{"id":"f","type":"next","payload":{"errors":[{`, "FORBIDDEN")
	socket.wants(`{"id":"f","type":"complete"}`)
	for _, query := range []string{"{ panics }", "subscription { panics }"} {
		socket.subscribe("g", query)
		socket.has(`{"id":"g","type":"next","payload":{"errors":[{`, "INTERNAL")
		socket.wants(`{"id":"g","type":"complete"}`)
	}
	eventually(t, "the source of forever alone runs", func() bool { return h.sources.Load() == 1 })
}

// TestComplete: a client that wants to hear no more ends the operation, and hears no more.
func TestComplete(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	socket := h.sign("")
	socket.subscribe("1", "subscription { forever }")
	socket.has(`"next"`)
	socket.send(`{"id":"1","type":"complete"}`)
	eventually(t, "the source has ended", func() bool { return h.sources.Load() == 0 })
	socket.send(`{"type":"ping"}`)
	socket.wants(`{"type":"pong"}`)
}

// TestFiftyOperations at once, and not one more; those that end make room.
func TestFiftyOperations(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	socket := h.sign("")
	for i := range 50 {
		socket.subscribe(fmt.Sprint(i), "subscription { forever }")
		socket.has(`"next"`)
	}
	socket.subscribe("50", "{ hello }")
	socket.has(`{"id":"50","type":"error"`, "LIMITED", "50 operations")
	for range 200 {
		socket.send(`{"id":"7","type":"complete"}`)
		socket.subscribe("7", "subscription { forever }")
		socket.has(`{"id":"7","type":"next"`)
	}
	socket.subscribe("51", "{ hello }")
	socket.has(`{"id":"51","type":"error"`, "LIMITED")
	eventually(t, "fifty sources run", func() bool { return h.sources.Load() == 50 })
}

// TestSlowEnd: an operation that was completed but has not ended yet has its place until it has, so that a client cannot start
// any number by completing them at once.
func TestSlowEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(s *setup) { s.Operations = 1 })
	socket := h.sign("")
	socket.subscribe("1", "subscription { stubborn }")
	socket.has(`"next"`)
	<-h.stubborn // it hears nothing now
	socket.send(`{"id":"1","type":"complete"}`)
	socket.subscribe("2", "{ running }")
	time.AfterFunc(100*time.Millisecond, func() { h.stubborn <- struct{}{} })
	socket.wants(`{"id":"2","type":"next","payload":{"data":{"running":"0"}}}`)
}

// TestSignIn: by the header of the upgrade or by what clients put into the payload, which counts more; and each operation is
// carried out as that user.
func TestSignIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ header, payload, want string }{
		{"", "", ""},
		{"", "null", ""},
		{"Authorization: Token ann", "", "ann"},
		{"Authorization: Token ann", `{}`, "ann"},
		{"Authorization: Token ann", `{"headers":{"X-A":1}}`, "ann"},
		{"Authorization: Token ann", `{"Authorization":""}`, "ann"},
		{"", `{"Authorization":"Token bob"}`, "bob"},
		{"", `{"authorization":"Token bob"}`, "bob"},
		{"", `{"headers":{"Authorization":"Token bob"}}`, "bob"},
		{"", `{"headers":{"authorization":"Token bob"}}`, "bob"},
		{"", `{"headers":{"headers":{"authorization":"Token bob"}}}`, ""},
		{"Authorization: Token bad", `{"Authorization":"Token bob"}`, "bob"},
		{"Authorization: Token ann", `{"other":1,"authorization":"Token bob"}`, "bob"},
	} {
		t.Run(c.header+" "+c.payload, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if c.header != "" {
				headers = []string{c.header}
			}
			socket := newHouse(t).sign(c.payload, headers...)
			socket.subscribe("1", "{ who }")
			socket.wants(fmt.Sprintf(`{"id":"1","type":"next","payload":{"data":{"who":%q}}}`, c.want))
		})
	}
	t.Run("a bad header", func(t *testing.T) {
		t.Parallel()
		socket := newHouse(t).dial("Authorization: Token bad")
		socket.send(ack)
		socket.closes(4403, "Invalid token.")
	})
	t.Run("a good header and a bad payload", func(t *testing.T) {
		t.Parallel()
		socket := newHouse(t).dial("Authorization: Token ann")
		socket.send(`{"type":"connection_init","payload":{"Authorization":"Token bad"}}`)
		socket.closes(4403, "Invalid token.")
	})
}

// TestEachOperationIsAdmitted, as each request is, and one that is refused is no end of the socket.
func TestEachOperationIsAdmitted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	socket := h.sign(`{"Authorization":"Token once"}`)
	for n := range 3 {
		socket.subscribe("1", "{ hello }")
		socket.has(`{"id":"1","type":"error"`, "LIMITED")
		if got := int(h.admitted.Load()); got != n+2 {
			t.Errorf("after %d operations %d were asked for", n+1, got)
		}
	}
}

// TestTokenEnds: the socket and all that it carries end with the token.
func TestTokenEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	socket := h.sign(`{"Authorization":"Token ann"}`)
	socket.subscribe("1", "subscription { forever }")
	socket.has(`"next"`)
	h.revoke()
	socket.closes(4401, "The token is no longer in force.")
	h.quiet()
}

// TestStop: a server that stops tells its sockets to come again, and lets no more begin.
func TestStop(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	sockets := []*client{h.dial(), h.sign(""), h.sign("")}
	sockets[2].subscribe("1", "subscription { forever }")
	sockets[2].has(`"next"`)
	var closes sync.WaitGroup
	for _, socket := range sockets {
		closes.Go(func() { socket.closes(1012, "The server stops") })
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.streams.Wait(ctx); err != nil {
		t.Errorf("they did not end: %v", err)
	}
	closes.Wait()
	h.quiet()
	if _, response, err := h.tryDial([]string{"graphql-transport-ws"}); err == nil || response == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a stopping server lets a socket begin: %v, %v", response, err)
	}
}

// TestStopDoesNotWaitForever for clients that do not answer.
func TestStopDoesNotWaitForever(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(s *setup) { s.CloseTimeout = 100 * time.Millisecond })
	socket := h.sign("") // it reads nothing more
	socket.subscribe("1", "subscription { flood }")
	eventually(t, "the source runs", func() bool { return h.begun.Load() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.streams.Wait(ctx); err != nil {
		t.Errorf("they did not end: %v", err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := newHouse(t).streams.Wait(ended); err != nil && err != context.Canceled {
		t.Error(err)
	}
}

// TestSlowReader: a client that does not read is dropped, whatever a source has to say.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(s *setup) { s.WebSocket.WriteTimeout = 2 * time.Second })
	socket := h.sign("")
	for i := range 5 {
		socket.subscribe(fmt.Sprint(i), "subscription { flood }")
	}
	eventually(t, "a source runs", func() bool { return h.begun.Load() > 0 })
	h.quiet()
}

// TestPing: who answers pings stays, who does not is dropped.
func TestPing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(s *setup) { s.Ping = time.Second })
	dead := h.sign("") // reads nothing more, so it answers nothing
	eventually(t, "the silent one is dropped", func() bool { return h.requests.Load() == 0 })
	_ = dead.CloseNow()

	var pings atomic.Int32
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	patient := newHouse(t, func(s *setup) { s.Ping = 4 * time.Second })
	conn, _, err := websocket.Dial(ctx, patient.url, &websocket.DialOptions{
		Subprotocols: []string{"graphql-transport-ws"}, OnPingReceived: func(context.Context, []byte) bool { pings.Add(1); return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	socket := &client{t, conn}
	socket.init("")
	read := conn.CloseRead(ctx)
	eventually(t, "two pings came", func() bool { return pings.Load() >= 2 })
	if read.Err() != nil {
		t.Error("it is dropped although it answers")
	}
}

// TestHostileClose: who is told to go and begins a frame that never ends holds nothing.
func TestHostileClose(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(s *setup) { s.CloseTimeout, s.ReadLimit = 200*time.Millisecond, 1000 })
	for name, frames := range map[string]string{
		"a breach, then a frame that stays away":  "\x82\x80aaaa" + "\x82\xff\x00\x00\x00\x00\x40\x00\x00\x00aaaa",
		"a frame that is too long and stays away": "\x81\xff\x00\x00\x00\x00\x40\x00\x00\x00aaaa" + strings.Repeat("x", 2000),
		"half a header":             "\x81",
		"no mask":                   "\x81\x02{}",
		"a continuation of nothing": "\x80\x80aaaa",
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"+frames)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || a.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(name, err)
		}
		if name == "half a header" { // until something happens to it
			h.streams.Stop()
		}
		eventually(t, name+": it is gone", func() bool { return h.requests.Load() == 0 })
		_ = c.Close()
		if name == "half a header" {
			h = newHouse(t, func(s *setup) { s.CloseTimeout, s.ReadLimit = 200*time.Millisecond, 1000 })
		}
	}
}

// TestForeignPages open no socket and no stream; their own and those named do.
func TestForeignPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(s *setup) { s.origins = []string{"https://portal.example.org"} })
	for _, c := range []struct {
		headers []string
		allowed bool
	}{
		{nil, true},
		{[]string{"Origin: " + h.url}, true},
		{[]string{"Origin: https://portal.example.org"}, true},
		{[]string{"Origin: https://portal.example.org", "Sec-Fetch-Site: cross-site"}, true},
		{[]string{"Origin: http://portal.example.org"}, false},
		{[]string{"Origin: https://evil.example.org"}, false},
		{[]string{"Origin: null"}, false},
		{[]string{"Origin: https://evil.example.org", "Sec-Fetch-Site: cross-site"}, false},
	} {
		_, response, err := h.tryDial([]string{"graphql-transport-ws"}, c.headers...)
		if (err == nil) != c.allowed || !c.allowed && response.StatusCode != http.StatusForbidden {
			t.Errorf("socket %v: %v", c.headers, err)
		}
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			s := h.stream(method, "{ hello }", c.headers...)
			want := http.StatusForbidden
			if c.allowed {
				want = http.StatusOK
			}
			if s.StatusCode != want {
				t.Errorf("stream by %s %v: %s", method, c.headers, s.Status)
			}
		}
	}
	every := newHouse(t, func(s *setup) { s.origins = []string{"*"} })
	if _, _, err := every.tryDial([]string{"graphql-transport-ws"}, "Origin: https://any.example.org", "Sec-Fetch-Site: cross-site"); err != nil {
		t.Errorf("every page may, but: %v", err)
	}
}

// TestManySockets, opened and closed in every way, leave nothing behind.
func TestManySockets(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(s *setup) { s.InitTimeout = 500 * time.Millisecond })
	for range 4 {
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				socket, _, err := h.tryDial([]string{"graphql-transport-ws"})
				if err != nil {
					t.Error(err)
					return
				}
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				for _, message := range []string{ack, `{"id":"1","type":"subscribe","payload":{"query":"subscription { forever }"}}`, `{"id":"2","type":"subscribe","payload":{"query":"subscription { flood }"}}`} {
					if i%5 > 0 {
						_ = socket.Write(ctx, websocket.MessageText, []byte(message))
					}
				}
				switch i % 3 {
				case 0:
					_ = socket.CloseNow()
				case 1:
					_ = socket.Close(websocket.StatusNormalClosure, "")
				case 2: // until it says something, if only that nobody signed in
					_, _ = socket.read()
					_ = socket.CloseNow()
				}
			})
		}
		all.Wait()
	}
	h.quiet()
}
