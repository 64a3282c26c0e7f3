package limits_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"imagerequests/graph/limits"
	"imagerequests/imaging"
)

func sha(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

func persisted(hash string) map[string]any {
	return map[string]any{"persistedQuery": map[string]any{"version": json.Number("1"), "sha256Hash": hash}}
}

const (
	one   = "{ viewer { username } }"
	other = "{ providers { id } }"
)

// TestPersistedQueries is Apollo's protocol: the hash alone, then the hash with the text, then the hash alone again.
func TestPersistedQueries(t *testing.T) {
	t.Parallel()
	d := open(ours())
	step := func(what string, p graphql.RawParams, want string) {
		t.Helper()
		got, errs := d.send(p)
		switch {
		case want == one && (errs != nil || got.Query != one):
			t.Errorf("%s: %q %v", what, got.Query, errs)
		case want != one && (len(errs) != 1 || errs[0].String() != want):
			t.Errorf("%s: %v\nwant %s", what, errs, want)
		}
	}
	const unknown = "PERSISTED_QUERY_NOT_FOUND : PersistedQueryNotFound"
	alone, both := graphql.RawParams{Extensions: persisted(sha(one))}, graphql.RawParams{Query: one, Extensions: persisted(sha(one))}
	step("the hash of what nobody sent", alone, unknown)
	step("the text without its hash", graphql.RawParams{Query: one}, one)
	step("which was not to be remembered", alone, unknown)
	step("another's hash", graphql.RawParams{Query: one, Extensions: persisted(sha(other))}, "INVALID extensions.persistedQuery.sha256Hash: The hash is not that of the query.")
	step("is not remembered", graphql.RawParams{Extensions: persisted(sha(other))}, unknown)
	step("the hash and the text", both, one)
	step("the hash alone", alone, one)
	step("as a documentId", graphql.RawParams{Extensions: map[string]any{"documentId": "sha256:" + sha(one)}}, one)
	step("of several operations", graphql.RawParams{OperationName: "A", Extensions: persisted(sha(one))}, "INVALID operationName: The document has no operation of this name, or several and none was named.")
	step("nothing", graphql.RawParams{}, "INVALID query: query is missing.")
	for _, bad := range []any{
		nil, "", 1, true, []any{}, map[string]any{}, map[string]any{"version": json.Number("2"), "sha256Hash": sha(one)}, map[string]any{"sha256Hash": sha(one)},
		map[string]any{"version": json.Number("1")}, map[string]any{"version": json.Number("1"), "sha256Hash": 1},
	} {
		want := "INVALID extensions.persistedQuery: persistedQuery takes version 1 and sha256Hash."
		if bad == nil {
			want = "INVALID query: query is missing."
		}
		step(fmt.Sprint(bad), graphql.RawParams{Extensions: map[string]any{"persistedQuery": bad}}, want)
	}
}

// TestOnlyGoodDocumentsAreRemembered: what is refused for what it is does not get a hash; what is refused for how often or
// with which variables it comes, does.
func TestOnlyGoodDocumentsAreRemembered(t *testing.T) {
	t.Parallel()
	for text, remembered := range map[string]bool{
		"{": false, "{ nothing }": false, "{" + many(300, " providers") + "}": false, one + " #" + strings.Repeat("x", limits.MaxDocument): false,
		"query($n: Int!) { imageRequests(first: $n) { totalCount } }": true,
	} {
		d := open(ours())
		if _, errs := d.send(graphql.RawParams{Query: text, Extensions: persisted(sha(text))}); errs == nil {
			t.Errorf("%.50s is served", text)
		}
		_, errs := d.send(graphql.RawParams{Extensions: persisted(sha(text))})
		if got := errs[0].Code != "PERSISTED_QUERY_NOT_FOUND"; got != remembered {
			t.Errorf("%.50s is remembered: %v", text, got)
		}
	}
}

// TestPersistedQueriesAreForgotten: hundreds of large ones leave no more than their share.
func TestPersistedQueriesAreForgotten(t *testing.T) {
	t.Parallel()
	d := open(ours())
	text := func(i int) string { return fmt.Sprintf("%s #%d %s", one, i, strings.Repeat("x", 16_000)) }
	for i := range 400 {
		if _, errs := d.send(graphql.RawParams{Query: text(i), Extensions: persisted(sha(text(i)))}); errs != nil {
			t.Fatal(errs)
		}
	}
	known := 0
	for i := range 400 {
		if _, errs := d.send(graphql.RawParams{Extensions: persisted(sha(text(i)))}); errs == nil {
			known++
		}
	}
	if known < 200 || known > 300 {
		t.Errorf("%d of 400 are remembered", known)
	}
	if _, errs := d.send(graphql.RawParams{Extensions: persisted(sha(text(399)))}); errs != nil {
		t.Errorf("not the last: %v", errs)
	}
}

// TestTrustedDocuments: with a list, only what is on it is carried out, by its id or word for word.
func TestTrustedDocuments(t *testing.T) {
	t.Parallel()
	file, err := json.Marshal(map[string]string{sha(one): one, "f3a1": other})
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := limits.Trust(ours(), true, file)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		p    graphql.RawParams
		want string // the text that is carried out, or the code
	}{
		"by Apollo's hash":          {graphql.RawParams{Extensions: persisted(sha(one))}, one},
		"by documentId":             {graphql.RawParams{Extensions: map[string]any{"documentId": sha(one)}}, one},
		"by documentId with prefix": {graphql.RawParams{Extensions: map[string]any{"documentId": "sha256:" + sha(one)}}, one},
		"by an id of another kind":  {graphql.RawParams{Extensions: map[string]any{"documentId": "f3a1"}}, other},
		"word for word":             {graphql.RawParams{Query: one}, one},
		"both":                      {graphql.RawParams{Query: one, Extensions: persisted(sha(one))}, one},
		"almost":                    {graphql.RawParams{Query: one + " "}, "FORBIDDEN"},
		"another":                   {graphql.RawParams{Query: "{ __typename }"}, "FORBIDDEN"},
		"another with its hash":     {graphql.RawParams{Query: "{ __typename }", Extensions: persisted(sha("{ __typename }"))}, "FORBIDDEN"},
		"another under a known id":  {graphql.RawParams{Query: "{ __typename }", Extensions: map[string]any{"documentId": "f3a1"}}, "FORBIDDEN"},
		"an unknown id":             {graphql.RawParams{Extensions: map[string]any{"documentId": "f3a2"}}, "PERSISTED_QUERY_NOT_FOUND"},
		"an unknown hash":           {graphql.RawParams{Extensions: persisted(sha(other))}, "PERSISTED_QUERY_NOT_FOUND"},
		"nothing":                   {graphql.RawParams{}, "INVALID"},
	} {
		d := open(ours(), func(o *limits.Options) { o.Trusted = trusted })
		for range 2 { // the first leaves no way in for the second
			got, errs := d.send(c.p)
			if errs == nil && got.Query != c.want || errs != nil && errs[0].Code != c.want {
				t.Errorf("%s: %q %v, want %s", name, got.Query, errs, c.want)
			}
		}
	}
	for file, want := range map[string]string{
		`{}`: "no document", `[]`: "not a JSON object", `{"a": 1}`: "not a JSON object", `null`: "no document", `{"a": "{ nothing }"}`: "document a: ",
		`{"a": "{"}`: "document a: ", `{"` + sha(one) + `": "{ __typename }"}`: "another SHA-256",
	} {
		if _, err := limits.Trust(ours(), true, []byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", file, err)
		}
	}
	if _, err := limits.Trust(ours(), false, []byte(`{"a": "{ __schema { types { name } } }"}`)); err == nil {
		t.Error("a document that will be refused is trusted")
	}
}

