package plan

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/vektah/gqlparser/v2/ast"

	"imagerequests/graph/scalar"
)

// Finder is the resolver of a root field whose only argument is an id.
type Finder func(ctx context.Context, id uuid.UUID) (any, error)

// Found makes a Finder of a resolver.
func Found[T any](resolve func(context.Context, uuid.UUID) (T, error)) Finder {
	return func(ctx context.Context, id uuid.UUID) (any, error) { return resolve(ctx, id) }
}

// Respond is a response's middleware. It answers an operation that looks one thing up by its id, the commonest there is: gqlgen's
// layers around a single field take as long as what they surround. Whatever is not as simple as that it leaves to gqlgen, and
// so it does what only gqlgen can tell, with what was found.
func (p *Plans) Respond(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	if !graphql.HasOperationContext(ctx) {
		return next(ctx)
	}
	op := graphql.GetOperationContext(ctx)
	if op.Operation == nil || op.Operation.Operation != ast.Query || graphql.GetErrors(ctx) != nil { // it was refused
		return next(ctx)
	}
	field, id, ok := p.lookup(op)
	if !ok {
		return next(ctx)
	}
	plan := p.of(op, graphql.CollectedField{Field: field, Selections: field.SelectionSet}, known.roots[field.Name])
	if plan.write == nil {
		return next(ctx)
	}
	f, ok := p.find(context.WithValue(ctx, columnsKey{}, plan.columns), field.Name, id)
	if !ok {
		return next(ctx)
	}
	if f.err == nil {
		o := newOut(ctx, field.Alias)
		if plan.write(o, f.value); !o.left {
			return &graphql.Response{Data: append(o.b, '}'), Extensions: graphql.GetExtensions(ctx)}
		}
		o.free()
	}
	return next(context.WithValue(ctx, foundKey{}, f))
}

// lookup is the field and the id of an operation that is one lookup.
func (p *Plans) lookup(op *graphql.OperationContext) (field *ast.Field, id uuid.UUID, ok bool) {
	if len(op.Operation.SelectionSet) != 1 {
		return nil, id, false
	}
	field, ok = op.Operation.SelectionSet[0].(*ast.Field)
	if !ok || p.Find[field.Name] == nil || len(field.Directives) > 0 || len(field.Arguments) != 1 {
		return nil, id, false
	}
	value, err := field.Arguments[0].Value.Value(op.Variables)
	if err == nil {
		id, err = scalar.UnmarshalID(value)
	}
	return field, id, err == nil
}

type foundKey struct{}

// found is what a Finder has answered.
type found struct {
	value any
	err   error
}

// find asks the Finder. Nothing is found if it panics: it will once more, where gqlgen tells of it.
func (p *Plans) find(ctx context.Context, field string, id uuid.UUID) (f *found, ok bool) {
	defer func() { ok = recover() == nil }()
	value, err := p.Find[field](ctx, id)
	return &found{value, err}, true
}
