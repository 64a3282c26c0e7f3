package limits_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"imagerequests/graph/limits"
)

// FuzzGate brings documents and variables of any kind before the gate: it never panics, never takes long, never says much, and
// never charges more than an operation may cost.
func FuzzGate(f *testing.F) {
	for _, c := range hostile {
		if len(c.document) < 2000 {
			f.Add(c.document, `{}`)
		}
	}
	files, _ := filepath.Glob("../testdata/documents/*.graphql")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), `{"count": 3, "id": 1, "first": 5, "filter": {"tags": "a", "status": ["PENDING"]}}`)
	}
	f.Add(`mutation($input: RequestImageInput!) { requestImage(input: $input) { version { id } } }`, `{"input": {"name": "a", "instance": 1, "provider": 1.0, "visibility": "PUBLIC", "tags": [null], "x": {}}}`)
	f.Add(`query($a: [Status!] = PENDING, $o: ImageRequestOrder = {field: NAME}) { imageRequests(filter: {status: $a, ids: [1]}, orderBy: $o) { totalCount } }`, `null`)
	f.Fuzz(func(t *testing.T, document, text string) {
		var given map[string]any
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		_ = decoder.Decode(&given) // else none
		best := time.Hour
		for range 3 { // a busy machine is slow for other reasons
			d := open(ours())
			start := time.Now()
			_, errs := d.send(graphql.RawParams{Query: document, Variables: given})
			best = min(best, time.Since(start))
			if len(errs) > limits.MaxErrors || d.spent < least || d.spent > limits.MaxCost {
				t.Fatalf("%q %q: spent %d, %d errors", document, text, d.spent, len(errs))
			}
			if best < patience {
				return
			}
		}
		if best > 5*patience {
			t.Errorf("%q %q: took %v", document, text, best)
		}
	})
}

// FuzzTrust reads files of documents: each is refused, or all that is in it can be carried out.
func FuzzTrust(f *testing.F) {
	for _, file := range []string{`{}`, `[]`, `null`, `{"a":"{ viewer { username } }"}`, `{"a":1}`, `{"a":"{"}`, `{"a":"{ __schema { types { name } } }"}`, `{"a":"{viewer{username}}","a":"{"}`, `{"":"{viewer{username}}"} x`} {
		f.Add([]byte(file), true)
		f.Add([]byte(file), false)
	}
	f.Fuzz(func(t *testing.T, file []byte, introspection bool) {
		trusted, err := limits.Trust(ours(), introspection, file)
		if (trusted == nil) == (err == nil) || err == nil && !json.Valid(file) {
			t.Errorf("%q: %v, %v", file, trusted, err)
		}
	})
}
