package access_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"imagerequests/imaging"
)

var worlds = flag.Int("access.worlds", 60, "how many random worlds are asked before and after something hidden")

// Few words, so that what is asked for is often what the hidden rows have.
var (
	words  = []string{"alpha", "Beta", "gamma", "ΣΟΦΟΣ", "50%", "a_b"}
	people = []string{"ann", "bob", "carl", "dora"}
	askers = []imaging.Actor{
		{}, {Username: "ann", Roles: []imaging.Role{imaging.Requester}}, {Username: "bob", Roles: []imaging.Role{imaging.Requester}},
		{Username: "nosy", Roles: []imaging.Role{imaging.Requester}}, {Username: "worker1", Roles: []imaging.Role{imaging.Worker}, Providers: []int{1}},
		{Username: "carl", Roles: []imaging.Role{imaging.Requester, imaging.Worker}, Providers: []int{2}},
	}
)

// TestNonInterference: one hidden row more, or another change of what is hidden, changes no answer: no byte of a list, a count,
// a cursor, an order, an error, of any kind of question through both doors.
func TestNonInterference(t *testing.T) {
	t.Parallel()
	const inOne = 10 // worlds in one database: each finds what those before have left
	for batch := range (*worlds + inOne - 1) / inOne {
		t.Run(fmt.Sprint(batch), func(t *testing.T) {
			t.Parallel()
			h := open(t)
			for n := batch * inOne; n < min(*worlds, (batch+1)*inOne) && !t.Failed(); n++ {
				w := &world{house: h, rnd: rand.New(rand.NewPCG(uint64(n), 7)), n: n} //nolint:gosec // to be the same again
				w.ask(t)
			}
			t.Logf("%d questions asked before and after, %d times with rows in the answer", h.asked.Load(), h.answered.Load())
		})
	}
}

// world is what a hidden row may not be noticed in.
type world struct {
	*house
	rnd    *rand.Rand
	n      int
	asker  imaging.Actor
	who    actor
	known  []*guest
	hidden *guest
	queues bool // the hidden row waits in no queue that the asker sees, so that places in queues are asked for, too
}

// guest is a row as the oracle needs it.
type guest struct {
	place
	owner    string
	shared   []string
	provider int
}

func pick[T any](w *world, from ...T) T { return from[w.rnd.IntN(len(from))] }

// shows tells whether the asker may see it, by docs/access.md.
func (w *world) shows(g *guest) bool {
	worker := slices.Contains(w.asker.Roles, imaging.Worker) && slices.Contains(w.asker.Providers, g.provider)
	return g.visibility == "PUBLIC" || w.asker.Username != "" && (g.owner == w.asker.Username || g.visibility == "USERS" && slices.Contains(g.shared, w.asker.Username)) ||
		worker && (g.status == "APPROVED" || g.status == "IMAGING")
}

func (w *world) guest() *guest {
	g := &guest{owner: pick(w, people...), provider: 1 + w.rnd.IntN(3)}
	g.row = row{pick(w, "PUBLIC", "PRIVATE", "USERS"), pick(w, statuses...), pick(w, "", "", "retired", "to be retired")}
	if g.visibility == "USERS" {
		g.shared = []string{pick(w, people...), "zoe"}
	}
	g.request, g.version, g.instance, g.lease = uuid.New(), uuid.New(), uuid.New(), uuid.New()
	g.name = pick(w, words...) + " " + pick(w, words...)
	return g
}

