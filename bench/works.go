package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// The ways in which a piece of work is done.
const (
	graphQL = "GraphQL"
	rest    = "REST"
	agg     = "pgx, json_agg"
	structs = "pgx, encoding/json"
	single  = "pgx, one commit each"
	alone   = "pgbench"
)

var ways = []string{graphQL, rest, agg, structs, single, alone}

// The pieces of work that ratios are made of.
const (
	oneByID       = "one by id, with versions"
	listOf20      = "list of 20"
	listOf100     = "list of 100"
	otherLists    = "list of 100, each time another one"
	listWithCount = "list of 20 with its exact count"
	pageByCursor  = "page 25,000 by cursor"
	pageByNumber  = "page 25,000 by number"
	create        = "create, durable"
)

// work is a piece of work, by what is sent for it each way. Not each is there each way.
type work struct {
	name    string
	asks    map[string]*ask
	sql     string // of pgbench
	signed  bool   // as a user
	count   bool   // the answer tells how many there are in all
	least   int    // rows that it has at least
	creates bool
}

// done tells whether it is done this way.
func (w *work) done(way string) bool { return w.asks[way] != nil || way == alone && w.sql != "" }

// fields are what each answer has of an image request: what REST tells of it.
const fields = "id icon createdBy name tags description startDate endDate visibility versions { alias version startDate endDate provider { id } }"

func (s *stage) works() []*work {
	page := fmt.Sprintf("/image_requests?page_size=20&page=%d", s.page)
	after := "&date=" + url.QueryEscape(s.afterDate) + "&id=" + s.afterID
	beyond := fmt.Sprintf(" AND (r.start_date, r.id) < ('%s', '%s')", s.afterDate, s.afterID)
	all := []*work{
		s.one(oneByID, ""),
		s.one(oneByID+", signed in", s.token),
		s.list(listOf20, "", 20, "", ""),
		s.list(listOf20+", signed in", s.token, 20, "", ""),
		s.list(listOf100, "", 100, "", ""),
		s.anywhere(),
		{name: listWithCount, least: 20, count: true, asks: map[string]*ask{
			graphQL: newAsk("POST", "/graphql", "", operation("query($n: Int) { imageRequests(first: $n) { totalCount nodes { "+fields+" } pageInfo { hasNextPage endCursor } } }", map[string]any{"n": 20})),
			rest:    newAsk("GET", "/image_requests?page_size=20", "", ""),
		}, sql: "SELECT count(*) FROM image_requests AS r WHERE " + everybodys + ";\n" + pageSQL("", 20, 0)},
		s.list(pageByCursor, "", 20, after, beyond),
		{name: pageByNumber, least: 20, count: true, asks: map[string]*ask{rest: newAsk("GET", page, "", "")}, sql: pageSQL("", 20, 20*(s.page-1))},
	}
	for _, search := range []struct {
		name, word string
		least      int
	}{{"search for a rare word", "zeppelin", 1}, {"search for a common word", "workbench", 20}, {"search for an absent word", "qwrtzpsd", 0}} {
		all = append(all, &work{name: search.name, least: search.least, asks: map[string]*ask{
			graphQL: newAsk("POST", "/graphql", "", operation("query($n: Int, $word: String) { imageRequests(first: $n, filter: {search: $word}) { nodes { "+fields+" } pageInfo { hasNextPage endCursor } } }",
				map[string]any{"n": 20, "word": search.word})),
			rest: newAsk("GET", "/image_requests?page_size=20&search="+search.word, "", ""),
		}})
	}
	return append(all, s.create())
}

func operation(query string, variables map[string]any) string {
	text, _ := json.Marshal(map[string]any{"query": query, "variables": variables}) // texts and numbers can be written
	return string(text)
}

func (s *stage) one(name, token string) *work {
	w := &work{name: name, least: 1, signed: token != "", asks: map[string]*ask{
		graphQL: newAsk("POST", "/graphql", token, operation("query($id: ID!) { imageRequest(id: $id) { "+fields+" } }", map[string]any{"id": knownID})),
		rest:    newAsk("GET", "/image_requests/"+knownID, token, ""),
		agg:     newAsk("GET", "/json_agg/one/"+knownID, token, ""),
		structs: newAsk("GET", "/structs/one/"+knownID, token, ""),
	}}
	if token == "" {
		w.sql = s.draw() + "SELECT " + requestColumns + versionColumns + " FROM image_requests AS r" + joined + " WHERE r.id = " + drawn + " AND r.visibility = 'PUBLIC' ORDER BY v.ordinal"
	}
	return w
}

