package limits

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"imagerequests/imaging"
)

// bounded refuses variables with more values, or values deeper within each other, than any input of ours has.
func bounded(variables map[string]any) error {
	left := MaxValues
	var deep func(v any, depth int) bool
	deep = func(v any, depth int) bool {
		if left--; left < 0 || depth > MaxValuesDepth {
			return true
		}
		switch v := v.(type) {
		case []any:
			return slices.ContainsFunc(v, func(v any) bool { return deep(v, depth+1) })
		case map[string]any:
			for _, v := range v {
				if deep(v, depth+1) {
					return true
				}
			}
		}
		return false
	}
	if deep(variables, 0) {
		return limited("The variables hold more than %d values, or are more than %d levels deep.", MaxValues, MaxValuesDepth)
	}
	return nil
}

// coerce gives the variables of an operation as the specification has it: what fits its type exactly, defaults, and lists of
// one where one value stands for a list. INVALID for each that does not fit, by its field, up to MaxErrors of them.
//
// gqlparser does it loosely ("3" as Int, 5 as String, enum values in any case, no @oneOf), and one problem at a time; it
// sees what comes from here.
func coerce(schema *ast.Schema, operation *ast.OperationDefinition, given map[string]any) (map[string]any, error) {
	c := coercion{schema: schema}
	all := map[string]any{}
	for _, d := range operation.VariableDefinitions {
		value, ok := given[d.Variable]
		if !ok && d.DefaultValue != nil {
			var err error
			value, err = d.DefaultValue.Value(nil)
			ok = err == nil
		}
		switch {
		case ok:
			at := field{variable: d.Variable}
			if definition := schema.Types[d.Type.NamedType]; definition != nil && definition.Kind == ast.InputObject {
				at.whole = true
			}
			all[d.Variable] = c.value(at, d.Type, value)
		case d.Type.NonNull:
			c.problem(field{variable: d.Variable}, "is required")
		}
	}
	return all, c.problems.Err()
}

// field is a place in the variables. Clients know it by the names below the variable if that is one input.
type field struct {
	variable string
	whole    bool
	below    string
}

func (f field) name() string {
	switch {
	case f.below == "":
		return f.variable
	case f.whole:
		return f.below
	}
	return f.variable + "." + f.below
}

func (f field) at(name string) field {
	if f.below != "" {
		name = f.below + "." + name
	}
	f.below = name
	return f
}

type coercion struct {
	schema   *ast.Schema
	problems imaging.Problems
}

// problem notes what is wrong with a value, and makes null of it.
func (c *coercion) problem(at field, format string, args ...any) any {
	if len(c.problems) < MaxErrors {
		name := Short(at.name())
		c.problems = append(c.problems, &imaging.Error{Code: imaging.Invalid, Field: name, Message: name + " " + fmt.Sprintf(format, args...) + "."})
	}
	return nil
}

func (c *coercion) value(at field, t *ast.Type, v any) any {
	switch {
	case v == nil && t.NonNull:
		return c.problem(at, "must not be null")
	case v == nil:
		return nil
	case t.Elem != nil:
		return c.list(at, t.Elem, v)
	}
	definition := c.schema.Types[t.NamedType]
	switch definition.Kind {
	case ast.InputObject:
		return c.object(at, definition, v)
	case ast.Enum:
		if name, ok := v.(string); ok && definition.EnumValues.ForName(name) != nil {
			return name
		}
		return c.problem(at, "must be %s", choices(definition))
	}
	scalar, ok := scalars[definition.Name]
	if !ok {
		return v // reads it itself
	}
	if fit := scalar.fit(v); fit != nil {
		return fit
	}
	return c.problem(at, "must be %s", scalar.what)
}

// choices tells what an enum value may be, as far as that is soon told.
func choices(enum *ast.Definition) string {
	if len(enum.EnumValues) > 10 {
		return "a value of " + enum.Name
	}
	var names []string
	for _, v := range enum.EnumValues {
		names = append(names, v.Name)
	}
	return "one of " + strings.Join(names, ", ")
}

func (c *coercion) list(at field, element *ast.Type, v any) any {
	values, ok := v.([]any)
	if !ok { // one stands for a list of one
		return []any{c.value(at, element, v)}
	}
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = c.value(at.at(strconv.Itoa(i)), element, v)
	}
	return list
}

func (c *coercion) object(at field, definition *ast.Definition, v any) any {
	values, ok := v.(map[string]any)
	if !ok {
		return c.problem(at, "must be a JSON object, a %s", definition.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if definition.Fields.ForName(name) == nil {
			c.problem(at.at(name), "is not a field of %s", definition.Name)
		}
	}
	if definition.Directives.ForName("oneOf") != nil && !one(values) {
		return c.problem(at, "must have exactly one field, and that not null")
	}
	object := make(map[string]any, len(values))
	for _, f := range definition.Fields {
		switch v, ok := values[f.Name]; {
		case ok:
			object[f.Name] = c.value(at.at(f.Name), f.Type, v)
		case f.Type.NonNull && f.DefaultValue == nil:
			c.problem(at.at(f.Name), "is required")
		}
	}
	return object
}

func one(values map[string]any) bool {
	for _, v := range values {
		if v == nil {
			return false
		}
	}
	return len(values) == 1
}

// scalars are those of the specification: how a value fits, nil if it does not.
var scalars = map[string]struct {
	what string
	fit  func(any) any
}{
	"Int":     {"a whole number from -2147483648 to 2147483647", fitInt},
	"Float":   {"a number", fitFloat},
	"String":  {"a text", fitAs[string]},
	"Boolean": {"true or false", fitAs[bool]},
	"ID":      {"a text or a whole number", fitID},
}

func fitAs[T any](v any) any {
	if v, ok := v.(T); ok {
		return v
	}
	return nil
}

// fitInt takes whole numbers of 32 bits, also written as 1.0 or 1e3: to a client in JavaScript they are the same.
func fitInt(v any) any {
	f, ok := fitFloat(v).(float64)
	if !ok || f != math.Trunc(f) || f < math.MinInt32 || f > math.MaxInt32 {
		return nil
	}
	return int64(f)
}

func fitFloat(v any) any {
	switch v := v.(type) {
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return f
		}
	case float64: // of a decoder that keeps no digits
		return v
	case int64: // of a default
		return float64(v)
	}
	return nil
}

// fitID takes texts and whole numbers, whose digits are the text.
func fitID(v any) any {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		if !strings.ContainsAny(string(v), ".eE") {
			return string(v)
		}
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatInt(int64(v), 10)
		}
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return nil
}
