package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// reader reads what the writers have been told is there, as its owner and as others, through both doors, and looks whether
// each answer is one state of one image request, no older than what was acknowledged before it was asked for, and the
// caller's own.
type reader struct {
	*ledger
	base    string
	pace    time.Duration
	clients map[string]*client // by owner
	reads   *atomic.Int64
	fail    func(format string, args ...any)
}

type seen struct {
	ID, Name, Description, CreatedBy, Status string
	Tags                                     []string
	Revision                                 int
	Versions                                 []struct{ ID, Status string }
}

const whatIsSeen = `id name description tags createdBy status revision versions { id status }`

func (r *reader) read(ctx context.Context) {
	pace := time.NewTicker(r.pace)
	defer pace.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		<-pace.C
		e, ok := r.some(n * 7)
		if !ok {
			continue
		}
		var err error
		switch n % 4 {
		case 0:
			err = r.one(ctx, e)
		case 1:
			err = r.item(ctx, e)
		case 2:
			err = r.list(ctx, e.owner)
		case 3:
			err = r.stranger(ctx, e)
		}
		if err != nil {
			r.wrong.Add(1)
			r.fail("reading %s: %v", e.id, err)
			return
		}
	}
}

func (r *reader) one(ctx context.Context, e entry) error {
	a, err := r.clients[e.owner].graphql(ctx, `query($id: ID!) { imageRequest(id: $id) { `+whatIsSeen+` } }`, map[string]any{"id": e.id})
	if err != nil || a.later() {
		return r.unanswered(ctx)
	}
	var data struct{ ImageRequest *seen }
	if a.status != http.StatusOK || len(a.errors) > 0 || json.Unmarshal(a.data, &data) != nil || data.ImageRequest == nil {
		return fmt.Errorf("%d %s", a.status, a.body)
	}
	r.reads.Add(1)
	if s := data.ImageRequest; s.ID != e.id || s.Name != e.key || len(s.Versions) < len(e.versions) || s.Revision < e.events {
		return fmt.Errorf("%+v, and %+v was acknowledged", s, e)
	}
	return data.ImageRequest.whole(e.owner, e.edits)
}

// unanswered counts a read that failed, or was told to come again, but for one at the end.
func (r *reader) unanswered(ctx context.Context) error {
	if ctx.Err() == nil {
		r.away.Add(1)
	}
	return nil
}

// whole fails unless it is one state, of the owner's, and not older than so many edits.
func (s *seen) whole(owner string, edits int) error {
	n, err := edited(s.Description, strings.Join(s.Tags, ","))
	if err != nil || n < edits || s.CreatedBy != owner || len(s.Versions) == 0 {
		return fmt.Errorf("%w: %+v, for %s, after %d edits", err, s, owner, edits)
	}
	for _, v := range s.Versions { // the newest is the first or the last
		if v.Status == s.Status {
			return nil
		}
	}
	return fmt.Errorf("no version is %s: %+v", s.Status, s)
}

func (r *reader) item(ctx context.Context, e entry) error {
	a, err := r.clients[e.owner].do(ctx, http.MethodGet, "/image_requests/"+e.id, "")
	if err != nil || a.later() {
		return r.unanswered(ctx)
	}
	var item struct {
		ID, Name, Description string
		CreatedBy             string `json:"created_by"`
		Tags                  []string
		Versions              []struct{ Alias string }
	}
	if a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &item) != nil {
		return fmt.Errorf("%d %s", a.status, a.body)
	}
	r.reads.Add(1)
	n, err := edited(item.Description, strings.Join(item.Tags, ","))
	if err != nil || n < e.edits || item.ID != e.id || item.Name != e.key || item.CreatedBy != e.owner || len(item.Versions) < len(e.versions) {
		return fmt.Errorf("%w: %s, and %+v was acknowledged", err, a.body, e)
	}
	return nil
}

func (r *reader) list(ctx context.Context, owner string) error {
	a, err := r.clients[owner].graphql(ctx, `{ imageRequests(first: 20) { totalCount nodes { `+whatIsSeen+` } } }`, nil)
	if err != nil || a.later() {
		return r.unanswered(ctx)
	}
	var data struct {
		ImageRequests *struct {
			TotalCount int
			Nodes      []seen
		}
	}
	if a.status != http.StatusOK || len(a.errors) > 0 || json.Unmarshal(a.data, &data) != nil || data.ImageRequests == nil || len(data.ImageRequests.Nodes) == 0 {
		return fmt.Errorf("%d %s", a.status, a.body)
	}
	r.reads.Add(1)
	for _, s := range data.ImageRequests.Nodes {
		if err := s.whole(owner, 0); err != nil || !strings.HasPrefix(s.Name, owner+" ") {
			return fmt.Errorf("%w: %+v in the list of %s", err, s, owner)
		}
	}
	return nil
}

// stranger must be told that there is no such image request.
func (r *reader) stranger(ctx context.Context, e entry) error {
	for other, c := range r.clients {
		if other == e.owner {
			continue
		}
		a, err := c.do(ctx, http.MethodGet, "/image_requests/"+e.id, "")
		if err != nil || a.later() {
			return r.unanswered(ctx)
		}
		r.reads.Add(1)
		if a.status != http.StatusNotFound {
			return fmt.Errorf("%s is answered %d %s", other, a.status, a.body)
		}
		return nil
	}
	return nil
}
