package graph_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/imaging"
)

// rows reads the names of a list of requests, or of the requests of a list of versions, with these arguments as a document
// has them, or what it is refused for.
func (d door) rows(list, arguments string, variables map[string]any) string {
	d.t.Helper()
	name, kind := "name", "ImageRequest"
	if list == "versions" {
		name, kind = "imageRequest { name }", "Version"
	}
	declared := ""
	if variables != nil {
		declared = fmt.Sprintf("($filter: %sFilter, $order: %sOrder)", kind, kind)
	}
	r := d.as("username", fmt.Sprintf("query%s { %s(%s) { totalCount nodes { %s } } }", declared, list, arguments, name), variables)
	var refused []string
	for _, e := range r.Errors {
		refused = append(refused, fmt.Sprint(e.Extensions["code"], " ", e.Extensions["field"]))
	}
	if refused != nil {
		slices.Sort(refused)
		return strings.Join(refused, ", ")
	}
	page := data[map[string]struct {
		TotalCount int
		Nodes      []struct {
			Name         string
			ImageRequest struct{ Name string }
		}
	}](d.t, r)[list]
	var short []string
	for _, node := range page.Nodes {
		word, _, _ := strings.Cut(node.Name+node.ImageRequest.Name, " ")
		short = append(short, word)
	}
	if page.TotalCount != len(short) {
		short = append(short, fmt.Sprintf("of %d", page.TotalCount))
	}
	return strings.Join(short, " ")
}

