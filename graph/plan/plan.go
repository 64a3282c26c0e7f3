// Package plan writes the answers of hot fields without gqlgen's executor, byte for byte as that would: the selection is
// compiled once for each document into functions that append JSON straight from the structs of imaging.
//
// It hangs around the resolver of a root field. gqlgen still reads the arguments, calls the resolver and tells its error; what
// the resolver found is then written by the plan. An operation that is one such field with an id alone is answered before gqlgen
// comes to it (respond.go). A selection that holds a field that is in no table of types.go has no plan,
// and what a plan meets that only gqlgen can tell (a count that failed, a null where none may be) it leaves to gqlgen: in both
// cases the resolver's value goes on as if there were no plans.
package plan

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"imagerequests/db"
)

// Plans are the plans of one server. The zero Plans is ready. They are safe for concurrent use.
type Plans struct {
	Find map[string]Finder // by the names of root fields; those that are not here are gqlgen's to resolve

	kept kept
}

// plan is how one root field is answered with one selection.
type plan struct {
	selection
	columns *db.Columns
	write   func(o *out, value any) // nil: not at all
	steps   int                     // how many there are, below each other and beside
}

type columnsKey struct{}

// Columns are what the resolver of a planned field needs to read; nil, all of it, elsewhere.
func Columns(ctx context.Context) *db.Columns {
	c, _ := ctx.Value(columnsKey{}).(*db.Columns)
	return c
}

// Answer is a field's middleware. What it answers for a planned field is its JSON, which gqlgen takes as it is.
func (p *Plans) Answer(ctx context.Context, next graphql.Resolver) (any, error) {
	field := graphql.GetFieldContext(ctx)
	if field.Object != "Query" {
		return next(ctx)
	}
	root, ok := known.roots[field.Field.Name]
	if !ok {
		return next(ctx)
	}
	if f, ok := ctx.Value(foundKey{}).(*found); ok {
		return f.value, f.err
	}
	plan := p.of(graphql.GetOperationContext(ctx), field.Field, root)
	if plan.write == nil {
		return next(ctx)
	}
	value, err := next(context.WithValue(ctx, columnsKey{}, plan.columns))
	if err != nil || value == nil {
		return value, err
	}
	o := newOut(ctx, field.Field.Alias)
	if plan.write(o, value); o.left {
		o.free()
		return value, nil
	}
	return o, nil
}
