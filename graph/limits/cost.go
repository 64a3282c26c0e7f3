package limits

import (
	"encoding/json"

	"github.com/vektah/gqlparser/v2/ast"

	"imagerequests/imaging"
)

// A field costs one, and what is below it as often as it has objects. These cost more, for they ask the database by
// themselves, or more than once.
var prices = map[string]int{
	"ImageRequestConnection.totalCount": 500, // looks at every row there is
	"VersionConnection.totalCount":      500,
	"EventConnection.totalCount":        50, // of one image request
	"TokenConnection.totalCount":        50,
	"ImageRequest.events":               50,
	"ImageRequest.history":              100, // all of it
	"Version.queuePosition":             25,
	"Version.secondsLeft":               50,
}

// Prices of root fields, which ask the database, write to it, or go on doing so.
const (
	queryPrice        = 10
	mutationPrice     = 100
	subscriptionPrice = 100
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

// price is what the operation costs. LIMITED if it is too deep or too dear. The document has been validated: no fragment
// leads back to itself, and each is looked at once in a place, however often it is spread, so the work is linear.
func (g *Gate) price(operation *ast.OperationDefinition, variables map[string]any) (int, error) {
	m := measure{schema: g.schema, prices: g.prices, variables: variables}
	s := m.set(operation.SelectionSet, place{unsized: few, page: 1})
	switch {
	case s.fields > MaxRootFields:
		return 0, limited("The operation has %d fields at its root, the limit is %d.", s.fields, MaxRootFields)
	case s.depth > MaxDepth:
		return 0, limited("The operation is %d levels deep, the limit is %d.", s.depth, MaxDepth)
	case s.cost > MaxCost:
		return 0, limited("The operation costs %d, the limit is %d. Ask for fewer objects or fields at once.", s.cost, MaxCost)
	}
	return s.cost, nil
}

// size is what a selection has: fields of its own, levels, and cost.
type size struct{ fields, depth, cost int }

// most keeps sums from running over.
const most = 1 << 30

type measure struct {
	schema    *ast.Schema
	prices    map[*ast.FieldDefinition]int
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

func (m *measure) set(selections ast.SelectionSet, at place) (total size) {
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
		total.fields = min(most, total.fields+s.fields)
		total.depth = max(total.depth, s.depth)
		total.cost = min(most, total.cost+s.cost)
	}
	return total
}

func (m *measure) fragment(f spread) size {
	s, ok := m.known[f]
	if !ok {
		s = m.set(f.fragment.SelectionSet, f.place)
		if m.known == nil {
			m.known = map[spread]size{}
		}
		m.known[f] = s
	}
	return s
}

// field is what a field costs, with what is below it. The size of a connection is said at the connection and paid for at
// its edges and nodes.
func (m *measure) field(f *ast.Field, at place) size {
	objects, below := 1, place{unsized: at.unsized, page: 1}
	switch {
	case f.Name == "__schema":
		return size{1, 1, schemaPrice}
	case f.Name == "__type":
		return size{1, 1, typePrice}
	case f.Definition.Arguments.ForName("first") != nil:
		below.page = m.page(f)
	case f.Name == "edges" || f.Name == "nodes":
		objects = max(at.page, m.asked(f))
	case f.Definition.Type.Elem != nil && len(f.SelectionSet) > 0:
		objects, below.unsized = at.unsized, many
	}
	s := m.set(f.SelectionSet, below)
	price, ok := m.prices[f.Definition]
	if !ok { // __typename, which no type has among its fields
		price = Price(m.schema, f.ObjectDefinition, f.Name)
	}
	return size{1, s.depth + 1, min(most, price+s.cost*objects)}
}

// pricesOf are the prices of all fields.
func pricesOf(schema *ast.Schema) map[*ast.FieldDefinition]int {
	all := map[*ast.FieldDefinition]int{}
	for _, of := range schema.Types {
		for _, f := range of.Fields {
			all[f] = Price(schema, of, f.Name)
		}
	}
	return all
}

// Price is what a field of a type costs by itself.
func Price(schema *ast.Schema, of *ast.Definition, field string) int {
	if price, ok := prices[of.Name+"."+field]; ok {
		return price
	}
	switch of {
	case schema.Query:
		return queryPrice
	case schema.Mutation:
		return mutationPrice
	case schema.Subscription:
		return subscriptionPrice
	}
	return 1
}

// page is how many objects a connection answers. A size that the list itself will refuse, by its field, costs nothing here.
func (m *measure) page(f *ast.Field) int {
	for _, name := range []string{"first", "last"} {
		if n, ok := number(m.argument(f, name)); ok {
			if n > imaging.MaxPage {
				return 1
			}
			return max(1, n)
		}
	}
	return imaging.DefaultPage
}

// asked is how many objects the query nodes(ids:) is asked for, at most as many as it answers.
func (m *measure) asked(f *ast.Field) int {
	ids, _ := m.argument(f, "ids").([]any)
	return min(len(ids), imaging.MaxIDs)
}

// argument is what a field is given under this name; nil if nothing.
func (m *measure) argument(f *ast.Field, name string) any {
	a := f.Arguments.ForName(name)
	if a == nil {
		return nil
	}
	v, err := a.Value.Value(m.variables)
	if err != nil { // a number beyond all measure, which the field will refuse
		return nil
	}
	return v
}

func number(v any) (int, bool) {
	switch v := v.(type) {
	case int64:
		return int(min(v, most)), true
	case json.Number:
		n, err := v.Int64()
		return int(min(n, most)), err == nil
	}
	return 0, false
}
