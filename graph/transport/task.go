package transport

import (
	"bytes"
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"imagerequests/imaging"
)

// task is an operation that was read and checked, or what is wrong with it.
type task struct {
	exec graphql.GraphExecutor
	op   *graphql.OperationContext
	errs gqlerror.List
}

// run carries the operation out and gives each response, as JSON, to send, until that returns false or the context ends. It
// runs in a goroutine of ours, so a panic becomes a response here: nobody above would catch it.
func (t task) run(ctx context.Context, send func(response []byte) bool) {
	if errs := safely(ctx, t.exec, func() gqlerror.List { return t.respond(ctx, send) }); errs != nil {
		send(encoded(&graphql.Response{Errors: errs}, false))
	}
}

func (t task) respond(ctx context.Context, send func(response []byte) bool) gqlerror.List {
	if t.errs != nil {
		send(encoded(t.exec.DispatchError(graphql.WithOperationContext(ctx, t.op), t.errs), false))
		return nil
	}
	subscription := t.op.Operation.Operation == ast.Subscription
	next, ctx := t.exec.DispatchOperation(ctx, t.op)
	for {
		response := next(ctx)
		if response == nil || !send(encoded(response, !subscription || len(response.Data) > 0)) || !subscription {
			return nil
		}
	}
}

func encoded(response *graphql.Response, withData bool) []byte {
	var b bytes.Buffer
	encode(&b, response, withData)
	return b.Bytes()
}

// safely turns a panic into what the executor would tell of it.
func safely(ctx context.Context, exec graphql.GraphExecutor, do func() gqlerror.List) (errs gqlerror.List) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		presenter, ok := exec.(interface {
			PresentRecoveredError(ctx context.Context, cause any) error
		})
		if ok {
			errs = gqlerror.List{gqlerror.WrapIfUnwrapped(presenter.PresentRecoveredError(ctx, cause))}
		} else {
			errs = gqlerror.List{Error(imaging.Errorf(imaging.Internal, "Something went wrong on our side."))}
		}
	}()
	return do()
}
