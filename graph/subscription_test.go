package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/graph"
	"imagerequests/graph/transport"
	"imagerequests/imaging"
)

// studio is a door with a feed that runs, seen as a transport sees it.
type studio struct {
	door
	exec graphql.GraphExecutor
	stop func() // of the feed
}

func newStudio(t *testing.T) studio {
	t.Helper()
	d := newDoor(t)
	feed := db.NewFeed(d.store)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- feed.Run(ctx) }()
	s := studio{door: d, exec: graph.Options{Store: d.store, Feed: feed, Auth: auth.New(d.store, known), Throttle: auth.NewThrottle(0, 0, nil), Log: slog.New(slog.DiscardHandler)}.Executor()}
	s.stop = func() { cancel(); ended <- <-ended }
	t.Cleanup(s.stop)
	return s
}

// subscribed is a running subscription; each call gives the next response, nil at its end.
type subscribed struct {
	t     *testing.T
	ctx   context.Context
	next  graphql.ResponseHandler
	leave func()
}

// subscribe begins an operation as the user. What comes with the context goes with it.
func (s studio) subscribe(ctx context.Context, user, query string, variables map[string]any) *subscribed {
	s.t.Helper()
	return s.subscribeIn(auth.WithActor(ctx, known[user]), query, variables)
}

// subscribeIn begins an operation as the actor in the context.
func (s studio) subscribeIn(ctx context.Context, query string, variables map[string]any) *subscribed {
	s.t.Helper()
	ctx, leave := context.WithTimeout(ctx, 10*time.Minute)
	s.t.Cleanup(leave)
	ctx = graphql.StartOperationTrace(ctx)
	op, errs := s.exec.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: variables})
	if errs != nil {
		return &subscribed{s.t, ctx, graphql.OneShot(s.exec.DispatchError(graphql.WithOperationContext(ctx, op), errs)), leave}
	}
	next, ctx := s.exec.DispatchOperation(ctx, op)
	return &subscribed{s.t, ctx, next, leave}
}

