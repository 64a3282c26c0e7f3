package main

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// creation is an input for a new image request, as neither door has it.
type creation struct {
	caller, name, instance, description, software, sys, exclude, visibility string
	provider                                                                int
	tags, sharedWith                                                        []string
	ipAddress, key                                                          *string

	// Forms that the doors take beside the usual ones: in REST, users in vis, tags and provider as a text; in both, what is
	// empty left out.
	usersInVis, tagsAsText, providerAsText, sparseGraphQL, sparseREST bool
}

// drawCreation draws one of which about half have nothing wrong with them. Taken is an instance that somebody has already.
func drawCreation(t *rapid.T, taken string) creation {
	long := func(n int) string { return strings.Repeat("ж", n) }
	text := func(label string, most int) string {
		return rapid.OneOf(rapid.SampledFrom([]string{"", "plain", "line\nbreak\t\\ \"q\" </b> \u2028 \U0001f600", long(most)}),
			rapid.Just(""), rapid.Just("x"), rapid.SampledFrom([]string{"x", "x", "x", "a\x00b", long(most + 1)})).Draw(t, label)
	}
	one := func(label string, good []string, bad ...string) string {
		return rapid.SampledFrom(slices.Concat(good, good, good, good, bad)).Draw(t, label)
	}
	maybe := func(label string, s string) *string {
		if rapid.Bool().Draw(t, label+"?") {
			return nil
		}
		return &s
	}
	c := creation{
		caller:     rapid.SampledFrom([]string{"owner", "owner", "stranger", "reviewer", "worker", "admin", "nobody", "bad"}).Draw(t, "caller"),
		name:       one("name", []string{"An image", " padded\t", "日本", long(256)}, "", " \n", long(257), "\x00"),
		instance:   one("instance", []string{uuid.NewString(), strings.ToUpper(uuid.NewString())}, "", "x", uuid.Nil.String(), taken),
		provider:   rapid.SampledFrom([]int{1, 1, 1, 1, 1, 1, 2, 0, -7, 77, 1<<31 - 1}).Draw(t, "provider"),
		visibility: rapid.SampledFrom([]string{"PUBLIC", "PRIVATE", "USERS"}).Draw(t, "visibility"),
		software:   text("software", 16384), sys: text("sys", 100), exclude: text("exclude", 100), description: text("description", 100),
		tags: rapid.SliceOfN(rapid.SampledFrom([]string{"a", "A", " a", "two words", "ü", "b", "c", "d", "e", "f", "", "Featured", "featured ", long(128), long(129), "\x00"}), 0, 3).Draw(t, "tags"),
		key:  maybe("key", one("key", []string{uuid.NewString(), "ключ " + uuid.NewString()}, "", " ", "a\tb", long(256))),
	}
	if c.visibility == "USERS" || rapid.IntRange(0, 9).Draw(t, "users too many") == 0 {
		c.sharedWith = rapid.SliceOfN(rapid.SampledFrom([]string{"listed", "zoe", "Zoé", "username", "listed", "a b", "", "\x00", long(151)}), 0, 3).Draw(t, "sharedWith")
	}
	if rapid.IntRange(0, 19).Draw(t, "tags too many") == 0 {
		c.tags = slices.Repeat([]string{"t"}, 65)
	}
	c.ipAddress = maybe("ipAddress", one("ipAddress", []string{"", "10.0.0.1"}, long(256)))
	c.usersInVis, c.providerAsText = c.visibility == "USERS" && rapid.Bool().Draw(t, "users in vis"), rapid.Bool().Draw(t, "provider as a text")
	c.sparseGraphQL, c.sparseREST = rapid.Bool().Draw(t, "sparse GraphQL"), rapid.Bool().Draw(t, "sparse REST")
	c.tagsAsText = rapid.Bool().Draw(t, "tags as a text") && !slices.ContainsFunc(c.tags, func(s string) bool {
		return s == "" || strings.TrimSpace(s) != s // a text loses them: another input, to an idempotency key
	})
	return c
}

// sparse leaves out what is empty, of these members.
func (m members) sparse(names ...string) {
	for _, name := range names {
		if m[name] == `""` || m[name] == `[]` {
			m[name] = ""
		}
	}
}

