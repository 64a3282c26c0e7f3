package limits_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
	"pgregory.net/rapid"

	"imagerequests/graph/limits"
)

// kinds is a schema that has every kind of input there is.
var kinds = gqlparser.MustLoadSchema(&ast.Source{Input: `
	type Query {
		q(int: Int, ints: [Int], nested: [[Int!]!], float: Float, text: String, flag: Boolean, id: ID, needed: Int!, enum: Color, enums: [Color!], time: Time, in: In, ins: [In!], one: One, ones: [One!]): Int
	}
	scalar Time
	enum Color { RED GREEN }
	input In { need: Int! give: Int! = 7 text: String colors: [Color!] deep: In }
	input One @oneOf { a: Int b: String in: In }
`})

// TestVariables is the specification's section on input coercion: what each type takes, what becomes of it, and what is said of
// the rest, by its field.
func TestVariables(t *testing.T) {
	t.Parallel()
	const fits = ""
	for _, c := range []struct {
		kind, json string // JSON of the variable "v"; "" if it is not given
		want       any    // if it fits
		refused    string // the fields, if not
	}{
		{"Int", `3`, int64(3), fits},
		{"Int", `-2147483648`, int64(-1 << 31), fits},
		{"Int", `2147483647`, int64(1<<31 - 1), fits},
		{"Int", `2147483648`, nil, "v"},
		{"Int", `-2147483649`, nil, "v"},
		{"Int", `1.0`, int64(1), fits},
		{"Int", `1e3`, int64(1000), fits},
		{"Int", `1.5`, nil, "v"},
		{"Int", `1e400`, nil, "v"},
		{"Int", `123456789012345678901234567890`, nil, "v"},
		{"Int", `"3"`, nil, "v"},
		{"Int", `""`, nil, "v"},
		{"Int", `true`, nil, "v"},
		{"Int", `{}`, nil, "v"},
		{"Int", `[3]`, nil, "v"},
		{"Int", `null`, nil, fits},
		{"Int", ``, cmp.Options{}, fits}, // absent stays absent
		{"Int!", `3`, int64(3), fits},
		{"Int!", `null`, nil, "v"},
		{"Int!", ``, nil, "v"},
		{"Int = 5", ``, int64(5), fits},
		{"Int = 5", `null`, nil, fits},
		{"Int! = 5", ``, int64(5), fits},
		{"Int! = 5", `null`, nil, "v"},
		{"Float", `1`, 1.0, fits},
		{"Float", `1.5`, 1.5, fits},
		{"Float", `1e400`, nil, "v"},
		{"Float", `"1.5"`, nil, "v"},
		{"Float", `true`, nil, "v"},
		{"Float = 5", ``, 5.0, fits},
		{"String", `"a"`, "a", fits},
		{"String", `""`, "", fits},
		{"String", `5`, nil, "v"},
		{"String", `true`, nil, "v"},
		{"String", `["a"]`, nil, "v"},
		{"Boolean", `true`, true, fits},
		{"Boolean", `"true"`, nil, "v"},
		{"Boolean", `1`, nil, "v"},
		{"Boolean", `0`, nil, "v"},
		{"ID", `"a"`, "a", fits},
		{"ID", `4`, "4", fits},
		{"ID", `-4`, "-4", fits},
		{"ID", `12345678901234567890123`, "12345678901234567890123", fits},
		{"ID", `4.5`, nil, "v"},
		{"ID", `4.0`, nil, "v"},
		{"ID", `true`, nil, "v"},
		{"ID = 4", ``, "4", fits},
		{"Color", `"RED"`, "RED", fits},
		{"Color", `"red"`, nil, "v"},
		{"Color", `"Red"`, nil, "v"},
		{"Color", `"BLUE"`, nil, "v"},
		{"Color", `0`, nil, "v"},
		{"Color", `true`, nil, "v"},
		{"Color = GREEN", ``, "GREEN", fits},
		{"Time", `"whatever"`, "whatever", fits}, // the scalar reads it itself
		{"Time", `5`, json.Number("5"), fits},
		{"Time!", `null`, nil, "v"},
		{"[Int]", `[1, 2, 3]`, []any{int64(1), int64(2), int64(3)}, fits},
		{"[Int]", `[1, null]`, []any{int64(1), nil}, fits},
		{"[Int]", `[]`, []any{}, fits},
		{"[Int]", `1`, []any{int64(1)}, fits},
		{"[Int]", `null`, nil, fits},
		{"[Int]", `[1, "b", true]`, nil, "v.1 v.2"},
		{"[Int]", `"b"`, nil, "v"},
		{"[Int!]", `[1, null]`, nil, "v.1"},
		{"[Int!]!", `null`, nil, "v"},
		{"[[Int]]", `[[1], [2, 3]]`, []any{[]any{int64(1)}, []any{int64(2), int64(3)}}, fits},
		{"[[Int]]", `[1, 2]`, []any{[]any{int64(1)}, []any{int64(2)}}, fits},
		{"[[Int]]", `1`, []any{[]any{int64(1)}}, fits},
		{"[[Int]]", `[[1, "a"]]`, nil, "v.0.1"},
		{"[Color!]", `"RED"`, []any{"RED"}, fits},
		{"[Color!]", `["RED", "green"]`, nil, "v.1"},
		{"[Color!] = RED", ``, []any{"RED"}, fits},
		{"[In!]", `{"need": 1}`, []any{map[string]any{"need": int64(1)}}, fits},
		{"[In!]", `[{"need": 1}, {}]`, nil, "v.1.need"},
		{"In", `{"need": 1}`, map[string]any{"need": int64(1)}, fits}, // the default is for whoever reads it
		{"In", `{"need": 1, "give": 2, "text": null}`, map[string]any{"need": int64(1), "give": int64(2), "text": nil}, fits},
		{"In", `{"need": 1, "colors": "RED"}`, map[string]any{"need": int64(1), "colors": []any{"RED"}}, fits},
		{"In", `{"need": 1, "deep": {"need": 2}}`, map[string]any{"need": int64(1), "deep": map[string]any{"need": int64(2)}}, fits},
		{"In", `{}`, nil, "need"},
		{"In", `{"need": null}`, nil, "need"},
		{"In", `{"need": 1, "give": null}`, nil, "give"},
		{"In", `{"need": "1", "text": 2, "colors": ["blue"], "other": 1, "another": 2}`, nil, "another other need text colors.0"},
		{"In", `{"need": 1, "__typename": "In"}`, nil, "__typename"},
		{"In", `{"need": 1, "deep": {"deep": {"need": 3}}}`, nil, "deep.need"},
		{"In", `"need"`, nil, "v"},
		{"In", `[{"need": 1}]`, nil, "v"},
		{"In = {need: 3, colors: RED}", ``, map[string]any{"need": int64(3), "colors": []any{"RED"}}, fits},
		{"One", `{"a": 1}`, map[string]any{"a": int64(1)}, fits},
		{"One", `{"in": {"need": 1}}`, map[string]any{"in": map[string]any{"need": int64(1)}}, fits},
		{"One", `{}`, nil, "v"},
		{"One", `{"a": 1, "b": "x"}`, nil, "v"},
		{"One", `{"a": 1, "b": null}`, nil, "v"},
		{"One", `{"a": null}`, nil, "v"},
		{"One", `{"c": 1}`, nil, "c"},
		{"One", `{"a": "1"}`, nil, "a"},
		{"[One!]", `[{"a": 1}, {"a": 1, "b": "x"}]`, nil, "v.1"},
	} {
		named := strings.Trim(strings.Split(c.kind, " ")[0], "[]!")
		use := map[string]string{"Int": "int", "Float": "float", "String": "text", "Boolean": "flag", "ID": "id", "Color": "enum", "Time": "time", "In": "in", "One": "one"}[named]
		if strings.HasPrefix(c.kind, "[") {
			use = map[string]string{"Int": "ints", "Color": "enums", "In": "ins", "One": "ones"}[named]
		}
		if strings.HasPrefix(c.kind, "[[") {
			c.kind, use = strings.Replace(c.kind, "[[Int]]", "[[Int!]!]", 1), "nested"
		}
		query := fmt.Sprintf("query($v: %s) { q(%s: $v, needed: 1) }", c.kind, use)
		given := map[string]any{}
		if c.json != "" {
			given = variables(t, `{"v": `+c.json+`}`)
		}
		p, errs := open(kinds).send(graphql.RawParams{Query: query, Variables: given})
		var fields []string
		for _, e := range errs {
			fields = append(fields, e.Field)
			if e.Code != "INVALID" || !strings.HasPrefix(e.Message, e.Field+" ") || !strings.HasSuffix(e.Message, ".") {
				t.Errorf("%s %s: %v", c.kind, c.json, e)
			}
		}
		if got := strings.Join(fields, " "); got != c.refused {
			t.Errorf("%s %s: refused %q %v, want %q", c.kind, c.json, got, errs, c.refused)
			continue
		}
		if errs != nil {
			continue
		}
		got, ok := p.Variables["v"]
		if _, absent := c.want.(cmp.Options); absent {
			if ok {
				t.Errorf("%s without a value becomes %v", c.kind, got)
			}
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" || !ok {
			t.Errorf("%s %s (-want +got):\n%s", c.kind, c.json, diff)
		}
	}
}