// TestNothingLeft: who cannot pay is refused before anything is parsed, and who cannot pay for all of it before it is carried
// out; the bill tells both.
func TestNothingLeft(t *testing.T) {
	t.Parallel()
	empty := imaging.Errorf(imaging.Limited, "Wait.")
	budget := 0
	d := open(ours(), func(o *limits.Options) {
		o.Spend = func(_ context.Context, points int) (int, error) {
			if points > budget {
				return budget, empty
			}
			budget -= points
			return budget, nil
		}
	})
	for i, step := range []struct {
		budget          int
		query           string
		refused         bool
		requested, left int
	}{
		{100, "{", true, 200, 100},
		{300, "{ imageRequests(first: 100) { nodes { id name } edges { cursor } } }", true, 312, 100},
		{312, "{ imageRequests(first: 100) { nodes { id name } edges { cursor } } }", false, 312, 0},
		{1000, one, false, 200, 800},
	} {
		budget = step.budget
		op := &graphql.OperationContext{}
		ctx := graphql.WithOperationContext(context.Background(), op)
		err := d.MutateOperationParameters(ctx, &graphql.RawParams{Query: step.query})
		if refused := err != nil; refused != step.refused || refused && !errors.Is(err, empty) {
			t.Errorf("step %d: %v", i, err)
		}
		bill, _ := op.Stats.GetExtension("cost").(*limits.Bill)
		if bill == nil || bill.Requested != step.requested || bill.Remaining == nil || *bill.Remaining != step.left {
			t.Errorf("step %d: %+v", i, bill)
		}
	}
}

// TestAnswersAreBounded: an answer tells some of its errors, however many there are.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, limits.MaxAnswer, limits.MaxAnswer + 1, 10_000} {
		r := open(ours()).InterceptResponse(context.Background(), func(context.Context) *graphql.Response {
			return &graphql.Response{Errors: make(gqlerror.List, n)}
		})
		if len(r.Errors) != min(n, limits.MaxAnswer) {
			t.Errorf("of %d errors %d are told", n, len(r.Errors))
		}
	}
	if r := open(ours()).InterceptResponse(context.Background(), func(context.Context) *graphql.Response { return nil }); r != nil {
		t.Errorf("the end of a stream becomes %+v", r)
	}
}
