package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/coder/websocket"

	"imagerequests/graph/transport"
)

// endless are the subscriptions of the test's schema that would keep a target waiting for what it is not about.
var endless = []string{"stubborn", "flood", "panics"}

func tooLong(inputs ...string) bool {
	return slices.ContainsFunc(endless, func(name string) bool { return strings.Contains(strings.Join(inputs, ""), name) })
}

// untilNext records an answer, and lets its client leave at a stream's first event.
type untilNext struct {
	*httptest.ResponseRecorder
	leave context.CancelFunc
}

func (w untilNext) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("event: next")) {
		w.leave()
	}
	return w.ResponseRecorder.Write(b)
}

func doors() http.Handler {
	h := &house{}
	origins, _ := transport.NewOrigins("https://portal.example.org") // is one
	door := transport.Door{
		Admit:   h.admit,
		Watch:   func(r *http.Request) (context.Context, func(), error) { return r.Context(), func() {}, nil },
		Origins: origins,
	}
	executor := handler.New(h)
	executor.AddTransport(transport.WebSocket{Door: door})
	executor.AddTransport(transport.HTTP{Door: door})
	return origins.Handler(executor)
}

// FuzzHTTP sends requests of any kind, by POST and GET, for JSON and for streams: none is answered by a failure of ours, and
// what is called JSON is JSON.
func FuzzHTTP(f *testing.F) {
	h := doors()
	const json1, events = "application/json", "text/event-stream"
	for _, body := range []string{
		`{"query":"{hello}"}`, `{"query":"subscription{count(to:2)}","variables":{}}`, `{"query":"query A{hello} query B{who}","operationName":"B"}`,
		`{"query":""}`, `{"query":1}`, `[]`, `null`, `{"variables":[]}`, `{"query":"{hello}","extensions":{"persistedQuery":{"version":1,"sha256Hash":"ab"}}}`,
		"{\"query\":\"{hello}\x00\"}", `{"query":"{hello}","variables":{"a":"\ud800"}}`, `{"documentId":"x"}`, "\xff", `{"query":"{hello}","query":"{who}"}`,
	} {
		f.Add("POST", "", json1, "", "", "", "", body)
		f.Add("POST", "", json1, events, "7", "https://portal.example.org", "Token ann", body)
	}
	for _, query := range []string{"query=%7Bhello%7D", "query=mutation%7Bchange%7D", "query=%7Bhello%7D&variables=%7B%7D&extensions=%5B%5D", "documentId=a", "%zz", "query=%00", "a;b"} {
		f.Add("GET", query, "", "*/*;q=0.5, application/graphql-response+json", "", "", "", "")
		f.Add("GET", query, "", events, "1", "https://evil.example.org", "", "")
	}
	f.Add("DELETE", "", json1+"; charset=latin1", "text/html", "", "null", "Token bad", "")
	f.Fuzz(func(t *testing.T, method, query, contentType, accept, lastEventID, origin, authorization, body string) {
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		r, err := http.NewRequestWithContext(ctx, method, "/graphql", strings.NewReader(body))
		if err != nil || tooLong(query, body) || strings.Contains(authorization, "away") {
			return
		}
		r.URL.RawQuery, r.Host = query, "localhost"
		for name, value := range map[string]string{"Content-Type": contentType, "Accept": accept, "Last-Event-ID": lastEventID, "Origin": origin, "Authorization": authorization} {
			if value != "" {
				r.Header[name] = []string{value}
			}
		}
		w := untilNext{httptest.NewRecorder(), leave}
		h.ServeHTTP(w, r)
		text := w.Body.String()
		switch kind := w.Header().Get("Content-Type"); {
		case w.Code >= 500:
			t.Errorf("%d %s", w.Code, text)
		case strings.HasPrefix(kind, events):
			checkEvents(t, text)
		case strings.HasPrefix(kind, "application/") && !json.Valid([]byte(text)):
			t.Errorf("%s is no JSON: %q", kind, text)
		case kind == "" && text != "":
			t.Errorf("nobody says what this is: %q", text)
		}
	})
}