func listed(texts []string) string {
	all := make([]string, len(texts))
	for i, s := range texts {
		all[i] = quote(s)
	}
	return "[" + strings.Join(all, ",") + "]"
}

// byGraphQL asks for it through the one door: ids, or what is wrong.
func (d *doors) byGraphQL(t testing.TB, c creation) (id string, item restItem, refused []refusal) {
	t.Helper()
	m := members{
		"name": quote(c.name), "instance": quote(c.instance), "provider": strconv.Itoa(c.provider), "description": quote(c.description), "software": quote(c.software),
		"sys": quote(c.sys), "exclude": quote(c.exclude), "tags": listed(c.tags), "visibility": quote(c.visibility), "sharedWith": listed(c.sharedWith),
	}
	for name, value := range map[string]*string{"ipAddress": c.ipAddress, "idempotencyKey": c.key} {
		if value != nil {
			m[name] = quote(*value)
		}
	}
	if c.sparseGraphQL {
		m.sparse("description", "software", "sys", "exclude", "tags", "sharedWith")
	}
	g := d.requestByGraphQL(c.caller, m)
	if refused = g.graphqlRefusals(t); refused != nil {
		return "", item, refused
	}
	made := into[madeByGraphQL](t, g).Data.RequestImage.ImageRequest.asREST()
	return made.ID, made, nil
}

// byREST asks for it through the other one. What is wrong is told in the words of the first.
func (d *doors) byREST(t testing.TB, c creation) (id string, item restItem, refused []refusal) {
	t.Helper()
	m := members{
		"name": quote(c.name), "instance": quote(c.instance), "provider": strconv.Itoa(c.provider), "description": quote(c.description), "software": quote(c.software),
		"sys": quote(c.sys), "exclude": quote(c.exclude), "tags": listed(c.tags), "shared_with": listed(c.sharedWith),
		"vis": quote(map[string]string{"PUBLIC": "public", "PRIVATE": "private", "USERS": "select"}[c.visibility]),
	}
	if c.usersInVis {
		m["vis"], m["shared_with"] = listed(c.sharedWith), ""
	}
	if c.tagsAsText {
		m["tags"] = quote(strings.Join(c.tags, ", "))
	}
	if c.providerAsText {
		m["provider"] = quote(m["provider"])
	}
	if c.sparseREST {
		m.sparse("sys", "shared_with")
	}
	if c.ipAddress != nil {
		m["ip_address"] = quote(*c.ipAddress)
	}
	headers := []string{wantsProblem}
	if c.key != nil {
		headers = append(headers, "Idempotency-Key: "+*c.key)
	}
	r := d.requestByREST(c.caller, m, headers...)
	if refused = r.restRefusals(t); refused != nil {
		return "", item, inGraphQL(refused)
	}
	made := into[restItem](t, r)
	if want := "http://localhost:8080/image_requests/" + made.ID; r.header.Get("Location") != want {
		t.Errorf("Location %q, want %q", r.header.Get("Location"), want)
	}
	return made.ID, made, nil
}

// dialect is how REST says what GraphQL says: all the differences there are.
var (
	fieldNames = map[string]string{"vis": "visibility", "shared_with": "sharedWith", "ip_address": "ipAddress", "idempotency_key": "idempotencyKey", "created_by": "createdBy", "tag": "tags"}
	dialect    = strings.NewReplacer("vis select", "visibility USERS", "vis private", "visibility PRIVATE", " is pending.", " is PENDING.")
)

func inGraphQL(refused []refusal) []refusal {
	out := slices.Clone(refused)
	for i, r := range out {
		head, tail, nested := strings.Cut(r.Field, ".")
		if name, ok := fieldNames[head]; ok {
			head = name
		}
		if head == "visibility" && (nested || strings.Contains(r.Message, "Name at least one user")) || head == "visibility" && strings.Contains(r.Message, "elements") {
			head = "sharedWith" // the users were named in vis
		}
		if nested {
			head += "." + tail
		}
		out[i] = refusal{r.Code, head, dialect.Replace(r.Message), strings.ToUpper(r.Status)}
	}
	return out
}

