package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	neturl "net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// follower is a subscriber who wants to know everything from the beginning, and comes again after the last event it was told
// whenever its stream ends, however that is.
type follower struct {
	name        string
	base, token string
	listen      func(*follower, context.Context) error // one stream
	http        *http.Client

	mu      sync.Mutex
	cursor  string
	seqs    map[string]int // the last of each image request
	told    int
	streams int
	hints   int // streams that ended with a word that they may be taken up again
	wrong   []string
}

func newFollower(name, base, token string, listen func(*follower, context.Context) error) *follower {
	return &follower{name: name, base: base, token: token, listen: listen, http: &http.Client{Transport: &http.Transport{}}, seqs: map[string]int{}}
}

const allEvents = `subscription($after: String) { events(after: $after) { cursor seq imageRequest { id } } }`

type told struct {
	Data *struct {
		Events *struct {
			Cursor       string
			Seq          int
			ImageRequest struct{ ID string }
		}
	}
}

// follow goes on until the context ends.
func (f *follower) follow(ctx context.Context) {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for ctx.Err() == nil {
		_ = f.listen(f, ctx) // whatever ended it: it comes again
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

// hear notes an event, which must be the next one of its image request.
func (f *follower) hear(text []byte) error {
	var t told
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	if t.Data == nil || t.Data.Events == nil {
		return fmt.Errorf("no event: %s", text)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e := t.Data.Events
	if f.seqs[e.ImageRequest.ID]++; f.seqs[e.ImageRequest.ID] != e.Seq {
		f.wrong = append(f.wrong, fmt.Sprintf("event %d of %s as its %d.", e.Seq, e.ImageRequest.ID, f.seqs[e.ImageRequest.ID]))
		f.seqs[e.ImageRequest.ID] = e.Seq
	}
	f.cursor, f.told = e.Cursor, f.told+1
	return nil
}

func (f *follower) begin() (cursor string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.streams++
	return f.cursor
}

func (f *follower) hint() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hints++
}

// heard tells whether it was told so many events of an image request.
func (f *follower) heard(id string, seq int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seqs[id] >= seq
}

// overSSE is one stream of server-sent events, taken up with Last-Event-ID as EventSource does.
func overSSE(f *follower, ctx context.Context) error {
	query := neturl.Values{"query": {allEvents}, "variables": {`{"after":""}`}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+"/graphql?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Token "+f.token)
	if last := f.begin(); last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	a, err := f.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = a.Body.Close() }()
	if a.StatusCode != http.StatusOK {
		return errors.New(a.Status)
	}
	lines := bufio.NewScanner(a.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if err := f.hear([]byte(text)); err != nil {
				return err // cut in the middle, or an error: it will be told again
			}
		}
		if strings.HasPrefix(lines.Text(), "retry: ") {
			f.hint()
		}
	}
	return lines.Err()
}

// overWebSocket is one socket with one subscription, taken up with the last cursor.
func overWebSocket(f *follower, ctx context.Context) error {
	dialing, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(dialing, f.base+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPClient: f.http})
	if err != nil {
		return err
	}
	defer func() { _ = c.CloseNow() }()
	subscribe, err := json.Marshal(map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{"query": allEvents, "variables": map[string]any{"after": f.begin()}}})
	if err != nil {
		return err
	}
	if err := c.Write(ctx, websocket.MessageText, []byte(`{"type":"connection_init","payload":{"Authorization":"Token `+f.token+`"}}`)); err != nil {
		return err
	}
	for {
		_, text, err := c.Read(ctx)
		if websocket.CloseStatus(err) == websocket.StatusServiceRestart {
			f.hint()
		}
		if err != nil {
			return err
		}
		var m struct {
			Type    string
			Payload json.RawMessage
		}
		if err := json.Unmarshal(text, &m); err != nil {
			return err
		}
		switch m.Type {
		case "connection_ack":
			err = c.Write(ctx, websocket.MessageText, subscribe)
		case "next":
			err = f.hear(m.Payload)
		case "ping", "pong":
		default:
			err = fmt.Errorf("%s", text)
		}
		if err != nil {
			return err
		}
	}
}

// check waits until the follower was told all that there is, and fails unless that was each event once and in order, and
// nothing of others.
func (f *follower) check(t testing.TB, want map[string]int) {
	t.Helper()
	for id, events := range want {
		eventually(t, fmt.Sprintf("%s is told %d events of %s", f.name, events, id), func() bool { return f.heard(id, events) })
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	events := 0
	for id, last := range f.seqs {
		events += want[id]
		if last != want[id] {
			t.Errorf("%s was told %d events of %s, which has %d for it", f.name, last, id, want[id])
		}
	}
	for _, wrong := range f.wrong {
		t.Errorf("%s was told %s", f.name, wrong)
	}
	t.Logf("%s: %d of %d events over %d streams, of which %d ended with a hint to come again", f.name, f.told, events, f.streams, f.hints)
}