// Left out and null ask for nothing, but for ended; an empty list of ids or statuses wants none, of tags all; what is no UUID is
// the id of nothing. It is the same whether a filter stands in the document or in the variables.
func TestFilterSemantics(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	ends := func(id uuid.UUID, end string) {
		data[any](t, d.as("username", `mutation($id: ID!, $end: DateTime) { editImageRequest(input: {imageRequest: $id, endDate: $end}) { imageRequest { id } } }`,
			map[string]any{"id": id, "end": end}))
	}
	ends(db.DemoDraft, "2030-01-01T00:00:00Z") // it will be retired
	ends(db.DemoRequest, "2015-01-01T00:00:00Z")
	const current, all = "Desktop Genome Image Scratch Statistics", "Desktop Genome Image Scratch Statistics Ubuntu"
	for filter, want := range map[string][2]string{ // of requests, of versions
		`null`:                                   {current, all},
		`{}`:                                     {current, all},
		`{"ended":false}`:                        {current, "Genome Image Statistics Ubuntu"},
		`{"ended":true}`:                         {"Ubuntu", "Desktop Scratch"},
		`{"ended":null}`:                         {all, all},
		`{"ids":null,"status":null,"tags":null}`: {current, all},
		`{"createdBy":null,"provider":null,"visibility":null,"instance":null,"search":null}`: {current, all},
		`{"startedFrom":null,"startedBefore":null,"endsFrom":null,"endsBefore":null}`:        {current, all},
		`{"ids":[]}`:    {"", ""},
		`{"status":[]}`: {"", ""},
		`{"tags":[]}`:   {current, all},
		`{"ids":["` + db.DemoDraft.String() + `"]}`:                            {"Genome", ""},
		`{"ids":["` + db.DemoDraftVersion.String() + `"]}`:                     {"", "Genome"},
		`{"ids":["nothing","` + strings.ToUpper(db.DemoDraft.String()) + `"]}`: {"Genome", ""},
		`{"instance":"nothing"}`:                                               {"", ""},
		`{"status":["PENDING","PENDING","DENIED"]}`:                            {"Desktop Genome Statistics", "Desktop Genome Statistics"},
		`{"createdBy":"teacher"}`:                                              {"Scratch Statistics", "Scratch Statistics"},
		`{"createdBy":"Teacher"}`:                                              {"", ""},
		`{"createdBy":""}`:                                                     {"", ""},
		`{"provider":1}`:                                                       {current, all},
		`{"provider":-1}`:                                                      {"", ""},
		`{"tags":["R","course"]}`:                                              {"Statistics", "Statistics"},
		`{"tags":["R","biology"]}`:                                             {"", ""},
		`{"tags":["r"]}`:                                                       {"", ""},
		`{"visibility":"USERS"}`:                                               {"Image", "Image"},
		`{"search":""}`:                                                        {current, all},
		`{"search":" \n "}`:                                                    {current, all},
		`{"search":"COURSE stat r"}`:                                           {"Statistics", "Statistics"},
		`{"search":"tatis"}`:                                                   {"Statistics", "Statistics"},
		`{"search":"ubuntu 12.04 v1 2.0","ended":null}`:                        {"Ubuntu", "Ubuntu"},
		`{"search":"ubuntu bu","ended":null}`:                                  {"", ""},
		`{"search":"a_y"}`:                                                     {"", ""},
		`{"search":"%"}`:                                                       {"", ""},
		`{"search":"ubuntu","ended":null}`:                                     {"Ubuntu", "Ubuntu"},
		`{"endsFrom":"2030-01-01T01:00:00+01:00"}`:                             {"Genome", ""},
		`{"endsFrom":"2030-01-01T00:00:00.000001Z"}`:                           {"", ""},
		`{"endsBefore":"2030-01-01T00:00:00.0000019Z","ended":null,"search":"Demo"}`: {"Genome", "Desktop Scratch"},
		`{"startedBefore":"2014-02-05T01:03:27.903Z","ended":null}`:                  {"", "Ubuntu"},
		`{"startedFrom":"2014-02-05T01:03:27.903Z","ended":true}`:                    {"Ubuntu", "Desktop Scratch"},
		`{"startedFrom":"2014-02-05T01:03:27.904Z","ended":true}`:                    {"", "Desktop Scratch"},
		`{"search":"` + strings.Repeat("x", 257) + `","createdBy":"\u0000"}`:         {"INVALID createdBy, INVALID search", "INVALID createdBy, INVALID search"},
		`{"tags":["a","\u0000"]}`: {"INVALID tags.1", "INVALID tags.1"},
	} {
		for i, list := range []string{"imageRequests", "versions"} {
			var value any
			if err := json.Unmarshal([]byte(filter), &value); err != nil {
				t.Fatal(err)
			}
			variables := map[string]any{"filter": value, "order": map[string]any{"field": "NAME", "direction": "ASC"}}
			if got := d.rows(list, "filter: $filter, orderBy: $order", variables); got != want[i] {
				t.Errorf("%s, %s in variables: %q, want %q", list, filter, got, want[i])
			}
			if got := d.rows(list, "orderBy: {field: NAME, direction: ASC}, filter: "+literal(value), nil); got != want[i] {
				t.Errorf("%s, %s in the document: %q, want %q", list, filter, got, want[i])
			}
		}
	}
}

// literal writes a JSON value as a document has it; enum values are known by their spelling.
func literal(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var fields []string
		for name, value := range v {
			fields = append(fields, name+": "+literal(value))
		}
		return "{" + strings.Join(fields, ", ") + "}"
	case []any:
		var elements []string
		for _, value := range v {
			elements = append(elements, literal(value))
		}
		return "[" + strings.Join(elements, ", ") + "]"
	case string:
		if slices.Contains(imaging.Statuses, imaging.Status(v)) || slices.Contains(imaging.Visibilities, imaging.Visibility(v)) {
			return v
		}
	}
	text, _ := json.Marshal(v) // it came from JSON
	return string(text)
}

