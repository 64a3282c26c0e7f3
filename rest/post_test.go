package rest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"imagerequests/imaging"
	"imagerequests/rest"
)

func mustID(t testing.TB, s string) uuid.UUID {
	t.Helper()
	id, err := uuid.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// valid is a body in which nothing is wrong but what the changes make so: members as JSON, "" to leave one out.
func valid(changes map[string]string) string {
	members := map[string]string{
		"name": `"An image"`, "instance": `"` + uuid.NewString() + `"`, "provider": `1`, "description": `""`, "software": `""`,
		"exclude": `""`, "tags": `[]`, "vis": `"public"`,
	}
	maps.Copy(members, changes)
	var all []string
	for name, value := range members {
		if value != "" {
			all = append(all, fmt.Sprintf("%q:%s", name, value))
		}
	}
	return "{" + strings.Join(all, ",") + "}"
}

// TestFieldErrors holds the framework's messages for fields, and those that are ours.
func TestFieldErrors(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const required, null, blank, text = "This field is required.", "This field may not be null.", "This field may not be blank.", "Not a valid string."
	for _, c := range []struct {
		field, value, want string // want: what stands after "field":
	}{
		{"name", `" \t"`, `["` + blank + `"]`},
		{"name", `""`, `["` + blank + `"]`},
		{"name", `null`, `["` + null + `"]`},
		{"name", `["a"]`, `["` + text + `"]`},
		{"name", `true`, `["` + text + `"]`},
		{"name", `"` + strings.Repeat("é", 257) + `"`, `["Ensure this field has no more than 256 characters."]`},
		{"name", `"a\u0000b"`, `["Null characters and lone surrogates are not allowed."]`},
		{"name", `"\ud800"`, `["Null characters and lone surrogates are not allowed."]`},
		{"instance", ``, `["` + required + `"]`},
		{"instance", `null`, `["` + null + `"]`},
		{"instance", `"abc"`, `["Must be a valid UUID."]`},
		{"instance", `7`, `["Must be a valid UUID."]`},
		{"instance", `"00000000-0000-0000-0000-000000000000"`, `["Must be a valid UUID."]`},
		{"provider", ``, `["` + required + `"]`},
		{"provider", `null`, `["` + null + `"]`},
		{"provider", `"abc"`, `["A valid integer is required."]`},
		{"provider", `""`, `["A valid integer is required."]`},
		{"provider", `1.5`, `["A valid integer is required."]`},
		{"provider", `"1e0"`, `["A valid integer is required."]`},
		{"provider", `true`, `["A valid integer is required."]`},
		{"provider", `[1]`, `["A valid integer is required."]`},
		{"provider", `77`, `["There is no provider 77."]`},
		{"provider", `-1`, `["There is no provider -1."]`},
		{"provider", `99999999999`, `["There is no provider 99999999999."]`},
		{"provider", `1e300`, `["There is no provider of that number."]`},
		{"provider", `2`, `["Provider 2 takes no new requests."]`},
		{"description", ``, `["` + required + `"]`},
		{"description", `{}`, `["` + text + `"]`},
		{"software", ``, `["` + required + `"]`},
		{"software", `null`, `["` + null + `"]`},
		{"exclude", ``, `["` + required + `"]`},
		{"sys", `null`, `["` + null + `"]`},
		{"sys", `false`, `["` + text + `"]`},
		{"ip_address", `[]`, `["` + text + `"]`},
		{"ip_address", `"` + strings.Repeat("1", 256) + `"`, `["Ensure this field has no more than 255 characters."]`},
		{"tags", ``, `["` + required + `"]`},
		{"tags", `null`, `["` + null + `"]`},
		{"tags", `7`, `["Expected a list of items but got type \"int\"."]`},
		{"tags", `{}`, `["Expected a list of items but got type \"dict\"."]`},
		{"tags", `["a",{},null," "]`, `{"1":["` + text + `"],"2":["` + null + `"],"3":["` + blank + `"]}`},
		{"tags", `["a","Featured"]`, `{"1":["The tag Featured is given by staff."]}`},
		{"tags", `"a,featured"`, `{"1":["The tag Featured is given by staff."]}`},
		{"vis", ``, `["` + required + `"]`},
		{"vis", `null`, `["` + null + `"]`},
		{"vis", `"bogus"`, `["\"bogus\" is not a valid choice."]`},
		{"vis", `"Public"`, `["\"Public\" is not a valid choice."]`},
		{"vis", `""`, `["\"\" is not a valid choice."]`},
		{"vis", `5`, `["\"5\" is not a valid choice."]`},
		{"vis", `true`, `["\"True\" is not a valid choice."]`},
		{"vis", `{}`, `["Expected a list of items but got type \"dict\"."]`},
		{"vis", `[]`, `["Name at least one user, or choose vis private."]`},
		{"vis", `["other",{},"a b"]`, `{"1":["` + text + `"],"2":["A user name has no blanks or control characters."]}`},
		{"shared_with", `"other"`, `["Expected a list of items but got type \"str\"."]`},
		{"shared_with", `["other"]`, `["Users can only be named with vis select."]`},
	} {
		a := s.post(valid(map[string]string{c.field: c.value}))
		want := fmt.Sprintf(`{"%s":%s}`, c.field, c.want)
		if a.status != http.StatusBadRequest || a.body != want {
			t.Errorf("%s %s: got  %d %s\nwant %s", c.field, c.value, a.status, a.body, want)
		}
	}
}

// TestAllErrorsAtOnce shows that fields of the wrong type do not hide what else is wrong, the provider included.
func TestAllErrorsAtOnce(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.post(`{}`).is(t, http.StatusBadRequest, `{"instance":["This field is required."],"provider":["This field is required."],`+
		`"description":["This field is required."],"software":["This field is required."],"exclude":["This field is required."],`+
		`"tags":["This field is required."],"vis":["This field is required."]}`)
	s.post(``).is(t, http.StatusBadRequest, s.post(`{}`).body)
	s.post(`{"name":" ","instance":1,"provider":77,"description":{},"software":"","exclude":"","tags":["Featured",1,[]],"vis":"select"}`, "Idempotency-Key: ").
		is(t, http.StatusBadRequest, `{"name":["This field may not be blank."],"instance":["Must be a valid UUID."],"provider":["There is no provider 77."],`+
			`"description":["Not a valid string."],"tags":{"0":["The tag Featured is given by staff."],"2":["Not a valid string."]},`+
			`"shared_with":["Name at least one user, or choose vis private."],"idempotency_key":["This field may not be blank."]}`)
	s.post(valid(map[string]string{"vis": `"select"`, "shared_with": `[null,"a b"]`})).
		is(t, http.StatusBadRequest, `{"shared_with":{"0":["This field may not be null."],"1":["A user name has no blanks or control characters."]}}`)
	s.post(valid(map[string]string{"vis": `["other"]`, "shared_with": `["other"]`})).
		is(t, http.StatusBadRequest, `{"shared_with":["Name the users either here or in vis."]}`)
	s.post(valid(map[string]string{"name": `""`, "provider": `2`, "vis": `"select"`})).
		is(t, http.StatusBadRequest, `{"name":["This field may not be blank."],"provider":["Provider 2 takes no new requests."],"shared_with":["Name at least one user, or choose vis private."]}`)
}

// TestForms holds what may be sent in more than one form, and what becomes of it.
func TestForms(t *testing.T) {
	t.Parallel()
	s := serve(t)
	type kept struct {
		Name       string
		Tags       []string
		Visibility imaging.Visibility
		SharedWith []string
		Software   string
		Provider   int
	}
	plain := kept{"An image", []string{}, imaging.Public, []string{}, "", 1}
	for _, c := range []struct {
		name    string
		changes map[string]string
		change  func(*kept)
	}{
		{"nothing", nil, func(*kept) {}},
		{"number for a text", map[string]string{"software": `123`}, func(k *kept) { k.Software = "123" }},
		{"number for a name", map[string]string{"name": `1.50`}, func(k *kept) { k.Name = "1.50" }},
		{"name with blanks", map[string]string{"name": `"  A  "`}, func(k *kept) { k.Name = "A" }},
		{"escapes", map[string]string{"name": `"\ud83d\ude00 \u00e9\/"`}, func(k *kept) { k.Name = "😀 é/" }},
		{"text for a number", map[string]string{"provider": `"1"`}, func(*kept) {}},
		{"text with blanks for a number", map[string]string{"provider": `" 1 "`}, func(*kept) {}},
		{"float for a number", map[string]string{"provider": `1.0`}, func(*kept) {}},
		{"float with an exponent", map[string]string{"provider": `10e-1`}, func(*kept) {}},
		{"tags as a list", map[string]string{"tags": `["a"," b","a",3]`}, func(k *kept) { k.Tags = []string{"a", "b", "3"} }},
		{"tags as a text", map[string]string{"tags": `"a, b,,c,"`}, func(k *kept) { k.Tags = []string{"a", "b", "c"} }},
		{"tags as an empty text", map[string]string{"tags": `""`}, func(*kept) {}},
		{"private", map[string]string{"vis": `"private"`}, func(k *kept) { k.Visibility = imaging.Private }},
		{"public, shared with nobody", map[string]string{"shared_with": `[]`}, func(*kept) {}},
		{"select", map[string]string{"vis": `"select"`, "shared_with": `["other",7]`}, func(k *kept) {
			k.Visibility, k.SharedWith = imaging.Users, []string{"other", "7"}
		}},
		{"a list of users", map[string]string{"vis": `["other","x,y"]`}, func(k *kept) {
			k.Visibility, k.SharedWith = imaging.Users, []string{"other", "x,y"}
		}},
		{"members that only the server sets", map[string]string{
			"status": `"COMPLETED"`, "created_by": `"other"`, "private": `true`, "id": `"bdc31c14-f807-11e3-8ef5-b2227cce2b54"`, "detail": `{}`, "end_date": `7`,
		}, func(*kept) {}},
		{"no address", map[string]string{"ip_address": `null`}, func(*kept) {}},
	} {
		made := into[imageRequest](t, s.post(valid(c.changes)))
		r, err := s.store.ImageRequest(t.Context(), known[owner], mustID(t, made.ID))
		if err != nil {
			t.Fatal(err)
		}
		want := plain
		c.change(&want)
		got := kept{r.Name, r.Tags, r.Visibility, r.SharedWith, r.Software(), r.Newest().ProviderID}
		if diff := cmp.Diff(want, got); diff != "" || r.Status != imaging.Pending || r.CreatedBy != "username" || made.Private != (r.Visibility != imaging.Public) {
			t.Errorf("%s: %s %s\n%s", c.name, r.Status, r.CreatedBy, diff)
		}
	}
}

func TestDuplicateMembers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	body := valid(nil)
	made := into[imageRequest](t, s.post(body[:len(body)-1]+`,"name":"first","name":"last"}`))
	if made.Name != "last" {
		t.Errorf("%q counts, not the last", made.Name)
	}
}

