package plan_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"imagerequests/graph/plan"
)

// left are the fields that are gqlgen's, of the types that have plans.
var left = []string{
	"ImageRequest.events", "ImageRequest.history", "Version.queuePosition", "Version.secondsLeft", // ask the database for themselves
	"Query.viewer", "Query.providers", "Query.tokens", "Query.previewImageRequest", "Query.__schema", "Query.__type",
}

// TestEveryFieldIsKnown fails when the schema gets a field that nobody has thought of here: it belongs into a table of types.go,
// or on the list of those that are gqlgen's.
func TestEveryFieldIsKnown(t *testing.T) {
	t.Parallel()
	planned := plan.Fields()
	if len(planned) != 13 {
		t.Errorf("%d types have plans", len(planned))
	}
	for name, fields := range planned {
		for _, f := range schema.Types[name].Fields {
			of := name + "." + f.Name
			if slices.Contains(fields, f.Name) == slices.Contains(left, of) {
				t.Errorf("%s is to be in a table or on the list, and not both", of)
			}
			if !slices.Contains(left, of) && f.Type.NamedType != "" && planned[f.Type.NamedType] == nil && len(schema.Types[f.Type.NamedType].Fields) > 0 && f.Name != "node" {
				t.Errorf("%s has a type without a table", of)
			}
		}
		for _, f := range fields {
			if schema.Types[name].Fields.ForName(f) == nil {
				t.Errorf("%s.%s is not in the schema", name, f)
			}
		}
	}
}

// TestEachFieldAlone asks for each field by itself, so that the columns that another one names do not help it: the resolvers
// answer with nothing else.
func TestEachFieldAlone(t *testing.T) {
	t.Parallel()
	p := newPair()
	rnd := random{rand.New(rand.NewPCG(7, 7))}
	asked := 0
	var ask func(before, after, of string, deep int)
	ask = func(before, after, of string, deep int) {
		for _, f := range schema.Types[of].Fields {
			if slices.Contains(left, of+"."+f.Name) || strings.HasPrefix(f.Name, "__") {
				continue
			}
			if below := schema.Types[f.Type.Name()]; !below.IsLeafType() {
				if deep > 0 {
					ask(before+f.Name+" { ", " }"+after, below.Name, deep-1)
				}
				continue
			}
			text := before + f.Name + after
			p.document = *parse(text)
			for range 8 {
				p.found = rnd.found()
				p.found.err = nil
				data, problems := answer(t, p.with, nil)
				wantData, wantProblems := answer(t, p.wholly, nil)
				if data != wantData || !slices.Equal(problems, wantProblems) {
					t.Errorf("%s\nwith plans %s %v\nwithout    %s %v", text, data, problems, wantData, wantProblems)
					break
				}
			}
			asked++
		}
	}
	const id = `"00000000-f808-11e3-8ef5-b2227cce2b54"`
	ask(`{ imageRequest(id: `+id+`) { `, " } }", "ImageRequest", 3)
	ask(`{ version(id: `+id+`) { `, " } }", "Version", 3)
	ask(`{ imageRequests { `, " } }", "ImageRequestConnection", 4)
	ask(`{ versions { `, " } }", "VersionConnection", 4)
	ask(`{ node(id: `+id+`) { ... on ImageRequest { `, " } } }", "ImageRequest", 3)
	ask(`{ nodes(ids: []) { ... on Version { `, " } } }", "Version", 3)
	if p.planned.Load() < int64(8*asked) || asked < 500 {
		t.Errorf("%d fields, %d answers planned", asked, p.planned.Load())
	}
}

// FuzzText writes texts as gqlgen does, whatever is in them.
func FuzzText(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
		f.Add("1234567" + text + "1234567")
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want bytes.Buffer
		graphql.MarshalString(text).MarshalGQL(&want)
		if got := plan.AppendText(nil, text); string(got) != want.String() {
			t.Errorf("%q: %s, want %s", text, got, want.String())
		}
	})
}