// settle stores guests with their two events.
func (w *world) settle(t *testing.T, guests ...*guest) {
	t.Helper()
	var requests, versions, events []map[string]any
	for _, g := range guests {
		began := asked.Add(time.Duration(w.rnd.IntN(4)) * 24 * time.Hour)
		r, v := g.imageRequest(), g.versionRow()
		r["created_by"], r["shared_with"], r["provider_id"], r["tags"], r["start_date"] = g.owner, append([]string{}, g.shared...), g.provider, []string{pick(w, words...)}, began
		if g.state == "retired" {
			r["end_date"] = began.Add(time.Hour)
		}
		r["search_text"] = searchText(g.name, r["tags"].([]string)[0])
		v["provider_id"], v["requested_by"], v["authors"], v["start_date"] = g.provider, g.owner, []string{g.owner}, began
		if v["end_date"] != nil {
			v["end_date"] = began.Add(time.Hour)
		}
		requests, versions = append(requests, r), append(versions, v)
		for seq := range 2 {
			events = append(events, map[string]any{"image_request_id": g.request, "seq": seq + 1, "at": asked, "actor": g.owner, "action": "EDITED", "message": nil, "changes": map[string]any{}})
		}
	}
	w.insert(t, "image_requests", requests)
	w.insert(t, "versions", versions)
	w.insert(t, "events", events)
}

func (w *world) ask(t *testing.T) {
	t.Helper()
	w.asker = pick(w, askers...)
	w.queues = w.rnd.IntN(2) == 0
	w.who = actor{name: fmt.Sprint("asker ", w.n)}
	if w.asker.SignedIn() {
		secret, _, err := w.store.CreateToken(t.Context(), root, imaging.Token{Username: w.asker.Username, Roles: w.asker.Roles, Providers: w.asker.Providers})
		if err != nil {
			t.Fatal(err)
		}
		w.tokens[w.who.name] = secret
	}
	for range 3 + w.rnd.IntN(4) {
		w.known = append(w.known, w.guest())
	}
	for w.hidden = w.guest(); w.shows(w.hidden); w.hidden = w.guest() {
	}
	if w.queues { // a provider of its own
		w.hidden.provider = 1000 + w.n
		name := fmt.Sprint("provider of world ", w.n)
		if _, err := w.store.SaveProvider(t.Context(), root, imaging.SaveProviderInput{ID: w.hidden.provider, Name: &name}); err != nil {
			t.Fatal(err)
		}
	}
	sentinel := w.guest()
	sentinel.row, sentinel.shared = row{"PUBLIC", "COMPLETED", ""}, nil
	w.settle(t, append(w.known, sentinel)...)
	appears := w.rnd.IntN(2) == 0
	if !appears {
		w.settle(t, w.hidden)
	}
	questions := w.questions(appears)
	mark := w.mark(t, sentinel)
	var before []reply
	for _, q := range questions {
		before = append(before, q.put(w))
	}
	what := "a row appears"
	if appears {
		w.settle(t, w.hidden)
	} else {
		what = w.change(t)
	}
	w.asked.Add(int64(len(questions)))
	for i, q := range questions {
		if strings.Contains(before[i].body, `"id":`) {
			w.answered.Add(1)
		}
		if after := q.put(w); !same(before[i], after) {
			t.Errorf("world %d, as %v: %s (%s of %s), and to\n%s\nthe answer is another (-before +after):\n%s", w.n, w.asker, what, w.hidden.row, w.hidden.owner, q, cmp.Diff(before[i].body, after.body))
		}
	}
	w.staysSilent(t, sentinel, mark)
}

// mark is the cursor of the newest event that the asker is told of: that of the sentinel.
func (w *world) mark(t *testing.T, sentinel *guest) string {
	t.Helper()
	s := w.listen(t, w.who, `subscription ($id: ID!) { events(after: "", imageRequest: $id) { seq cursor } }`, map[string]any{"id": sentinel.request},
		func(s stream) bool { return strings.Contains(s.Body.String(), `"seq":2`) })
	said := s.said()
	cursor, _ := at(said[len(said)-1].answer(t).Data, "events", "cursor").(string)
	return cursor
}

