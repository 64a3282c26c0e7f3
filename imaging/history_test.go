package imaging

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// TestHistoryTellsAll: whatever is done to a request, its events are numbered without a gap, the state can be rebuilt
// from them alone, what is refused changes nothing, and an event stays as it was written.
func TestHistoryTellsAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := begin(t)
		t.Repeat(map[string]func(*rapid.T){"edit": h.edit, "another": h.another})
		h.check(t)
		h.vandalize()
		h.eventsStand(t)
	})
}

// history is a request with all its events, and each event as it was written.
type history struct {
	r       *ImageRequest
	events  []*Event
	written []string
	now     time.Time
	ids     int
}

func begin(t *rapid.T) *history {
	h := &history{now: noon}
	in := &RequestImageInput{
		Name: anyLine().Draw(t, "name"), Work: h.work(t), Description: anyText().Draw(t, "description"), Tags: anyTags().Draw(t, "tags"),
		Visibility: rapid.SampledFrom(Visibilities).Draw(t, "visibility"),
	}
	if in.Visibility == Users {
		in.SharedWith = anyUsers().Draw(t, "users")
	}
	if p := in.Problems(admin); len(p) > 0 {
		t.Fatal(p)
	}
	r, events, err := Request(in, [2]uuid.UUID{h.id(), h.id()}, owner, anyProvider().Draw(t, "provider"), h.now)
	if err != nil {
		t.Fatal(err)
	}
	h.r = r
	h.add(t, events)
	return h
}

func (h *history) edit(t *rapid.T) {
	in := &EditImageRequestInput{
		Revision: rapid.SampledFrom([]*int{nil, nil, new(h.r.Revision), new(h.r.Revision - 1)}).Draw(t, "revision"),
		Name:     rapid.Ptr(anyLine(), true).Draw(t, "name"), Description: rapid.Ptr(anyText(), true).Draw(t, "description"),
		Visibility: rapid.Ptr(rapid.SampledFrom(Visibilities), true).Draw(t, "visibility"),
	}
	if rapid.Bool().Draw(t, "tags too") {
		in.Tags = anyTags().Draw(t, "tags")
	}
	if rapid.Bool().Draw(t, "users too") {
		in.SharedWith = anyUsers().Draw(t, "users")
	}
	if rapid.Bool().Draw(t, "icon too") {
		in.Icon = SetTo(rapid.Ptr(anyLine(), true).Draw(t, "icon"))
	}
	if rapid.Bool().Draw(t, "end too") {
		in.EndDate = SetTo(rapid.SampledFrom([]*time.Time{nil, new(h.now.Add(1500)), new(h.now.In(time.FixedZone("", 3600)))}).Draw(t, "end"))
	}
	before := copied(t, h.r)
	events, err := Edit(h.r, in, anyActor().Draw(t, "actor"), h.tick())
	h.done(t, before, events, err)
}

func (h *history) another(t *rapid.T) {
	in := &RequestVersionInput{Work: h.work(t), Version: rapid.Ptr(rapid.SampledFrom([]string{"1", "2", " 3", "a", "b "}), true).Draw(t, "label")}
	if p := in.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	before := copied(t, h.r)
	events, err := Another(h.r, in, h.id(), anyActor().Draw(t, "actor"), anyProvider().Draw(t, "provider"), h.tick())
	h.done(t, before, events, err)
}

func (h *history) done(t *rapid.T, before string, events []*Event, err error) {
	if code := CodeOf(err); code != "" && code != Invalid && code != Forbidden && code != Conflict {
		t.Fatalf("an error that nobody can act on: %v", err)
	}
	if changed := copied(t, h.r) != before; changed != (len(events) > 0) || changed && err != nil {
		t.Fatalf("changed %v, with %d events and error %v", changed, len(events), err)
	}
	h.add(t, events)
}

func (h *history) add(t *rapid.T, events []*Event) {
	for _, e := range events {
		if len(e.Changes) == 0 {
			t.Fatalf("event %d tells of no change", *e.Seq)
		}
		h.events = append(h.events, e)
		h.written = append(h.written, asText(t, e))
	}
}

