package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// demo is a running demonstration, and a number that none of its providers has had.
type demo struct {
	*program
	providers atomic.Int64
}

// fields are those of an input.
type fields map[string]any

// life is where a request stands, as its owner reads it.
type life struct {
	ID, Status, CreatedBy string
	Revision              int
	StartDate             string
	EndDate               *string
	SharedWith            []string
	Versions              []stage
	History               []struct{ Text string }
	Events                *struct {
		TotalCount int
		Nodes      []happening
	}
}

// stage is where a version stands.
type stage struct {
	ID, Alias, Version, Status string
	EndDate                    *string
	ExcludePaths               []string
	QueuePosition              *int
	Decision                   *struct{ By, Message *string }
	Question                   *struct{ By, Message, Answer string }
	Failure                    *struct {
		Code, Message string
		Detail        *string
		Retryable     bool
	}
	Progress *struct {
		Stage           *string
		Percent         *int
		Attempt         int
		EndedAt         *string
		CancelRequested bool
		Excluded        []string
	}
}

type happening struct {
	Seq      int
	Actor    *string
	Action   string
	From, To *string
	Message  *string
	Changes  []struct{ Field, From, To string }
	Version  *struct{ ID string }
}

const readLife = `query($id: ID!) { imageRequest(id: $id) { id status createdBy revision startDate endDate sharedWith
	versions { id alias version status endDate excludePaths queuePosition decision { by message } question { by message answer }
		failure { code message detail retryable } progress { stage percent attempt endedAt cancelRequested excluded } }
	history { text }
	events(first: 100) { totalCount nodes { seq actor action from to message changes { field from to } version { id } } } } }`

// startDemo starts a demonstration on a database of its own.
func startDemo(t *testing.T, args ...string) *demo {
	t.Helper()
	d := &demo{program: startServer(t, folder(t), append([]string{"--demo"}, args...)...)}
	d.providers.Store(10)
	return d
}

