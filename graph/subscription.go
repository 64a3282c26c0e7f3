package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/graph/transport"
	"imagerequests/imaging"
)

// demand is how a subscription learns that its transport is ready to send one more response.
type demand chan struct{}

type demandKey struct{}

// onDemand lets a subscription know when its transport asks for the next response. Only then is it decided what that is: an
// event that waited for a slow client could be sent after its rights were withdrawn.
func onDemand(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	if op.Operation.Operation != ast.Subscription {
		return next(ctx)
	}
	// The rule that there is one takes aliases of the same field for one, and does not look at @skip.
	if len(graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Subscription"})) != 1 {
		refusal := imaging.Errorf(imaging.Invalid, "Subscribe to exactly one field.")
		return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{transport.Error(refusal)}})
	}
	d := make(demand, 1)
	responses := next(context.WithValue(ctx, demandKey{}, d))
	return func(ctx context.Context) *graphql.Response {
		select {
		case d <- struct{}{}:
		default: // it asked before and was not answered
		}
		return responses(ctx)
	}
}

// stream subscribes for the caller, and hands over one event for each that is demanded, until the context ends. It is the
// client's Last-Event-ID that says where to go on, if there is one.
func stream(ctx context.Context, feed *db.Feed, want db.Stream) (<-chan *imaging.Event, error) {
	resume := transport.ResumeFrom(ctx)
	if last := resume.After(); last != "" {
		want.After = &last
	}
	s, err := feed.Subscribe(ctx, auth.From(ctx), want)
	if err != nil {
		return nil, err
	}
	events := make(chan *imaging.Event)
	d, _ := ctx.Value(demandKey{}).(demand)
	go func() {
		defer close(events)
		for {
			select {
			case <-d:
			case <-ctx.Done():
				return
			}
			e, err := s.Next(ctx)
			if err != nil {
				return
			}
			resume.Sent(e.Cursor)
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events, nil
}
