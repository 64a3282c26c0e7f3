package graph_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imagerequests/db"
)

// TestHostileDocuments are refused with LIMITED or as invalid, and answered shortly.
func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	deep := func(n int) string {
		return "{ imageRequest(id: \"" + db.DemoRequest.String() + "\") {" + strings.Repeat(" versions { imageRequest {", n) + " id " + strings.Repeat("}}", n) + "} }"
	}
	fragments := strings.Builder{}
	for i := range 24 {
		fragments.WriteString(" fragment F" + string(rune('a'+i)) + " on Query { ...F" + string(rune('b'+i)) + " ...F" + string(rune('b'+i)) + " }")
	}
	dear := strings.Builder{}
	counts := strings.Builder{}
	for i := range 25 {
		fmt.Fprintf(&counts, ` c%d: imageRequests(filter: {search: "a e i o u"}) { totalCount }`, i)
	}
	for i := range 60 {
		fmt.Fprintf(&dear, " a%d: imageRequests(first: 100) { nodes { id name } }", i)
	}
	for name, query := range map[string]string{
		"versions of requests of versions":   deep(16),
		"a list of 100 with a list of 100":   `{ imageRequests(first: 100) { nodes { versions { imageRequest { versions { imageRequest { versions { id } } } } } } } }`,
		"twenty-five totals":                 "{" + counts.String() + "}",
		"sixty dear aliases":                 "{" + dear.String() + "}",
		"fragments spread twice by the last": "query { ...Fa }" + fragments.String() + " fragment Fy on Query { imageRequests(first: 100) { nodes { id } } }",
		"a long document":                    "{ viewer { username } } #" + strings.Repeat("x", 40<<10),
		"the schema six times":               "{" + strings.Repeat(" a: __schema { queryType { name } }", 6) + "}",
		"nested lists":                       strings.Repeat("[", 2000),
	} {
		r := d.as("", query, nil)
		if len(r.Errors) == 0 || len(r.Errors) > 5 {
			t.Errorf("%s: %d errors %.200s", name, len(r.Errors), r.Data)
			continue
		}
		if len(r.Errors[0].Message) > 300 {
			t.Errorf("%s: %.400s", name, r.Errors[0].Message)
		}
	}
}

// TestLegitimateDocuments go through.
func TestLegitimateDocuments(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	introspection, err := os.ReadFile(filepath.Join("testdata", "introspection.graphql"))
	if err != nil {
		t.Fatal(err)
	}
	for name, query := range map[string]string{
		"the playground's introspection": string(introspection),
		"a full page":                    `{ imageRequests(first: 100) { totalCount edges { cursor node { id name description tags createdBy visibility startDate endDate revision status versions { id alias version status startDate endDate provider { id name } } } } pageInfo { hasNextPage endCursor } } }`,
		"a version with its request":     deepest,
	} {
		if r := d.as("username", query, nil); len(r.Errors) > 0 {
			t.Errorf("%s: %+v", name, r.Errors)
		}
	}
	r := d.as("username", `query($n: Int!) { imageRequests(first: $n) { nodes { versions { imageRequest { versions { imageRequest { versions { id } } } } } } } }`, map[string]any{"n": json.Number("100")})
	if len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "LIMITED" {
		t.Errorf("a size in a variable is not counted: %+v", r.Errors)
	}
}

const deepest = `{ versions(first: 10) { nodes { imageRequest { name versions { id provider { name } } } } } }`
