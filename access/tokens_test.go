package access_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// ofTokens are the operations on tokens, which only admins may. A service whose schema has none of them has none of their cells.
var ofTokens = map[string]string{
	"tokens":      `{ tokens(first: 100) { totalCount nodes { id username roles } } }`,
	"createToken": `mutation { createToken(input: {username: "new", roles: [REQUESTER]}) { token { id } secret } }`,
	"revokeToken": `mutation ($id: ID!) { revokeToken(input: {token: $id}) { token { id revokedAt } } }`,
}

// TestTokens: nobody but an admin learns of a token, makes or ends one; whether an id is a token's is told to nobody else.
func TestTokens(t *testing.T) {
	t.Parallel()
	h := open(t)
	var cells []func()
	for name, query := range ofTokens {
		kind := "Mutation"
		if strings.HasPrefix(query, "{") {
			kind = "Query"
		}
		if !slices.Contains(h.fields(t, kind), name) {
			continue
		}
		for _, a := range actors {
			victim := actor{name: "victim of " + name + " as " + a.name, username: "victim-of-" + name + "-as-" + strings.ReplaceAll(a.name, " ", "-"), roles: []string{"REQUESTER"}}
			h.tokens[victim.name] = h.token(t, victim)
			var id string
			if err := h.sql.QueryRowContext(t.Context(), "SELECT id::text FROM tokens WHERE username = $1", victim.username).Scan(&id); err != nil {
				t.Fatal(err)
			}
			cells = append(cells, func() {
				want := cmp.Or(a.refusedAdmin(), "done")
				r := h.ask(a, query, map[string]any{"id": id})
				got := r.refusal(t)
				if got == "" {
					got = "done"
				}
				if got != want {
					fail(t, "%s as %s: %s, want %s", name, a.name, got, want)
				}
				nothing := h.ask(a, query, map[string]any{"id": uuid.New()})
				if want != "done" && !same(r, nothing) {
					fail(t, "%s as %s: %s, and of an unknown id %s", name, a.name, r.body, nothing.body)
				}
				if name == "revokeToken" && want == "done" && nothing.refusal(t) != "NOT_FOUND" {
					fail(t, "%s of an unknown id as %s: %s", name, a.name, nothing.body)
				}
				if in := h.ask(victim, "{ viewer { username } }", nil).refusal(t) == ""; in != (name != "revokeToken" || want != "done") {
					fail(t, "after %s as %s the token's bearer is let in: %v", name, a.name, in)
				}
			})
		}
	}
	run(t, cells)
}

// fields are those of a type of the schema.
func (h *house) fields(t *testing.T, kind string) (names []string) {
	t.Helper()
	r := h.ask(named("anonymous"), `query ($kind: String!) { __type(name: $kind) { fields(includeDeprecated: true) { name } } }`, map[string]any{"kind": kind})
	fields, _ := at(r.answer(t).Data, "__type", "fields").([]any)
	for _, f := range fields {
		names = append(names, fmt.Sprint(at(f, "name")))
	}
	if len(names) == 0 {
		t.Errorf("%s has no fields: %s", kind, r.body)
	}
	return names
}
