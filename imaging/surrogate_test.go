package imaging

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMarkSurrogates(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, text, want string }{
		{"nothing", ``, ``},
		{"no escape", `"é𝔵"`, `"é𝔵"`},
		{"a pair", `"\ud83d\ude00"`, `"\ud83d\ude00"`},
		{"a pair in upper case", `"\uD83D\uDE00"`, `"\uD83D\uDE00"`},
		{"the first and the last pair", `"\ud800\udc00\udbff\udfff"`, `"\ud800\udc00\udbff\udfff"`},
		{"beside the surrogates", `"\ud7ff\ue000\ufffd"`, `"\ud7ff\ue000\ufffd"`},
		{"a high one alone", `"\ud800"`, `"\u0000"`},
		{"a low one alone", `"\uDFFF"`, `"\u0000"`},
		{"a high one before a letter", `"\ud800x"`, `"\u0000x"`},
		{"a high one before another escape", `"\ud800\n\u0041"`, `"\u0000\n\u0041"`},
		{"two high ones", `"\ud800\ud800"`, `"\u0000\u0000"`},
		{"a high one before a pair", `"\ud800\ud83d\ude00"`, `"\u0000\ud83d\ude00"`},
		{"a pair before a low one", `"\ud83d\ude00\ude00"`, `"\ud83d\ude00\u0000"`},
		{"the halves the wrong way round", `"\ude00\ud83d"`, `"\u0000\u0000"`},
		{"in a key", `{"\ud800":1}`, `{"\u0000":1}`},
		{"a backslash before", `"\\ud800"`, `"\\ud800"`},
		{"two backslashes before", `"\\\ud800"`, `"\\\u0000"`},
		{"a high one before an escaped backslash", `"\ud800\\udc00"`, `"\u0000\\udc00"`},
		{"cut off", `"\ud80`, `"\ud80`},
		{"a lone backslash", `\`, `\`},
		{"a high one at the end", `\ud800`, `\u0000`},
		{"a high one before what is cut off", `\ud800\udc0`, `\u0000\udc0`},
		{"no number", `"\ud8gg"`, `"\ud8gg"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := []byte(test.text)
			MarkSurrogates(text)
			if string(text) != test.want {
				t.Errorf("%s became %s, want %s", test.text, text, test.want)
			}
		})
	}
}

func FuzzMarkSurrogates(f *testing.F) {
	for _, text := range []string{
		`"\ud83d\ude00"`, `"\ud800"`, `"\udfff"`, `"\ud800\ud800\udc00"`, `{"a":["\ufffd","�",{"\uD800":1}]}`, `"\\ud800"`, `"\\\ud800\\"`,
		`\ud800\u`, `\`, `"\ud800\`, "\"\xff\"", `"\UD800"`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		marked := bytes.Clone(text)
		MarkSurrogates(marked)
		if len(marked) != len(text) {
			t.Fatalf("%d bytes became %d", len(text), len(marked))
		}
		again := bytes.Clone(marked)
		MarkSurrogates(again)
		if !bytes.Equal(again, marked) {
			t.Errorf("%q became %q the first time and %q the second", text, marked, again)
		}
		if !json.Valid(text) || !utf8.Valid(text) { // invalid UTF-8 is refused before
			return
		}
		before, after := decoded(t, text), decoded(t, marked)
		literal := strings.Count(string(text), "\ufffd") + strings.Count(strings.ToLower(string(text)), `\ufffd`)
		switch n := strings.Count(after, "\ufffd"); {
		case n > literal:
			t.Errorf("%s decodes to %q, with U+FFFD that nobody wrote", text, after)
		case strings.Count(before, "\ufffd") == n && !bytes.Equal(marked, text):
			t.Errorf("%s became %s although it held no lone surrogate", text, marked)
		}
	})
}

// decoded are all texts of a JSON document, keys included, one after the other.
func decoded(t *testing.T, text []byte) string {
	var b strings.Builder
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return b.String()
		}
		if s, ok := token.(string); ok {
			b.WriteString(s)
		}
	}
}