// staysSilent: what happened to the hidden row is not told; what happens to the sentinel next is.
func (w *world) staysSilent(t *testing.T, sentinel *guest, mark string) {
	t.Helper()
	owner := imaging.Actor{Username: sentinel.owner, Roles: []imaging.Role{imaging.Requester}}
	if _, err := w.store.EditImageRequest(t.Context(), owner, imaging.EditImageRequestInput{ImageRequest: sentinel.request, Description: new("told")}); err != nil {
		t.Fatal(err)
	}
	s := w.listen(t, w.who, `subscription ($after: String) { events(after: $after) { seq imageRequest { id } } }`, map[string]any{"after": mark},
		func(s stream) bool { return len(s.said()) > 0 })
	if told := s.said()[0].answer(t).Data; at(told, "events", "imageRequest", "id") != sentinel.request.String() || at(told, "events", "seq") != 3. {
		t.Errorf("world %d, as %v: the hidden row's events are told: %s", w.n, w.asker, s.Body)
	}
}

// change does something to the hidden row after which it is hidden still, and tells what.
func (w *world) change(t *testing.T) string {
	t.Helper()
	g, ctx := w.hidden, context.Background()
	owner := imaging.Actor{Username: g.owner, Roles: []imaging.Role{imaging.Requester}}
	edit := imaging.EditImageRequestInput{ImageRequest: g.request}
	step := func(status string, s imaging.Step) func() error {
		return func() error {
			_, err := w.store.Step(ctx, root, g.version, s)
			g.status = status
			return err
		}
	}
	edited := func(in imaging.EditImageRequestInput) func() error {
		return func() error { _, err := w.store.EditImageRequest(ctx, owner, in); return err }
	}
	named, private, users, ended := edit, edit, edit, edit
	named.Name, private.Visibility = new("alpha gamma"), new(imaging.Private)
	users.Visibility, users.SharedWith = new(imaging.Users), []string{"zoe", "yan"}
	ended.EndDate = imaging.SetTo(new(future.Add(time.Hour)))
	changes := map[string]func() error{
		"it has another name": edited(named), "it is made PRIVATE": edited(private), "it is shared with others": edited(users), "its end is set": edited(ended),
		"it has another owner": func() error {
			_, err := w.store.TransferImageRequest(ctx, owner, imaging.TransferImageRequestInput{ImageRequest: g.request, To: "yan"})
			return err
		},
	}
	if g.state != "retired" {
		changes["it has another version"] = func() error {
			_, err := w.store.RequestVersion(ctx, owner, imaging.RequestVersionInput{ImageRequest: g.request, Work: imaging.Work{Instance: uuid.New(), Provider: g.provider}})
			return err
		}
	}
	worker := slices.Contains(w.asker.Providers, g.provider)
	switch g.status {
	case "PENDING":
		changes["it is denied"] = step("DENIED", imaging.Step{Action: imaging.Deny, Revision: new(2), Message: "no"})
		if !worker {
			changes["it is approved"] = step("APPROVED", imaging.Step{Action: imaging.Approve, Revision: new(2)})
		}
	case "APPROVED", "NEEDS_INFO":
		changes["it is cancelled"] = step("CANCELLED", imaging.Step{Action: imaging.Cancel})
	case "DENIED":
		changes["it is resubmitted"] = step("PENDING", imaging.Step{Action: imaging.Resubmit})
	case "FAILED":
		if !worker {
			changes["it is tried again"] = step("APPROVED", imaging.Step{Action: imaging.Retry})
		}
	case "IMAGING":
		changes["it is complete"] = step("COMPLETED", imaging.Step{Action: imaging.Complete, Lease: g.lease, Alias: g.version.String() + "!"})
	}
	what := pick(w, sortedKeys(changes)...)
	if err := changes[what](); err != nil {
		t.Fatalf("world %d: %s (%s): %v", w.n, what, g.row, err)
	}
	return what
}

// question is one that is asked before and after.
type question struct {
	query     string // of GraphQL; or method and target of REST
	variables map[string]any
}

func (q question) String() string { return fmt.Sprint(q.query, " ", q.variables) }

