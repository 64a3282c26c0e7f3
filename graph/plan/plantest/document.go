// Package plantest makes random documents for the tests that hold plans and gqlgen together.
package plantest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// Choose picks one of n, from 0. One that always picks 0 comes to an end.
type Choose func(n int) int

// Roots are the root fields to choose from, each with arguments to choose from, such as `(id: $id)`.
type Roots map[string][]string

// Types are the types of the variables in the arguments.
type Types map[string]string

// rare are fields that have no plan: a document that has one says little.
var rare = []string{"events", "history", "queuePosition", "secondsLeft"}

// Conditions are the variables of @skip and @include.
var Conditions = []string{"a", "b", "c"}

const levels = 6

type author struct {
	schema    *ast.Schema
	choose    Choose
	fragments []fragment
}

// fragment is one that is complete: to spread it again leads to no circle.
type fragment struct {
	on   *ast.Definition
	text string
}

// Document is a random query of up to three root fields. It is valid, but where selections cannot be merged.
func Document(schema *ast.Schema, choose Choose, roots Roots, types Types) string {
	a := &author{schema: schema, choose: choose}
	names := slices.Sorted(maps.Keys(roots))
	var fields []*ast.FieldDefinition
	var calls []string
	var body strings.Builder
	for range 1 + choose(3) {
		i := len(calls)
		if i > 0 && choose(3) == 1 { // once more, to be merged
			i = choose(i)
		} else {
			name := names[choose(len(names))]
			fields = append(fields, schema.Query.Fields.ForName(name))
			calls = append(calls, fmt.Sprintf("r%d: %s%s", i, name, roots[name][choose(len(roots[name]))]))
		}
		selected := calls[i] + a.directive() + a.selection(schema.Types[fields[i].Type.Name()], levels)
		if choose(6) == 1 {
			selected = "..." + a.directive() + " { " + selected + " }"
		}
		body.WriteString(" " + selected)
	}
	for i, f := range a.fragments {
		fmt.Fprintf(&body, "\n%s", strings.Replace(f.text, "fragment", fmt.Sprintf("fragment F%d", i), 1))
	}
	// The closing brace of the query stands before the fragments.
	text := body.String()
	query, fragments, _ := strings.Cut(text, "\n")
	return "query" + declared(text, types) + " {" + query + " }\n" + fragments
}

var variable = regexp.MustCompile(`\$\w+`)

// declared are the variables that the text uses.
func declared(text string, types Types) string {
	used := variable.FindAllString(text, -1)
	slices.Sort(used)
	var all []string
	for _, name := range slices.Compact(used) {
		kind := "Boolean!"
		if t, ok := types[name[1:]]; ok {
			kind = t
		}
		all = append(all, name+": "+kind)
	}
	if all == nil {
		return ""
	}
	return "(" + strings.Join(all, ", ") + ")"
}

// directive is nothing, mostly.
func (a *author) directive() string {
	if a.choose(8) != 1 {
		return ""
	}
	on := []string{"$" + Conditions[a.choose(len(Conditions))], "true", "false"}[a.choose(3)]
	return []string{" @include", " @skip"}[a.choose(2)] + "(if: " + on + ")"
}

func (a *author) selection(on *ast.Definition, deep int) string {
	var b strings.Builder
	b.WriteString(" {")
	for range 1 + a.choose(6) {
		b.WriteString(" ")
		switch what := a.choose(10); {
		case what < 7 || deep == 0:
			b.WriteString(a.field(on, deep))
		case what == 7:
			b.WriteString("..." + a.directive() + a.selection(on, deep-1))
		case what == 8:
			to := a.related(on)
			b.WriteString("... on " + to.Name + a.directive() + a.selection(to, deep-1))
		default:
			fmt.Fprintf(&b, "...F%d%s", a.fragment(a.related(on), deep-1), a.directive())
		}
	}
	b.WriteString(" }")
	return b.String()
}

// related is the type itself, an interface that it has, or a type that has the interface.
func (a *author) related(on *ast.Definition) *ast.Definition {
	related := []*ast.Definition{on}
	for _, name := range on.Interfaces {
		related = append(related, a.schema.Types[name])
	}
	related = append(related, a.schema.PossibleTypes[on.Name]...)
	return related[a.choose(len(related))]
}

func (a *author) fragment(on *ast.Definition, deep int) int {
	for i, f := range a.fragments {
		if f.on == on && a.choose(2) == 1 {
			return i
		}
	}
	text := "fragment on " + on.Name + a.selection(on, deep)
	a.fragments = append(a.fragments, fragment{on, text})
	return len(a.fragments) - 1
}

func (a *author) field(on *ast.Definition, deep int) string {
	var possible []*ast.FieldDefinition
	for _, f := range on.Fields {
		leaf := a.schema.Types[f.Type.Name()].IsLeafType()
		if !strings.HasPrefix(f.Name, "__") && (leaf || deep > 0) && (!slices.Contains(rare, f.Name) || a.choose(40) == 1) {
			possible = append(possible, f)
		}
	}
	i := a.choose(len(possible) + 1)
	if i == len(possible) {
		return a.alias("__typename") + a.directive()
	}
	f := possible[i]
	text := a.alias(f.Name) + a.directive()
	if of := a.schema.Types[f.Type.Name()]; !of.IsLeafType() {
		text += a.selection(of, deep-1)
	}
	return text
}

// alias is always the same field's, so that nearly all selections can be merged.
func (a *author) alias(name string) string {
	switch a.choose(8) {
	case 1:
		return "x_" + name + ": " + name
	case 2:
		return "y_" + name + ": " + name
	}
	return name
}