func (h *history) check(t *rapid.T) {
	for i, e := range h.events {
		if *e.Seq != i+1 || *e.ImageRequestID != h.r.ID {
			t.Fatalf("event %d has number %d, of request %s", i+1, *e.Seq, e.ImageRequestID)
		}
	}
	if h.r.Revision != len(h.events) {
		t.Fatalf("revision %d after %d events", h.r.Revision, len(h.events))
	}
	seen := map[string]bool{}
	for i, v := range h.r.Versions {
		if seen[v.Version] || v.Ordinal != i+1 || v.Alias != v.ID.String() {
			t.Fatalf("version %d is %q, number %d, alias %s", i+1, v.Version, v.Ordinal, v.Alias)
		}
		seen[v.Version] = true
	}
	if diff := cmp.Diff(copied(t, h.r), copied(t, rebuilt(t, h.events))); diff != "" {
		t.Fatalf("the events do not tell all (-state +rebuilt):\n%s", diff)
	}
}

func (h *history) eventsStand(t *rapid.T) {
	for i, e := range h.events {
		if diff := cmp.Diff(h.written[i], asText(t, e)); diff != "" {
			t.Fatalf("event %d has changed after it was written (-then +now):\n%s", i+1, diff)
		}
	}
}

// vandalize writes over all of the state, through each pointer and slice.
func (h *history) vandalize() {
	r := h.r
	r.ID, r.Name, r.Revision = uuid.Max, "x", -1
	for _, list := range [][]string{r.Tags, r.SharedWith} {
		for i := range list {
			list[i] = "x"
		}
	}
	texts := []*string{r.Icon}
	times := []*time.Time{r.EndDate}
	for _, v := range r.Versions {
		texts = append(texts, v.Sys, v.Exclude, v.IPAddress)
		times = append(times, v.DecidedAt)
		v.ID, v.Status, v.Version = uuid.Max, Failed, "x"
	}
	for _, s := range texts {
		if s != nil {
			*s = "x"
		}
	}
	for _, at := range times {
		if at != nil {
			*at = time.Time{}
		}
	}
}

func (h *history) id() uuid.UUID { h.ids++; return uuid.UUID{byte(h.ids >> 8), byte(h.ids), 1} }

func (h *history) tick() time.Time { h.now = h.now.Add(time.Microsecond); return h.now }

func (h *history) work(t *rapid.T) Work {
	return Work{
		Instance: h.id(), Provider: 1, Software: anyText().Draw(t, "software"), Sys: anyText().Draw(t, "sys"),
		Exclude: anyText().Draw(t, "exclude"), IPAddress: rapid.Ptr(anyText(), true).Draw(t, "address"), ChangeLog: anyText().Draw(t, "log"),
	}
}

// Few different values, so that a change to what is there already is not rare; some that JSON must escape.
func anyText() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"", "a", "a ", "<b>&\u2028\"\\", "é\ufffd𝔵\n"})
}

func anyLine() *rapid.Generator[string] { return rapid.SampledFrom([]string{"a", " a", "b", "<&>"}) }

func anyTags() *rapid.Generator[[]string] {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"a", " a", "b", "Featured"}), 0, 4)
}

func anyUsers() *rapid.Generator[[]string] {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"ann", "bob", "eve"}), 1, 3)
}

func anyActor() *rapid.Generator[Actor] {
	return rapid.SampledFrom([]Actor{owner, owner, admin, stranger})
}

func anyProvider() *rapid.Generator[*Provider] {
	return rapid.SampledFrom([]*Provider{manual, automatic})
}

func asText(t fataler, e *Event) string {
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type fataler interface {
	Fatal(...any)
	Fatalf(string, ...any)
}

// rebuilt is a request as its events alone tell it. Each event must begin where the one before has left.
func rebuilt(t fataler, events []*Event) *ImageRequest {
	request, versions, order := map[string]json.RawMessage{}, map[uuid.UUID]map[string]json.RawMessage{}, []uuid.UUID{}
	r := &ImageRequest{}
	for _, e := range events {
		for name, change := range e.Changes {
			fields := request
			if field, ok := strings.CutPrefix(name, "version."); ok {
				if versions[*e.VersionID] == nil {
					versions[*e.VersionID] = map[string]json.RawMessage{}
					order = append(order, *e.VersionID)
				}
				name, fields = field, versions[*e.VersionID]
			}
			if string(fields[name]) != string(change.From) {
				t.Fatalf("event %d changes %s from %s, but it was %s", *e.Seq, name, change.From, fields[name])
			}
			fields[name] = change.To
		}
		r.ID, r.Revision = *e.ImageRequestID, *e.Seq
	}
	into(t, request, r)
	for _, id := range order {
		v := &Version{}
		into(t, versions[id], v)
		if v.ID != id {
			t.Fatalf("the version %s has the id %s", id, v.ID)
		}
		r.Versions = append(r.Versions, v)
	}
	r.Settle()
	return r
}

func into(t fataler, fields map[string]json.RawMessage, to any) {
	text, err := json.Marshal(fields)
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}