func (q question) put(w *world) reply {
	if method, target, ok := strings.Cut(q.query, " /"); ok && len(method) < 8 {
		return w.send(w.who, method, "/"+target, "")
	}
	r := w.house.ask(w.who, q.query, q.variables)
	if end := endCursor.FindStringSubmatch(r.body); end != nil && strings.Contains(q.query, "(first: ") { // and what comes next
		r.body += w.house.ask(w.who, strings.Replace(q.query, "(first: ", "(after: \""+end[1]+"\", first: ", 1), q.variables).body
	}
	return r
}

var endCursor = regexp.MustCompile(`"hasNextPage":true.*"endCursor":"([^"]+)"`)

const page = ` { totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node { __typename id status } } nodes { ...W } } }`

// questions are random ones of every kind. Of what is public of hidden rows, they ask only where the row is no part of it.
func (w *world) questions(appears bool) (all []question) {
	ask := func(query string, variables map[string]any) {
		queue := ""
		if w.queues {
			queue = "queuePosition secondsLeft "
		}
		query = strings.ReplaceAll(query, "...W", "id "+strings.TrimSpace(queue))
		query = strings.ReplaceAll(query, "...Q", "id name status versions { id status "+queue+"} history { text }")
		all = append(all, question{query, variables})
	}
	for range 6 {
		list := pick(w, "imageRequests", "versions")
		fields := page
		if list == "imageRequests" {
			fields = strings.ReplaceAll(page, "...W", "...Q")
		}
		ask(`{ `+list+`(`+w.slice()+`, filter: `+w.filter(list)+`, orderBy: {field: `+pick(w, "START_DATE", "NAME", "STATUS")+`, direction: `+pick(w, "ASC", "DESC")+`})`+fields, nil)
	}
	ask(`{ imageRequests`+strings.ReplaceAll(page, "...W", "...Q"), nil) // as nearly everybody asks
	ask(`{ versions`+page, nil)
	everyone := append(slices.Clone(w.known), w.hidden)
	for range 3 {
		g := pick(w, everyone...)
		ask(`query ($id: ID!) { imageRequest(id: $id) { ...Q } }`, map[string]any{"id": g.request})
		ask(`query ($id: ID!) { version(id: $id) { ...W } }`, map[string]any{"id": g.version})
	}
	ids := []uuid.UUID{w.hidden.version, w.hidden.request}
	for _, g := range w.known {
		ids = append(ids, g.request, g.version)
	}
	w.rnd.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	ask(`query ($ids: [ID!]!) { nodes(ids: $ids) { id } providers { id name active } viewer { username } }`, map[string]any{"ids": ids})
	ask(`query ($id: ID!) { imageRequest(id: $id) { ...Q } }`, map[string]any{"id": w.hidden.request})
	ask(`query ($id: ID!) { versions(filter: {instance: $id})`+page, map[string]any{"id": w.hidden.instance})
	ask(`query ($id: ID!) { versions(filter: {imageRequest: $id})`+page, map[string]any{"id": w.hidden.request})
	// refusals: what is hidden is not there, and has no name
	for _, name := range sortedKeys(inputs) {
		if w.rnd.IntN(4) == 0 {
			ask(mutation(name), map[string]any{"input": inputs[name](w.hidden.place)})
		}
	}
	instances := []uuid.UUID{uuid.New(), pick(w, w.known...).instance}
	if !appears && !w.hidden.open() { // that it is taken is no secret, by whom is
		instances = nil
	}
	for _, instance := range instances {
		ask(`query ($input: RequestImageInput!) { previewImageRequest(input: $input) { blockers { code field message } warnings { message } } }`,
			map[string]any{"input": map[string]any{"name": "n", "instance": instance, "provider": 1, "visibility": "PRIVATE", "idempotencyKey": "k"}})
	}
	for range 3 {
		q := url.Values{"page_size": {pick(w, "1", "2", "100")}}
		for _, name := range sortedKeys(parameters) {
			if w.rnd.IntN(4) == 0 {
				q.Set(name, pick(w, parameters[name]...))
			}
		}
		ask(pick(w, "GET", "GET", "HEAD")+" /image_requests?"+q.Encode(), nil)
	}
	ask("GET /image_requests", nil)
	ask(pick(w, "GET", "HEAD", "OPTIONS", "POST")+" /image_requests/"+w.hidden.request.String(), nil)
	return all
}