func TestHTMLForms(t *testing.T) {
	t.Parallel()
	s := serve(t)
	fields := url.Values{
		"name": {"ignored", "A form é"}, "provider": {"1"}, "description": {""}, "software": {"100% +"}, "exclude": {""},
		"tags": {"a", "b,c"}, "vis": {"select"}, "shared_with": {"other"},
	}
	fields.Set("instance", uuid.NewString())
	check := func(a answer) {
		t.Helper()
		made := into[imageRequest](t, a)
		if diff := cmp.Diff([]string{"a", "b,c"}, made.Tags); diff != "" || made.Name != "A form é" || !made.Private {
			t.Errorf("%s\n%s", a.body, diff)
		}
	}
	check(s.send(http.MethodPost, "/image_requests/", fields.Encode(), asOwner, "Content-Type: application/x-www-form-urlencoded; charset=UTF-8"))

	fields.Set("instance", uuid.NewString())
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, all := range fields {
		for _, value := range all {
			if err := w.WriteField(name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole := b.String()
	check(s.send(http.MethodPost, "/image_requests", whole, asOwner, "Content-Type: "+w.FormDataContentType()))

	send := func(contentType, body string) answer {
		return s.send(http.MethodPost, "/image_requests", body, asOwner, "Content-Type: "+contentType)
	}
	send("multipart/form-data", whole).is(t, http.StatusBadRequest, `{"detail":"Multipart form parse error - Invalid boundary in multipart: None"}`)
	send(w.FormDataContentType(), whole[:len(whole)-10]).is(t, http.StatusBadRequest, `{"detail":"Multipart form parse error - The body does not consist of its parts."}`)
	send("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"name\"; filename=\"f\"\r\n\r\nz\r\n"+
		"--x\r\nContent-Disposition: form-data; name=\"vis\"; filename=\"f\"\r\n\r\nz\r\n--x--\r\n").
		is(t, http.StatusBadRequest, `{"name":["Not a valid string."],"instance":["This field is required."],"provider":["This field is required."],`+
			`"description":["This field is required."],"software":["This field is required."],"exclude":["This field is required."],`+
			`"tags":["This field is required."],"vis":["Expected a list of items but got type \"file\"."]}`)
	bad := send("application/x-www-form-urlencoded", "name=%FF&instance=%00&provider=&description=%C3%A9&software=%zz&exclude=&tags=a,,b&vis=public")
	bad.is(t, http.StatusBadRequest, `{"name":["This text is not valid UTF-8."],"instance":["Must be a valid UUID."],"provider":["A valid integer is required."]}`)
}

// TestUnreadableBodies holds what is no object in JSON at all.
func TestUnreadableBodies(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for body, want := range map[string]string{
		"{\n    \"name\": \"An image of the instance\",\n    \"description\": \"with a hole\",\n    \"vis\": \n}": `{"detail":"JSON parse error - Expecting value: line 5 column 1 (char 88)"}`,
		`{"name": NaN}`:       `{"detail":"JSON parse error - Expecting value: line 1 column 10 (char 9)"}`,
		"\ufeff{}":            `{"detail":"JSON parse error - Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)"}`,
		"{\"name\":\"\xff\"}": `{"detail":"JSON parse error - Invalid UTF-8: line 1 column 10 (char 9)"}`,
		` `:                   `{"detail":"JSON parse error - Expecting value: line 1 column 2 (char 1)"}`,
		`[]`:                  `{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}`,
		`"x"`:                 `{"non_field_errors":["Invalid data. Expected a dictionary, but got str."]}`,
		`null`:                `{"non_field_errors":["Invalid data. Expected a dictionary, but got NoneType."]}`,
		`1`:                   `{"non_field_errors":["Invalid data. Expected a dictionary, but got int."]}`,
		`1e1`:                 `{"non_field_errors":["Invalid data. Expected a dictionary, but got float."]}`,
		`false`:               `{"non_field_errors":["Invalid data. Expected a dictionary, but got bool."]}`,
	} {
		s.post(body).is(t, http.StatusBadRequest, want)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := serve(t)
	body := valid(nil)
	first := s.post(body, "Idempotency-Key: once")
	into[imageRequest](t, first)
	s.post(body, "Idempotency-Key: once").is(t, http.StatusOK, first.body)
	s.post(valid(nil), "Idempotency-Key: once").is(t, http.StatusConflict, `{"detail":"This idempotency key was used for another input."}`)
	s.post(valid(nil), "Idempotency-Key: a\tb").is(t, http.StatusBadRequest, `{"idempotency_key":["A key has printable characters only."]}`)
	s.post(valid(nil), "Idempotency-Key: \xff").is(t, http.StatusBadRequest, `{"idempotency_key":["This text is not valid UTF-8."]}`)
	s.post(valid(nil), "Idempotency-Key: a", "Idempotency-Key: b").is(t, http.StatusBadRequest, `{"idempotency_key":["Send one Idempotency-Key header."]}`)
	s.post(valid(nil), "Idempotency-Key: "+strings.Repeat("k", 256)).is(t, http.StatusBadRequest, `{"idempotency_key":["Ensure this field has no more than 255 characters."]}`)
}

func TestOneOpenRequestPerInstance(t *testing.T) {
	t.Parallel()
	s := serve(t)
	body := valid(nil)
	made := into[imageRequest](t, s.post(body))
	again := s.post(body, "Accept: application/json, application/problem+json;q=0.1")
	again.is(t, http.StatusConflict, fmt.Sprintf(`{"detail":"This instance already has an open request: \"An image\", id %s, version \"1\", is pending."}`, made.ID))
	var problem struct {
		Code          string `json:"code"`
		CurrentStatus string `json:"current_status"`
	}
	if err := json.Unmarshal([]byte(s.post(body, "Accept: application/problem+json").body), &problem); err != nil || problem.Code != "CONFLICT" || problem.CurrentStatus != "pending" {
		t.Errorf("%+v %v", problem, err)
	}
}

func TestLocationUnderThePrefix(t *testing.T) {
	t.Parallel()
	s := serve(t, func(o *rest.Options) { o.Prefix, o.BaseURL = "/api/v1", "https://images.example.org/" })
	a := s.send(http.MethodPost, "/api/v1/image_requests/", valid(nil), asOwner, isJSON)
	made := into[imageRequest](t, a)
	if got, want := a.header.Get("Location"), "https://images.example.org/api/v1/image_requests/"+made.ID; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s.get("/image_requests").is(t, http.StatusNotFound, `{"detail":"Not found."}`)
}

// With a token that may only read nothing is posted, and all is read; the body is not looked at.
func TestPostWithATokenThatMayOnlyRead(t *testing.T) {
	t.Parallel()
	s := serve(t)
	secret, _, err := s.store.CreateToken(t.Context(), imaging.Actor{Username: "admin", Roles: []imaging.Role{imaging.Admin}},
		imaging.Token{Username: "username", Roles: imaging.Roles, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"", "{", `{"instance": "7"}`} {
		a := s.send("POST", "/image_requests", body, "Authorization: Token "+secret, "Content-Type: application/json")
		if a.status != 403 || a.body != `{"detail":"This token may only read."}` {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if a := s.send("GET", "/image_requests", "", "Authorization: Token "+secret); a.status != 200 {
		t.Errorf("it is not read: %d %s", a.status, a.body)
	}
}