// graphql sends an operation as the user of that name; nobody has no token.
func (d *demo) graphql(t *testing.T, user, query string, variables fields) reply {
	t.Helper()
	body, err := json.Marshal(fields{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	return reply(fetch(t, http.MethodPost, d.base+"/graphql", tokenOf(user), string(body)))
}

func tokenOf(user string) string {
	if user == "nobody" {
		return ""
	}
	return "demo-" + user
}

// try does a mutation and gives what it was refused for.
func (d *demo) try(t *testing.T, user, mutation string, in fields) []string {
	t.Helper()
	return texts(d.mutate(t, user, mutation, "__typename", in).graphqlRefusals(t))
}

// do does a mutation that must be done.
func (d *demo) do(t *testing.T, user, mutation string, in fields) {
	t.Helper()
	if refused := d.try(t, user, mutation, in); len(refused) > 0 {
		t.Fatalf("%s, by %s: %q", mutation, user, refused)
	}
}

func (d *demo) mutate(t *testing.T, user, mutation, answer string, in fields) reply {
	t.Helper()
	input := strings.ToUpper(mutation[:1]) + mutation[1:] + "Input"
	return d.graphql(t, user, fmt.Sprintf("mutation($in: %s!) { done: %s(input: $in) { %s } }", input, mutation, answer), fields{"in": in})
}

// request asks for an image, with what differs from the usual, and answers its id.
func (d *demo) request(t *testing.T, user string, differs fields) (id string) {
	t.Helper()
	in := fields{"name": "An image", "instance": uuid.NewString(), "provider": 1, "visibility": "PRIVATE"}
	for name, value := range differs {
		in[name] = value
	}
	made := into[struct {
		Data struct {
			Done struct{ ImageRequest struct{ ID string } }
		}
	}](t, d.mutate(t, user, "requestImage", "imageRequest { id }", in))
	return made.Data.Done.ImageRequest.ID
}

// provider adds a provider that the demonstration's worker does not work for.
func (d *demo) provider(t *testing.T, autoApprove bool) int {
	t.Helper()
	id := int(d.providers.Add(1))
	d.do(t, "admin", "saveProvider", fields{"id": id, "name": fmt.Sprint("Provider ", id), "autoApprove": autoApprove})
	return id
}

// read reads a request that the user may see.
func (d *demo) read(t *testing.T, user, id string) life {
	t.Helper()
	return into[struct{ Data struct{ ImageRequest life } }](t, d.graphql(t, user, readLife, fields{"id": id})).Data.ImageRequest
}

// rest reads it through the other door.
func (d *demo) rest(t *testing.T, user, id string) restItem {
	t.Helper()
	return into[restItem](t, reply(fetch(t, http.MethodGet, d.base+"/image_requests/"+id, tokenOf(user), "")))
}

// hidden fails unless the request does not exist for the user, through both doors.
func (d *demo) hidden(t *testing.T, user, id string) {
	t.Helper()
	equal(t, user+" reads", []string{"NOT_FOUND : Not found."}, texts(d.graphql(t, user, readLife, fields{"id": id}).graphqlRefusals(t)))
	equal(t, user+" reads by REST", http.StatusNotFound, fetch(t, http.MethodGet, d.base+"/image_requests/"+id, tokenOf(user), "").status)
}

// decide has somebody decide on the newest version, as it stands.
func (d *demo) decide(t *testing.T, user, decision, id, message string) {
	t.Helper()
	r := d.read(t, user, id)
	d.do(t, user, decision, fields{"version": r.newest().ID, "revision": r.Revision, "message": message})
}

// becomes waits until the newest version has the status, shows each state on the way, and answers the last one.
func (d *demo) becomes(t *testing.T, id, status string, passing ...func(stage)) (r life) {
	t.Helper()
	eventually(t, "the version is "+status, func() bool {
		r = d.read(t, "username", id)
		for _, see := range passing {
			see(r.newest())
		}
		return r.newest().Status == status
	})
	return r
}

func (r life) newest() stage { return r.Versions[len(r.Versions)-1] }

var told = regexp.MustCompile(`^worker told how far the imaging is \((percent \d+)?(, )?(stage "[a-z]+")?\)\.$`)

// story is the history without the sentences on the worker's reports.
func (r life) story() (texts []string) {
	for _, h := range r.History {
		if !told.MatchString(h.Text) {
			texts = append(texts, h.Text)
		}
	}
	return texts
}

// whole fails unless the events are numbered from 1 without a gap, each goes on where the version's last one ended, and
// they lead to where the versions stand.
func (r life) whole(t *testing.T) {
	t.Helper()
	stands := map[string]string{}
	for i, e := range r.Events.Nodes {
		if e.Seq != i+1 {
			t.Errorf("event %d has the number %d", i+1, e.Seq)
		}
		if e.Version == nil {
			continue
		}
		if from := or(e.From); from != stands[e.Version.ID] {
			t.Errorf("event %d, %s, begins at %q, where the last one ended at %q", e.Seq, e.Action, from, stands[e.Version.ID])
		}
		stands[e.Version.ID] = or(e.To)
	}
	equal(t, "number of events", r.Events.TotalCount, len(r.Events.Nodes))
	sentences := 0
	for i, e := range r.Events.Nodes { // of a worker's reports in a row the last one tells all
		if i+1 == len(r.Events.Nodes) || e.Action != "PROGRESSED" || r.Events.Nodes[i+1].Action != "PROGRESSED" {
			sentences++
		}
	}
	equal(t, "sentences", sentences, len(r.History))
	for _, v := range r.Versions {
		equal(t, "the events lead to", v.Status, stands[v.ID])
	}
}

// equal compares what a test wants with what it got.
func equal[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func or(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// hold is what a worker gets with a version.
type hold struct {
	Version *struct{ ID string }
	Lease   *struct{ Token string }
}

// claim has the worker take the longest waiting version of a provider.
func (d *demo) claim(t *testing.T, provider int) hold {
	t.Helper()
	return into[struct{ Data struct{ Done hold } }](t, d.mutate(t, "worker", "claimVersion", "version { id } lease { token }", fields{"provider": provider})).Data.Done
}

// made is a request of username's whose first version is COMPLETED, on a provider of its own.
func (d *demo) made(t *testing.T) (id string, provider int) {
	t.Helper()
	provider = d.provider(t, true)
	id = d.request(t, "username", fields{"provider": provider})
	h := d.claim(t, provider)
	d.do(t, "worker", "completeVersion", fields{"version": h.Version.ID, "leaseToken": h.Lease.Token, "alias": uuid.NewString()})
	return id, provider
}

// lists tells whether a request is in the list of a user, which is filtered.
func (d *demo) lists(t *testing.T, user, id string, filter fields) bool {
	t.Helper()
	filter["ids"] = []string{id}
	page := into[struct {
		Data struct{ ImageRequests struct{ TotalCount int } }
	}](t, d.graphql(t, user, `query($filter: ImageRequestFilter) { imageRequests(filter: $filter) { totalCount } }`, fields{"filter": filter}))
	return page.Data.ImageRequests.TotalCount == 1
}
