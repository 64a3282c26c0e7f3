package limits_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"pgregory.net/rapid"

	"imagerequests/graph/limits"
)

// TestCost is what operations cost: prices of fields, as often as there are objects.
func TestCost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query, variables string
		cost             int
	}{
		{`{ viewer { username } }`, "", 10 + 1},
		{`{ viewer { username } providers { id name } }`, "", 10 + 1 + 10 + 3*2},
		{`{ a: viewer { username } b: viewer { username } }`, "", 2 * 11},
		{`{ imageRequests { nodes { id } } }`, "", 10 + 1 + 20*1},
		{`{ imageRequests(first: 5) { nodes { id name } } }`, "", 10 + 1 + 5*2},
		{`{ imageRequests(last: 5) { edges { cursor node { id } } pageInfo { endCursor } } }`, "", 10 + 1 + 5*(1+1+1) + 2},
		{`{ imageRequests(first: 5) { nodes { id } edges { node { id } } } }`, "", 10 + 1 + 5 + 1 + 5*2},
		{`{ imageRequests(first: 5) { ...A } } fragment A on ImageRequestConnection { nodes { ...B } } fragment B on ImageRequest { id name }`, "", 10 + 1 + 5*2},
		{`{ imageRequests(first: 5) { ... { nodes { ... on ImageRequest { id } } } } }`, "", 10 + 1 + 5},
		{`query($n: Int) { imageRequests(first: $n) { nodes { id } } }`, `{"n": 7}`, 10 + 1 + 7},
		{`query($n: Int) { imageRequests(first: $n) { nodes { id } } }`, `{}`, 10 + 1 + 20},
		{`query($n: Int = 9) { imageRequests(first: $n) { nodes { id } } }`, `{}`, 10 + 1 + 9},
		{`query($n: Int = 9) { imageRequests(first: $n) { nodes { id } } }`, `{"n": null}`, 10 + 1 + 20},
		{`{ imageRequests(first: 101) { nodes { id } } }`, "", 10 + 1 + 1}, // the list refuses it, by its field
		{`{ imageRequests(first: -5) { nodes { id } } }`, "", 10 + 1 + 1},
		{`{ imageRequests(first: 5) { totalCount } }`, "", 10 + 500},
		{`{ versions(first: 5) { nodes { queuePosition secondsLeft } } }`, "", 10 + 1 + 5*(25+50)},
		{`{ imageRequest(id: 1) { events(first: 4) { totalCount nodes { seq } } history { text } } }`, "", 10 + 50 + 50 + 1 + 4 + 100 + 3},
		{`{ imageRequests(first: 4) { nodes { versions { id } } } }`, "", 10 + 1 + 4*(1+3)},
		{`{ imageRequests(first: 4) { nodes { versions { imageRequest { versions { id } } } } } }`, "", 10 + 1 + 4*(1+3*(1+1+50))},
		{`{ nodes(ids: [1, 2, 3]) { id } }`, "", 10 + 3},
		{`{ nodes(ids: 1) { id } }`, "", 10 + 1},
		{`query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, `{"ids": ["a", "b"]}`, 10 + 2},
		{`query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, `{"ids": "a"}`, 10 + 1},
		{`{ __schema { types { name } } __type(name: "Version") { fields { name } } __typename }`, "", 2000 + 100 + 10},
		{`mutation { cancelVersion(input: {version: 1}) { version { id } } }`, "", 100 + 1 + 1},
		{strings.Replace(doubling(3, `viewer { username }`), "{ ...F0 }", "{ ...F0 ...F0 }", 1), "", 16 * 11},
	} {
		d := open(ours(), func(o *limits.Options) { o.Least = 0 })
		var given map[string]any
		if c.variables != "" {
			given = variables(t, c.variables)
		}
		if _, errs := d.send(graphql.RawParams{Query: c.query, Variables: given}); errs != nil || d.spent != c.cost {
			t.Errorf("%s %s costs %d, want %d %v", c.query, c.variables, d.spent, c.cost, errs)
		}
	}
}

// TestMemo: a fragment that is spread costs what it would if it stood there, wherever that is.
func TestMemo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "fragments")
		bodies := make([]string, n) // each may spread those after it
		for i := range bodies {
			parts := []string{"id", "SPREAD"}
			for range rapid.IntRange(0, 3).Draw(t, "parts") {
				parts = append(parts, rapid.SampledFrom([]string{
					"status", "queuePosition", "imageRequest { versions { SPREAD } }", "SPREAD", "... on Version { SPREAD }", "imageRequest { id name }",
				}).Draw(t, "part"))
			}
			bodies[i] = strings.Join(parts, " ")
		}
		query := rapid.SampledFrom([]string{
			"{ versions(first: 2) { nodes { ...F0 } edges { node { ...F0 } } } }", "{ imageRequest(id: 1) { versions { ...F0 } } version(id: 1) { ...F0 } }", "{ nodes(ids: [1, 2]) { ...F0 } }",
		}).Draw(t, "query")
		spread, whole := query, query
		for i, body := range bodies {
			next := ""
			if i+1 < n {
				next = fmt.Sprintf("...F%d", i+1)
			}
			body = strings.ReplaceAll(body, "SPREAD", next+" id")
			spread += fmt.Sprintf(" fragment F%d on Version { %s }", i, body)
			whole = strings.ReplaceAll(whole, fmt.Sprintf("...F%d", i), "... on Version { "+body+" }")
		}
		cost := func(document string) (int, []refusal) {
			d := open(ours(), func(o *limits.Options) { o.Least = 0 })
			errs := d.query(document)
			return d.spent, errs
		}
		a, refusedA := cost(spread)
		b, refusedB := cost(whole)
		if tooLong := slices.ContainsFunc(refusedB, func(r refusal) bool {
			return strings.Contains(r.Message, "words") || strings.Contains(r.Message, "repeated") || strings.Contains(r.Message, "brackets")
		}); tooLong {
			return
		}
		if refusedA == nil && refusedB == nil && a != b || (refusedA == nil) != (refusedB == nil) {
			t.Fatalf("%s\ncosts %d %v, with its fragments in their places %d %v", spread, a, refusedA, b, refusedB)
		}
	})
}

// TestCharges: what is refused has its price, too, and what cannot be paid is not carried out.
func TestCharges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		p     graphql.RawParams
		spent int
	}{
		"a small one":             {graphql.RawParams{Query: "{ viewer { username } }"}, least},
		"a large one":             {graphql.RawParams{Query: "{ imageRequests(first: 100) { nodes { id name } edges { cursor } } }"}, 10 + 1 + 200 + 1 + 100},
		"one that does not parse": {graphql.RawParams{Query: "{"}, least},
		"one that is too dear":    {graphql.RawParams{Query: "{ imageRequests(first: 100) { nodes { versions { imageRequest { versions { id } } } } } }"}, least},
		"nothing":                 {graphql.RawParams{}, least},
	} {
		d := open(ours())
		if _, errs := d.send(c.p); d.spent != c.spent {
			t.Errorf("%s costs %d, want %d %v", name, d.spent, c.spent, errs)
		}
	}
}

// TestBillIsWrittenAsJSON: as encoding/json would.
func TestBillIsWrittenAsJSON(t *testing.T) {
	t.Parallel()
	for _, bill := range []limits.Bill{{}, {Requested: 12, Remaining: new(int)}, {Requested: 3, Remaining: new(1 << 40)}} {
		want, err := json.Marshal(bill)
		if err != nil {
			t.Fatal(err)
		}
		if got := bill.AppendJSON([]byte("x")); string(got) != "x"+string(want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
