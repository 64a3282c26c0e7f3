package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imagerequests/imaging"
)

// TestBareNames holds what is forgiven: names without quotes, and nothing else.
func TestBareNames(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("{a:", maxBareDepth) + "1" + strings.Repeat("}", maxBareDepth)
	for text, want := range map[string]string{
		`{a:1}`:                    `{"a":1}`,
		`{a : 1 , _b$9: {c:[]} }`:  `{"a":1,"_b$9":{"c":[]}}`,
		`{"a":"b:1,","c":[{d:2}]}`: `{"a":"b:1,","c":[{"d":2}]}`,
		`{a:"\"b:1,\\",c:3}`:       `{"a":"\"b:1,\\","c":3}`,
		`{true:false,null:null}`:   `{"true":false,"null":null}`,
		`[{x:1},{"y":2}]`:          `[{"x":1},{"y":2}]`,
		"{\n\ta\n:\r1}":            `{"a":1}`,
		deep:                       strings.ReplaceAll(deep, "a", `"a"`),
	} {
		got, err := parseJSON([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		expected, err := parseJSON([]byte(want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

// TestSyntaxErrors holds the words of Python's json and the places it names; texts with bare names get the same.
func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	const name, value, comma = "Expecting property name enclosed in double quotes", "Expecting value", "Expecting ',' delimiter"
	for _, c := range []struct{ text, want string }{
		{``, value + ": line 1 column 1 (char 0)"},
		{" \n ", value + ": line 2 column 2 (char 3)"},
		{`{`, name + ": line 1 column 2 (char 1)"},
		{`{"a"}`, "Expecting ':' delimiter: line 1 column 5 (char 4)"},
		{`{"a":}`, value + ": line 1 column 6 (char 5)"},
		{`{"a":1`, comma + ": line 1 column 7 (char 6)"},
		{`{"a":1,}`, name + ": line 1 column 8 (char 7)"},
		{`[1,]`, value + ": line 1 column 4 (char 3)"},
		{`[1 2]`, comma + ": line 1 column 4 (char 3)"},
		{`{"a":[}`, value + ": line 1 column 7 (char 6)"},
		{`{"a":1]`, comma + ": line 1 column 7 (char 6)"},
		{`{} x`, "Extra data: line 1 column 4 (char 3)"},
		{`01`, "Extra data: line 1 column 2 (char 1)"},
		{`[1.]`, comma + ": line 1 column 3 (char 2)"},
		{`-`, value + ": line 1 column 1 (char 0)"},
		{`[1e]`, comma + ": line 1 column 3 (char 2)"},
		{`NaN`, value + ": line 1 column 1 (char 0)"},
		{`[-Infinity]`, value + ": line 1 column 2 (char 1)"},
		{`{"é":"ü" x}`, comma + ": line 1 column 10 (char 9)"},
		{"{\"é\":\n \"ü\" x}", comma + ": line 2 column 6 (char 11)"},
		{`["a`, "Unterminated string starting at: line 1 column 2 (char 1)"},
		{`["a\`, "Unterminated string starting at: line 1 column 2 (char 1)"},
		{"[\"a\x01\"]", "Invalid control character at: line 1 column 4 (char 3)"},
		{`["\x"]`, `Invalid \escape: line 1 column 3 (char 2)`},
		{`["\u12g4"]`, `Invalid \uXXXX escape: line 1 column 4 (char 3)`},
		{`["\u+123"]`, `Invalid \uXXXX escape: line 1 column 4 (char 3)`},
		{"[\xff]", "Invalid UTF-8: line 1 column 2 (char 1)"},
		{"\ufeff1", "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)"},

		{`{a}`, name + ": line 1 column 2 (char 1)"},
		{`{a b:1}`, name + ": line 1 column 2 (char 1)"},
		{`{a-b:1}`, name + ": line 1 column 2 (char 1)"},
		{`{1a:1}`, name + ": line 1 column 2 (char 1)"},
		{`{'a':1}`, name + ": line 1 column 2 (char 1)"},
		{`{é:1}`, name + ": line 1 column 2 (char 1)"},
		{`{a:b}`, value + ": line 1 column 4 (char 3)"},
		{`{a:'b'}`, value + ": line 1 column 4 (char 3)"},
		{`{a:1,}`, name + ": line 1 column 6 (char 5)"},
		{`{a:1,b`, name + ": line 1 column 6 (char 5)"},
		{`{a:1}{b:2}`, "Extra data: line 1 column 6 (char 5)"},
		{`{a:0x10}`, comma + ": line 1 column 5 (char 4)"},
		{"{\n  a: 1,\n  b: ]\n}", value + ": line 3 column 6 (char 15)"},
		{"{a:1 // x\n}", comma + ": line 1 column 6 (char 5)"},
		{`a:1`, value + ": line 1 column 1 (char 0)"},
		{`[a:1]`, value + ": line 1 column 2 (char 1)"},
		{strings.Repeat("[", maxDepth+1), "Too deeply nested: line 1 column 10001 (char 10000)"},
		{strings.Repeat("{a:", maxBareDepth+1), "Too deeply nested: line 1 column 193 (char 192)"},
		{"{" + strings.Repeat("a", maxBareName+1) + ":1}", name + ": line 1 column 2 (char 1)"},
	} {
		_, err := parseJSON([]byte(c.text))
		var refused *refusal
		if !errors.As(err, &refused) || refused.status != 400 || refused.err.Message != "JSON parse error - "+c.want {
			t.Errorf("%.40q:\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

// FuzzBody shows that valid JSON means what it always means, that what is invalid stays so but for bare names, and that
// nothing panics.
func FuzzBody(f *testing.F) {
	for _, s := range []string{`{}`, `{a:1}`, `{"a":{b:[1,{c:null}]}}`, `{a:"\"b:1,"}`, `[{x:1},-0.5e+1]`, `{a:"\\",b:1}`, `{true:false}`, `"\ud800"`, "\ufeff", `{"a":"\u00e`, "[\xff]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		text = append([]byte{}, text...)
		imaging.MarkSurrogates(text)
		strict := json.Valid(text) && bytes.Equal(bytes.ToValidUTF8(text, nil), text)
		got, err := parseJSON(append([]byte{}, text...))
		if strict {
			var want any
			d := json.NewDecoder(bytes.NewReader(text))
			d.UseNumber()
			if d.Decode(&want) != nil || err != nil || !reflect.DeepEqual(want, got) {
				t.Fatalf("%q: %v, %v, want %v", text, got, err, want)
			}
			return
		}
		s := scanner{text: text, bare: true}
		switch fault := s.scan(); {
		case err == nil && (fault != nil || len(s.names) == 0):
			t.Fatalf("%q is accepted: %v", text, got)
		case err == nil && !json.Valid(quoted(text, s.names)):
			t.Fatalf("%q becomes %q", text, quoted(text, s.names))
		case err != nil && !strings.Contains(err.Error(), "JSON parse error - "):
			t.Fatalf("%q: %v", text, err)
		}
	})
}

// FuzzFields shows that whatever is sent for a field either is refused or becomes an input that the domain may check,
// with all errors under documented names.
func FuzzFields(f *testing.F) {
	for _, s := range []string{`"a,b"`, `["a",1,null,{}]`, `null`, `{}`, `1e400`, `" 1.0 "`, `"select"`, `["x"]`, `-0`, `"\u0000"`, `true`} {
		f.Add(s, s, s, s)
	}
	f.Fuzz(func(t *testing.T, tags, vis, shared, provider string) {
		body := `{"tags":` + tags + `,"vis":` + vis + `,"shared_with":` + shared + `,"provider":` + provider + `,"exclude":` + tags + `}`
		fields, err := parseObject([]byte(body))
		if err != nil {
			return
		}
		s := submission{body: fields}
		in := s.read()
		problems := append(s.problems, in.Problems(imaging.Actor{Username: "u"})...)
		if len(s.problems) == 0 && (in.Tags == nil || !in.Visibility.Valid()) {
			t.Fatalf("%s became %+v", body, in)
		}
		for _, p := range problems {
			if name := s.name(p.Field); name == "" && place(p.Field) < 0 {
				t.Fatalf("%s: %v has no name here", body, p)
			}
		}
		if answer := fieldErrors(s.sorted(s.problems)); !json.Valid(answer) {
			t.Fatalf("%s: %s", body, answer)
		}
	})
}

// FuzzQuery shows that any query can be read, and written again so that it is read the same.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"", "a=1&a=2", "%zz=%", "a=%e9;b=2", "&&=&", "a=b=c+d", "%%41=%2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		v := parseQuery(query)
		if diff := cmp.Diff(v, parseQuery(url.Values(v).Encode())); diff != "" {
			t.Fatalf("%q: %s", query, diff)
		}
	})
}
