package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// write is a request for an image that is sent until it is answered, under a key of its own, which is its name, too.
type write struct {
	key      string
	instance uuid.UUID
	door     func(w write) (path, body string)
	token    string
	id       string // as it was answered; "" if it was not
}

// The two doors. What they send is the same for the same write, as it has to be for a key.
func throughREST(w write) (path, body string) {
	return "/image_requests", fmt.Sprintf(`{"name":%q,"instance":%q,"provider":1,"description":"","software":"","exclude":"","tags":["kept"],"vis":"private"}`, w.key, w.instance)
}

func throughGraphQL(w write) (path, body string) {
	return "/graphql", fmt.Sprintf(`{"query":"mutation($input: RequestImageInput!) { requestImage(input: $input) { imageRequest { id } } }",
		"variables":{"input":{"name":%q,"instance":%q,"provider":1,"visibility":"PRIVATE","tags":["kept"],"idempotencyKey":%q}}}`, w.key, w.instance, w.key)
}

var (
	errAway = errors.New("the service says that its database is away")
	errCut  = errors.New("there was no answer")
)

// send sends the write once and answers the id of the image request. The error is errAway, errCut, or the answer that
// should not have been.
func (w write) send(ctx context.Context, base string) (id string, err error) {
	path, body := w.door(w)
	a, err := ask(ctx, http.MethodPost, base+path, w.token, body, "Idempotency-Key: "+w.key)
	if err != nil {
		return "", errCut
	}
	var said struct {
		ID   string
		Data struct {
			RequestImage *struct{ ImageRequest struct{ ID string } }
		}
		Errors []struct {
			Extensions struct {
				Code       string
				RetryAfter int
			}
		}
	}
	_ = json.Unmarshal([]byte(a.body), &said)
	wait, _ := strconv.Atoi(a.header.Get("Retry-After"))
	switch {
	case a.status == http.StatusServiceUnavailable && wait > 0:
		return "", errAway
	case a.status == http.StatusOK && len(said.Errors) == 1 && said.Errors[0].Extensions.Code == "UNAVAILABLE" && said.Errors[0].Extensions.RetryAfter > 0:
		return "", errAway
	case a.status == http.StatusOK && said.ID != "":
		return said.ID, nil
	case a.status == http.StatusOK && said.Data.RequestImage != nil:
		return said.Data.RequestImage.ImageRequest.ID, nil
	}
	return "", fmt.Errorf("%s answers %d %v %s", path, a.status, a.header, a.body)
}

// ledger is what was sent, and what of it was answered.
type ledger struct {
	mu       sync.Mutex
	writes   []write
	answered atomic.Int64
	away     atomic.Int64
}

