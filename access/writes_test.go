package access_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// inputs are what the mutations are sent, by the names that the oracle has for them: a mutation, and after a blank which use of
// it. In each, nothing is wrong but what the cell is about.
var inputs = map[string]func(place) map[string]any{
	"approveVersion":        decision,
	"denyVersion":           decision,
	"questionVersion":       decision,
	"answerQuestion":        remark,
	"cancelVersion":         remark,
	"resubmitVersion":       remark,
	"retryVersion":          remark,
	"editVersion":           func(p place) map[string]any { return map[string]any{"version": p.version, "software": "Python"} },
	"editVersion changeLog": func(p place) map[string]any { return map[string]any{"version": p.version, "changeLog": "new"} },
	"editVersion endDate":   func(p place) map[string]any { return map[string]any{"version": p.version, "endDate": future} },
	"reportVersion":         func(p place) map[string]any { return leased(p, "stage", "copy") },
	"completeVersion":       func(p place) map[string]any { return leased(p, "alias", "image-"+p.version.String()) },
	"failVersion":           func(p place) map[string]any { return leased(p, "code", "DISK_FULL", "message", "No space.") },
	"releaseVersion":        func(p place) map[string]any { return leased(p) },
	"editImageRequest":      func(p place) map[string]any { return map[string]any{"imageRequest": p.request, "icon": "new.png"} },
	"transferImageRequest":  func(p place) map[string]any { return map[string]any{"imageRequest": p.request, "to": "heir"} },
	"requestVersion": func(p place) map[string]any {
		return map[string]any{"imageRequest": p.request, "instance": uuid.New(), "provider": 1}
	},
}

// elsewhere are the mutations whose cells are not of one row, and where they are.
var elsewhere = map[string]string{"requestImage": "TestRequests", "claimVersion": "TestClaims", "saveProvider": "TestRequests"}

func decision(p place) map[string]any {
	return map[string]any{"version": p.version, "revision": 2, "message": "so"}
}

func remark(p place) map[string]any { return map[string]any{"version": p.version, "message": "so"} }

func leased(p place, more ...string) map[string]any {
	in := map[string]any{"version": p.version, "leaseToken": p.lease}
	for i := 0; i < len(more); i += 2 {
		in[more[i]] = more[i+1]
	}
	return in
}

// mutation is the document for one of them: with what tells of it, as far as it has that.
func mutation(name string) string {
	field, _, _ := strings.Cut(name, " ")
	payload := "imageRequest { ...R } version { id status }"
	switch field {
	case "editImageRequest", "transferImageRequest":
		payload = "imageRequest { ...R }"
	case "claimVersion":
		payload += " lease { token }"
	}
	input := strings.ToUpper(field[:1]) + field[1:] + "Input"
	return "mutation ($input: " + input + "!) { " + field + "(input: $input) { " + payload + " } }" + everything
}

// write is a cell: an actor's mutation of a row.
type write struct {
	mutation string
	actor
	place
	outcome, status string // as the oracle has them
}

// TestWrites tries every mutation on every row, as everybody. What is done has a row of its own; all that is refused tries the
// same one, on which it leaves no trace.
func TestWrites(t *testing.T) {
	t.Parallel()
	h := open(t)
	common := h.put(t, rows()...)
	var writes []*write
	var own []row
	for name := range inputs {
		for _, a := range actors {
			for _, p := range common {
				if passedOver(a, p, name == "requestVersion" || name == "editVersion endDate" || name == "editImageRequest") {
					continue
				}
				w := &write{mutation: name, actor: a, place: p}
				if w.outcome, w.status = a.change(name, p.row); w.outcome == "done" {
					own = append(own, p.row)
				}
				writes = append(writes, w)
			}
		}
	}
	places := h.put(t, own...)
	for _, w := range writes {
		if w.outcome == "done" {
			w.place, places = places[0], places[1:]
		}
	}
	before, events := h.footprint(t)
	nothing := map[string]reply{}
	for name, input := range inputs {
		for _, a := range actors {
			r := h.ask(a, mutation(name), map[string]any{"input": input(unknown)})
			want, _ := a.change(name, row{"HIDDEN", "", ""})
			if a.details() && a.signedIn() && a.token == "" {
				want = "NOT_FOUND"
			}
			if got := r.refusal(t); got != want {
				t.Errorf("%s of an unknown id as %s: %s, want %s", name, a.name, got, want)
			}
			nothing[name+a.name] = r
		}
	}
	var cells []func()
	for _, w := range writes {
		cells = append(cells, func() { w.try(t, h, nothing[w.mutation+w.actor.name]) })
	}
	run(t, cells)
	if over.Load() {
		return // not all was tried
	}
	after, eventsAfter := h.footprint(t)
	for _, w := range writes {
		done := w.outcome == "done"
		if (before[w.request] != after[w.request]) != done || (eventsAfter[w.request]-events[w.request] == 1) != done {
			fail(t, "%s of %s as %s, %s: changed %v, %d events more", w.mutation, w.row, w.actor.name, w.outcome, before[w.request] != after[w.request], eventsAfter[w.request]-events[w.request])
		}
	}
}

