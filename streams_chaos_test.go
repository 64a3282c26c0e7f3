package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// copies are two servers over one database, each of which may be away at any time.
type copies struct {
	t     testing.TB
	env   []string
	token string
	sql   *sql.DB
	bases [2]atomic.Pointer[string]
}

func newCopies(t testing.TB) (*copies, [2]*program) {
	t.Helper()
	cfg := dbtest.Config(t)
	store := dbtest.Open(t, cfg)
	if _, err := store.SaveProvider(t.Context(), yardAdmin, imaging.SaveProviderInput{ID: 1, Name: new("one")}); err != nil {
		t.Fatal(err)
	}
	secret, _, err := store.CreateToken(t.Context(), yardAdmin, imaging.Token{Username: "ann", Roles: []imaging.Role{imaging.Requester}})
	if err != nil {
		t.Fatal(err)
	}
	c := &copies{t: t, env: []string{"DATABASE_URL=" + urlOf(cfg)}, token: secret, sql: dbtest.SQL(t, cfg)}
	return c, [2]*program{c.start(0), c.start(1)}
}

// start brings one of the copies up, on another port than before.
func (c *copies) start(i int) *program {
	c.t.Helper()
	p := launch(c.t, c.env, "serve", "--listen=127.0.0.1:0", "--rate=0")
	eventually(c.t, "a copy serves", func() bool { return greeted(p.out) != "" || p.ended() })
	base := greeted(p.out)
	c.bases[i].Store(&base)
	return p
}

func (c *copies) base(i int) string { return *c.bases[i%2].Load() }

// follower is a subscriber over server-sent events. When its stream ends, however that is, it goes to the other copy with the
// id of the last event, as EventSource does.
type follower struct {
	*copies
	turn    int
	last    string   // id
	told    []string // "request seq", in order
	streams int
}

const everything = "/graphql?query=subscription%7Bevents(after%3A%22%22)%7Bseq%20imageRequest%7Bid%7D%7D%7D"

// follow listens until it was told so many events.
func (f *follower) follow(ctx context.Context, count int) error {
	for len(f.told) < count && ctx.Err() == nil {
		f.turn++
		_ = f.listen(ctx, count) // whatever ended it: there is another copy
	}
	return ctx.Err()
}

func (f *follower) listen(ctx context.Context, count int) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base(f.turn)+everything, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Token "+f.token)
	if f.last != "" {
		r.Header.Set("Last-Event-ID", f.last)
	}
	response, err := browserWithoutTimeout.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	f.streams++
	id := ""
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		line := lines.Text()
		if text, ok := strings.CutPrefix(line, "id: "); ok {
			id = text
		}
		text, ok := strings.CutPrefix(line, "data: ")
		if !ok || id == "" {
			continue
		}
		var event struct {
			Data struct {
				Events struct {
					Seq          int
					ImageRequest struct{ ID string }
				}
			}
		}
		if err := json.Unmarshal([]byte(text), &event); err != nil {
			return err // cut in the middle: it will be told again
		}
		f.told = append(f.told, fmt.Sprint(event.Data.Events.ImageRequest.ID, " ", event.Data.Events.Seq))
		f.last, id = id, ""
		if len(f.told) >= count {
			return nil
		}
	}
	return nil
}

// write changes a request, until that is answered, through whichever copy answers.
func (c *copies) write(ctx context.Context, request string, n int) error {
	body := fmt.Sprintf(`{"query":"mutation{editImageRequest(input:{imageRequest:\"%s\",name:\"n%d\"}){imageRequest{name}}}"}`, request, n)
	for try := n; ctx.Err() == nil; try++ {
		a, err := ask(ctx, http.MethodPost, c.base(try)+"/graphql", c.token, body)
		if err == nil && strings.Contains(a.body, fmt.Sprintf(`"name":"n%d"`, n)) {
			return nil // sent twice it changes nothing the second time
		}
	}
	return ctx.Err()
}

func (c *copies) request() string {
	c.t.Helper()
	in := fmt.Sprintf(`{"query":"mutation{requestImage(input:{name:\"x\",instance:\"%s\",provider:1,visibility:PRIVATE}){imageRequest{id}}}"}`, uuid.New())
	a := fetch(c.t, http.MethodPost, c.base(0)+"/graphql", c.token, in)
	var made struct {
		Data struct {
			RequestImage struct{ ImageRequest struct{ ID string } }
		}
	}
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || made.Data.RequestImage.ImageRequest.ID == "" {
		c.t.Fatal(err, a.body)
	}
	return made.Data.RequestImage.ImageRequest.ID
}

// TestStreamsUnderChaos: twenty writers, two copies of the server over one database, of which one is ended twenty times, by
// kill -9 or in order, and whose listening connections are cut twenty times: each subscriber is told each event once, and
// those of a request in their order.
func TestStreamsUnderChaos(t *testing.T) {
	t.Parallel()
	const writers, changes, restarts = 20, 15, 20
	c, running := newCopies(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	var requests []string
	for range writers {
		requests = append(requests, c.request())
	}
	const events = writers * (changes + 1)
	followers := []*follower{{copies: c}, {copies: c, turn: 1}, {copies: c}}
	var all sync.WaitGroup
	for i, f := range followers {
		all.Go(func() {
			if err := f.follow(ctx, events); err != nil {
				t.Errorf("subscriber %d was told %d of %d events", i, len(f.told), events)
			}
		})
	}
	var written atomic.Int64
	for _, id := range requests {
		all.Go(func() {
			for n := range changes { // in step with the restarts, so that there is something to miss until the last
				if err := c.write(ctx, id, n); err != nil {
					return
				}
				written.Add(1)
			}
		})
	}
	for n := range restarts {
		eventually(t, "there is something to miss", func() bool {
			return written.Load() >= int64(n*writers*changes/restarts) || ctx.Err() != nil
		})
		if _, err := c.sql.ExecContext(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' AND datname = current_database()"); err != nil {
			t.Fatal(err)
		}
		p := running[n%2]
		if n%3 == 0 {
			p.signal(syscall.SIGTERM)
		} else {
			p.kill()
		}
		eventually(t, "it has ended", p.ended)
		running[n%2] = c.start(n % 2)
	}
	all.Wait()
	for i, f := range followers {
		f.check(t, i, requests)
	}
}

// check fails unless each event of each request was told once and in order.
func (f *follower) check(t testing.TB, number int, requests []string) {
	t.Helper()
	seqs := map[string]int{}
	for _, line := range f.told {
		id, text, _ := strings.Cut(line, " ")
		if seqs[id]++; text != fmt.Sprint(seqs[id]) {
			t.Errorf("subscriber %d is told event %s of %s as its %d.", number, text, id, seqs[id])
		}
	}
	if len(seqs) != len(requests) || slices.ContainsFunc(requests, func(id string) bool { return seqs[id] != len(f.told)/len(requests) }) {
		t.Errorf("subscriber %d is told %d events of %d requests", number, len(f.told), len(seqs))
	}
	if f.streams < 2 {
		t.Errorf("subscriber %d had %d streams: nothing was shown", number, f.streams)
	}
	t.Logf("subscriber %d: %d events over %d streams", number, len(f.told), f.streams)
}
