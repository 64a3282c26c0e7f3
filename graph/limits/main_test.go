package limits_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"imagerequests/graph/limits"
	"imagerequests/imaging"
)

// ours is the schema of the service.
var ours = sync.OnceValue(func() *ast.Schema {
	text, err := os.ReadFile("../../schema.graphqls")
	if err != nil {
		panic(err)
	}
	return gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphqls", Input: string(text)})
})

const least = 200

// door is a gate, and what its caller has spent.
type door struct {
	*limits.Gate
	spent int
}

func open(schema *ast.Schema, change ...func(*limits.Options)) *door {
	d := &door{}
	o := limits.Options{Least: least, Introspection: true, Spend: func(_ context.Context, points int) (int, error) {
		d.spent += points
		return -1, nil
	}}
	for _, c := range change {
		c(&o)
	}
	d.Gate = limits.New(schema, o)
	return d
}

// send brings an operation before the gate. It gives what the executor gets of it, or the refusals.
func (d *door) send(p graphql.RawParams) (graphql.RawParams, []refusal) {
	ctx := graphql.WithOperationContext(context.Background(), &graphql.OperationContext{})
	if err := d.MutateOperationParameters(ctx, &p); err != nil {
		return p, refusals(err)
	}
	return p, nil
}

func (d *door) query(text string) []refusal {
	_, errs := d.send(graphql.RawParams{Query: text})
	return errs
}

// refusal is what a client learns of an error.
type refusal struct{ Code, Field, Message string }

func refusals(err *gqlerror.Error) (all []refusal) {
	var list gqlerror.List
	if !errors.As(err.Err, &list) {
		list = gqlerror.List{err}
	}
	for _, e := range list {
		if e.Err == nil {
			code, _ := e.Extensions["code"].(string)
			all = append(all, refusal{Code: code, Message: e.Message})
			continue
		}
		for _, ours := range imaging.All(e.Err) {
			all = append(all, refusal{string(ours.Code), ours.Field, ours.Message})
		}
	}
	return all
}

func (r refusal) String() string { return strings.TrimSpace(r.Code + " " + r.Field + ": " + r.Message) }

// variables decodes JSON as the transports do.
func variables(t testing.TB, text string) (v map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}