func (w *write) try(t *testing.T, h *house, nothing reply) {
	t.Helper()
	cell := fmt.Sprintf("%s of %s as %s", w.mutation, w.row, w.actor.name)
	r := h.ask(w.actor, mutation(w.mutation), map[string]any{"input": inputs[w.mutation](w.place)})
	got := r.refusal(t)
	if w.outcome != "done" {
		if got != w.outcome {
			fail(t, "%s: %q, want %s: %s", cell, got, w.outcome, r.body)
		}
		if w.outcome == "NOT_FOUND" && !same(r, nothing) {
			fail(t, "%s is answered\n%s, and an unknown id\n%s", cell, r.body, nothing.body)
		}
		return
	}
	field, _, _ := strings.Cut(w.mutation, " ")
	payload := r.answer(t).Data[field]
	if got != "" || payload == nil {
		fail(t, "%s: %s, want it done", cell, r.body)
		return
	}
	w.told(t, cell, payload)
}

// told is what is left to be told of what was done: nothing that they may no longer see.
func (w *write) told(t *testing.T, cell string, payload any) {
	t.Helper()
	sees, secrets := w.afterwards(w.mutation, w.row, w.status)
	if got := at(payload, "imageRequest") != nil; got != sees {
		fail(t, "%s: tells the request %v, want %v", cell, got, sees)
	}
	if !sees {
		if at(payload, "version") != nil {
			fail(t, "%s: tells the version", cell)
		}
		return
	}
	version := at(payload, "imageRequest", "versions", 0)
	if got := at(version, "status"); got != w.status {
		fail(t, "%s: it is %v, want %s", cell, got, w.status)
	}
	if w.status == w.row.status {
		if got := secretsIn(at(payload, "imageRequest")); !slices.Equal(got, secrets) {
			fail(t, "%s: tells %q, want %q", cell, got, secrets)
		}
	}
	for _, secret := range []string{"sharedWith", "events", "version.sys", "version.ipAddress"} { // others come and go with the status
		if got, want := at(payload, append([]any{"imageRequest"}, secretPaths[secret]...)...) != nil, slices.Contains(secrets, secret); got != want {
			fail(t, "%s: tells %s %v, want %v", cell, secret, got, want)
		}
	}
}

// TestClaims does so for what is asked of a provider: one row after the other stands there alone.
func TestClaims(t *testing.T) {
	t.Parallel()
	h := open(t)
	all := h.put(t, rows()...)
	h.move(t, "3", "true")
	before, _ := h.footprint(t)
	n := 0
	for _, a := range actors {
		for _, p := range all {
			w := &write{mutation: "claimVersion", actor: a, place: p}
			if w.outcome, w.status = a.change("claimVersion", p.row); w.outcome == "done" {
				w.place = h.put(t, p.row)[0]
			} else {
				h.move(t, "1", "id = '"+w.version.String()+"'")
			}
			cell := fmt.Sprintf("claimVersion of %s as %s", w.row, a.name)
			r := h.ask(a, mutation("claimVersion"), map[string]any{"input": map[string]any{"provider": 1}})
			payload := r.answer(t).Data["claimVersion"]
			got := r.refusal(t)
			if claimed := at(payload, "version", "id"); got == "" && claimed == w.version.String() && at(payload, "lease", "token") != nil {
				got = "done"
				w.told(t, cell, payload)
			} else if got == "" && claimed == nil && at(payload, "lease") == nil {
				got = "nothing"
			}
			if got != w.outcome {
				fail(t, "%s: %s, want %s: %s", cell, got, w.outcome, r.body)
			}
			h.move(t, "3", "provider_id = 1")
			n++
		}
	}
	after, _ := h.footprint(t)
	maps.DeleteFunc(after, func(id uuid.UUID, _ string) bool { return before[id] == "" })
	if !maps.Equal(before, after) {
		fail(t, "what was not claimed has changed")
	}
	counted(t, n)
}

