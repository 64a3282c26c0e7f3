package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is read is what encoding/json reads, or refused where that refuses.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, ` { } `, `[]`, `{"a":1}x`, `{"a" : [ 1 , -2.5e+3 ] , "b" : { "" : [ ] } }`, `{"a":true,"b":false,"c":null,"a":"last"}`,
		`{"\u0061":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud800"}`, "{\"a\":\"\xff\"}", `{"a":[[1],{"b":[2,[3]]}]}`, `{"a":01}`, `{"a":"`, `{"a":1,}`, `"text"`, `{"a":12345678901234567890}`,
		"\t{\r\n\"a\"\n:\t\"b\" }\n", `{"a":"\\"}`, `{"a":"\\\"","b":"]}"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var want map[string]any
		wrong := d.Decode(&want)
		if wrong == nil {
			if _, err := d.Token(); !errors.Is(err, io.EOF) {
				wrong = errors.New("more than one value")
			}
		}
		got, err := object(text)
		if (err == nil) != (wrong == nil) {
			t.Fatalf("%q: %v, encoding/json says %v", text, err, wrong)
		}
		if diff := cmp.Diff(want, got); err == nil && diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	})
}

func BenchmarkFromBody(b *testing.B) {
	text := []byte(`{"query":"query($id: ID!) { imageRequest(id: $id) { id icon createdBy name tags description startDate endDate visibility } }","variables":{"id":"11111111-1111-4111-8111-111111111111"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, refused := fromBody(text); refused != nil {
			b.Fatal(refused)
		}
	}
}