// text is the next response as it would be sent.
func (s *subscribed) text() string {
	s.t.Helper()
	response := s.next(s.ctx)
	if response == nil {
		return ""
	}
	text, err := json.Marshal(response)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// told is an event as these tests read it.
type told struct {
	Cursor, Action string
	Seq            int
	Actor, Message *string
	Changes        []struct{ Field string }
	ImageRequest   struct {
		ID, Name, Status string
		Exclude          *string
	}
	Version *struct{ ID, Status string }
}

const events = `subscription($after: String, $id: ID, $filter: EventFilter) { events(after: $after, imageRequest: $id, filter: $filter) {
	cursor seq action actor message changes { field } imageRequest { id name status exclude } version { id status } } }`

// event is the next one; there must be one.
func (s *subscribed) event() told {
	s.t.Helper()
	var response struct {
		Data   struct{ Events told }
		Errors []any
	}
	if text := s.text(); json.Unmarshal([]byte(text), &response) != nil || len(response.Errors) > 0 || text == "" {
		s.t.Fatalf("no event but %q", text)
	}
	return response.Data.Events
}

// rename is an event of the demonstration's request, made by its owner.
func (s studio) rename(name string) {
	s.t.Helper()
	if _, err := s.store.EditImageRequest(context.Background(), known["username"], imaging.EditImageRequestInput{ImageRequest: db.DemoRequest, Name: &name}); err != nil {
		s.t.Fatal(err)
	}
}

// show makes it be seen by so many.
func (s studio) show(to imaging.Visibility) {
	s.t.Helper()
	if _, err := s.store.EditImageRequest(context.Background(), known["username"], imaging.EditImageRequestInput{ImageRequest: db.DemoRequest, Visibility: &to}); err != nil {
		s.t.Fatal(err)
	}
}

// Each event comes with the request as it is now, and with as much of either as the caller may read.
func TestSubscription(t *testing.T) {
	t.Parallel()
	s := newStudio(t)
	of := map[string]any{"id": db.DemoRequest.String(), "filter": map[string]any{"action": []any{"EDITED"}, "createdBy": "username"}}
	users := map[string]*subscribed{}
	for _, user := range []string{"username", "reviewer", "stranger", ""} {
		users[user] = s.subscribe(t.Context(), user, events, of)
	}
	s.rename("first")
	s.rename("second")
	for user, l := range users {
		one, two := l.event(), l.event()
		if one.ImageRequest.Name != "second" || two.ImageRequest.Name != "second" || two.Seq != one.Seq+1 || one.Cursor == two.Cursor || one.Action != "EDITED" {
			t.Errorf("%q is told %+v, %+v", user, one, two)
		}
		details := user == "username" || user == "reviewer"
		if (one.Actor != nil) != details || (len(one.Changes) == 1) != details || (one.ImageRequest.Exclude != nil) != details || one.Version != nil {
			t.Errorf("%q is told %+v", user, one)
		}
		again := s.subscribe(t.Context(), user, events, map[string]any{"after": one.Cursor})
		if got := again.event(); got.Cursor != two.Cursor {
			t.Errorf("%q, with a cursor, is told %+v", user, got)
		}
		l.leave()
		if text := l.text(); text != "" {
			t.Errorf("after its end the subscription says %s", text)
		}
	}
	data[any](t, s.as("username", `{ imageRequests { nodes { events { nodes { cursor imageRequest { id } } } } } }`, nil))
}

// An event that waited while its client was not ready is not sent if access was withdrawn meanwhile: what may be sent is decided
// when the transport asks for it.
func TestEventsWaitForTheirTransport(t *testing.T) {
	t.Parallel()
	s := newStudio(t)
	slow, other := s.subscribe(t.Context(), "stranger", events, nil), s.subscribe(t.Context(), "reviewer", events, nil)
	s.rename("shown")
	if got := slow.event(); got.ImageRequest.Name != "shown" {
		t.Fatalf("told %+v", got)
	}
	for _, name := range []string{"hidden", "hidden, too"} {
		s.rename(name)
		for other.event().ImageRequest.Name != name { // it has come to this copy, and could be told to all
		}
	}
	s.show(imaging.Private)
	s.rename("hidden since")
	in := input("visibility", "PUBLIC", "name", "the next")
	data[any](t, s.as("username", requestImage, in))
	if got := slow.event(); got.ImageRequest.Name != "the next" {
		t.Errorf("told %+v", got)
	}
}

// Each cursor is noted for the transport before its event is handed over, in their order; after goes on behind a cursor.
func TestResume(t *testing.T) {
	t.Parallel()
	s := newStudio(t)
	var want []string
	all := s.subscribe(t.Context(), "reviewer", events, map[string]any{"id": db.DemoRequest.String()})
	for i := range 4 {
		s.rename(fmt.Sprint(i))
		want = append(want, all.event().Cursor)
	}
	resume := &transport.Resume{}
	l := s.subscribe(transport.WithResume(t.Context(), resume), "reviewer", events, map[string]any{"id": db.DemoRequest.String(), "after": want[0]})
	for _, cursor := range want[1:] {
		got, noted := l.event(), resume.Next()
		if got.Cursor != cursor || noted != cursor {
			t.Errorf("told %s, noted %s, want %s", got.Cursor, noted, cursor)
		}
	}
}

// What is refused is refused as everywhere, and ends the subscription.
func TestRefusedSubscription(t *testing.T) {
	t.Parallel()
	s := newStudio(t)
	s.show(imaging.Private)
	for what, c := range map[string]struct {
		query     string
		variables map[string]any
		want      string // a part of the answer
	}{
		"a bad cursor":       {events, map[string]any{"after": "x"}, `"extensions":{"code":"INVALID","field":"after"}`},
		"a bad filter":       {events, map[string]any{"filter": map[string]any{"createdBy": strings.Repeat("x", 1000)}}, `"field":"createdBy"`},
		"what is not there":  {events, map[string]any{"id": uuid.NewString()}, `"code":"NOT_FOUND"`},
		"what is not seen":   {events, map[string]any{"id": db.DemoRequest.String()}, `"code":"NOT_FOUND"`},
		"two streams":        {`subscription { a: events { seq } b: events { seq } }`, nil, `"code":"INVALID"`},
		"no stream":          {`subscription { events @skip(if: true) { seq } }`, nil, `"code":"INVALID"`},
		"the type of itself": {`subscription { __typename }`, nil, `"GRAPHQL_VALIDATION_FAILED"`},
	} {
		l := s.subscribe(t.Context(), "stranger", c.query, c.variables)
		if text := l.text(); !strings.Contains(text, c.want) || strings.Contains(text, `"data":{`) {
			t.Errorf("%s: %s", what, text)
		}
		if text := l.text(); text != "" {
			t.Errorf("%s: goes on with %s", what, text)
		}
	}
	unseen := s.subscribe(t.Context(), "stranger", events, map[string]any{"id": db.DemoRequest.String()}).text()
	if unknown := s.subscribe(t.Context(), "stranger", events, map[string]any{"id": uuid.NewString()}).text(); unseen != unknown {
		t.Errorf("%s can be told from %s", unseen, unknown)
	}
}

// Nothing is left running when subscriptions and their feed have ended: neither those that wait for an event, nor those that
// have one which nobody takes.
func TestSubscriptionsLeaveNothingBehind(t *testing.T) {
	s := newStudio(t)
	s.subscribe(t.Context(), "reviewer", events, map[string]any{"after": ""}).event() // all that stays is running
	before := goleak.IgnoreCurrent()
	for range 20 {
		idle, taking := s.subscribe(t.Context(), "reviewer", events, nil), s.subscribe(t.Context(), "reviewer", events, map[string]any{"after": ""})
		taking.event()
		idle.leave()
		taking.leave()
	}
	var left error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); { // a look-up of the feed may be under way; Find waits for half a second
		if left = goleak.Find(before); left == nil {
			return
		}
	}
	t.Error(left)
}
