package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// writer asks for images, edits them, cancels them and asks for further versions, one write after the other, through both
// doors. Whatever is not answered, or is told to come again, is sent again with its key until it is answered.
type writer struct {
	*ledger
	*client
	name string
	pace time.Duration // at least, between two writes
	fail func(format string, args ...any)
}

// write goes on until the context ends, and ends no write in the middle.
func (w *writer) write(ctx context.Context) {
	pace := time.NewTicker(w.pace)
	defer pace.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		e, ok := w.create(n%2 == 0)
		steps := []func(*entry) bool{w.edit, w.edit, w.cancel, w.another}
		for _, step := range steps[:1+n%len(steps)] {
			if ok && ctx.Err() == nil {
				<-pace.C
				ok = step(&e)
			}
		}
		if !ok {
			return
		}
		<-pace.C
	}
}

const itsState = `imageRequest { id revision } version { id status }`

// create asks for an image.
func (w *writer) create(rest bool) (e entry, ok bool) {
	e = entry{owner: w.name, key: w.name + " " + uuid.NewString(), statuses: []string{"PENDING"}, events: 1}
	instance := uuid.NewString()
	send := func(ctx context.Context) (reply, error) {
		if rest {
			return w.do(ctx, http.MethodPost, "/image_requests", fmt.Sprintf(`{"name":%q,"instance":%q,"provider":1,"description":"edit 0","software":"","exclude":"","tags":["edit 0"],"vis":"private"}`,
				e.key, instance), "Idempotency-Key: "+e.key)
		}
		return w.graphql(ctx, `mutation($input: RequestImageInput!) { requestImage(input: $input) { `+itsState+` } }`, map[string]any{"input": map[string]any{
			"name": e.key, "instance": instance, "provider": 1, "description": "edit 0", "tags": []string{"edit 0"}, "visibility": "PRIVATE", "idempotencyKey": e.key,
		}})
	}
	if !w.insist(send, func(r reply, _ int) bool {
		var said struct {
			ID       string
			Versions []struct{ Alias string }
		}
		if rest {
			if r.status != http.StatusOK || json.Unmarshal([]byte(r.body), &said) != nil || len(said.Versions) != 1 {
				return false
			}
			e.id, e.versions = said.ID, []string{said.Versions[0].Alias} // its own id, until there is an image
			return true
		}
		id, version, ok := outcome(r)
		e.id, e.versions = id, []string{version}
		return ok
	}) {
		return e, false
	}
	w.note(e)
	return e, true
}

// edit changes description and tags, which always tell the same. Sent again it changes nothing.
func (w *writer) edit(e *entry) bool {
	text := fmt.Sprint("edit ", e.edits+1)
	send := func(ctx context.Context) (reply, error) {
		return w.graphql(ctx, `mutation($input: EditImageRequestInput!) { editImageRequest(input: $input) { imageRequest { id description } } }`,
			map[string]any{"input": map[string]any{"imageRequest": e.id, "description": text, "tags": []string{text}}})
	}
	if !w.insist(send, func(r reply, _ int) bool {
		return r.status == http.StatusOK && len(r.errors) == 0 && strings.Contains(r.body, strconv.Quote(text))
	}) {
		return false
	}
	e.edits, e.events = e.edits+1, e.events+1
	w.note(*e)
	return true
}

// cancel has no key: whoever sends it again may be told that it is CANCELLED, and then knows.
func (w *writer) cancel(e *entry) bool {
	send := func(ctx context.Context) (reply, error) {
		return w.graphql(ctx, `mutation($input: CancelVersionInput!) { cancelVersion(input: $input) { version { id status } } }`,
			map[string]any{"input": map[string]any{"version": e.versions[0], "message": "no longer wanted"}})
	}
	if !w.insist(send, func(r reply, tries int) bool {
		if len(r.errors) == 1 && tries > 1 {
			return r.code() == "CONFLICT" && r.errors[0].Extensions.Status == "CANCELLED"
		}
		return r.status == http.StatusOK && len(r.errors) == 0 && strings.Contains(r.body, `"CANCELLED"`)
	}) {
		return false
	}
	e.statuses, e.events = []string{"CANCELLED"}, e.events+1
	w.note(*e)
	return true
}

// another asks for a second version.
func (w *writer) another(e *entry) bool {
	key, instance := "again "+e.key, uuid.NewString()
	send := func(ctx context.Context) (reply, error) {
		return w.graphql(ctx, `mutation($input: RequestVersionInput!) { requestVersion(input: $input) { `+itsState+` } }`,
			map[string]any{"input": map[string]any{"imageRequest": e.id, "instance": instance, "provider": 1, "idempotencyKey": key}})
	}
	var version string
	if !w.insist(send, func(r reply, _ int) bool {
		id, v, ok := outcome(r)
		version = v
		return ok && id == e.id
	}) {
		return false
	}
	e.statuses, e.versions, e.events = append(e.statuses[:1:1], "PENDING"), append(e.versions[:1:1], version), e.events+1
	w.note(*e)
	return true
}

// insist sends until there is an answer, and fails if that is not right.
func (w *writer) insist(send func(context.Context) (reply, error), right func(r reply, tries int) bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	again := time.NewTicker(25 * time.Millisecond)
	defer again.Stop()
	for tries := 1; ; tries++ {
		r, err := send(ctx)
		if err == nil && !r.later() {
			if right(r, tries) {
				return true
			}
			w.wrong.Add(1)
			w.fail("%s, at try %d, is answered %d %s", w.name, tries, r.status, r.body)
			return false
		}
		if tries == 1 {
			w.repeated.Add(1)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			w.fail("%s is not answered: %v %d %s", w.name, err, r.status, r.body)
			return false
		}
	}
}

// outcome is what a mutation says of the one that it made.
func outcome(r reply) (request, version string, ok bool) {
	var data map[string]struct {
		ImageRequest struct{ ID string }
		Version      struct{ ID, Status string }
	}
	if r.status != http.StatusOK || len(r.errors) > 0 || json.Unmarshal(r.data, &data) != nil {
		return "", "", false
	}
	for _, out := range data {
		request, version = out.ImageRequest.ID, out.Version.ID
	}
	return request, version, request != "" && version != ""
}

// edited is the number of the last edit, if both tell the same.
func edited(description, tags string) (n int, err error) {
	if description != tags {
		return 0, fmt.Errorf("the description is of %q, the tags are of %q", description, tags)
	}
	return strconv.Atoi(strings.TrimPrefix(description, "edit "))
}

// split reads "STATUS id,STATUS id".
func split(versions string) (statuses, ids []string) {
	for version := range strings.SplitSeq(versions, ",") {
		status, id, _ := strings.Cut(version, " ")
		statuses, ids = append(statuses, status), append(ids, id)
	}
	return statuses, ids
}
