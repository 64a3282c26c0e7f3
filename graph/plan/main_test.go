package plan_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/google/uuid"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"imagerequests/db"
	"imagerequests/graph/generated"
	"imagerequests/graph/plan"
	"imagerequests/imaging"
	"imagerequests/render"
)

var schema = generated.NewExecutableSchema(generated.Config{}).Schema()

// found is what the resolvers of a test answer, whatever they are asked.
type found struct {
	requests *db.ImageRequestConnection
	versions *db.VersionConnection
	nodes    []imaging.Node // of which the first is the request and the second the version
	err      error
	whole    bool // is answered as it is, whatever the plan names
}

// query are resolvers that answer what was found. Who has a plan gets the columns that it names and nothing else.
type query struct {
	generated.QueryResolver // nil: what has no plan is not asked for
	*found
	planned *atomic.Int64
}

func (q query) narrow(ctx context.Context) narrow {
	c := plan.Columns(ctx)
	if c != nil {
		q.planned.Add(1)
	}
	if q.whole {
		c = nil
	}
	return narrow{c}
}

func (q query) Node(ctx context.Context, id uuid.UUID) (imaging.Node, error) {
	i := min(int(id[0]), len(q.nodes)-1)
	return q.narrow(ctx).node(q.nodes[i]), q.err
}

func (q query) Nodes(ctx context.Context, _ []uuid.UUID) ([]imaging.Node, error) {
	n := q.narrow(ctx)
	var nodes []imaging.Node
	for _, node := range q.nodes {
		nodes = append(nodes, n.node(node))
	}
	return nodes, q.err
}

func (q query) ImageRequest(ctx context.Context, _ uuid.UUID) (*imaging.ImageRequest, error) {
	r, _ := q.nodes[0].(*imaging.ImageRequest)
	return q.narrow(ctx).request(r), q.err
}

func (q query) Version(ctx context.Context, _ uuid.UUID) (*imaging.Version, error) {
	v, _ := q.nodes[1].(*imaging.Version)
	return q.narrow(ctx).version(v), q.err
}

func (q query) ImageRequests(ctx context.Context, _ *int, _ *string, _ *int, _ *string, _ *imaging.Filter, _ *imaging.Order) (*db.ImageRequestConnection, error) {
	n := q.narrow(ctx)
	return list(q.requests, n, n.request), q.err
}

func (q query) Versions(ctx context.Context, _ *int, _ *string, _ *int, _ *string, _ *imaging.Filter, _ *imaging.Order) (*db.VersionConnection, error) {
	n := q.narrow(ctx)
	return list(q.versions, n, n.version), q.err
}

// list is a page with other rows.
func list[T any](c *db.Connection[T], n narrow, row func(T) T) *db.Connection[T] {
	if c == nil || n.Columns == nil {
		return c
	}
	page := *c
	page.Edges = nil
	for _, e := range c.Edges {
		edge := *e
		edge.Node = row(e.Node)
		page.Edges = append(page.Edges, &edge)
	}
	return &page
}

// resolvers are query, and the fields that have no plan.
type resolvers struct {
	generated.ResolverRoot
	query
}

func (r resolvers) Query() generated.QueryResolver               { return r.query }
func (r resolvers) ImageRequest() generated.ImageRequestResolver { return unplanned{} }
func (r resolvers) Version() generated.VersionResolver           { return unplanned{} }

type unplanned struct{}

func (unplanned) Events(context.Context, *imaging.ImageRequest, *int, *string, *int, *string) (*db.Connection[*imaging.Event], error) {
	return nil, nil
}

func (unplanned) History(context.Context, *imaging.ImageRequest) ([]*imaging.HistoryEntry, error) {
	return []*imaging.HistoryEntry{{Text: "something"}}, nil
}

func (unplanned) QueuePosition(context.Context, *imaging.Version) (*int, error) { return new(3), nil }

func (unplanned) SecondsLeft(context.Context, *imaging.Version) (*int, error) {
	return nil, errors.New("nobody knows")
}

// document is what an executor finds in its cache: parsed and validated once, as in the service.
type document struct{ *ast.QueryDocument }

func (d *document) Get(context.Context, string) (*ast.QueryDocument, bool) {
	return d.QueryDocument, true
}
func (d *document) Add(context.Context, string, *ast.QueryDocument) {}

// parse is nil for a document that is not valid.
func parse(text string) *document {
	d, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil || len(validator.ValidateWithRules(schema, d, rules.NewDefaultRules())) > 0 {
		return nil
	}
	return &document{d}
}

// pair is gqlgen with plans and without, over what is found. It is for one goroutine.
type pair struct {
	found
	document
	planned      atomic.Int64
	plans        plan.Plans
	with, wholly *executor.Executor
}

func newPair() *pair {
	p := &pair{}
	make := func() *executor.Executor {
		e := executor.New(generated.NewExecutableSchema(generated.Config{Resolvers: resolvers{query: query{found: &p.found, planned: &p.planned}}}))
		e.SetQueryCache(&p.document)
		return e
	}
	p.with, p.wholly = make(), make()
	lookups := query{found: &p.found, planned: &p.planned}
	p.plans.Find = map[string]plan.Finder{"imageRequest": plan.Found(lookups.ImageRequest), "version": plan.Found(lookups.Version), "node": plan.Found(lookups.Node)}
	p.with.AroundResponses(p.plans.Respond)
	p.with.AroundFields(p.plans.Answer)
	return p
}

// execute carries out the document of the executor's cache.
func execute(ctx context.Context, e *executor.Executor, variables map[string]any) *graphql.Response {
	ctx = graphql.StartOperationTrace(ctx)
	op, refused := e.CreateOperationContext(ctx, &graphql.RawParams{Query: "cached", Variables: variables})
	if refused != nil {
		return &graphql.Response{Errors: refused}
	}
	next, ctx := e.DispatchOperation(ctx, op)
	return next(ctx)
}

// answer is the data and the errors of an answer. Root fields run at once, so errors come in any order.
func answer(t testing.TB, e *executor.Executor, variables map[string]any) (data string, problems []string) {
	t.Helper()
	response := execute(t.Context(), e, variables)
	for _, e := range response.Errors {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		problems = append(problems, string(text))
	}
	slices.Sort(problems)
	data = string(response.Data)
	render.Free(response.Data) // as the door does: the next answer is written over this one
	return data, problems
}
