package web

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
)

// TestExamplesFitTheSchema: what a newcomer runs first must be valid, variables included.
func TestExamplesFitTheSchema(t *testing.T) {
	t.Parallel()
	sdl, err := os.ReadFile("../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphqls", Input: string(sdl)})
	if err != nil {
		t.Fatal(err)
	}
	var titles []string
	for _, tab := range Examples() {
		doc, errs := gqlparser.LoadQueryWithRules(schema, tab.Query, nil)
		if len(errs) > 0 {
			t.Errorf("%v in:\n%s", errs, tab.Query)
			continue
		}
		if len(doc.Operations) != 1 {
			t.Errorf("%d operations, want 1, in:\n%s", len(doc.Operations), tab.Query)
			continue
		}
		op := doc.Operations[0]
		titles = append(titles, op.Name)
		variables := map[string]any{}
		if tab.Variables != "" {
			if err := json.Unmarshal([]byte(tab.Variables), &variables); err != nil {
				t.Errorf("%s: variables: %v", op.Name, err)
			}
		}
		for name, value := range variables {
			definition := op.VariableDefinitions.ForName(name)
			if definition == nil {
				t.Errorf("%s does not take the variable %s", op.Name, name)
				continue
			}
			checkStrictly(t, schema, op.Name+"."+name, definition.Type, value)
		}
		if _, err := validator.VariableValues(schema, op, variables); err != nil {
			t.Errorf("%s: variables: %v", op.Name, err)
		}
	}
	want := []string{"WhoAmI", "OneImageRequest", "RequestImage", "ReviewQueue", "Decide", "Watch", "Progress", "EditAndAddVersion"}
	if diff := cmp.Diff(want, titles); diff != "" {
		t.Errorf("tabs (-want +got):\n%s", diff)
	}
}

// checkStrictly finds what gqlparser takes and the server does not: enum values in lower case, and numbers and texts in
// place of one another.
func checkStrictly(t *testing.T, schema *ast.Schema, path string, typ *ast.Type, value any) {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		for name, v := range value {
			field := schema.Types[typ.Name()].Fields.ForName(name)
			if field == nil {
				t.Errorf("%s has no field %s", path, name)
				continue
			}
			checkStrictly(t, schema, path+"."+name, field.Type, v)
		}
	case []any:
		if typ.Elem == nil {
			t.Errorf("%s is no list", path)
			return
		}
		for _, v := range value {
			checkStrictly(t, schema, path, typ.Elem, v)
		}
	case string:
		def := schema.Types[typ.Name()]
		if def.Kind == ast.Enum && def.EnumValues.ForName(value) == nil || def.Name == "Int" || def.Name == "Boolean" {
			t.Errorf("%s cannot be %q", path, value)
		}
	case float64:
		if typ.Name() != "Int" {
			t.Errorf("%s cannot be %v", path, value)
		}
	}
}