// TestLiterals: values in the document are as strict, by the validator; @oneOf with them.
func TestLiterals(t *testing.T) {
	t.Parallel()
	for argument, fits := range map[string]bool{
		`int: 3`: true, `int: "3"`: false, `int: 3.0`: false, `int: 99999999999999999999`: false, `int: null`: true, `int: RED`: false,
		`ints: 3`: true, `ints: [3, null]`: true, `ints: ["3"]`: false, `nested: 1`: true, `nested: [[null]]`: false,
		`float: 3`: true, `float: "3"`: false, `text: "a"`: true, `text: 5`: false, `text: A`: false, `text: """a"""`: true,
		`flag: true`: true, `flag: "true"`: false, `flag: 1`: false, `id: 4`: true, `id: "4"`: true, `id: 4.0`: false, `id: true`: false,
		`enum: RED`: true, `enum: red`: false, `enum: Red`: false, `enum: "RED"`: false, `enum: BLUE`: false, `enum: 0`: false,
		`enums: RED`: true, `enums: [RED, green]`: false, `enums: [RED, null]`: false,
		`in: {need: 1}`: true, `in: {}`: false, `in: {need: null}`: false, `in: {need: 1, give: null}`: false, `in: {need: 1, other: 1}`: false,
		`in: {need: 1, need: 2}`: false, `in: [{need: 1}]`: false, `in: {need: 1, deep: {need: "1"}}`: false, `ins: {need: 1}`: true, `ins: [{}]`: false,
		`one: {a: 1}`: true, `one: {}`: false, `one: {a: 1, b: "x"}`: false, `one: {a: null}`: false, `one: {a: 1, b: null}`: false, `one: {c: 1}`: false,
		`one: {a: $int}`: false, `one: {a: $must}`: true, `in: {need: $int}`: false, `in: {need: $must}`: true, `int: $text`: false, `ints: $int`: false, `ints: [$int]`: true, `enum: $text`: false,
		`time: "now"`: true, `time: 1`: true, `time: 99999999999999999999`: false, `time: 1e999`: false, `time: [1, {a: 99999999999999999999}]`: false,
		`other: 1`: false, `int: 1, int: 2`: false,
	} {
		var header string
		for name, kind := range map[string]string{"$int": "Int", "$must": "Int!", "$text": "String"} {
			if strings.Contains(argument, name) {
				header = "query(" + name + ": " + kind + ") "
			}
		}
		_, errs := open(kinds).send(graphql.RawParams{Query: header + "{ q(needed: 1, " + argument + ") }", Variables: map[string]any{"must": json.Number("1")}})
		if fits != (errs == nil) {
			t.Errorf("%s: fits %v, %v", argument, errs == nil, errs)
		}
		if errs != nil && errs[0].Code != "GRAPHQL_VALIDATION_FAILED" {
			t.Errorf("%s: %v", argument, errs)
		}
	}
}