// sameRefusals fails unless both doors say the same of an input, each in its own order. REST names a field only where an
// input is INVALID.
func sameRefusals(t *rapid.T, graphql, rest []refusal) {
	t.Helper()
	sorted := func(all []refusal) []string {
		var out []string
		for _, r := range all {
			if r.Code != "INVALID" {
				r.Field = ""
			}
			out = append(out, r.String())
		}
		slices.Sort(out)
		return out
	}
	if diff := cmp.Diff(sorted(graphql), sorted(rest)); diff != "" {
		t.Fatalf("the doors disagree (-GraphQL +REST):\n%s", diff)
	}
}

// stored is all that a request left in the database, but for what is its own: ids, instance, times, key.
func (d *doors) stored(t testing.TB, id string) (rows string) {
	t.Helper()
	err := d.sql.QueryRow(`SELECT concat_ws(E'\n', to_jsonb(r) - '{id,instance,start_date}'::text[],
		(SELECT string_agg((to_jsonb(v) - '{id,image_request_id,alias,instance,start_date}'::text[])::text, ' ') FROM versions v WHERE v.image_request_id = r.id),
		(SELECT string_agg((to_jsonb(e) - '{id,xid,at,image_request_id,version_id,changes}'::text[])::text
			|| (e.changes - '{startDate,version.alias,version.id,version.instance,version.startDate}'::text[])::text, ' ' ORDER BY seq) FROM events e WHERE e.image_request_id = r.id))
		FROM image_requests r WHERE id = $1`, id).Scan(&rows)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestSameCreations: what is asked for through one door is stored, or refused, just as through the other.
func TestSameCreations(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	taken := uuid.NewString()
	if made := d.requestByREST("listed", members{"instance": quote(taken)}); made.status != http.StatusOK {
		t.Fatal(made.body)
	}
	outcomes := map[string]int{}
	property := func(rt *rapid.T) {
		c := drawCreation(rt, taken)
		first, second := d.byGraphQL, d.byREST
		if rapid.Bool().Draw(rt, "REST first") {
			first, second = second, first
		}
		before := d.content(t)
		id, item, refused := first(t, c)
		if refused != nil {
			_, _, again := second(t, c)
			sameRefusals(rt, refused, again)
			d.unchanged(t, before)
			outcomes[refused[0].Code]++
			return
		}
		outcomes["made"]++
		if c.key != nil { // the same once more, through the other door, is the same request
			before = d.content(t)
			if again, _, refused := second(t, c); again != id {
				rt.Fatalf("the same key made %s and then %s %v", id, again, refused)
			}
			d.unchanged(t, before)
			outcomes["repeated"]++
			c.key = new("another " + *c.key)
		}
		_, _, conflict := first(t, c)
		_, _, other := second(t, c)
		if conflict == nil || conflict[0].Code != "CONFLICT" {
			rt.Fatalf("an instance was taken twice: %v", conflict)
		}
		sameRefusals(rt, conflict, other)

		c.instance = uuid.NewString()
		twin, twinItem, refused := second(t, c)
		if refused != nil {
			rt.Fatalf("one door takes it, the other says %v", refused)
		}
		if diff := cmp.Diff(d.stored(t, id), d.stored(t, twin)); diff != "" {
			rt.Fatalf("stored otherwise:\n%s", diff)
		}
		item.ID, item.StartDate, item.Versions[0].Alias, item.Versions[0].StartDate = twinItem.ID, twinItem.StartDate, twinItem.Versions[0].Alias, twinItem.Versions[0].StartDate
		if diff := cmp.Diff(item, twinItem); diff != "" {
			rt.Fatalf("answered otherwise:\n%s", diff)
		}
	}
	wanted := []string{"made", "repeated", "INVALID", "CONFLICT", "UNAUTHENTICATED"}
	missing := func(outcome string) bool { return outcomes[outcome] == 0 }
	for round := 0; round < 10 && !t.Failed() && slices.ContainsFunc(wanted, missing); round++ { // what is drawn is chance
		rapid.Check(t, property)
	}
	if !t.Failed() && slices.ContainsFunc(wanted, missing) {
		t.Errorf("not every outcome was seen: %v", outcomes)
	}
}
