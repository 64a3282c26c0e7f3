package chaos

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// tally is what a crowd was answered.
type tally struct {
	answered, refused, failed atomic.Int64 // 200; 503 with Retry-After; anything else
	first                     sync.Once
	wrong                     string // the first of the failed

	mu   sync.Mutex
	took []time.Duration // a sample
}

func (l *tally) note(r reply, err error, took time.Duration) {
	switch {
	case err == nil && r.status == http.StatusOK && len(r.errors) == 0:
		l.answered.Add(1)
	case err == nil && r.later() && r.status != http.StatusTooManyRequests: // nobody is throttled here
		l.refused.Add(1)
	default:
		l.failed.Add(1)
		l.first.Do(func() { l.wrong = fmt.Sprint(err, r.status, " ", r.body) })
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.took) < 100_000 {
		l.took = append(l.took, took)
	} else if i := rand.IntN(1_000_000); i < len(l.took) {
		l.took[i] = took
	}
}

// String tells the counts, and how long most waited.
func (l *tally) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.took)
	at := func(share float64) time.Duration {
		if len(l.took) == 0 {
			return 0
		}
		return l.took[int(share*float64(len(l.took)-1))].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("%d answered, %d told to come again, %d failed; p50 %v, p99 %v", l.answered.Load(), l.refused.Load(), l.failed.Load(), at(0.5), at(0.99))
}

// visitor uses the service as most do: four reads, one write.
type visitor struct {
	*client
	last string // image request of theirs
}

func (v *visitor) visit(ctx context.Context, l *tally, n int) {
	if v.last == "" { // who was told to come again has none yet
		n = 0
	}
	began := time.Now()
	var r reply
	var err error
	switch n % 5 {
	case 0:
		if r, err = v.graphql(ctx, `mutation($input: RequestImageInput!) { requestImage(input: $input) { `+itsState+` } }`, map[string]any{"input": map[string]any{
			"name": "visited " + strconv.Itoa(n), "instance": uuid.NewString(), "provider": 1, "visibility": "PUBLIC", "tags": []string{"visited"}, "idempotencyKey": uuid.NewString(),
		}}); err == nil {
			if id, _, ok := outcome(r); ok {
				v.last = id
			}
		}
	case 1:
		r, err = v.graphql(ctx, `query($id: ID!) { imageRequest(id: $id) { `+whatIsSeen+` } }`, map[string]any{"id": v.last})
	case 2:
		r, err = v.graphql(ctx, `{ imageRequests(first: 20) { nodes { `+whatIsSeen+` } } }`, nil)
	case 3:
		r, err = v.do(ctx, http.MethodGet, "/image_requests/"+v.last, "")
	case 4:
		r, err = v.do(ctx, http.MethodGet, "/image_requests?page_size=20", "")
	}
	if ctx.Err() == nil {
		l.note(r, err, time.Since(began))
	}
}

// crowd has so many visitors come one after the other until the context ends.
func (w *world) crowd(ctx context.Context, tokens []string, l *tally) {
	var all sync.WaitGroup
	for _, token := range tokens {
		v := &visitor{client: newClient(w.direct(), token, patience)}
		all.Go(func() {
			defer v.http.CloseIdleConnections()
			for n := 0; ctx.Err() == nil; n++ {
				v.visit(ctx, l, n)
			}
		})
	}
	all.Wait()
}

func (w *world) tokens(n int) (all []string) {
	w.Helper()
	for i := range n {
		all = append(all, w.token(fmt.Sprint("visitor-", i), imaging.Requester))
	}
	return all
}

// TestLoad: 64 clients, four reads to a write. No errors, and neither memory nor goroutines grow: those of a server that has
// just begun are compared with those of one at the end.
func TestLoad(t *testing.T) {
	t.Parallel()
	const clients = 64
	w := newWorld(t, setup{})
	w.populate()
	tokens, watcher := w.tokens(clients), w.token("watcher", imaging.Admin)
	short, l := length(20*time.Second, 3*time.Second), &tally{}
	early := w.under(t, tokens, watcher, short, &tally{})
	lasting := cmp.Or(*loadFor, length(10*time.Minute, 8*time.Second))
	late := w.under(t, tokens, watcher, lasting, l)
	t.Logf("%d clients for %v: %v; %.0f a second", clients, lasting, l, float64(l.answered.Load())/lasting.Seconds())
	t.Logf("memory in MiB, each fifth of the time: %.0f; goroutines after %v: %d, after %v: %d", late.fifths(), short, early.goroutines, lasting, late.goroutines)
	if l.failed.Load()+l.refused.Load() > 0 || l.answered.Load() == 0 {
		t.Errorf("not all were answered, the first of them: %s", l.wrong)
	}
	if fifths := late.fifths(); lasting >= time.Minute && fifths[4] > 1.25*fifths[1]+16 {
		t.Errorf("memory grows: %.0f MiB", fifths)
	}
	if late.goroutines > early.goroutines+16 {
		t.Errorf("goroutines grow: %d, then %d", early.goroutines, late.goroutines)
	}
}

// body is what a server took.
type body struct {
	memory     []float64 // MiB, at each second
	goroutines int       // at the end, with all clients still connected and nothing to do
}

func (b body) fifths() (means [5]float64) {
	for i := range means {
		part := b.memory[i*len(b.memory)/5 : (i+1)*len(b.memory)/5]
		for _, m := range part {
			means[i] += m / float64(len(part))
		}
	}
	return means
}

// under starts a server, puts it under load for a while, asks it for its goroutines, and ends it.
func (w *world) under(t *testing.T, tokens []string, watcher string, d time.Duration, l *tally) (b body) {
	s := w.start(0)
	ctx, stop := context.WithTimeout(t.Context(), d)
	defer stop()
	var sampling sync.WaitGroup
	sampling.Go(func() {
		for tick := time.NewTicker(d / time.Duration(max(5, min(600, int(d/time.Second))))); ctx.Err() == nil; <-tick.C {
			b.memory = append(b.memory, s.memory(t))
		}
	})
	w.crowd(ctx, tokens, l)
	sampling.Wait()
	var idle sync.WaitGroup
	for _, token := range tokens { // as many as there were, each with a connection that waits
		idle.Go(func() {
			c := newClient(w.direct(), token, patience)
			t.Cleanup(c.http.CloseIdleConnections)
			if r, err := c.do(t.Context(), http.MethodGet, "/image_requests?page_size=1", ""); err != nil || r.status != http.StatusOK {
				t.Errorf("%v %d %s", err, r.status, r.body)
			}
		})
	}
	idle.Wait()
	asking := newClient(w.direct(), watcher, patience)
	defer asking.http.CloseIdleConnections()
	b.goroutines = math.MaxInt
	for range 50 { // those of connections that were closed just now end meanwhile
		r, err := asking.do(t.Context(), http.MethodGet, "/metrics", "")
		told := goroutines.FindStringSubmatch(r.body)
		if err != nil || told == nil {
			t.Fatalf("the server does not tell its goroutines: %v %d %s", err, r.status, tail(r.body))
		}
		n, _ := strconv.Atoi(told[1])
		b.goroutines = min(b.goroutines, n)
	}
	w.balancer.Set(0, "")
	s.kill()
	return b
}

var goroutines = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

// memory is what the server holds of it, in MiB.
func (s *server) memory(t *testing.T) float64 {
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(s.cmd.Process.Pid)).Output()
	kib, wrong := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil || wrong != nil {
		t.Errorf("%v %v", err, wrong)
	}
	return kib / 1024
}
