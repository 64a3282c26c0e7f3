package plan

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"imagerequests/db"
)

// What is kept of plans, so that no document takes more memory than a document may: what goes beyond is compiled each time.
const (
	mostVariants = 8       // of one field
	mostKept     = 100_000 // steps in all, some 10 MB
)

// kept are the plans of the documents that are remembered: a parsed document is the same as long as it is, and with it each
// field in it. Once it is forgotten, so are its plans.
type kept struct {
	variants sync.Map // []*plan by weak.Pointer[ast.Field]
	steps    atomic.Int64
	mu       sync.Mutex // of those who add
}

// selection is what a plan is made of besides its field: the field may be selected several times, in fragments that are there
// or not, and what is below it depends on variables.
type selection struct {
	fields     ast.SelectionSet // those of all selections of the field; none leads back to it
	conditions []condition
}

// condition is a variable that @skip or @include below the field name, and what it was.
type condition struct {
	variable string
	value    bool
}

// of is the plan of a root field, made now if it is not kept.
func (p *Plans) of(op *graphql.OperationContext, field graphql.CollectedField, r root) *plan {
	key := weak.Make(field.Field)
	variants := p.kept.find(key)
	fits := func(known *plan) bool { return known.fits(field.Selections, op.Variables) }
	if i := slices.IndexFunc(variants, fits); i >= 0 {
		return variants[i]
	}
	made, known := compile(op, field, r)
	if known { // else it would do for every request whose conditions are others
		p.kept.add(key, field.Field, made, fits)
	}
	return made
}

func (k *kept) find(key weak.Pointer[ast.Field]) []*plan {
	v, _ := k.variants.Load(key)
	variants, _ := v.([]*plan)
	return variants
}

// add keeps a plan, unless one that fits was kept meanwhile.
func (k *kept) add(key weak.Pointer[ast.Field], field *ast.Field, made *plan, fits func(*plan) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	variants := k.find(key)
	if slices.ContainsFunc(variants, fits) || len(variants) >= mostVariants || k.steps.Load()+int64(made.steps) > mostKept {
		return
	}
	k.steps.Add(int64(made.steps))
	k.variants.Store(key, append(slices.Clone(variants), made))
	if len(variants) == 0 {
		runtime.AddCleanup(field, k.forget, key)
	}
}

func (k *kept) forget(key weak.Pointer[ast.Field]) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.find(key) {
		k.steps.Add(-int64(p.steps))
	}
	k.variants.Delete(key)
}

func (s *selection) fits(fields ast.SelectionSet, variables map[string]any) bool {
	if !slices.Equal(s.fields, fields) {
		return false
	}
	for _, c := range s.conditions {
		if variables[c.variable] != c.value {
			return false
		}
	}
	return true
}

// compile makes the plan; one without write if there is something that only gqlgen knows. It tells whether all that it depends on is
// known.
func compile(op *graphql.OperationContext, field graphql.CollectedField, r root) (made *plan, known bool) {
	made = &plan{selection: selection{fields: field.Selections}, steps: 1}
	if !made.depends(field.Selections, op.Variables, map[*ast.FragmentDefinition]bool{}) {
		return made, false
	}
	c := compiler{op: op, columns: &db.Columns{}}
	if made.write = r(&c, field.Selections); made.write != nil {
		made.columns, made.steps = c.columns, made.steps+c.steps
	}
	return made, true
}

// depends notes the conditions in what is selected. It tells whether each is true or false: where one is neither, its field
// is in error.
func (s *selection) depends(selections ast.SelectionSet, variables map[string]any, seen map[*ast.FragmentDefinition]bool) bool {
	for _, selected := range selections {
		var directives ast.DirectiveList
		var below ast.SelectionSet
		switch selected := selected.(type) {
		case *ast.Field:
			directives, below = selected.Directives, selected.SelectionSet
		case *ast.InlineFragment:
			directives, below = selected.Directives, selected.SelectionSet
		case *ast.FragmentSpread:
			directives = selected.Directives
			if !seen[selected.Definition] {
				seen[selected.Definition] = true
				below = selected.Definition.SelectionSet
			}
		}
		if !s.conditional(directives, variables) || !s.depends(below, variables, seen) {
			return false
		}
	}
	return true
}

func (s *selection) conditional(directives ast.DirectiveList, variables map[string]any) bool {
	for _, d := range directives {
		on := d.Arguments.ForName("if")
		if on == nil || on.Value.Kind != ast.Variable {
			continue
		}
		value, ok := variables[on.Value.Raw].(bool)
		if !ok {
			return false
		}
		if c := (condition{on.Value.Raw, value}); !slices.Contains(s.conditions, c) {
			s.conditions = append(s.conditions, c)
		}
	}
	return true
}