var parameters = map[string][]string{
	"search": words, "created_by": people, "tag": words, "status": {"pending", "completed"}, "provider": {"1", "2", "3"},
	"ordering": {"name", "-name", "status", "start_date"}, "page": {"2", "last", "3"},
}

func (w *world) slice() string {
	n := pick(w, 1, 2, 5, 100)
	return pick(w, fmt.Sprint("first: ", n), fmt.Sprint("last: ", n))
}

func (w *world) filter(list string) string {
	var parts []string
	add := func(part string) {
		if w.rnd.IntN(4) == 0 {
			parts = append(parts, part)
		}
	}
	add(fmt.Sprintf("search: %q", pick(w, words...)))
	add(fmt.Sprintf("createdBy: %q", pick(w, w.hidden.owner, pick(w, people...))))
	add(fmt.Sprintf("tags: [%q]", pick(w, words...)))
	add("status: [" + pick(w, statuses...) + ", " + w.hidden.status + "]")
	add(fmt.Sprint("provider: ", pick(w, 1, 2, w.hidden.provider)))
	add("startedFrom: \"2026-01-03T00:00:00Z\"")
	add("startedBefore: \"2026-01-05T00:00:00Z\"")
	if list == "imageRequests" {
		add("visibility: " + pick(w, "PUBLIC", "PRIVATE", "USERS"))
		add("ended: " + pick(w, "null", "true", "false"))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func sortedKeys[V any](m map[string]V) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// TestWhatIsPublicOfTheHidden: a hidden row that waits before another moves that one's place in the queue by one, and an instance
// that a hidden row has is taken. That much is told, and nothing else: whatever the row, the answer is the same.
func TestWhatIsPublicOfTheHidden(t *testing.T) {
	t.Parallel()
	h := open(t)
	const look = `query ($id: ID!, $input: RequestImageInput!) { version(id: $id) { queuePosition secondsLeft status } previewImageRequest(input: $input) { blockers { code field message } warnings { message } } }`
	stranger, shown := named("stranger"), h.put(t, row{"PUBLIC", "PENDING", ""})[0]
	ask := func(hidden place) string {
		return h.ask(stranger, look, map[string]any{"id": shown.version, "input": image(hidden)}).body
	}
	before := ask(unknown)
	if want := `{"data":{"version":{"queuePosition":1,"secondsLeft":null,"status":"PENDING"},"previewImageRequest":{"blockers":[],`; !strings.HasPrefix(before, want) {
		t.Fatal(before)
	}
	told := map[string]bool{}
	for i, r := range []row{{"PRIVATE", "PENDING", ""}, {"USERS", "PENDING", ""}, {"PRIVATE", "PENDING", "retired"}} {
		hidden := h.put(t, r)[0]
		if _, err := h.sql.ExecContext(t.Context(), "UPDATE versions SET start_date = start_date - interval '1 day' WHERE id = $1", hidden.version.String()); err != nil {
			t.Fatal(err)
		}
		body := ask(hidden)
		place := fmt.Sprintf(`"queuePosition":%d,`, 2+i)
		if !strings.Contains(body, place) {
			fail(t, "behind %d hidden ones: %s", i+1, body)
		}
		told[strings.Replace(body, place, "", 1)] = true
	}
	for _, status := range []string{"NEEDS_INFO", "APPROVED", "IMAGING"} { // these wait elsewhere, or not
		told[strings.Replace(ask(h.put(t, row{"PRIVATE", status, ""})[0]), `"queuePosition":4,`, "", 1)] = true
	}
	if len(told) != 1 {
		fail(t, "of what is hidden more is told than that: %v", sortedKeys(told))
	}
	counted(t, 6)
}
