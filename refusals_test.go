package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

const (
	blank       = "This field may not be blank."
	required    = "This field is required."
	unstorable  = "Null characters and lone surrogates are not allowed."
	featured    = "The tag Featured is given by staff."
	onlyUsers   = "Users can only be named with visibility USERS."
	nameUsers   = "Name at least one user, or choose visibility PRIVATE."
	nameUsersIn = "Name at least one user, or choose vis private."

	noVisibility = "INVALID visibility: visibility must be one of PUBLIC, PRIVATE, USERS."
)

// badInputs are inputs that nobody may store, each as both doors are sent it, and all that each door says of it.
var badInputs = []struct {
	name    string
	graphql members
	status  int      // of the GraphQL answer; 0: 200
	want    []string // as refusal's String
	rest    members  // nil: as graphql
	headers []string
	body    string // of the REST answer, which is a 400
}{
	{name: "unknown provider", graphql: members{"provider": "77"},
		want: []string{"INVALID provider: There is no provider 77."}, body: `{"provider":["There is no provider 77."]}`},
	{name: "negative provider", graphql: members{"provider": "-1"},
		want: []string{"INVALID provider: There is no provider -1."}, body: `{"provider":["There is no provider -1."]}`},
	{name: "inactive provider", graphql: members{"provider": "2"},
		want: []string{"INVALID provider: Provider 2 takes no new requests."}, body: `{"provider":["Provider 2 takes no new requests."]}`},
	{name: "provider beyond 32 bits", graphql: members{"provider": "99999999999"},
		want: []string{"INVALID provider: provider must be a whole number from -2147483648 to 2147483647."}, body: `{"provider":["There is no provider 99999999999."]}`},
	{name: "bad uuid", graphql: members{"instance": `"74089c18-f80a"`},
		want: []string{"INVALID instance: Must be a valid UUID."}, body: `{"instance":["Must be a valid UUID."]}`},
	{name: "nil uuid", graphql: members{"instance": `"00000000-0000-0000-0000-000000000000"`},
		want: []string{"INVALID instance: Must be a valid UUID."}, body: `{"instance":["Must be a valid UUID."]}`},
	{name: "empty name", graphql: members{"name": `""`},
		want: []string{"INVALID name: " + blank}, body: `{"name":["` + blank + `"]}`},
	{name: "blank name", graphql: members{"name": `" \t\u2003\n"`},
		want: []string{"INVALID name: " + blank}, body: `{"name":["` + blank + `"]}`},
	{name: "257 characters", graphql: members{"name": quote(strings.Repeat("é", 257))},
		want: []string{"INVALID name: Ensure this field has no more than 256 characters."}, body: `{"name":["Ensure this field has no more than 256 characters."]}`},
	{name: "5,000 tags", graphql: members{"tags": "[" + strings.Repeat(`"tag",`, 4999) + `"tag"]`},
		want: []string{"INVALID tags: Ensure this field has no more than 64 elements."}, body: `{"tags":["Ensure this field has no more than 64 elements."]}`},
	{name: "a long tag and a blank one", graphql: members{"tags": `["a",` + quote(strings.Repeat("x", 129)) + `," "]`},
		want: []string{"INVALID tags.1: Ensure this field has no more than 128 characters.", "INVALID tags.2: " + blank},
		body: `{"tags":{"1":["Ensure this field has no more than 128 characters."],"2":["` + blank + `"]}}`},
	{name: "NUL", graphql: members{"name": `"a\u0000b"`, "tags": `["\u0000"]`},
		want: []string{"INVALID name: " + unstorable, "INVALID tags.0: " + unstorable}, body: `{"name":["` + unstorable + `"],"tags":{"0":["` + unstorable + `"]}}`},
	{name: "a byte that is not UTF-8", graphql: members{"name": "\"\xff\""}, status: 400,
		want: []string{"INVALID : The body is not UTF-8."}, body: `{"detail":"JSON parse error - Invalid UTF-8: line 1 column 90 (char 89)"}`},
	{name: "lone surrogates", graphql: members{"name": `"\ud800"`, "description": `"\udfff\ud800"`, "exclude": `"/home/\uDBFFx"`},
		want: []string{"INVALID name: " + unstorable, "INVALID exclude: " + unstorable, "INVALID description: " + unstorable},
		body: `{"name":["` + unstorable + `"],"description":["` + unstorable + `"],"exclude":["` + unstorable + `"]}`},
	{name: "a long description", graphql: members{"description": quote(strings.Repeat("x", 16385))},
		want: []string{"INVALID description: Ensure this field has no more than 16384 characters."}, body: `{"description":["Ensure this field has no more than 16384 characters."]}`},
	{name: "a long address", graphql: members{"ipAddress": quote(strings.Repeat("1", 256))}, rest: members{"ip_address": quote(strings.Repeat("1", 256))},
		want: []string{"INVALID ipAddress: Ensure this field has no more than 255 characters."}, body: `{"ip_address":["Ensure this field has no more than 255 characters."]}`},
	{name: "sharedWith without USERS", graphql: members{"sharedWith": `["listed"]`}, rest: members{"shared_with": `["listed"]`},
		want: []string{"INVALID sharedWith: " + onlyUsers}, body: `{"shared_with":["Users can only be named with vis select."]}`},
	{name: "sharedWith with PUBLIC", graphql: members{"visibility": `"PUBLIC"`, "sharedWith": `["listed"]`}, rest: members{"vis": `"public"`, "shared_with": `["listed"]`},
		want: []string{"INVALID sharedWith: " + onlyUsers}, body: `{"shared_with":["Users can only be named with vis select."]}`},
	{name: "USERS without sharedWith", graphql: members{"visibility": `"USERS"`}, rest: members{"vis": `"select"`},
		want: []string{"INVALID sharedWith: " + nameUsers}, body: `{"shared_with":["` + nameUsersIn + `"]}`},
	{name: "an empty list of users", graphql: members{"visibility": `"USERS"`, "sharedWith": `[]`}, rest: members{"vis": `[]`},
		want: []string{"INVALID sharedWith: " + nameUsers}, body: `{"vis":["` + nameUsersIn + `"]}`},
	{name: "users that are none", graphql: members{"visibility": `"USERS"`, "sharedWith": `["listed","a b","","c\u0001"]`}, rest: members{"vis": `["listed","a b","","c\u0001"]`},
		want: []string{"INVALID sharedWith.1: A user name has no blanks or control characters.", "INVALID sharedWith.2: " + blank, "INVALID sharedWith.3: A user name has no blanks or control characters."},
		body: `{"vis":{"1":["A user name has no blanks or control characters."],"2":["` + blank + `"],"3":["A user name has no blanks or control characters."]}}`},
	{name: "Featured", graphql: members{"tags": `["a","Featured"]`},
		want: []string{"INVALID tags.1: " + featured}, body: `{"tags":{"1":["` + featured + `"]}}`},
	{name: "Featured in another case", graphql: members{"tags": `[" fEATURED\n"]`},
		want: []string{"INVALID tags.0: " + featured}, body: `{"tags":{"0":["` + featured + `"]}}`},
	{name: "an unknown visibility", graphql: members{"visibility": `"bogus"`}, rest: members{"vis": `"bogus"`},
		want: []string{noVisibility}, body: `{"vis":["\"bogus\" is not a valid choice."]}`},
	{name: "a visibility that is a number", graphql: members{"visibility": `7`}, rest: members{"vis": `7`},
		want: []string{noVisibility}, body: `{"vis":["\"7\" is not a valid choice."]}`},
	{name: "a visibility that is an object", graphql: members{"visibility": `{}`}, rest: members{"vis": `{}`},
		want: []string{noVisibility}, body: `{"vis":["Expected a list of items but got type \"dict\"."]}`},
	{name: "a visibility that is a list", graphql: members{"visibility": `[7,{}]`}, rest: members{"vis": `[7,{}]`},
		want: []string{noVisibility}, body: `{"vis":{"1":["Not a valid string."]}}`},
	{name: "an empty key", graphql: members{"idempotencyKey": `""`}, rest: members{}, headers: []string{"Idempotency-Key: "},
		want: []string{"INVALID idempotencyKey: " + blank}, body: `{"idempotency_key":["` + blank + `"]}`},
	{name: "a long key", graphql: members{"idempotencyKey": quote(strings.Repeat("k", 256))}, rest: members{}, headers: []string{"Idempotency-Key: " + strings.Repeat("k", 256)},
		want: []string{"INVALID idempotencyKey: Ensure this field has no more than 255 characters."}, body: `{"idempotency_key":["Ensure this field has no more than 255 characters."]}`},
	{name: "a key with a tab", graphql: members{"idempotencyKey": `"a\tb"`}, rest: members{}, headers: []string{"Idempotency-Key: a\tb"},
		want: []string{"INVALID idempotencyKey: A key has printable characters only."}, body: `{"idempotency_key":["A key has printable characters only."]}`},
	{name: "a required field left out", graphql: members{"instance": ""},
		want: []string{"INVALID instance: instance is required."}, body: `{"instance":["` + required + `"]}`},
	{name: "all of them left out", graphql: members{"name": "", "instance": "", "provider": "", "visibility": ""},
		rest: members{"name": "", "instance": "", "provider": "", "vis": "", "description": "", "software": "", "exclude": "", "tags": ""},
		want: []string{"INVALID name: name is required.", "INVALID instance: instance is required.", "INVALID provider: provider is required.", "INVALID visibility: visibility is required."},
		body: `{"instance":["` + required + `"],"provider":["` + required + `"],"description":["` + required + `"],"software":["` + required +
			`"],"exclude":["` + required + `"],"tags":["` + required + `"],"vis":["` + required + `"]}`},
	{name: "many problems at once",
		graphql: members{"name": `" "`, "instance": `"x"`, "provider": "2", "description": `"\u0000"`, "tags": `["","Featured"]`, "visibility": `"USERS"`, "idempotencyKey": `"\n"`},
		rest:    members{"name": `" "`, "instance": `"x"`, "provider": "2", "description": `"\u0000"`, "tags": `["","Featured"]`, "vis": `"select"`}, headers: []string{"Idempotency-Key: \n"},
		want: []string{
			"INVALID name: " + blank, "INVALID instance: Must be a valid UUID.", "INVALID description: " + unstorable, "INVALID tags.0: " + blank,
			"INVALID tags.1: " + featured, "INVALID sharedWith: " + nameUsers, "INVALID idempotencyKey: " + blank, "INVALID provider: Provider 2 takes no new requests.",
		},
		body: `{"name":["` + blank + `"],"instance":["Must be a valid UUID."],"provider":["Provider 2 takes no new requests."],"description":["` + unstorable + `"],"tags":{"0":["` + blank +
			`"],"1":["` + featured + `"]},"shared_with":["` + nameUsersIn + `"],"idempotency_key":["` + blank + `"]}`},
	{name: "5,000 lists in each other", graphql: members{"name": strings.Repeat("[", 5000) + strings.Repeat("]", 5000)},
		want: []string{"LIMITED : The variables hold more than 20000 values, or are more than 16 levels deep."}, body: `{"name":["Not a valid string."]}`},
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	before := d.content(t)
	for _, row := range badInputs {
		t.Run(row.name, func(t *testing.T) {
			g := d.requestByGraphQL("owner", row.graphql)
			if status := cmp.Or(row.status, http.StatusOK); g.status != status {
				t.Errorf("GraphQL: status %d, want %d", g.status, status)
			}
			if diff := gocmp.Diff(row.want, texts(g.graphqlRefusals(t))); diff != "" {
				t.Errorf("GraphQL (-want +got):\n%s", diff)
			}
			if row.rest == nil {
				row.rest = row.graphql
			}
			r := d.requestByREST("owner", row.rest, row.headers...)
			if r.status != http.StatusBadRequest || r.body != row.body {
				t.Errorf("REST: %d %s\nwant 400 %s", r.status, r.body, row.body)
			}
			p := d.requestByREST("owner", row.rest, append(row.headers, wantsProblem)...)
			if diff := gocmp.Diff(flat(t, "INVALID", r.body), texts(p.restRefusals(t))); diff != "" || p.status != r.status {
				t.Errorf("REST: %d, and the problem document says otherwise (-body +problem):\n%s", p.status, diff)
			}
			d.unchanged(t, before)
		})
	}
}

