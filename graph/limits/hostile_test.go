package limits_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"imagerequests/graph/limits"
)

// many writes a text for each number below n.
func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "%d", fmt.Sprint(i)))
	}
	return b.String()
}

// hostile are documents that nobody sends who only wants the answer, and what they are refused with.
var hostile = []struct{ name, document, want string }{
	{"10,000 equal fields", "{" + many(10_000, " viewer { username }") + "}", "LIMITED"},
	{"300 equal fields", "{" + many(300, " providers") + "}", "LIMITED"},
	{"21 equal fields", "{ viewer {" + many(21, " username") + "} }", "LIMITED"},
	{"21 equal fields, inline fragments around them", "{ viewer {" + many(21, " ... { username }") + "} }", "LIMITED"},
	{"21 equal fields of 21 equal fields", "{" + many(21, " viewer {"+many(21, " username")+"}") + "}", "LIMITED"},
	{"2,000 aliases", "{" + many(2000, " a%d: viewer { username }") + "}", "LIMITED"},
	{"31 aliases", "{" + many(31, " a%d: providers { id }") + "}", "LIMITED"},
	{"200 aliases of the dearest list", "{" + many(200, " a%d: imageRequests(first: 100) { totalCount nodes { id } }") + "}", "LIMITED"},
	{"25 aliases of the dearest list", "{" + many(25, " a%d: imageRequests(first: 100) { totalCount nodes { id } }") + "}", "LIMITED"},
	{"25 root fields", "{" + many(25, " a%d: viewer { username }") + "}", "LIMITED"},
	{"25 root fields, fragments around them", "{ ...A ...B } fragment A on Query {" + many(13, " a%d: viewer { username }") + "} fragment B on Query {" + many(13, " b%d: viewer { username }") + "}", "LIMITED"},
	{"25 mutations", "mutation {" + many(25, ` a%d: cancelVersion(input: {version: "1"}) { version { id } }`) + "}", "LIMITED"},
	{"24 fragments, each spread twice by the one before", doubling(24, "viewer { username }"), "LIMITED"},
	{"the same, and it is dear at the end", doubling(24, "imageRequests(first: 100) { nodes { id } }"), "LIMITED"},
	{"the same, of introspection", doubling(24, "__schema { queryType { name } }"), "LIMITED"},
	{"the same, and each is deeper", deepening(40), "LIMITED"},
	{"51 fragments", "{ ...F0 }" + many(51, " fragment F%d on Query { viewer { username } }"), "LIMITED"},
	{"nesting of 100,000 selections", strings.Repeat("{ a ", 100_000), "LIMITED"},
	{"nesting of 5,000 selections", strings.Repeat("{a", 5000) + strings.Repeat("}", 5000), "LIMITED"},
	{"nesting of 100,000 lists", "{ providers(a: " + strings.Repeat("[", 100_000), "LIMITED"},
	{"nesting of 15,000 lists", "{ providers(a: " + strings.Repeat("[", 15_000), "LIMITED"},
	{"nesting of 400 objects", "{ providers(a: " + strings.Repeat("{a:", 300) + "1" + strings.Repeat("}", 300) + ") { id } }", "LIMITED"},
	{"nesting of 400 list types", "query($a: " + strings.Repeat("[", 400) + "Int" + strings.Repeat("]", 400) + ") { viewer { username } }", "LIMITED"},
	{"13 levels", `{ version(id: "1") ` + strings.Repeat("{ imageRequest { versions ", 6) + "{ id }" + strings.Repeat("} }", 6) + " }", "LIMITED"},
	{"a list of 100 with lists of lists", `{ imageRequests(first: 100) { nodes { versions { imageRequest { versions { id } } } } } }`, "LIMITED"},
	{"circular fragments", "{ ...A } fragment A on Query { ...B } fragment B on Query { viewer { username } ...A }", "GRAPHQL_VALIDATION_FAILED"},
	{"a fragment of itself", "{ ...A } fragment A on Query { viewer { username } ...A }", "GRAPHQL_VALIDATION_FAILED"},
	{"a circle that grows", "{ ...A } fragment A on Query { nodes(ids: []) { ... on Version { imageRequest { versions { ...B } } } } } fragment B on Version { imageRequest { versions { ...B ...B } } }", "GRAPHQL_VALIDATION_FAILED"},
	{"10,000 directives", "{ viewer" + many(10_000, " @skip(if: false)") + " { username } }", "LIMITED"},
	{"51 directives", "{ viewer" + many(51, " @a") + " { username } }", "LIMITED"},
	{"50 unknown directives", "{ viewer" + many(50, " @a%d") + " { username } }", "GRAPHQL_VALIDATION_FAILED"},
	{"__schema a hundred times", "{" + strings.Repeat(" __schema { types { name } }", 100) + "}", "LIMITED"},
	{"__schema six times", "{" + strings.Repeat(" __schema { types { name } }", 6) + "}", "LIMITED"},
	{"the types of the types", "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }", "GRAPHQL_VALIDATION_FAILED"},
	{"32 KiB and one byte", "{ viewer { username } } #" + strings.Repeat("x", limits.MaxDocument), "LIMITED"},
	{"60 kB of a name", "{" + strings.Repeat("x", 60_000) + "}", "LIMITED"},
	{"30 kB of a name", "{ " + strings.Repeat("x", 30_000) + "}", "LIMITED"},
	{"30 kB of an alias", "{ " + strings.Repeat("x", 30_000) + ": nothing }", "LIMITED"},
	{"30 kB of a text", `{ imageRequest(id: 1, name: "` + strings.Repeat("x", 30_000) + `") { id } }`, "GRAPHQL_VALIDATION_FAILED"},
	{"30 kB of a text where a number belongs", `{ imageRequests(first: "` + strings.Repeat("x", 30_000) + `") { totalCount } }`, "GRAPHQL_VALIDATION_FAILED"},
	{"30 kB of a number", `{ imageRequests(first: ` + strings.Repeat("9", 30_000) + `) { totalCount } }`, "GRAPHQL_VALIDATION_FAILED"},
	{"30 kB of a number for an unknown scalar", `{ imageRequests(filter: {startedFrom: ` + strings.Repeat("9", 30_000) + `}) { totalCount } }`, "GRAPHQL_VALIDATION_FAILED"},
	{"30 kB of garbage", strings.Repeat("\x01", 30_000), "GRAPHQL_PARSE_FAILED"},
	{"30 kB of an open text", `{ viewer(a: "` + strings.Repeat("x", 30_000), "GRAPHQL_PARSE_FAILED"},
	{"30 kB of nothing", strings.Repeat(" ", 30_000), "GRAPHQL_VALIDATION_FAILED"},
	{"200 unknown fields", "{" + many(200, " nothing%d") + "}", "GRAPHQL_VALIDATION_FAILED"},
	{"150 operations without a name", many(150, " { viewer { username } }"), "GRAPHQL_VALIDATION_FAILED"},
	{"200 unused variables", "query(" + many(200, " $a%d: Int") + ") { viewer { username } }", "GRAPHQL_VALIDATION_FAILED"},
	{"1,000 comments", many(1000, "#\n") + "{ viewer { username } }", "LIMITED"},
	{"conflicts by the thousand", conflicts(19), "GRAPHQL_VALIDATION_FAILED"},
	{"fragments that conflict with each other", "{" + many(30, " ...F%d") + "}" + many(30, " fragment F%d on Query { imageRequests(first: %d) { nodes { id status } } }"), "GRAPHQL_VALIDATION_FAILED"},
	{"a subscription of several fields", "subscription { a: viewer b: viewer }", "GRAPHQL_VALIDATION_FAILED"},
}

