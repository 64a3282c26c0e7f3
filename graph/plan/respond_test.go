package plan_test

import (
	"context"
	"errors"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"imagerequests/imaging"
)

const lookup = `{ found: imageRequest(id: "813557f2-f808-11e3-8ef5-b2227cce2b54") { id name } }`

// TestLookUpOnce: what a plan cannot tell gqlgen does, and the resolver is not asked again.
func TestLookUpOnce(t *testing.T) {
	t.Parallel()
	rows := ordinary(1)
	nameless := *rows[0]
	nameless.ID = uuid.Nil
	for name, found := range map[string]found{
		"found":    {nodes: []imaging.Node{rows[0]}},
		"an error": {nodes: []imaging.Node{rows[0]}, err: errors.New("no such thing")},
		"no id":    {nodes: []imaging.Node{&nameless}},
		"nothing":  {nodes: []imaging.Node{(*imaging.ImageRequest)(nil)}, whole: true},
	} {
		p := newPair()
		p.found, p.document = found, *parse(lookup)
		gotData, gotErrors := answer(t, p.with, nil)
		asked := p.planned.Load()
		wantData, wantErrors := answer(t, p.wholly, nil)
		if diff := cmp.Diff(wantData, gotData) + cmp.Diff(wantErrors, gotErrors); diff != "" || asked != 1 {
			t.Errorf("%s: asked %d times (-want +got)\n%s", name, asked, diff)
		}
	}
}

// TestLookUpThatPanics is told of by gqlgen.
func TestLookUpThatPanics(t *testing.T) {
	t.Parallel()
	p := newPair()
	p.found, p.document = found{nodes: []imaging.Node{ordinary(1)[0]}}, *parse(lookup)
	want, _ := answer(t, p.wholly, nil)
	p.plans.Find["imageRequest"] = func(context.Context, uuid.UUID) (any, error) { panic("broken") }
	if got, problems := answer(t, p.with, nil); got != want || problems != nil {
		t.Errorf("%s %v, want %s", got, problems, want)
	}
}

// TestRefusedLookUp: an operation that was refused when it was read already is not carried out.
func TestRefusedLookUp(t *testing.T) {
	t.Parallel()
	p := newPair()
	p.document = *parse(lookup)
	p.plans.Find["imageRequest"] = func(context.Context, uuid.UUID) (any, error) {
		t.Error("it was asked for")
		return nil, nil
	}
	op, errs := p.with.CreateOperationContext(graphql.StartOperationTrace(t.Context()), &graphql.RawParams{Query: "cached"})
	if errs != nil {
		t.Fatal(errs)
	}
	response := p.with.DispatchError(graphql.WithOperationContext(t.Context(), op), gqlerror.List{gqlerror.Errorf("refused")})
	if response.Data != nil || len(response.Errors) != 1 {
		t.Errorf("%s %v", response.Data, response.Errors)
	}
}