// checkEvents fails unless the text is server-sent events as the protocol has them.
func checkEvents(t *testing.T, text string) {
	t.Helper()
	for part := range strings.SplitSeq(strings.TrimSuffix(text, "\n\n"), "\n\n") {
		lines := strings.Split(part, "\n")
		data, ok := strings.CutPrefix(lines[len(lines)-1], "data: ")
		switch {
		case part == ":", part == "event: complete\ndata:":
		case !ok || lines[0] != "event: next" || len(lines) > 3 || len(lines) == 3 && !strings.HasPrefix(lines[1], "id: ") || !json.Valid([]byte(data)):
			t.Errorf("not an event: %q in %q", part, text)
		}
	}
}

// FuzzSocket sends messages of any kind over WebSocket, one a line, a line behind NUL as binary: each is answered as the
// protocol says, or the socket is closed with a code of it; and the next socket is served as if nothing had been.
func FuzzSocket(f *testing.F) {
	server := httptest.NewServer(doors())
	f.Cleanup(server.Close)
	const sign = `{"type":"connection_init"}` + "\n"
	for _, messages := range []string{
		"", sign, sign + sign, `{"type":"connection_init","payload":{"Authorization":"Token bad"}}`, `{"type":"connection_init","payload":{"headers":{"authorization":"Token ann"}}}`,
		`{"type":"connection_init","payload":[1]}`, `{"type":"ping","payload":{"a":1}}`, sign + `{"type":"subscribe","id":"1","payload":{"query":"{hello}"}}`,
		sign + `{"type":"subscribe","id":"1","payload":{"query":"subscription{count(to:3)}"}}` + "\n" + `{"type":"complete","id":"1"}`,
		sign + `{"type":"subscribe","id":"1","payload":{"query":"subscription{forever}"}}` + "\n" + `{"type":"subscribe","id":"1","payload":{"query":"{who}"}}`,
		sign + `{"type":"subscribe","id":"","payload":{}}`, sign + `{"type":"subscribe","id":"2","payload":{"query":"{"}}`, `{"type":"subscribe","id":"1"}`, "\x00binary", "[]", "{", "\xff",
		`{"type":"pong"}`, sign + `{"type":"next","id":"1"}`, sign + `{"type":"subscribe","id":"a","payload":{"query":"mutation{change}","variables":[],"extensions":1}}`,
	} {
		f.Add(messages)
	}
	f.Fuzz(func(t *testing.T, messages string) {
		if tooLong(messages) || len(messages) > 1<<16 {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c, _, err := websocket.Dial(ctx, server.URL, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.CloseNow() }()
		c.SetReadLimit(-1)
		for line := range strings.SplitSeq(messages, "\n") {
			kind := websocket.MessageText
			if rest, binary := strings.CutPrefix(line, "\x00"); binary {
				kind, line = websocket.MessageBinary, rest
			}
			if c.Write(ctx, kind, []byte(line)) != nil {
				break // it was closed: the reading tells how
			}
		}
		const last = `{"seen":"all"}`
		_ = c.Write(ctx, websocket.MessageText, []byte(`{"type":"ping","payload":`+last+`}`))
		for {
			_, text, err := c.Read(ctx)
			if err != nil {
				var closed websocket.CloseError
				if !errors.As(err, &closed) || closed.Code < 4400 || closed.Code > 4429 {
					t.Errorf("%q: closed by %v", messages, err)
				}
				return
			}
			var m struct{ ID, Type, Payload any }
			if json.Unmarshal(text, &m) != nil || !slices.Contains([]any{"connection_ack", "next", "error", "complete", "ping", "pong"}, m.Type) {
				t.Errorf("%q: answered %s", messages, text)
			}
			if string(text) == `{"type":"pong","payload":`+last+`}` {
				return
			}
		}
	})
}