const listQuery = "query($n: Int, $after: String) { imageRequests(first: $n, after: $after) { nodes { " + fields + " } pageInfo { hasNextPage endCursor } } }"

// list is a page of so many: the first, or the one behind a place, which the bare handler knows by its date and id.
func (s *stage) list(name, token string, n int, after, beyond string) *work {
	variables := map[string]any{"n": n}
	if after != "" {
		variables["after"] = s.cursor
	}
	number := strconv.Itoa(n)
	w := &work{name: name, signed: token != "", asks: map[string]*ask{
		graphQL: newAsk("POST", "/graphql", token, operation(listQuery, variables)),
		agg:     newAsk("GET", "/json_agg/list?n="+number+after, token, ""),
		structs: newAsk("GET", "/structs/list?n="+number+after, token, ""),
	}, least: n}
	if after == "" {
		w.asks[rest] = newAsk("GET", "/image_requests?page_size="+number, token, "")
		w.count = true // REST always tells it
	}
	if token == "" {
		w.sql = pageSQL(beyond, n, 0)
	}
	return w
}

// anywhere is a page behind one of many places: who asks for it at once with others asks for another one.
func (s *stage) anywhere() *work {
	behind := " AND (r.start_date, r.id) < (SELECT start_date, id FROM image_requests WHERE id = " + drawn + ")"
	return &work{name: otherLists, least: 1, asks: map[string]*ask{
		graphQL: newAsk("POST", "/graphql", "", operation(listQuery, map[string]any{"n": 100, "after": knownCursor})),
	}, sql: s.draw() + pageSQL(behind, 100, 0)}
}

// draw lets pgbench pick one of those that everybody may see.
func (s *stage) draw() string { return fmt.Sprintf("\\set n random(1, %d)\n", len(s.known)) }

// everybodys is what a list has for who is not signed in.
const everybodys = "(r.end_date IS NULL OR r.end_date > now()) AND r.visibility = 'PUBLIC'"

// pageSQL reads a page as we do: its requests joined with their versions, and of both the columns that are answered.
func pageSQL(beyond string, n, offset int) string {
	return fmt.Sprintf("SELECT %s FROM (SELECT * FROM image_requests AS r WHERE %s%s ORDER BY r.start_date DESC, r.id DESC LIMIT %d OFFSET %d) AS r%s ORDER BY r.start_date DESC, r.id DESC, v.ordinal",
		requestColumns+versionColumns, everybodys, beyond, n, offset, joined)
}

// create asks for an image, each time of another instance and with another key.
func (s *stage) create() *work {
	in := creation{
		Name: "Ubuntu with R", Provider: 1, Description: strings.Repeat("An image for the course of this summer, with all that it needs. ", 4), Software: "R 4.3, Python 3.11", Sys: "/etc",
		Exclude: "/tmp\n/home/*/.cache", Tags: []string{"ubuntu", "teaching"}, Visibility: "PRIVATE", ChangeLog: "First.", IdempotencyKey: freshID,
	}
	address := "10.0.0.1"
	in.IPAddress = &address
	_ = in.Instance.UnmarshalText([]byte(freshID)) // which is one
	body, _ := json.Marshal(in)                    // texts and numbers can be written
	old, _ := json.Marshal(map[string]any{
		"name": in.Name, "provider": in.Provider, "description": in.Description, "software": in.Software, "sys": in.Sys, "exclude": in.Exclude,
		"tags": in.Tags, "vis": "private", "ip_address": address, "instance": freshID,
	})
	return &work{name: create, creates: true, signed: true, asks: map[string]*ask{
		graphQL: newAsk("POST", "/graphql", s.token, operation("mutation($in: RequestImageInput!) { requestImage(input: $in) { imageRequest { id name status } version { id version status } } }",
			map[string]any{"in": json.RawMessage(body)})),
		rest:   newAsk("POST", "/image_requests", s.token, string(old), "Idempotency-Key: "+freshID),
		single: newAsk("POST", "/create", s.token, string(body)),
	}}
}