// An order without a direction is a descending one; without an order, the newest come first.
func TestOrderSemantics(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	byName := strings.Join([]string{"Desktop", "Genome", "Image", "Scratch", "Statistics", "Ubuntu"}, " ")
	for order, want := range map[string]string{
		`{"field":"NAME","direction":"ASC"}`:       byName,
		`{"field":"NAME"}`:                         "Ubuntu Statistics Scratch Image Genome Desktop",
		`{"field":"START_DATE","direction":"ASC"}`: "Ubuntu Scratch Statistics Desktop Image Genome",
		`null`:                   "Genome Image Desktop Statistics Scratch Ubuntu",
		`{"field":"START_DATE"}`: "Genome Image Desktop Statistics Scratch Ubuntu",
		`{"field":"START_DATE","direction":"DESC"}`: "Genome Image Desktop Statistics Scratch Ubuntu",
	} {
		for _, list := range []string{"imageRequests", "versions"} {
			var value any
			if err := json.Unmarshal([]byte(order), &value); err != nil {
				t.Fatal(err)
			}
			if got := d.rows(list, "orderBy: $order, filter: $filter", map[string]any{"order": value}); got != want {
				t.Errorf("%s by %s: %q, want %q", list, order, got, want)
			}
		}
	}
	status := d.rows("versions", "orderBy: {field: STATUS, direction: ASC}", nil)
	if !strings.HasPrefix(status, "Image Scratch Ubuntu Desktop ") { // APPROVED CANCELLED COMPLETED DENIED PENDING PENDING
		t.Errorf("by status: %q", status)
	}
}

// nodes answers as many as it is asked for, in that order, an object as often as it is named, and null for what is not there:
// unknown, malformed, and not to be seen alike.
func TestNodes(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	request, version, documented := db.DemoDraft.String(), db.DemoDraftVersion.String(), db.DemoRequest.String()
	const query = `query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Version { status imageRequest { name } } ... on ImageRequest { name } } }`
	const (
		aRequest    = `{"__typename":"ImageRequest","id":"01980000-0000-7000-8000-000000000001","name":"Genome assembly workbench"}`
		aVersion    = `{"__typename":"Version","id":"01980000-0000-7000-8000-000000000002","status":"PENDING","imageRequest":{"name":"Genome assembly workbench"}}`
		aDocumented = `{"__typename":"ImageRequest","id":"bdc31c14-f807-11e3-8ef5-b2227cce2b54","name":"Ubuntu 12.04 Updated NoGUI v1"}`
	)
	hundred := slices.Repeat([]string{version, request}, 50)
	for _, row := range []struct {
		user string
		ids  []string
		want []string
	}{
		{"username", []string{}, nil},
		{"username", []string{request}, []string{aRequest}},
		{"username", []string{documented, version, request}, []string{aDocumented, aVersion, aRequest}},
		{"username", []string{version, request, documented}, []string{aVersion, aRequest, aDocumented}},
		{"username", []string{request, request, version, request}, []string{aRequest, aRequest, aVersion, aRequest}},
		{"username", []string{uuid.NewString(), strings.ToUpper(request), "nothing", "", documented, uuid.Nil.String()}, []string{"null", aRequest, "null", "null", aDocumented, "null"}},
		{"stranger", []string{request, documented, version}, []string{"null", aDocumented, "null"}},
		{"", []string{request, documented, version}, []string{"null", aDocumented, "null"}},
		{"reviewer", []string{request, version}, []string{aRequest, aVersion}},
		{"username", hundred, slices.Repeat([]string{aVersion, aRequest}, 50)},
	} {
		r := d.as(row.user, query, map[string]any{"ids": row.ids})
		want := `{"nodes":[` + strings.Join(row.want, ",") + `]}`
		if diff := cmp.Diff(want, string(r.Data)); diff != "" || len(r.Errors) > 0 {
			t.Errorf("%q asks for %v (-want +got):\n%s\n%+v", row.user, row.ids, diff, r.Errors)
		}
		for i, id := range row.ids[:min(len(row.ids), 6)] { // node says the same of each
			r := d.as(row.user, strings.NewReplacer("$ids: [ID!]!", "$ids: ID!", "nodes(ids:", "node(id:").Replace(query), map[string]any{"ids": id})
			if want := `{"node":` + row.want[i] + `}`; string(r.Data) != want || len(r.Errors) > 0 {
				t.Errorf("%q asks for %s: %s %+v\nwant %s", row.user, id, r.Data, r.Errors, want)
			}
		}
	}
	r := d.as("username", query, map[string]any{"ids": append(hundred, request)})
	if len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "INVALID" || r.Errors[0].Extensions["field"] != "ids" || string(r.Data) != "null" {
		t.Errorf("101 ids: %s %+v", r.Data, r.Errors)
	}
}