// doubling has n fragments, each of which spreads the next twice, and the last of them this.
func doubling(n int, last string) string {
	var b strings.Builder
	b.WriteString("{ ...F0 }")
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Query { ...F%d ...F%d }", i, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on Query { %s }", n, last)
	return b.String()
}

// deepening has fragments each of which goes two levels down to the next, twice.
func deepening(n int) string {
	var b strings.Builder
	b.WriteString(`{ version(id: "1") { ...F0 } }`)
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Version { imageRequest { versions { ...F%d ...F%d } } }", i, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on Version { id }", n)
	return b.String()
}

// conflicts has n fields of one name, whose fields differ in their arguments.
func conflicts(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` imageRequest(id: "1") {%s }`, many(4, fmt.Sprintf(" events(first: %d%%d) { totalCount }", i+1)))
	}
	return "{" + b.String() + "}"
}

const (
	patience = slower * 100 * time.Millisecond // of one document
	smallest = 4 << 10                         // bytes of an answer that is small
)

// TestHostileDocuments: each is refused, in time, and with little to say about it.
func TestHostileDocuments(t *testing.T) {
	for _, c := range hostile {
		var errs []refusal
		best := time.Hour
		for range 5 { // a busy machine is slow for other reasons
			d := open(ours())
			start := time.Now()
			errs = d.query(c.document)
			best = min(best, time.Since(start))
			if d.spent < least {
				t.Errorf("%s: cost the caller %d", c.name, d.spent)
			}
			if best < patience/10 {
				break
			}
		}
		if len(errs) == 0 || len(errs) > limits.MaxErrors || errs[0].Code != c.want {
			t.Errorf("%s: want %s, %d errors: %.300v", c.name, c.want, len(errs), errs)
			continue
		}
		if best > patience {
			t.Errorf("%s: took %v", c.name, best)
		}
		said := 0
		for _, e := range errs {
			said += len(limits.Short(e.Message)) + 100 // of JSON around it
		}
		if said > smallest {
			t.Errorf("%s: %d bytes are said about it", c.name, said)
		}
	}
}