// hammer sends writes, several at once, as many as it can, until stop is called; stop waits for those under way. Each is
// sent again until it is answered or the service is gone.
func (l *ledger) hammer(t testing.TB, base string, tokens ...string) (stop func()) {
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	for _, token := range tokens {
		for _, door := range []func(write) (string, string){throughREST, throughGraphQL} {
			all.Go(func() {
				for ctx.Err() == nil {
					w := write{key: "write " + uuid.NewString(), instance: uuid.New(), door: door, token: token}
					err := l.insist(ctx, base, &w)
					l.mu.Lock()
					l.writes = append(l.writes, w)
					l.mu.Unlock()
					if errors.Is(err, errCut) {
						return
					} else if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	return func() {
		cancel()
		all.Wait()
	}
}

func (l *ledger) insist(stop context.Context, base string, w *write) (err error) {
	for {
		if w.id, err = w.send(context.Background(), base); err == nil {
			l.answered.Add(1)
			return nil
		}
		if !errors.Is(err, errAway) {
			return err
		}
		l.away.Add(1)
		select {
		case <-stop.Done():
			return nil
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// await waits until so many more writes were answered.
func (l *ledger) await(t testing.TB, more int64) {
	t.Helper()
	until := l.answered.Load() + more
	eventually(t, fmt.Sprintf("%d more writes are answered", more), func() bool { return l.answered.Load() >= until || t.Failed() })
}

// row is what the database holds of a write.
type row struct {
	id               string
	events, versions int
}

func rows(t testing.TB, dir string) map[string][]row {
	t.Helper()
	found, err := behind(t, dir).QueryContext(t.Context(), `SELECT name, id, (SELECT count(*) FROM events WHERE image_request_id = r.id),
		(SELECT count(*) FROM versions WHERE image_request_id = r.id) FROM image_requests r WHERE name LIKE 'write %'`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = found.Close() }()
	all := map[string][]row{}
	for found.Next() {
		var name string
		var r row
		if err := found.Scan(&name, &r.id, &r.events, &r.versions); err != nil {
			t.Fatal(err)
		}
		all[name] = append(all[name], r)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// check fails unless everything that was answered is in the database, once, with its event and its version; then each
// write, sent again, answers the same and adds nothing, and what was not answered can be had now.
func (l *ledger) check(t testing.TB, base, dir string) {
	t.Helper()
	stored := rows(t, dir)
	for i, w := range l.writes {
		there := stored[w.key]
		if w.id != "" && (len(there) != 1 || there[0] != row{w.id, 1, 1}) {
			t.Errorf("of the write that answered %s, the database holds %v", w.id, there)
		}
		id, err := w.send(t.Context(), base)
		if err != nil {
			t.Fatalf("sent again: %v", err)
		}
		if w.id != "" && id != w.id || len(there) == 1 && id != there[0].id {
			t.Errorf("sent again, the write %q is answered %s instead of %s; stored was %v", w.key, id, w.id, there)
		}
		l.writes[i].id = id
	}
	stored = rows(t, dir)
	if len(stored) != len(l.writes) {
		t.Errorf("%d writes were sent, %d are stored", len(l.writes), len(stored))
	}
	for _, w := range l.writes {
		if there := stored[w.key]; len(there) != 1 || there[0] != (row{w.id, 1, 1}) {
			t.Errorf("after the write %q was sent again as %s, the database holds %v", w.key, w.id, there)
		}
	}
}

func TestWritesSurviveTheDeathOfTheServer(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	var l ledger
	for range 3 {
		p := startServer(t, dir, "--demo")
		l.check(t, p.base, dir)
		stop := l.hammer(t, p.base, "demo-username", "demo-reviewer")
		l.await(t, 25)
		p.kill()
		stop()
	}
	p := startServer(t, dir, "--demo")
	l.check(t, p.base, dir)
	p.stop(t)
	t.Logf("%d writes, %d of them answered at once", len(l.writes), l.answered.Load())
}

func TestWritesSurviveTheDeathOfPostgres(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	p := startServer(t, dir, "--demo")
	token, _, err := command(nil, "token", "create", "--data="+dir, "--user=username")
	if err != nil {
		t.Fatal(err)
	}
	var l ledger
	stop := l.hammer(t, p.base, "demo-reviewer", token[:len(token)-1])
	for range 3 {
		l.await(t, 25)
		pid := killPostmaster(t, dir)
		eventually(t, "another database server runs", func() bool { now := postmaster(dir); return now != 0 && now != pid })
		eventually(t, "the service is ready again", func() bool { return ready(t, p.base) })
	}
	l.await(t, 25)
	stop()
	l.check(t, p.base, dir)
	if l.away.Load() == 0 {
		t.Error("no request was told that the database is away")
	}
	t.Logf("%d writes, %d answers were that the database is away", len(l.writes), l.away.Load())
	p.stop(t)
}

// ready tells whether /readyz says so. There is nothing it may say besides 200 and 503.
func ready(t testing.TB, base string) bool {
	t.Helper()
	a := fetch(t, http.MethodGet, base+"/readyz", "", "")
	if a.status != http.StatusOK && a.status != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d %s", a.status, a.body)
	}
	return a.status == http.StatusOK
}
