package access_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
)

// patience is how long a stream may take to say what it has to say.
const patience = 2 * time.Minute

const (
	ofOne = `subscription ($id: ID!) { events(after: "", imageRequest: $id) { ...E } }` + event
	ofAll = `subscription { events(after: "") { ...E } }` + event
	event = ` fragment E on Event { seq actor message changes { field } imageRequest { ...R } }` + everything
)

// toldOf is an event as it was told, in one line: its number, and what of it and its request is for the owner and staff.
func toldOf(e any) string {
	line := fmt.Sprint(at(e, "seq"))
	changes, _ := at(e, "changes").([]any)
	if at(e, "actor") != nil || at(e, "message") != nil || len(changes) > 0 {
		line += fmt.Sprint(" by whom, and what changed: ", len(changes))
	}
	return line + " " + strings.Join(secretsIn(at(e, "imageRequest")), " ")
}

// tells is the same, as the oracle has it.
func (a actor) tells(r row) (lines []string) {
	for _, seq := range a.told(r) {
		line := fmt.Sprint(seq)
		switch {
		case a.is("REVIEWER"): // the users, and the insides of a failure
			line += " by whom, and what changed: 2"
		case a.details():
			line += " by whom, and what changed: 1"
		}
		lines = append(lines, line+" "+strings.Join(a.secrets(r), " "))
	}
	return lines
}

// stream is all that a subscription was answered, until it said so many things or ended by itself.
type stream struct {
	*httptest.ResponseRecorder
	enough func(stream) bool
	stop   context.CancelFunc
}

func (s stream) Write(p []byte) (int, error) {
	n, err := s.ResponseRecorder.Write(p)
	if s.enough(s) {
		s.stop()
	}
	return n, err
}

// said are the responses of a stream.
func (s stream) said() (all []reply) {
	for line := range strings.Lines(s.Body.String()) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			all = append(all, reply{status: s.Code, body: strings.TrimSpace(data)})
		}
	}
	return all
}

// listen subscribes by server-sent events.
func (h *house) listen(t *testing.T, a actor, query string, variables any, enough func(stream) bool) stream {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/graphql", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	if token := h.tokens[a.name]; token != "" {
		r.Header.Set("Authorization", "Token "+token)
	}
	s := stream{httptest.NewRecorder(), enough, stop}
	h.handler.ServeHTTP(s, r)
	return s
}

// TestSubscriptions subscribes to every row, as everybody, by server-sent events: what is hidden is refused as an unknown id.
func TestSubscriptions(t *testing.T) {
	t.Parallel()
	h := open(t)
	places := h.put(t, rows()...)
	var cells []func()
	for _, a := range actors {
		refusal := func(s stream) bool { return len(s.said()) > 0 }
		nothing := h.listen(t, a, ofOne, requestID(unknown), refusal)
		for _, p := range places {
			if passedOver(a, p, false) {
				continue
			}
			cells = append(cells, func() {
				want := a.tells(p.row)
				s := h.listen(t, a, ofOne, requestID(p), func(s stream) bool { return len(s.said()) >= max(1, len(want)) })
				var got []string
				for _, r := range s.said() {
					if e := at(r.answer(t).Data, "events"); e != nil {
						got = append(got, toldOf(e))
					} else {
						got = append(got, r.refusal(t))
					}
				}
				switch {
				case a.refused():
					want, got = []string{"401"}, []string{fmt.Sprint(s.Code)}
				case !a.sees(p.row):
					want = []string{"NOT_FOUND"}
				}
				if !slices.Equal(got, want) {
					fail(t, "events of %s as %s: %q, want %q", p.row, a.name, got, want)
				}
				if !a.sees(p.row) && s.Body.String() != nothing.Body.String() {
					fail(t, "events of %s as %s is answered\n%s, and an unknown id\n%s", p.row, a.name, s.Body, nothing.Body)
				}
			})
		}
	}
	run(t, cells)
}

// TestWholeStream lets everybody hear everything from the beginning, by both protocols: each event that is for them, once, and
// nothing else.
func TestWholeStream(t *testing.T) {
	t.Parallel()
	h := open(t)
	places := h.put(t, rows()...)
	last := h.put(t, row{"PUBLIC", "COMPLETED", ""})[0]
	server := httptest.NewServer(h.handler)
	t.Cleanup(server.Close)
	var cells []func()
	for _, a := range actors {
		want := map[uuid.UUID][]string{}
		for _, p := range append(slices.Clone(places), last) {
			if lines := a.tells(p.row); lines != nil {
				want[p.request] = lines
			}
		}
		judge := func(how string, all []reply) {
			got := map[uuid.UUID][]string{}
			for _, r := range all {
				e := at(r.answer(t).Data, "events")
				id, err := uuid.Parse(fmt.Sprint(at(e, "imageRequest", "id")))
				if err != nil {
					fail(t, "%s as %s: %s", how, a.name, r.body)
				}
				got[id] = append(got[id], toldOf(e))
			}
			for _, p := range append(slices.Clone(places), last) {
				if !slices.Equal(got[p.request], want[p.request]) {
					fail(t, "%s as %s tells of %s %q, want %q", how, a.name, p.row, got[p.request], want[p.request])
				}
			}
		}
		isLast := func(text string) bool {
			return strings.Contains(text, last.request.String()) && strings.Contains(text, `"seq":2`)
		}
		cells = append(cells, func() {
			s := h.listen(t, a, ofAll, nil, func(s stream) bool {
				said := s.said()
				return len(said) > 0 && isLast(said[len(said)-1].body)
			})
			if a.refused() {
				if s.Code != http.StatusUnauthorized {
					fail(t, "a stream as %s: %d %s", a.name, s.Code, s.Body)
				}
				return
			}
			judge("a stream", s.said())
		}, func() {
			said, code := h.socket(t, server.URL, a, isLast)
			if want := map[bool]websocket.StatusCode{true: 4403}[a.refused()]; code != want {
				fail(t, "a socket as %s is closed by %d, want %d", a.name, code, want)
			}
			if !a.refused() {
				judge("a socket", said)
			}
		})
	}
	run(t, cells)
}

// socket subscribes to everything over WebSocket until the last event has come.
func (h *house) socket(t *testing.T, base string, a actor, isLast func(string) bool) (said []reply, code websocket.StatusCode) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, base+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		t.Error(err)
		return nil, 0
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(1 << 20)
	payload := ""
	if token := h.tokens[a.name]; token != "" {
		payload = `,"payload":{"Authorization":"Token ` + token + `"}`
	}
	query, _ := json.Marshal(ofAll)
	for _, message := range []string{`{"type":"connection_init"` + payload + `}`, ""} {
		if message != "" {
			_ = c.Write(ctx, websocket.MessageText, []byte(message)) // what is wrong, the reading tells
			if _, _, err := c.Read(ctx); err != nil {
				return nil, websocket.CloseStatus(err)
			}
			continue
		}
		_ = c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"id":"1","type":"subscribe","payload":{"query":%s}}`, query))
	}
	for {
		_, text, err := c.Read(ctx)
		if err != nil {
			return said, websocket.CloseStatus(err)
		}
		var message struct{ Payload json.RawMessage }
		if err := json.Unmarshal(text, &message); err != nil {
			t.Error(err)
		}
		said = append(said, reply{status: 200, body: string(message.Payload)})
		if isLast(string(text)) {
			return said, 0
		}
	}
}