// TestDearestValidation: documents that fit the limits and make the validator compare as many fields as it can.
func TestDearestValidation(t *testing.T) {
	for _, c := range []struct {
		repeats, levels int
		leaf            string
	}{{20, 1, "id"}, {4, 3, "id"}, {3, 4, "id"}, {2, 4, "progress { stage }"}, {9, 1, `provider @skip(if: true) { id }`}, {6, 2, "id"}} {
		document := c.leaf
		for range c.levels {
			document = "imageRequest { versions {" + strings.Repeat(" "+document, c.repeats) + " } }"
		}
		document = `{ version(id: "1") {` + strings.Repeat(" "+document, c.repeats) + " } }"
		best := time.Hour
		for range 5 {
			start := time.Now()
			_ = open(ours()).query(document)
			best = min(best, time.Since(start))
		}
		if best > patience {
			t.Errorf("%d times %s on %d levels: took %v", c.repeats, c.leaf, c.levels, best)
		}
	}
}

// TestLegitimateDocuments: what clients of ours send goes through every limit, with room.
func TestLegitimateDocuments(t *testing.T) {
	t.Parallel()
	id := "018f0000-0000-7000-8000-000000000000"
	given := map[string]map[string]any{
		"relay_queue.graphql":  variables(t, `{"count": 100, "cursor": null, "provider": 1}`),
		"request_page.graphql": variables(t, `{"id": "`+id+`"}`),
	}
	files, err := filepath.Glob("../testdata/documents/*.graphql")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d documents, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := open(ours())
		if _, errs := d.send(graphql.RawParams{Query: string(text), Variables: given[filepath.Base(file)]}); errs != nil {
			t.Errorf("%s: %v", file, errs)
		}
		if d.spent > limits.MaxCost*4/5 {
			t.Errorf("%s costs %d", file, d.spent)
		}
	}
	for _, document := range []string{
		"{ __typename }",
		"{" + many(20, " a%d: viewer { username }") + "}",
		"{ viewer {" + many(20, " username") + "} }",
		"{ __schema { types { fields { name args { name } type { ofType { ofType { ofType { ofType { ofType { ofType { name } } } } } } } } } } }",
		many(10, " query Q%d { viewer { username } }"), // the playground sends all there is
	} {
		if _, errs := open(ours()).send(graphql.RawParams{Query: document, OperationName: strings.Repeat("Q3", strings.Count(document, "Q3"))}); errs != nil {
			t.Errorf("%.60s: %v", document, errs)
		}
	}
}

