package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/graph/generated"
	"imagerequests/graph/limits"
	"imagerequests/graph/plan"
	"imagerequests/graph/transport"
	"imagerequests/imaging"
)

// Options are what the GraphQL door needs.
type Options struct {
	Store    *db.Store
	Feed     *db.Feed
	Auth     *auth.Authenticator
	Throttle *auth.Throttle
	Turns    *auth.Turns // nil: any number of operations at once
	Log      *slog.Logger
	Origins  *transport.Origins // pages of other origins that may use the door from a browser; nil: none

	NoIntrospection bool               // clients may not ask for the schema
	Refused         func(imaging.Code) // is told of each error in an answer; nil: nobody is
	Trusted         *limits.Documents  // the only documents that are carried out, if there are any

	unplanned bool // all answers are gqlgen's own
}

// schema is what all handlers of this process share, so that it is changed but once.
var schema = sync.OnceValue(func() *ast.Schema {
	s := generated.NewExecutableSchema(generated.Config{}).Schema()
	delete(s.Directives, "defer") // over a plain POST it would lose data
	return s
})

// New makes the handler that answers GraphQL.
func New(o Options) http.Handler {
	if o.Origins == nil {
		o.Origins = &transport.Origins{}
	}
	server := o.server()
	door := transport.Door{Admit: o.admit, Watch: o.watch, Turn: o.Turns.Take, Busy: o.Turns.Busy, Time: auth.OperationTime, Origins: o.Origins}
	server.AddTransport(transport.WebSocket{Door: door})
	server.AddTransport(transport.HTTP{Door: door})
	return o.Origins.Handler(server)
}

// server is the executor with all that hangs in it, and no transport yet.
func (o Options) server() *handler.Server {
	resolver := &Resolver{store: o.Store, feed: o.Feed}
	server := handler.New(generated.NewExecutableSchema(generated.Config{Schema: schema(), Resolvers: resolver}))
	gate := limits.New(schema(), limits.Options{
		Spend: o.spend, Least: auth.RequestPoints, Introspection: !o.NoIntrospection, Trusted: o.Trusted,
	})
	server.SetQueryCache(gate.Documents())
	server.SetErrorPresenter(o.present)
	server.SetRecoverFunc(func(_ context.Context, cause any) error {
		return imaging.Errorf(imaging.Internal, "Something went wrong on our side.").Because(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
	})
	server.AroundOperations(onDemand)
	server.Use(gate)
	if !o.unplanned {
		query := resolver.Query()
		plans := &plan.Plans{Find: map[string]plan.Finder{
			"imageRequest": plan.Found(query.ImageRequest), "version": plan.Found(query.Version), "node": plan.Found(query.Node),
		}}
		server.AroundResponses(plans.Respond) // within the gate, which sees to every answer
		server.AroundFields(plans.Answer)
	}
	server.Use(extension.Introspection{})
	return server
}

// admit finds out who is asking and whether they have budget left.
func (o Options) admit(r *http.Request) (context.Context, error) {
	actor, _, err := o.Throttle.Admit(o.Auth, r)
	if err != nil {
		return nil, err
	}
	return auth.WithActor(o.Throttle.Enter(r), actor), nil
}

// watch lets a socket or stream begin, and tells it when its token ends.
func (o Options) watch(r *http.Request) (ctx context.Context, stop func(), err error) {
	ctx, unwatch, err := o.Auth.Watch(r)
	if err != nil {
		return nil, nil, err
	}
	closed, err := o.Throttle.Open(r, auth.From(ctx))
	if err != nil {
		unwatch()
		return nil, nil, err
	}
	return ctx, func() {
		closed()
		unwatch()
	}, nil
}

// spend takes what an operation costs from its caller's budget.
func (o Options) spend(ctx context.Context, points int) (left int, err error) {
	budget, err := o.Throttle.Spend(ctx, points)
	if budget.Limit == 0 {
		return -1, err
	}
	return budget.Points, err
}

// Trust reads a file of trusted documents for Options.Trusted.
func Trust(file []byte, noIntrospection bool) (*limits.Documents, error) {
	return limits.Trust(schema(), !noIntrospection, file)
}

// present shows an error to the client: ours with code and field, those of parsing and validation as they are, and of
// all else only that it happened. Where one error stands for several problems each becomes an error of its own.
func (o Options) present(ctx context.Context, err error) *gqlerror.Error {
	var shown *gqlerror.Error
	if !errors.As(err, &shown) {
		shown = gqlerror.WrapPath(graphql.GetPath(ctx), err)
	}
	if shown.Err == nil { // of the parser, the validator or the executor
		shown.Message = limits.Short(shown.Message)
		return shown
	}
	var several gqlerror.List
	if errors.As(shown.Err, &several) {
		for _, e := range several[:len(several)-1] {
			graphql.AddError(ctx, e)
		}
		return o.present(ctx, several[len(several)-1])
	}
	all := imaging.All(o.coercion(ctx, shown))
	if o.Refused != nil {
		for _, e := range all {
			o.Refused(e.Code)
		}
	}
	for _, e := range all[:len(all)-1] {
		graphql.AddError(ctx, e)
	}
	last := all[len(all)-1]
	if last.Code == imaging.Internal {
		o.Log.ErrorContext(ctx, "internal error", "error", last, "path", shown.Path.String(), "request", auth.RequestID(ctx))
	}
	out := transport.Error(last)
	out.Path, out.Locations = shown.Path, shown.Locations
	if id := auth.RequestID(ctx); id != "" && last.Code == imaging.Internal {
		out.Extensions["requestId"] = id
	}
	return out
}

// coercion turns the error of a scalar that could not be read into INVALID with the field's name. Its path goes on from
// the field into the arguments.
func (o Options) coercion(ctx context.Context, shown *gqlerror.Error) error {
	var ours *imaging.Error
	var problems imaging.Problems
	field := graphql.GetFieldContext(ctx)
	if errors.As(shown.Err, &ours) || errors.As(shown.Err, &problems) || field == nil || len(shown.Path) <= len(field.Path()) {
		return shown.Err
	}
	var names []string
	for _, element := range shown.Path[len(field.Path()):] {
		names = append(names, fmt.Sprint(element))
	}
	shown.Path = field.Path()
	e := imaging.Errorf(imaging.Invalid, "%s", limits.Short(shown.Err.Error()))
	e.Field = strings.TrimPrefix(strings.Join(names, "."), "input.")
	return e
}
