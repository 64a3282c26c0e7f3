package transport

import (
	"bytes"
	"context"
	"time"

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
	time time.Duration // see Door
	done func()        // with its turn
}

// run carries the operation out and gives each response, as JSON, to send, until that returns false or the context ends. It
// runs in a goroutine of ours, so a panic becomes a response here: nobody above would catch it.
func (t task) run(ctx context.Context, send func(response []byte) bool) {
	if errs := safely(ctx, t.exec, func() gqlerror.List { return t.respond(ctx, send) }); errs != nil {
		send(encoded(&graphql.Response{Errors: errs}, false))
	}
}

func (t task) respond(ctx context.Context, send func(response []byte) bool) gqlerror.List {
	defer t.done() // should it panic
	if t.errs != nil {
		t.done()
		send(encoded(t.exec.DispatchError(graphql.WithOperationContext(ctx, t.op), t.errs), false))
		return nil
	}
	if t.op.Operation.Operation != ast.Subscription {
		response, err := t.single(ctx)
		if err != nil {
			return gqlerror.List{Error(imaging.All(err)[0])}
		}
		send(encoded(response, true))
		return nil
	}
	next, ctx := t.exec.DispatchOperation(ctx, t.op)
	t.done()
	for {
		response := next(ctx)
		if response == nil || !send(encoded(response, len(response.Data) > 0)) {
			return nil
		}
	}
}

// single carries out an operation that has one response. Its turn has ended when that is sent, however slow the client is.
// UNAVAILABLE if the time for it is over.
func (t task) single(ctx context.Context) (*graphql.Response, error) {
	defer t.done()
	if t.time > 0 {
		limited, cancel := context.WithTimeout(ctx, t.time)
		defer cancel()
		ctx = limited
	}
	next, ctx := t.exec.DispatchOperation(ctx, t.op)
	response := next(ctx)
	if response == nil { // the deadline passed, or the client left and reads nothing of this
		e := imaging.Errorf(imaging.Unavailable, "The operation took too long.")
		e.RetryAfter = time.Second
		return nil, e
	}
	return response, nil
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
