package plan

import (
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"imagerequests/db"
)

// kind is an object type of the schema: its name and its interfaces', and the fields that a plan can write.
type kind[T any] struct {
	names  []string
	needs  needs // of each that is written at all
	fields map[string]field[T]
}

// field is how a field is written and what it needs to be read for that. One of write and below is there.
type field[T any] struct {
	needs needs
	write write[T]                                           // of a field without fields of its own
	below func(c *compiler, below ast.SelectionSet) write[T] // of one that has some; nil if one of them is not known
}

// write writes a value, or a field of a value.
type write[T any] func(o *out, of T)

// needs are columns of the tables.
type needs struct {
	request, version []string
	provider         bool
}

// mostSteps is how many fields a plan has at most. Fragments can make a short document a long one.
const mostSteps = 500

// compiler makes the plan of one selection.
type compiler struct {
	op      *graphql.OperationContext
	columns *db.Columns
	steps   int
}

func (c *compiler) need(n needs) {
	c.columns.ImageRequest = union(c.columns.ImageRequest, n.request)
	c.columns.Version = union(c.columns.Version, n.version)
	c.columns.Provider = c.columns.Provider || n.provider
}

// step is a field of an object: what stands before it, and how it is written.
type step[T any] struct {
	key   string
	write write[T]
}

// object is how objects of a kind are written with these fields; nil if one of them is not known.
func object[T any](c *compiler, k *kind[T], selections ast.SelectionSet) write[T] {
	c.need(k.needs)
	steps := []step[T]{}
	for _, collected := range graphql.CollectFields(c.op, selections, k.names) {
		f, ok := k.fields[collected.Name]
		if collected.Name == "__typename" {
			name := `"` + k.names[0] + `"`
			f, ok = field[T]{write: func(o *out, _ T) { o.b = append(o.b, name...) }}, true
		}
		if c.steps++; !ok || c.steps > mostSteps {
			return nil
		}
		c.need(f.needs)
		if f.below != nil {
			if f.write = f.below(c, collected.Selections); f.write == nil {
				return nil
			}
		}
		key := `,"` + collected.Alias + `":`
		if len(steps) == 0 {
			key = key[1:]
		}
		steps = append(steps, step[T]{key, f.write})
	}
	return func(o *out, of T) {
		o.b = append(o.b, '{')
		for i := range steps {
			o.b = append(o.b, steps[i].key...)
			steps[i].write(o, of)
		}
		o.b = append(o.b, '}')
	}
}

// leaf is a field without fields of its own.
func leaf[T any](n needs, w write[T]) field[T] { return field[T]{needs: n, write: w} }

// one is a field with an object. A nil one is null if that may be.
func one[T, U any](n needs, k *kind[*U], nullable bool, get func(T) *U) field[T] {
	return field[T]{needs: n, below: func(c *compiler, below ast.SelectionSet) write[T] {
		w := object(c, k, below)
		if w == nil {
			return nil
		}
		return func(o *out, of T) {
			switch u := get(of); {
			case u != nil:
				w(o, u)
			case nullable:
				o.null()
			default:
				o.missing()
			}
		}
	}}
}

// many is a field with a list of objects, none of them null.
func many[T, E, U any](n needs, k *kind[*U], list func(T) []E, get func(E) *U) field[T] {
	return field[T]{needs: n, below: func(c *compiler, below ast.SelectionSet) write[T] {
		w := object(c, k, below)
		if w == nil {
			return nil
		}
		return func(o *out, of T) {
			o.b = append(o.b, '[')
			for i, e := range list(of) {
				if i > 0 {
					o.b = append(o.b, ',')
				}
				if u := get(e); u != nil {
					w(o, u)
				} else {
					o.missing()
				}
			}
			o.b = append(o.b, ']')
		}
	}}
}

func same[T any](v T) T { return v }

// union adds to a set what it does not have yet.
func union(set, more []string) []string {
next:
	for _, m := range more {
		for _, s := range set {
			if s == m {
				continue next
			}
		}
		set = append(set, m)
	}
	return set
}