// TestOperationName: what cannot be told apart is refused, without its name.
func TestOperationName(t *testing.T) {
	t.Parallel()
	two := "query A { viewer { username } } query B { providers { id } }"
	for name, served := range map[string]bool{"A": true, "B": true, "": false, "C": false, strings.Repeat("x", 100_000): false} {
		_, errs := open(ours()).send(graphql.RawParams{Query: two, OperationName: name})
		if served != (errs == nil) || !served && (errs[0].Field != "operationName" || len(errs[0].Message) > limits.MaxMessage) {
			t.Errorf("%.10s: %.300v", name, errs)
		}
	}
}

// TestNoIntrospection: the schema is a secret where it is configured so, also from who guesses.
func TestNoIntrospection(t *testing.T) {
	t.Parallel()
	closed := func() *door { return open(ours(), func(o *limits.Options) { o.Introspection = false }) }
	for document, want := range map[string]string{
		"{ __schema { types { name } } }": "GRAPHQL_VALIDATION_FAILED",
		`{ viewer { username } ...A } fragment A on Query { __type(name: "Version") { name } }`: "GRAPHQL_VALIDATION_FAILED",
		"{ __typename viewer { __typename } }":                                                  "",
	} {
		errs := closed().query(document)
		if want == "" && errs != nil || want != "" && (len(errs) == 0 || errs[0].Code != want) {
			t.Errorf("%s: %v", document, errs)
		}
	}
	for _, guess := range []string{
		"{ viewe { username } }", "{ viewer { usernam } }", "{ viewer }", "{ imageRequests(firs: 1) { totalCount } }", "{ imageRequests(orderBy: {field: NAM}) { totalCount } }",
		`{ imageRequests(orderBy: {field: "NAM"}) { totalCount } }`, "{ imageRequests(orderBy: {fiel: NAME}) { totalCount } }", "{ node(id: 1) { ... on Versio { id } } }", "{ node(id: 1) { username } }",
		"query($a: Strin) { viewer { username } }", "{ viewer @ski(if: true) { username } }", "{ ...A } fragment B on Query { viewer { username } }",
	} {
		for _, d := range []*door{closed(), open(ours())} {
			errs := d.query(guess)
			if len(errs) == 0 || errs[0].Code != "GRAPHQL_VALIDATION_FAILED" {
				t.Errorf("%s: %v", guess, errs)
			}
			for _, e := range errs {
				if strings.Contains(e.Message, "Did you mean") {
					t.Errorf("%s: %v", guess, e)
				}
			}
		}
	}
}

// TestShort cuts between characters.
func TestShort(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a", strings.Repeat("a", limits.MaxMessage), strings.Repeat("a", limits.MaxMessage+1), strings.Repeat("ä", limits.MaxMessage), "a" + strings.Repeat("ä", limits.MaxMessage), strings.Repeat("\x80", limits.MaxMessage*2), rand.Text()} {
		short := limits.Short(text)
		kept := strings.TrimSuffix(short, "…")
		if !strings.HasPrefix(text, kept) || len(kept) > limits.MaxMessage || len(text) <= limits.MaxMessage && short != text || strings.ToValidUTF8(text, "") == text && strings.ToValidUTF8(short, "") != short {
			t.Errorf("%q becomes %q", text, short)
		}
	}
}
