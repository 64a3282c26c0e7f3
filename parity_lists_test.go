package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	neturl "net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// wanted is what is asked of a list, as neither door has it; "" and nil ask for nothing.
type wanted struct {
	status, createdBy, search, provider, order string
	tags                                       []string
}

func drawWanted(t *rapid.T) wanted {
	one := func(label string, from ...string) string {
		return rapid.SampledFrom(append([]string{"", "", ""}, from...)).Draw(t, label)
	}
	return wanted{
		status:    one("status", "PENDING", "NEEDS_INFO", "DENIED", "CANCELLED", "APPROVED", "IMAGING", "COMPLETED", "FAILED"),
		createdBy: one("created by", "username", "somebody", "Username", "teacher", "\x00", strings.Repeat("x", 151)),
		search:    one("search", "a", "ALPHA", "größe", "GRÖẞE", "ſ", "ı", "r two", "%", "_", `\`, "'", "described 1", "\t", "nothing of it", "7 \"X\"", "x\"", "es", "it's", "本", "c++", "...", strings.Repeat("x ", 129)),
		provider:  one("provider", "1", "2", "3", "-1", "2147483647"),
		order:     one("order", "START_DATE ASC", "START_DATE DESC", "NAME ASC", "NAME DESC", "STATUS ASC", "STATUS DESC"),
		tags:      rapid.SliceOfN(rapid.SampledFrom([]string{"R", "r", "two words", "it's", "Featured", "featured", strings.Repeat("x", 129)}), 0, 2).Draw(t, "tags"),
	}
}

// query is the list in REST.
func (w wanted) query(size int) string {
	q := neturl.Values{"tag": w.tags, "page_size": {fmt.Sprint(size)}}
	for name, value := range map[string]string{"status": strings.ToLower(w.status), "created_by": w.createdBy, "search": w.search, "provider": w.provider} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if field, direction, ok := strings.Cut(strings.ToLower(w.order), " "); ok {
		q.Set("ordering", strings.Replace(direction, "desc", "-", 1)[:len(direction)/4]+field)
	}
	return "/image_requests?" + q.Encode()
}

// filter is the list in GraphQL: the arguments beside the slice, as variables.
func (w wanted) filter() string {
	f := members{}
	for name, value := range map[string]string{"createdBy": w.createdBy, "search": w.search} {
		if value != "" {
			f[name] = quote(value)
		}
	}
	if w.status != "" {
		f["status"] = "[" + quote(w.status) + "]"
	}
	if f["provider"] = w.provider; w.tags != nil {
		f["tags"] = listed(w.tags)
	}
	variables := `"filter":` + object(f, nil)
	if field, direction, ok := strings.Cut(w.order, " "); ok {
		variables += fmt.Sprintf(`,"order":{"field":%q,"direction":%q}`, field, direction)
	}
	return variables
}

const readList = `query($n: Int!, $after: String, $filter: ImageRequestFilter, $order: ImageRequestOrder) {
	imageRequests(first: $n, after: $after, filter: $filter, orderBy: $order) { totalCount nodes { ...Item } pageInfo { hasNextPage endCursor } } }` + item

// listByGraphQL walks through the whole list, so many at a time.
func (d *doors) listByGraphQL(t testing.TB, caller string, w wanted, size int) (all []restItem, count int, refused []refusal) {
	t.Helper()
	for after := "null"; ; {
		g := d.graphql(caller, readList, fmt.Sprintf(`{"n":%d,"after":%s,%s}`, size, after, w.filter()))
		if refused = g.graphqlRefusals(t); refused != nil {
			return nil, 0, refused
		}
		page := into[struct {
			Data struct {
				ImageRequests struct {
					TotalCount int
					Nodes      []graphqlItem
					PageInfo   struct {
						HasNextPage bool
						EndCursor   string
					}
				}
			}
		}](t, g).Data.ImageRequests
		for _, node := range page.Nodes {
			all = append(all, node.asREST())
		}
		if !page.PageInfo.HasNextPage {
			return all, page.TotalCount, nil
		}
		after = quote(page.PageInfo.EndCursor)
	}
}

// listByREST follows next, as clients do, to the end of the list.
func (d *doors) listByREST(t testing.TB, caller, query string) (all []restItem, count int, refused []refusal) {
	t.Helper()
	for query != "" {
		if refused = d.rest(caller, query, "Accept: application/json;q=0.5, application/problem+json").restRefusals(t); refused != nil {
			return nil, 0, inGraphQL(refused)
		}
		page := into[struct {
			Count   int
			Next    *string
			Results []restItem
		}](t, d.rest(caller, query))
		all, count, query = append(all, page.Results...), page.Count, ""
		if page.Next != nil {
			query = strings.TrimPrefix(*page.Next, "http://localhost:8080")
		}
	}
	return all, count, nil
}

// TestSameLists: the same requests, in the same order, with the same count, for everyone and with every filter.
func TestSameLists(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	d.settle(t)
	full, refusals := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		caller, w := rapid.SampledFrom(callers).Draw(rt, "caller"), drawWanted(rt)
		size := rapid.IntRange(1, 100).Draw(rt, "size")
		want, count, refused := d.listByGraphQL(t, caller, w, size)
		got, restCount, again := d.listByREST(t, caller, w.query(size))
		if refused != nil || again != nil {
			refusals++
			sameRefusals(rt, onlyField(refused), onlyField(again))
			return
		}
		if len(want) > 1 {
			full++
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("%s\nthe doors disagree (-GraphQL +REST):\n%s", w.query(size), diff)
		}
		if count != restCount || count != len(got) {
			rt.Fatalf("%s: %d requests, GraphQL counts %d, REST %d", w.query(size), len(got), count, restCount)
		}
	})
	if !t.Failed() && (full == 0 || refusals == 0) {
		t.Errorf("%d lists of more than one request, %d refusals", full, refusals)
	}
}

// onlyField leaves out what the doors say in different words: REST has a message of its own for NUL in a parameter, and
// names a parameter where GraphQL names one of its elements.
func onlyField(refused []refusal) []refusal {
	out := slices.Clone(refused)
	for i := range out {
		out[i].Field, _, _ = strings.Cut(out[i].Field, ".")
		out[i].Message = strings.Replace(out[i].Message, "Null characters and invalid UTF-8 are not allowed.", unstorable, 1)
	}
	return out
}

// TestBadSlices holds what each door says of a part of a list that there is not.
func TestBadSlices(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	d.settle(t)
	before := d.content(t)
	cursor := func(arguments string) string {
		t.Helper()
		return into[struct {
			Data struct {
				ImageRequests struct{ PageInfo struct{ EndCursor string } }
			}
		}](t, d.graphql("owner", "{ imageRequests("+arguments+") { pageInfo { endCursor } } }", "{}")).Data.ImageRequests.PageInfo.EndCursor
	}
	newest := cursor("first: 2")
	raw, err := base64.RawURLEncoding.DecodeString(newest)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1
	tampered := base64.RawURLEncoding.EncodeToString(raw)
	const between, none, other = "Ensure this value is between 1 and 100.", "This is not a cursor of ours.", "This cursor comes from a list of another order."
	for arguments, want := range map[string][]string{
		"first: 0":                      {"INVALID first: " + between},
		"first: -1":                     {"INVALID first: " + between},
		"first: 101":                    {"INVALID first: " + between},
		"last: 0":                       {"INVALID last: " + between},
		"last: 101":                     {"INVALID last: " + between},
		"first: 1, last: 1":             {"INVALID last: Give either first or last."},
		`after: ""`:                     {"INVALID after: " + none},
		`after: "abc"`:                  {"INVALID after: " + none},
		`after: "` + newest + `="`:      {"INVALID after: " + none},
		`after: "` + newest[1:] + `"`:   {"INVALID after: " + none},
		`before: "` + tampered + `"`:    {"INVALID before: " + none},
		`after: "` + newest + `\u0000"`: {"INVALID after: " + none},
		`after: "` + newest + `", orderBy: {field: NAME}`:                              {"INVALID after: " + other},
		`after: "` + newest + `", orderBy: {field: START_DATE, direction: ASC}`:        {"INVALID after: " + other},
		`before: "` + cursor("first: 1, orderBy: {field: STATUS}") + `"`:               {"INVALID before: " + other},
		`first: 0, after: "x", before: "` + tampered + `", filter: {search: "\u0000"}`: {"INVALID after: " + none, "INVALID before: " + none, "INVALID first: " + between, "INVALID search: " + unstorable},
	} {
		got := texts(d.graphql("owner", "{ imageRequests("+arguments+") { nodes { id } } }", "{}").graphqlRefusals(t))
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", arguments, diff)
		}
	}
	if got := texts(d.graphql("owner", `{ versions(after: "`+newest+`") { nodes { id } } }`, "{}").graphqlRefusals(t)); len(got) != 1 || got[0] != "INVALID after: "+other {
		t.Errorf("the cursor of another list: %q", got)
	}
	all := d.rest("owner", "/image_requests")
	for query, want := range map[string]string{
		"page=0": "", "page=-1": "", "page=abc": "", "page=": "", "page=2.0": "", "page=2": "", "page=99999999999999999999": "", // "": 404
		"page_size=0": all.body, "page_size=-1": all.body, "page_size=abc": all.body, "page_size=": all.body, "page_size=1001": all.body, "page_size=99999999999999999999": all.body,
		"page=last": all.body, "page=1": all.body, "first=0&after=abc": all.body, "ordering=bogus": all.body, "nothing=%FF": `{"non_field_errors":["Null characters and invalid UTF-8 are not allowed."]}`,
		"status=PENDING": `{"status":["Select a valid choice. PENDING is not one of the available choices."]}`,
		"status=bogus&search=" + strings.Repeat("x", 257): `{"status":["Select a valid choice. bogus is not one of the available choices."],"search":["Ensure this field has no more than 256 characters."]}`,
		"status=bogus&provider=abc":                       `{"status":["Select a valid choice. bogus is not one of the available choices."],"provider":["Select a valid choice. abc is not one of the available choices."]}`,
	} {
		status := http.StatusOK
		switch {
		case want == "":
			status, want = http.StatusNotFound, `{"detail":"Invalid page."}`
		case want != all.body:
			status = http.StatusBadRequest
		}
		if r := d.rest("owner", "/image_requests?"+query); r.status != status || r.body != want {
			t.Errorf("%s: %d %s\nwant %d %s", query, r.status, r.body, status, want)
		}
	}
	if p := texts(d.rest("owner", "/image_requests?page=0", wantsProblem).restRefusals(t)); len(p) != 1 || p[0] != "NOT_FOUND : Invalid page." {
		t.Errorf("the problem document of page 0: %q", p)
	}
	d.unchanged(t, before)
}
