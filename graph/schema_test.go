package graph_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// entry is one thing in the manual: a type, field, argument or value.
type entry struct {
	name, description string
	kind              *ast.Type // of what it answers; nil if it answers nothing
	deprecated        *ast.Directive
}

// manual lists all that the schema text describes.
func manual(t *testing.T, text string) (all []entry) {
	t.Helper()
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphqls", Input: text})
	if err != nil {
		t.Fatal(err)
	}
	for name, definition := range schema.Types {
		if definition.BuiltIn {
			continue
		}
		all = append(all, entry{name: name, description: definition.Description})
		for _, field := range definition.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			e := entry{name + "." + field.Name, field.Description, field.Type, field.Directives.ForName("deprecated")}
			if definition.Kind == ast.InputObject {
				e.kind = nil
			}
			all = append(all, e)
			for _, argument := range field.Arguments {
				all = append(all, entry{e.name + "(" + argument.Name + ")", argument.Description, nil, argument.Directives.ForName("deprecated")})
			}
		}
		for _, value := range definition.EnumValues {
			all = append(all, entry{name + "." + value.Name, value.Description, nil, value.Directives.ForName("deprecated")})
		}
	}
	return all
}

// flaws are what is missing in a manual, in any order.
func flaws(all []entry) (flaws []string) {
	for _, e := range all {
		description := strings.TrimSpace(e.description)
		switch {
		case description == "":
			flaws = append(flaws, e.name+" is not described")
		case !sentence.MatchString(description):
			flaws = append(flaws, e.name+" is not described in sentences")
		case e.kind != nil && !e.kind.NonNull && !saysNull.MatchString(description):
			flaws = append(flaws, e.name+" does not say when it is null")
		}
		if e.deprecated != nil && !fairly(e.deprecated) {
			flaws = append(flaws, e.name+" is not deprecated as docs/compatibility.md promises")
		}
	}
	return flaws
}

var (
	sentence = regexp.MustCompile(`(?s)^[A-Z0-9].*[.…]$`)
	saysNull = regexp.MustCompile(`(?i)\bnull\b|NOT_FOUND`)
	reason   = regexp.MustCompile(`^Since (\d{4}-\d\d-\d\d), stays until (\d{4}-\d\d-\d\d) at least: .+\.$`)
)

// notice is how long what is deprecated stays.
const notice = 365 * 24 * time.Hour

// fairly tells whether a deprecation names both days, a year apart, and what to use instead.
func fairly(d *ast.Directive) bool {
	argument := d.Arguments.ForName("reason")
	if argument == nil {
		return false
	}
	days := reason.FindStringSubmatch(argument.Value.Raw)
	if days == nil {
		return false
	}
	since, err1 := time.Parse(time.DateOnly, days[1])
	until, err2 := time.Parse(time.DateOnly, days[2])
	return err1 == nil && err2 == nil && until.Sub(since) >= notice
}

// TestEverythingIsDescribed: the schema is the manual.
func TestEverythingIsDescribed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	all := manual(t, string(text))
	for _, flaw := range flaws(all) {
		t.Error(flaw)
	}
	if len(all) < 300 {
		t.Errorf("only %d entries found", len(all))
	}
}

// The test above sees what is wrong.
func TestFlawsAreSeen(t *testing.T) {
	t.Parallel()
	deprecated := func(reason string) string { return fmt.Sprintf(`@deprecated(reason: %q)`, reason) }
	got := flaws(manual(t, `
		type Query {
			"Well described; null if there is none." good(bare: Int, "Fine." fine: Int): String
			bare: Int!
			"No full stop" stop: Int!
			"small." small: Int!
			"Might be anything." nullable: Int
			"Is gone." gone: Int! `+deprecated("gone")+`
			"Goes at once." soon: Int! `+deprecated("Since 2027-01-01, stays until 2027-06-01 at least: use good.")+`
			"Goes in a month that is none." never: Int! `+deprecated("Since 2027-01-01, stays until 2028-13-01 at least: use good.")+`
			"Goes fairly." fair: Int! `+deprecated("Since 2027-01-01, stays until 2028-01-01 at least: use good.")+`
			"Goes without a word." silent: Kind! @deprecated
		}
		"A kind." enum Kind { ONE "Two." TWO "Three." THREE `+deprecated("why not")+` }
		"An input." input Input { "A field." field: Int other: Int }`))
	want := []string{
		"Query is not described", "Query.good(bare) is not described", "Query.bare is not described", "Query.stop is not described in sentences",
		"Query.small is not described in sentences", "Query.nullable does not say when it is null", "Kind.ONE is not described", "Input.other is not described",
	}
	for _, name := range []string{"Query.gone", "Query.soon", "Query.never", "Query.silent", "Kind.THREE"} {
		want = append(want, name+" is not deprecated as docs/compatibility.md promises")
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
