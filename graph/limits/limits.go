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

// countPrice is for a total: it looks at every row there is.
const countPrice = 500

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
	m := measure{variables: op.Variables, known: map[spread]size{}}
	s := m.set(op.Operation.SelectionSet, place{unsized: few, page: 1})
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
	known     map[spread]size
}

// place is where a selection stands: how many objects a list without a size is taken to have there, and how many the page
// has that its edges and nodes belong to.
type place struct{ unsized, page int }

// spread is a fragment in a place.
type spread struct {
	fragment *ast.FragmentDefinition
	place
}

func (m measure) set(selections ast.SelectionSet, at place) (total size) {
	for _, selection := range selections {
		var s size
		switch selection := selection.(type) {
		case *ast.Field:
			s = m.field(selection, at)
		case *ast.InlineFragment:
			s = m.set(selection.SelectionSet, at)
		case *ast.FragmentSpread:
			s = m.fragment(spread{selection.Definition, at})
		}
		total.depth = max(total.depth, s.depth)
		total.cost = min(most, total.cost+s.cost)
	}
	return total
}

func (m measure) fragment(f spread) size {
	s, ok := m.known[f]
	if !ok {
		s = m.set(f.fragment.SelectionSet, f.place)
		m.known[f] = s
	}
	return s
}

// field is what a field costs: one, and what is below it as often as it has objects. The size of a connection is said at
// the connection and paid for at its edges and nodes.
func (m measure) field(f *ast.Field, at place) size {
	objects, below := 1, place{unsized: at.unsized, page: 1}
	switch {
	case f.Name == "__schema":
		return size{depth: 1, cost: schemaPrice}
	case f.Name == "__type":
		return size{depth: 1, cost: typePrice}
	case f.Name == "totalCount":
		return size{depth: 1, cost: countPrice}
	case f.Definition == nil:
	case f.Definition.Arguments.ForName("first") != nil:
		below.page = m.page(f)
	case f.Name == "edges" || f.Name == "nodes":
		objects = max(at.page, m.asked(f))
	case f.Definition.Type.Elem != nil && len(f.SelectionSet) > 0:
		objects, below.unsized = at.unsized, many
	}
	s := m.set(f.SelectionSet, below)
	return size{depth: s.depth + 1, cost: min(most, 1+s.cost*objects)}
}

// page is how many objects a connection answers. A size that the list itself will refuse, by its field, costs nothing here.
func (m measure) page(f *ast.Field) int {
	args := f.ArgumentMap(m.variables)
	for _, name := range []string{"first", "last"} {
		if n, ok := number(args[name]); ok {
			if n > imaging.MaxPage {
				return 1
			}
			return max(1, n)
		}
	}
	return imaging.DefaultPage
}

// asked is how many objects the query nodes(ids:) is asked for, at most as many as it answers.
func (m measure) asked(f *ast.Field) int {
	ids, _ := f.ArgumentMap(m.variables)["ids"].([]any)
	return min(len(ids), imaging.MaxIDs)
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
