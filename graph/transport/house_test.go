package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"go.uber.org/goleak"

	"imagerequests/graph/transport"
	"imagerequests/imaging"
)

// Whatever the tests open, nothing runs when they are over.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = time.Minute

// schema is a small one whose fields do what the tests need.
var schema = gqlparser.MustLoadSchema(&ast.Source{Name: "test.graphqls", Input: `
	type Query { hello: String!, who: String!, running: String!, panics: String! }
	type Mutation { change: String! }
	type Subscription { count(to: Int!, after: Int): Int!, forever: Int!, flood: String!, panics: Int!, lines: Int!, stubborn: Int!, refused: Int! }
`})

// house is a server with that schema, its transports under test, and a door of its own: "Token NAME" signs in as NAME, but
// for bad, limited and away, which are refused.
type house struct {
	t       *testing.T
	url     string
	streams *transport.Streams

	admitted atomic.Int32  // operations and connections that asked to be let in
	begun    atomic.Int32  // subscriptions so far
	sources  atomic.Int32  // those that run
	requests atomic.Int32  // handlers that run
	stubborn chan struct{} // says when the subscription of this name hears nothing, and makes it hear again

	mu      sync.Mutex
	watched []context.CancelCauseFunc // one for each token that is watched
}

// setup is what a test may change.
type setup struct {
	transport.WebSocket
	transport.HTTP
	server  *http.Server
	origins []string
}

func newHouse(t *testing.T, changes ...func(*setup)) *house {
	t.Helper()
	h := &house{t: t, streams: transport.NewStreams(), stubborn: make(chan struct{})}
	server := httptest.NewUnstartedServer(nil)
	s := &setup{server: server.Config}
	for _, change := range changes {
		change(s)
	}
	origins, err := transport.NewOrigins(s.origins...)
	if err != nil {
		t.Fatal(err)
	}
	door := transport.Door{Admit: h.admit, Watch: h.watch, Origins: origins}
	s.WebSocket.Door, s.HTTP.Door = door, door
	executor := handler.New(h)
	executor.AddTransport(s.WebSocket)
	executor.AddTransport(s.HTTP)
	executor.SetRecoverFunc(func(context.Context, any) error { return imaging.Errorf(imaging.Internal, "It broke.") })
	executor.SetErrorPresenter(func(_ context.Context, err error) *gqlerror.Error {
		var ours *imaging.Error
		if errors.As(err, &ours) {
			return transport.Error(ours)
		}
		return gqlerror.WrapIfUnwrapped(err)
	})
	server.Config.BaseContext = h.streams.Base
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.requests.Add(1)
		defer h.requests.Add(-1)
		origins.Handler(executor).ServeHTTP(w, r)
	})
	server.Start()
	h.url = server.URL
	t.Cleanup(func() {
		h.streams.Stop()
		server.Close()
		h.quiet()
	})
	return h
}

// quiet waits until nobody is served any more.
func (h *house) quiet() {
	h.t.Helper()
	eventually(h.t, "no handler and no source runs", func() bool { return h.requests.Load() == 0 && h.sources.Load() == 0 })
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for end := time.After(patience); !holds(); {
		select {
		case <-look.C:
		case <-end:
			t.Errorf("it never came to be that %s", what)
			return
		}
	}
}

type nameKey struct{}

func (h *house) admit(r *http.Request) (context.Context, error) {
	h.admitted.Add(1)
	switch name := strings.TrimPrefix(strings.Join(r.Header["Authorization"], ","), "Token "); name {
	case "bad":
		return nil, imaging.Errorf(imaging.Unauthenticated, "Invalid token.")
	case "limited":
		return nil, imaging.Errorf(imaging.Limited, "Request was throttled.")
	case "away":
		return nil, imaging.Errorf(imaging.Unavailable, "The database is away. %s", strings.Repeat("é", 200))
	case "once": // is let in, and then no more
		if h.admitted.Load() > 1 {
			return nil, imaging.Errorf(imaging.Limited, "Request was throttled.")
		}
		return r.Context(), nil
	default:
		return context.WithValue(r.Context(), nameKey{}, name), nil
	}
}

func (h *house) watch(r *http.Request) (context.Context, func(), error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watched = append(h.watched, cancel)
	return ctx, func() { cancel(nil) }, nil
}

// revoke ends all tokens.
func (h *house) revoke() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, cancel := range h.watched {
		cancel(imaging.Errorf(imaging.Unauthenticated, "The token is no longer in force."))
	}
}

// Schema, Complexity and Exec make it a graphql.ExecutableSchema.
func (h *house) Schema() *ast.Schema { return schema }

func (h *house) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

func (h *house) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	field, _ := op.Operation.SelectionSet[0].(*ast.Field)
	if op.Operation.Operation == ast.Subscription {
		return h.subscription(ctx, field, field.ArgumentMap(op.Variables))
	}
	value := field.Name
	switch field.Name {
	case "who":
		value, _ = ctx.Value(nameKey{}).(string)
	case "running":
		value = fmt.Sprint(h.sources.Load())
	case "panics":
		panic("a field that breaks")
	}
	data, err := json.Marshal(map[string]any{field.Alias: value})
	if err != nil {
		panic(err)
	}
	return graphql.OneShot(&graphql.Response{Data: data})
}

// subscription starts a source that behaves as a resolver does: it has a channel, and is up to one event ahead.
func (h *house) subscription(ctx context.Context, field *ast.Field, args map[string]any) graphql.ResponseHandler {
	switch field.Name {
	case "stubborn":
		h.begun.Add(1)
		h.sources.Add(1)
		first := true
		return func(context.Context) *graphql.Response {
			if first {
				first = false
				return &graphql.Response{Data: json.RawMessage(`{"stubborn":1}`)}
			}
			h.stubborn <- struct{}{}
			<-h.stubborn
			h.sources.Add(-1)
			return nil
		}
	case "refused":
		return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{transport.Error(imaging.ErrForbidden())}})
	}
	events := make(chan string, 1)
	resume := transport.ResumeFrom(ctx)
	emit := func(cursor, value string) bool {
		resume.Sent(cursor)
		select {
		case events <- fmt.Sprintf(`{%q:%s}`, field.Alias, value):
			return true
		case <-ctx.Done():
			return false
		}
	}
	h.begun.Add(1)
	h.sources.Add(1)
	go func() {
		defer close(events)
		defer h.sources.Add(-1)
		switch field.Name {
		case "count":
			from := number(args["after"])
			if after := resume.After(); after != "" {
				from = number(json.Number(after))
			}
			for n := from + 1; n <= number(args["to"]) && emit(strconv.FormatInt(n, 10), strconv.FormatInt(n, 10)); n++ {
			}
		case "forever":
			emit("", "1")
			<-ctx.Done()
		case "flood":
			for big := `"` + strings.Repeat("x", 1<<16) + `"`; emit("", big); {
			}
		case "panics":
			emit("", "panic")
		case "lines":
			emit("", "\n1\r\n")
		}
	}()
	return func(ctx context.Context) *graphql.Response {
		select {
		case text, ok := <-events:
			if !ok {
				return nil
			}
			if strings.HasSuffix(text, ":panic}") {
				panic("an event that breaks")
			}
			return &graphql.Response{Data: json.RawMessage(text)}
		case <-ctx.Done():
			return nil
		}
	}
}

func number(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case json.Number:
		n, _ := v.Int64()
		return n
	}
	return 0
}
