package transport

import (
	"context"
	"encoding/json"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"imagerequests/imaging"
)

// operation is one that runs on a socket.
type operation struct {
	s      *socket
	id     string
	params *graphql.RawParams
	ctx    context.Context
	cancel context.CancelFunc
}

// subscribe starts an operation: the protocol's word for queries and mutations, too.
func (s *socket) subscribe(m message) error {
	if s.live == nil {
		return closing{closeUnauthorized, "Unauthorized: send connection_init first"}
	}
	if m.ID == "" || len(m.ID) > maxOperationID {
		return badMessage("Invalid subscribe: id must be a text of 1 to 255 bytes")
	}
	start := graphql.Now()
	params, refusal := fromBody(m.Payload)
	if refusal != nil {
		return badMessage("Invalid subscribe: " + refusal.message)
	}
	params.Headers = s.request.Header
	params.ReadTime = graphql.TraceTiming{Start: start, End: graphql.Now()}
	o := &operation{s: s, id: m.ID, params: params}
	o.ctx, o.cancel = context.WithCancel(graphql.StartOperationTrace(s.live))
	refused, err := s.add(o)
	switch {
	case err != nil:
		o.cancel()
		return err
	case refused != nil:
		o.cancel()
		return o.fail(gqlerror.List{Error(refused)})
	}
	select { // those that were completed but have not ended yet still count
	case s.slots <- struct{}{}:
		s.running.Go(o.run)
	case <-s.ctx.Done():
		o.cancel()
	}
	return nil
}

// add makes room for the operation, or refuses it, or says how to close the socket.
func (s *socket) add(o *operation) (refused *imaging.Error, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[o.id] != nil {
		return nil, closing{closeDuplicate, "Subscriber for " + o.id + " already exists"}
	}
	if len(s.operations) >= s.Operations {
		return imaging.Errorf(imaging.Limited, "A socket carries at most %d operations at once.", s.Operations), nil
	}
	s.operations[o.id] = o
	return nil, nil
}

// complete is the client's: it wants to hear no more of the operation.
func (s *socket) complete(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.operations[id]; o != nil {
		delete(s.operations, id)
		o.cancel()
	}
}

// run carries the operation out and tells the client of its end, unless the client has completed it before.
func (o *operation) run() {
	defer func() { <-o.s.slots }()
	defer o.cancel()
	errs := safely(o.ctx, o.s.exec, o.carryOut)
	if o.ctx.Err() != nil {
		return
	}
	o.s.mu.Lock()
	ours := o.s.operations[o.id] == o
	if ours {
		delete(o.s.operations, o.id)
	}
	o.s.mu.Unlock()
	switch {
	case !ours:
	case errs != nil:
		_ = o.fail(errs)
	default:
		_ = o.s.send(message{ID: o.id, Type: "complete"})
	}
}

// carryOut sends each response. The errors are those of an operation that could not begin.
func (o *operation) carryOut() gqlerror.List {
	done, err := o.s.turn(o.ctx)
	if err != nil {
		return gqlerror.List{Error(imaging.All(err)[0])}
	}
	defer done()
	ctx, err := o.s.Admit(o.s.request.WithContext(o.ctx))
	if imaging.CodeOf(err) == imaging.Unauthenticated {
		o.s.end(closed(err, closeUnauthorized)) // the token has just ended
		return nil
	}
	if err != nil {
		return gqlerror.List{Error(imaging.All(err)[0])}
	}
	op, errs := o.s.exec.CreateOperationContext(ctx, o.params)
	if errs != nil {
		return o.s.exec.DispatchError(graphql.WithOperationContext(ctx, op), errs).Errors
	}
	task{o.s.exec, op, nil, o.s.Time, done}.run(ctx, func(response []byte) bool {
		return o.ctx.Err() == nil && o.s.send(message{ID: o.id, Type: "next", Payload: response}) == nil
	})
	return nil
}

// fail sends what is wrong with the operation; it is the last that the client hears of it.
func (o *operation) fail(errs gqlerror.List) error {
	payload, err := json.Marshal(errs)
	if err != nil {
		return err
	}
	return o.s.send(message{ID: o.id, Type: "error", Payload: payload})
}