// TestWrongTypes sends each field values of each type that it has not.
func TestWrongTypes(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	before := d.content(t)
	const text, id, number = "Not a valid string.", "Must be a valid UUID.", "A valid integer is required."
	for _, row := range []struct{ graphql, rest, want string }{
		{"name", "name", text}, {"instance", "instance", id}, {"provider", "provider", number}, {"description", "description", text},
		{"software", "software", text}, {"sys", "sys", text}, {"exclude", "exclude", text}, {"ipAddress", "ip_address", text},
		{"tags", "tags", ""}, {"visibility", "vis", ""}, {"sharedWith", "shared_with", ""}, {"changeLog", "", ""}, {"idempotencyKey", "", ""},
	} {
		for value, kind := range map[string]string{"true": "bool", "{}": "dict", "[{}]": "list", "null": "null"} {
			if value == "null" && (row.graphql == "ipAddress" || row.graphql == "idempotencyKey") {
				continue // as good as left out
			}
			g := d.requestByGraphQL("owner", members{row.graphql: value}).graphqlRefusals(t)
			if len(g) != 1 || g[0].Code != "INVALID" || strings.TrimSuffix(g[0].Field, ".0") != row.graphql || g[0].Message == "" {
				t.Errorf("GraphQL, %s %s: %v", row.graphql, value, g)
			}
			if row.rest == "" {
				continue
			}
			changes := members{row.rest: value}
			if row.rest == "shared_with" {
				changes["vis"] = `"select"`
			}
			r := d.requestByREST("owner", changes)
			want := fmt.Sprintf(`{"%s":[%q]}`, row.rest, row.want)
			switch field := row.rest; {
			case value == "null":
				want = fmt.Sprintf(`{"%s":["This field may not be null."]}`, field)
			case row.want == "" && value == "[{}]":
				want = fmt.Sprintf(`{"%s":{"0":["Not a valid string."]}}`, field)
			case field == "vis" && value == "true":
				want = `{"vis":["\"True\" is not a valid choice."]}`
			case row.want == "":
				want = fmt.Sprintf(`{"%s":["Expected a list of items but got type \"%s\"."]}`, field, kind)
			}
			if r.status != http.StatusBadRequest || r.body != want {
				t.Errorf("REST, %s %s: %d %s\nwant 400 %s", row.rest, value, r.status, r.body, want)
			}
		}
	}
	if g := d.requestByGraphQL("owner", members{"status": `"APPROVED"`}).graphqlRefusals(t); len(g) != 1 || g[0].Field != "status" {
		t.Errorf("a field that is not in the schema: %v", g)
	}
	d.unchanged(t, before)
}

// texts are the refusals as texts, none but empty.
func texts(refusals []refusal) []string {
	all := make([]string, len(refusals))
	for i, r := range refusals {
		all[i] = r.String()
	}
	return all
}

// flat is a REST answer of errors as the texts of refusals with this code, in the order of its members.
func flat(t testing.TB, code, body string) []string {
	t.Helper()
	var all []string
	var walk func(d *json.Decoder, field string)
	walk = func(d *json.Decoder, field string) {
		token, err := d.Token()
		if err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			for d.More() {
				name := ""
				if token == json.Delim('{') {
					key, _ := d.Token()
					name = fmt.Sprint(key)
				}
				walk(d, strings.Trim(field+"."+name, "."))
			}
			_, _ = d.Token()
		default:
			if field == "detail" || field == "non_field_errors" {
				field = ""
			}
			all = append(all, refusal{Code: code, Field: field, Message: fmt.Sprint(token)}.String())
		}
	}
	walk(json.NewDecoder(strings.NewReader(body)), "")
	return all
}
