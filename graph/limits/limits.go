// Package limits refuses operations that would cost more than any client needs, before they are carried out. It hangs in
// the executor, so that every transport has it.
package limits

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"imagerequests/imaging"
)

// The limits, with room for every client we know: the largest introspection has a depth of 12 and costs its fixed price.
const (
	MaxDocument = 32 << 10 // bytes
	MaxTokens   = 1000
	MaxDepth    = 15
	MaxCost     = 10_000
)

// Prices of introspection: its lists are short, and counting it like data would refuse every tool.
const (
	schemaPrice = 2000
	typePrice   = 100
)

// A list without a size, such as the versions of a request, is taken to have few objects; one within another is paid for as
// if it were long, because then a long one multiplies itself.
const (
	few  = 3
	many = 50
)

// Operation refuses operations that are too deep or too dear. Each fragment is looked at once, however often it is spread, so
// the work is linear in the document.
type Operation struct{}

var (
	_ graphql.HandlerExtension          = Operation{}
	_ graphql.OperationParameterMutator = Operation{}
	_ graphql.OperationContextMutator   = Operation{}
)

// ExtensionName names it.
func (Operation) ExtensionName() string { return "Limits" }

// Validate has nothing to check.
func (Operation) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters refuses documents that are too long to be parsed.
func (Operation) MutateOperationParameters(_ context.Context, p *graphql.RawParams) *gqlerror.Error {
	if len(p.Query) > MaxDocument {
		return refuse("The document has %d bytes, the limit is %d.", len(p.Query), MaxDocument)
	}
	return nil
}

// MutateOperationContext refuses operations that are too deep or too dear. The document has been validated: no fragment
// leads back to itself.
func (Operation) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	m := measure{variables: op.Variables, known: map[place]size{}}
	s := m.set(op.Operation.SelectionSet, few)
	switch {
	case s.depth > MaxDepth:
		return refuse("The operation is %d levels deep, the limit is %d.", s.depth, MaxDepth)
	case s.cost > MaxCost:
		return refuse("The operation costs %d, the limit is %d. Ask for fewer objects or fields at once.", s.cost, MaxCost)
	}
	return nil
}

func refuse(format string, args ...any) *gqlerror.Error {
	e := gqlerror.Errorf(format, args...)
	errcode.Set(e, "LIMITED")
	return e
}

// size is how deep a selection goes and what it costs: one for each field of each object.
type size struct{ depth, cost int }

// most keeps a sum of costs from running over.
const most = 1 << 30

type measure struct {
	variables map[string]any
	known     map[place]size
}

// place is a fragment, and what a list without a size costs there.
type place struct {
	fragment *ast.FragmentDefinition
	unsized  int
}

func (m measure) set(selections ast.SelectionSet, unsized int) (total size) {
	for _, selection := range selections {
		var s size
		switch selection := selection.(type) {
		case *ast.Field:
			s = m.field(selection, unsized)
		case *ast.InlineFragment:
			s = m.set(selection.SelectionSet, unsized)
		case *ast.FragmentSpread:
			s = m.fragment(place{selection.Definition, unsized})
		}
		total.depth = max(total.depth, s.depth)
		total.cost = min(most, total.cost+s.cost)
	}
	return total
}

func (m measure) field(f *ast.Field, unsized int) size {
	switch f.Name {
	case "__schema":
		return size{depth: 1, cost: schemaPrice}
	case "__type":
		return size{depth: 1, cost: typePrice}
	}
	objects, below := m.objects(f), unsized
	if objects == 0 {
		objects, below = unsized, many
	}
	s := m.set(f.SelectionSet, below)
	return size{depth: s.depth + 1, cost: min(most, 1+s.cost*objects)}
}

func (m measure) fragment(p place) size {
	s, ok := m.known[p]
	if !ok {
		s = m.set(p.fragment.SelectionSet, p.unsized)
		m.known[p] = s
	}
	return s
}

// objects is how many objects the field may answer, 0 if nothing says it. A connection is paid for where its size is
// said, not again for its edges and nodes.
func (m measure) objects(f *ast.Field) int {
	args := f.ArgumentMap(m.variables)
	for _, name := range []string{"first", "last"} {
		if n, ok := number(args[name]); ok {
			return max(1, n)
		}
	}
	if ids, ok := args["ids"].([]any); ok {
		return max(1, len(ids))
	}
	switch {
	case f.Definition == nil || f.Name == "edges" || f.Name == "nodes":
		return 1
	case f.Definition.Arguments.ForName("first") != nil:
		return imaging.DefaultPage
	case f.Definition.Type.Elem != nil && len(f.SelectionSet) > 0:
		return 0
	}
	return 1
}

func number(v any) (int, bool) {
	switch v := v.(type) {
	case int64:
		return int(min(v, most)), true
	case interface{ Int64() (int64, error) }:
		n, err := v.Int64()
		return int(min(n, most)), err == nil
	}
	return 0, false
}
