package graph_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"imagerequests/auth"
	"imagerequests/imaging"
)

// example is a value of the type, as a document writes it: as little as the schema asks for.
func example(schema *ast.Schema, of *ast.Type) string {
	if of.Elem != nil {
		return "[" + example(schema, of.Elem) + "]"
	}
	switch definition := schema.Types[of.NamedType]; {
	case definition.Kind == ast.Enum:
		return definition.EnumValues[0].Name
	case definition.Kind == ast.InputObject:
		var fields []string
		for _, f := range definition.Fields {
			if f.Type.NonNull && f.DefaultValue == nil {
				fields = append(fields, f.Name+": "+example(schema, f.Type))
			}
		}
		return "{" + strings.Join(fields, ", ") + "}"
	}
	return map[string]string{
		"ID": `"01980000-0000-7000-8000-000000000002"`, "Int": "1", "String": `"x"`, "Boolean": "true", "DateTime": `"2999-01-01T00:00:00Z"`,
	}[of.NamedType]
}

// Each mutation that the schema has is refused to a token that may only read, whatever its roles; the same mutation by the
// same user with another token is not refused for that.
func TestReadOnlyTokenChangesNothing(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(t)
	var secrets [2]string
	for i := range secrets {
		if secrets[i], _, err = d.store.CreateToken(t.Context(), known["admin"], imaging.Token{Username: "username", Roles: imaging.Roles, ReadOnly: i == 0}); err != nil {
			t.Fatal(err)
		}
	}
	tried := 0
	for _, f := range schema.Mutation.Fields {
		tried++
		operation := fmt.Sprintf("mutation { %s(input: %s) { __typename } }", f.Name, example(schema, f.Arguments.ForName("input").Type))
		r := d.as(secrets[0], operation, nil)
		if len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "FORBIDDEN" || r.Errors[0].Message != "This token may only read." || string(r.Data) != "null" {
			t.Errorf("%s: %s %+v", operation, r.Data, r.Errors)
		}
		for _, e := range d.as(secrets[1], operation, nil).Errors {
			if e.Message == "This token may only read." || strings.Contains(fmt.Sprint(e.Extensions["code"]), "VALIDATION") {
				t.Errorf("%s is refused to a token that may write: %+v", operation, e)
			}
		}
	}
	if tried < 19 {
		t.Errorf("only %d mutations found", tried)
	}
	r := d.as(secrets[0], `{ viewer { username readOnly } imageRequests { totalCount } version(id: "01980000-0000-7000-8000-000000000002") { exclude } }`, nil)
	if got := string(r.Data); len(r.Errors) > 0 || !strings.Contains(got, `"viewer":{"username":"username","readOnly":true}`) || !strings.Contains(got, `"exclude":""`) {
		t.Errorf("it reads %s %+v", r.Data, r.Errors)
	}
}

// With a token that may only read, events are told as to its user.
func TestReadOnlyTokenListens(t *testing.T) {
	t.Parallel()
	s := newStudio(t)
	reader := known["username"]
	reader.ReadOnly = true
	ctx := auth.WithActor(t.Context(), reader)
	sub := s.subscribeIn(ctx, `subscription { events(after: "") { action imageRequest { createdBy } } }`, nil)
	if got := sub.text(); !strings.Contains(got, `"action":`) {
		t.Errorf("it is told %s", got)
	}
}

// Admins make, list and revoke tokens through GraphQL; the secret is told once and works.
func TestTokensThroughGraphQL(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	const create = `mutation($input: CreateTokenInput!) { createToken(input: $input) { secret token { id username roles providers readOnly expiresAt revokedAt lastUsedAt } } }`
	in := map[string]any{"input": map[string]any{"username": "eve", "roles": []string{"REVIEWER"}, "providers": []int{1}, "readOnly": true}}
	type made struct {
		CreateToken struct {
			Secret string
			Token  struct {
				ID, Username string
				ReadOnly     bool
				Providers    []int
				LastUsedAt   *string
			}
		}
	}
	token := data[made](t, d.as("admin", create, in)).CreateToken
	if len(token.Secret) != 43 || token.Token.Username != "eve" || !token.Token.ReadOnly || len(token.Token.Providers) != 1 || token.Token.LastUsedAt != nil {
		t.Errorf("made %+v", token)
	}
	if r := d.as(token.Secret, "{ viewer { username roles readOnly } }", nil); string(r.Data) != `{"viewer":{"username":"eve","roles":["REVIEWER"],"readOnly":true}}` {
		t.Errorf("its bearer is %s", r.Data)
	}
	const tokens = "{ tokens { nodes { id username revokedAt } totalCount } }"
	listed := d.as("admin", tokens, nil)
	if !strings.Contains(string(listed.Data), token.Token.ID) || strings.Contains(string(listed.Data), token.Secret) {
		t.Errorf("the list is %s", listed.Data)
	}
	revoke := map[string]any{"input": map[string]any{"token": token.Token.ID}}
	const revokeToken = "mutation($input: RevokeTokenInput!) { revokeToken(input: $input) { token { revokedAt } } }"
	for _, user := range []string{"", "username", "reviewer"} {
		for operation, variables := range map[string]map[string]any{create: in, tokens: nil, revokeToken: revoke} {
			want := "FORBIDDEN"
			if user == "" {
				want = "UNAUTHENTICATED"
			}
			if r := d.as(user, operation, variables); len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != want {
				t.Errorf("%q: %s: %s %+v", user, operation, r.Data, r.Errors)
			}
		}
	}
	if r := d.as("admin", revokeToken, revoke); len(r.Errors) > 0 || strings.Contains(string(r.Data), "null") {
		t.Errorf("it is revoked: %s %+v", r.Data, r.Errors)
	}
	if w := d.post(token.Secret, []byte(`{"query":"{ viewer { username } }"}`)); w.Code != 401 {
		t.Errorf("after that it is answered %d %s", w.Code, w.Body)
	}
	if r := d.as("admin", create, map[string]any{"input": map[string]any{"username": "", "roles": []string{}}}); len(r.Errors) != 2 || r.Errors[0].Extensions["field"] != "username" {
		t.Errorf("a token that cannot be: %+v", r.Errors)
	}
}