// move gives versions another provider.
func (h *house) move(t *testing.T, provider, which string) {
	t.Helper()
	if _, err := h.sql.ExecContext(t.Context(), "UPDATE versions SET provider_id = "+provider+" WHERE "+which); err != nil {
		t.Fatal(err)
	}
}

// TestRequests asks through both doors for images of instances that rows have, and of others; and saves providers.
func TestRequests(t *testing.T) {
	t.Parallel()
	h := open(t)
	var cells []func()
	var own []row
	for range 2 * len(actors) {
		own = append(own, rows()...)
	}
	places := h.put(t, own...)
	before, _ := h.footprint(t)
	for i, p := range places {
		a := actors[i/len(rows())/2]
		cells = append(cells, func() {
			want, got := a.requestAgain(p.row), ""
			if i/len(rows())%2 == 0 {
				r := h.ask(a, `mutation ($input: RequestImageInput!) { requestImage(input: $input) { imageRequest { id } } }`, map[string]any{"input": image(p)})
				if got = r.refusal(t); got == "" {
					got = "done"
				}
				if got == "CONFLICT" && !strings.Contains(r.body, `"message":"This instance already has an open request."`) {
					fail(t, "requestImage of the instance of %s as %s tells more: %s", p.row, a.name, r.body)
				}
			} else {
				got = h.post(t, a, p)
				if want == "UNAUTHENTICATED" {
					want = "401"
				}
			}
			if got != want {
				fail(t, "an image of the instance of %s as %s: %s, want %s", p.row, a.name, got, want)
			}
		})
	}
	for _, a := range actors {
		for _, id := range []int{3, 100 + slices.IndexFunc(actors, func(b actor) bool { return a.name == b.name })} {
			cells = append(cells, func() {
				r := h.ask(a, `mutation ($input: SaveProviderInput!) { saveProvider(input: $input) { provider { id } } }`,
					map[string]any{"input": map[string]any{"id": id, "name": fmt.Sprint("provider ", id), "active": true}})
				want := a.refusedAdmin()
				if got := r.refusal(t); got != want {
					fail(t, "saveProvider as %s: %s, want %s", a.name, got, want)
				}
			})
		}
	}
	run(t, cells)
	if over.Load() {
		return
	}
	after, _ := h.footprint(t)
	maps.DeleteFunc(after, func(id uuid.UUID, _ string) bool { return before[id] == "" })
	if !maps.Equal(before, after) {
		fail(t, "requests for images have changed what was there")
	}
}

// post asks for an image through REST.
func (h *house) post(t *testing.T, a actor, p place) string {
	t.Helper()
	r := h.send(a, "POST", "/image_requests", fmt.Sprintf(`{"name": "again", "instance": %q, "provider": 1, "description": "", "software": "", "exclude": "", "tags": [], "vis": "private"}`, p.instance), sendsJSON)
	switch r.status {
	case http.StatusOK:
		return "done"
	case http.StatusUnauthorized:
		return "401"
	case http.StatusForbidden:
		return "FORBIDDEN"
	case http.StatusConflict:
		if strings.Contains(r.body, p.name) {
			return "CONFLICT " + p.status
		} else if r.body == `{"detail":"This instance already has an open request."}` {
			return "CONFLICT"
		}
	}
	return fmt.Sprint(r.status, " ", r.body)
}

// TestEveryOperationHasCells asks the service what it can be asked.
func TestEveryOperationHasCells(t *testing.T) {
	t.Parallel()
	h := open(t)
	of := func(cells ...string) map[string]bool {
		fields := map[string]bool{}
		for _, cell := range cells {
			name, _, _ := strings.Cut(strings.TrimSuffix(cell, ","), " ")
			fields[strings.TrimSuffix(name, ",")] = true
		}
		return fields
	}
	have := map[string]map[string]bool{
		"Query":        of(append(slices.Collect(maps.Keys(reads)), "viewer", "providers", "previewImageRequest")...),
		"Mutation":     of(append(slices.Collect(maps.Keys(inputs)), slices.Collect(maps.Keys(elsewhere))...)...),
		"Subscription": {"events": true},
	}
	for kind, cells := range have {
		for _, name := range h.fields(t, kind) {
			if !cells[name] && ofTokens[name] == "" {
				t.Errorf("%s has the field %s, and nobody tries it", kind, name)
			}
			delete(cells, name)
		}
		for name := range cells {
			t.Errorf("%s has no field %s", kind, name)
		}
	}
}