// PageInfo asks the database what lies behind the place a page starts from, and only for that.
func TestPageInfo(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	type page struct {
		ImageRequests struct {
			Nodes    []struct{ Name string }
			PageInfo struct {
				HasNextPage, HasPreviousPage bool
				StartCursor, EndCursor       *string
			}
		}
	}
	read := func(user, arguments string, variables map[string]any) page {
		t.Helper()
		return data[page](t, d.as(user, `query($after: String, $before: String) { imageRequests(orderBy: {field: NAME, direction: ASC}, after: $after, before: $before, `+
			arguments+`) { nodes { name } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`, variables))
	}
	first := read("username", "first: 2", nil).ImageRequests // Desktop, Genome
	last := read("username", "last: 1", nil).ImageRequests   // Ubuntu
	for _, row := range []struct {
		user, arguments string
		after, before   *string
		want            string
	}{
		{"username", "first: 6", nil, nil, "6 false false"},
		{"username", "first: 5", nil, nil, "5 true false"},
		{"username", "last: 6", nil, nil, "6 false false"},
		{"username", "last: 5", nil, nil, "5 false true"},
		{"username", "first: 4", first.PageInfo.EndCursor, nil, "4 false true"},
		{"username", "first: 3", first.PageInfo.EndCursor, nil, "3 true true"},
		{"username", "first: 3", first.PageInfo.EndCursor, last.PageInfo.StartCursor, "3 false true"},
		{"username", "last: 3", first.PageInfo.EndCursor, last.PageInfo.StartCursor, "3 true false"},
		{"username", "last: 2", first.PageInfo.EndCursor, last.PageInfo.StartCursor, "2 true true"},
		{"username", "first: 9", last.PageInfo.EndCursor, nil, "0 false true"},
		{"username", "last: 9", nil, first.PageInfo.StartCursor, "0 true false"},
		{"username", "first: 9", last.PageInfo.EndCursor, first.PageInfo.StartCursor, "0 false true"},
		{"stranger", "first: 9", first.PageInfo.StartCursor, nil, "3 false true"}, // Desktop, which is public, lies behind
		{"stranger", "last: 9", nil, first.PageInfo.StartCursor, "0 true false"},
	} {
		p := read(row.user, row.arguments, map[string]any{"after": row.after, "before": row.before}).ImageRequests
		if got := fmt.Sprint(len(p.Nodes), p.PageInfo.HasNextPage, p.PageInfo.HasPreviousPage); got != row.want {
			t.Errorf("%s: %s, want %s", row.arguments, got, row.want)
		}
		if (p.PageInfo.StartCursor == nil) != (len(p.Nodes) == 0) || (p.PageInfo.EndCursor == nil) != (len(p.Nodes) == 0) {
			t.Errorf("%s: %d rows between %v and %v", row.arguments, len(p.Nodes), p.PageInfo.StartCursor, p.PageInfo.EndCursor)
		}
	}
	// The row of a cursor goes, and was the first one: nothing lies behind its place any more.
	data[any](t, d.as("admin", `mutation($id: ID!) { editImageRequest(input: {imageRequest: $id, visibility: PRIVATE}) { imageRequest { id } } }`,
		map[string]any{"id": desktop(t, d)}))
	if p := read("stranger", "first: 9", map[string]any{"after": first.PageInfo.StartCursor}).ImageRequests; len(p.Nodes) != 3 || p.PageInfo.HasPreviousPage {
		t.Errorf("behind a place whose row is gone: %+v", p)
	}
}

func desktop(t *testing.T, d door) string {
	t.Helper()
	return data[struct {
		ImageRequests struct{ Nodes []struct{ ID string } }
	}](t, d.as("username", `{ imageRequests(filter: {search: "desktop"}) { nodes { id } } }`, nil)).ImageRequests.Nodes[0].ID
}