// TestVariablesAreBounded in number, in depth, in what is said of them, and in what they are called.
func TestVariablesAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct {
		json, code string
		errors     int
	}{
		"as many as may be":      {`{"ints": [` + strings.TrimSuffix(strings.Repeat("1,", limits.MaxValues-10), ",") + `]}`, "", 0},
		"one list of too many":   {`{"ints": [` + strings.TrimSuffix(strings.Repeat("1,", limits.MaxValues), ",") + `]}`, "LIMITED", 1},
		"too many of no use":     {`{"other": [` + strings.TrimSuffix(strings.Repeat("[1],", limits.MaxValues), ",") + `]}`, "LIMITED", 1},
		"deep lists":             {`{"ints": ` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`, "LIMITED", 1},
		"deep objects of no use": {`{"other": ` + strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20) + `}`, "LIMITED", 1},
		"many that do not fit":   {`{"ints": [` + strings.TrimSuffix(strings.Repeat(`"1",`, 1000), ",") + `]}`, "INVALID", limits.MaxErrors},
		"a long unknown name":    {`{"in": {"need": 1, "` + long + `": 1}}`, "INVALID", 1},
		"many unknown names":     {`{"in": {"need": 1` + many(1000, `, "`+long[:100]+`%d": 1`) + `}}`, "INVALID", limits.MaxErrors},
	} {
		_, errs := open(kinds).send(graphql.RawParams{Query: "query($ints: [Int], $in: In) { q(needed: 1, ints: $ints, in: $in) }", Variables: variables(t, c.json)})
		if len(errs) != c.errors || c.errors > 0 && errs[0].Code != c.code {
			t.Errorf("%s: %d errors %.300v", name, len(errs), errs)
		}
		for _, e := range errs {
			if len(e.Field) > limits.MaxMessage+10 {
				t.Errorf("%s: a field of %d bytes", name, len(e.Field))
			}
		}
	}
}

// TestAcceptedVariablesStay: over any JSON, what the gate accepts means the same when it comes again, and the executor's own,
// looser reading takes it as it is.
func TestAcceptedVariablesStay(t *testing.T) {
	t.Parallel()
	names := []string{"need", "give", "text", "colors", "deep", "a", "b", "in"}
	var anything func(depth int) *rapid.Generator[any]
	anything = func(depth int) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			kind := rapid.IntRange(0, 9).Draw(t, "kind")
			switch {
			case kind == 0:
				return nil
			case kind == 1:
				return rapid.Bool().Draw(t, "flag")
			case kind <= 3:
				return rapid.SampledFrom([]any{"RED", "GREEN", "red", "1", ""}).Draw(t, "text")
			case kind <= 6 || depth == 0:
				return rapid.SampledFrom([]any{json.Number("1"), json.Number("-7"), json.Number("1.5"), json.Number("2e1"), json.Number("4e9"), 3.0}).Draw(t, "number")
			case kind == 7:
				return rapid.SliceOfN(anything(depth-1), 0, 3).Draw(t, "list")
			}
			return rapid.MapOfN(rapid.SampledFrom(names), anything(depth-1), 0, 4).Draw(t, "object")
		})
	}
	const query = `query($int: Int, $ints: [Int], $float: Float, $text: String, $flag: Boolean, $id: ID, $enum: Color = RED, $enums: [Color!], $in: In, $ins: [In!], $one: One, $ones: [One!]) {
		q(needed: 1, int: $int, ints: $ints, float: $float, text: $text, flag: $flag, id: $id, enum: $enum, enums: $enums, in: $in, ins: $ins, one: $one, ones: $ones) }`
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		given := map[string]any{}
		name := rapid.SampledFrom([]string{"int", "ints", "float", "text", "flag", "id", "enum", "enums", "in", "ins", "one", "ones"}).Draw(t, "name")
		given[name] = anything(3).Draw(t, "value")
		d := open(kinds)
		once, errs := d.send(graphql.RawParams{Query: query, Variables: given})
		if errs != nil {
			return
		}
		accepted++
		again, errs := d.send(graphql.RawParams{Query: query, Variables: once.Variables})
		if errs != nil {
			t.Fatalf("%v becomes %v, which is refused: %v", given, once.Variables, errs)
		}
		if diff := cmp.Diff(once.Variables, again.Variables); diff != "" {
			t.Fatalf("%v (-once +again):\n%s", given, diff)
		}
		document, _ := d.Documents().Get(t.Context(), query)
		loose, err := validator.VariableValues(kinds, document.Operations[0], once.Variables)
		if err != nil {
			t.Fatalf("%v becomes %v, which the executor refuses: %v", given, once.Variables, err)
		}
		if diff := cmp.Diff(again.Variables, loose); diff != "" {
			t.Fatalf("%v (-gate +executor):\n%s", given, diff)
		}
	})
	if accepted == 0 {
		t.Error("nothing was accepted")
	}
}
