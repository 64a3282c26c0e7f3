package graph_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/graph"
	"imagerequests/imaging"
)

var streamsFull = flag.Bool("streams.full", false, "run TestThousandSubscribers at its full length, a minute of 50 events a second")

// A thousand subscribers, of all kinds, are each told everything, once and in order. They cost one connection that listens, and
// when they have left nothing of them is left.
func TestThousandSubscribers(t *testing.T) {
	const subscribers = 1000
	events, pace := 100, time.Duration(0)
	if *streamsFull {
		events, pace = 3000, time.Second/50
	}
	h := newHall(t)
	before := h.measure()
	statements := h.count("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
	latency := &latencies{}
	var listening sync.WaitGroup
	var leaves []func()
	var told atomic.Int64
	for i := range subscribers {
		l := h.subscribe(t.Context(), []string{"username", "reviewer", "stranger", "admin", ""}[i%5], hallEvents, nil)
		leaves = append(leaves, l.leave)
		listening.Go(func() {
			if err := h.follow(l, events, &told, latency); err != nil {
				t.Errorf("subscriber %d: %v", i, err)
			}
		})
	}
	began := time.Now()
	h.write(events, pace)
	wrote := time.Since(began)
	h.await("all were told everything", func() bool { return told.Load() == int64(subscribers*events) || t.Failed() })
	took := time.Since(began)
	during := h.measure()
	h.await("one connection listens", func() bool { // which is another one each half minute
		return h.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'") == 1
	})
	if n := h.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'imagerequests'"); n > db.Connections+1+2 {
		t.Errorf("%d connections are open", n)
	}
	for _, leave := range leaves {
		leave()
	}
	listening.Wait()
	after := h.measure()
	h.await("no goroutine is left", func() bool { after = h.measure(); return after.goroutines <= before.goroutines })
	if after.heap > before.heap+8<<20 {
		t.Errorf("the heap had %d KiB before, and has %d KiB afterwards", before.heap>>10, after.heap>>10)
	}
	statements = h.count("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()") - statements
	t.Logf("%d subscribers × %d events in %.1f s, written in %.1f s; told after %s in the middle, %s for 99 of 100, %s at most\n"+
		"before: %v\nduring: %v\nafter:  %v\ntransactions: %d, %d of them of the writers",
		subscribers, events, took.Seconds(), wrote.Seconds(), latency.at(0.5), latency.at(0.99), latency.at(1), before, during, after, statements, events)
}

// hall is a studio with requests that everybody sees.
type hall struct {
	studio
	sql      *sql.DB
	requests []uuid.UUID
}

const hallEvents = `subscription { events { cursor seq at action actor changes { field to } imageRequest { id name status } } }`

func newHall(t *testing.T) *hall {
	t.Helper()
	cfg := dbtest.Config(t)
	h := &hall{studio: studio{door: door{t: t, store: dbtest.Open(t, cfg)}}, sql: dbtest.SQL(t, cfg)}
	if err := h.store.LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		in := imaging.RequestImageInput{Name: fmt.Sprint("public ", i), Visibility: imaging.Public, Work: imaging.Work{Instance: uuid.New(), Provider: 1}}
		v, err := h.store.RequestImage(t.Context(), known["username"], in)
		if err != nil {
			t.Fatal(err)
		}
		h.requests = append(h.requests, v.ImageRequestID)
	}
	feed := db.NewFeed(h.store)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- feed.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	h.exec = graph.Options{Store: h.store, Feed: feed, Auth: auth.New(h.store, known), Throttle: auth.NewThrottle(0, 0, nil), Log: slog.New(slog.DiscardHandler)}.Executor()
	first := h.subscribe(t.Context(), "reviewer", hallEvents, nil) // so that all is warm and open
	h.write(50, 0)
	for range 50 {
		first.text()
	}
	first.leave()
	return h
}

// write has so many events happen, several writers at once, or one at each tick.
func (h *hall) write(events int, pace time.Duration) {
	h.t.Helper()
	var writers sync.WaitGroup
	next := make(chan int)
	for range 4 {
		writers.Go(func() {
			for i := range next {
				in := imaging.EditImageRequestInput{ImageRequest: h.requests[i%len(h.requests)], Description: new(uuid.NewString())}
				if _, err := h.store.EditImageRequest(context.Background(), known["username"], in); err != nil {
					h.t.Error(err)
				}
			}
		})
	}
	var tick <-chan time.Time
	if pace > 0 {
		ticker := time.NewTicker(pace)
		defer ticker.Stop()
		tick = ticker.C
	}
	for i := range events {
		if tick != nil {
			<-tick
		}
		next <- i
	}
	close(next)
	writers.Wait()
}

// follow takes so many events, each of which must be the next one of its request, and then waits for the end.
func (h *hall) follow(l *subscribed, events int, told *atomic.Int64, latency *latencies) error {
	last := map[string]int{}
	for range events {
		response := l.next(l.ctx)
		if response == nil {
			return fmt.Errorf("its stream has ended")
		}
		var got struct {
			Events struct {
				Seq          int
				At           time.Time
				ImageRequest struct{ ID string }
			}
		}
		if err := json.Unmarshal(response.Data, &got); err != nil || len(response.Errors) > 0 {
			return fmt.Errorf("%s %v", response.Data, response.Errors)
		}
		latency.note(time.Since(got.Events.At))
		e := got.Events
		if before, ok := last[e.ImageRequest.ID]; ok && e.Seq != before+1 {
			return fmt.Errorf("event %d follows %d", e.Seq, before)
		}
		last[e.ImageRequest.ID] = e.Seq
		told.Add(1)
	}
	if response := l.next(l.ctx); response != nil {
		return fmt.Errorf("one more: %s", response.Data)
	}
	return nil
}

// figures are what the process takes.
type figures struct {
	heap       uint64
	goroutines int
}

func (f figures) String() string {
	return fmt.Sprintf("%.1f MiB of heap, %d goroutines", float64(f.heap)/(1<<20), f.goroutines)
}

func (h *hall) measure() figures {
	var m runtime.MemStats
	for range 2 { // what pools hold is free after the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return figures{m.HeapAlloc, runtime.NumGoroutine()}
}

func (h *hall) count(query string) (n int) {
	h.t.Helper()
	if err := h.sql.QueryRowContext(h.t.Context(), query).Scan(&n); err != nil {
		h.t.Fatal(err)
	}
	return n
}

// await waits until something is so.
func (h *hall) await(what string, holds func() bool) {
	h.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for end := time.After(5 * time.Minute); !holds(); {
		select {
		case <-look.C:
		case <-end:
			h.t.Fatalf("it never came to be that %s", what)
		}
	}
}

// latencies counts how long events took to be told, by the millisecond.
type latencies struct{ counts [60_001]atomic.Int64 }

func (l *latencies) note(d time.Duration) {
	l.counts[min(max(d.Milliseconds(), 0), int64(len(l.counts)-1))].Add(1)
}

// at is the time within which this share of the events was told.
func (l *latencies) at(share float64) time.Duration {
	var all, sum int64
	for i := range l.counts {
		all += l.counts[i].Load()
	}
	for i := range l.counts {
		if sum += l.counts[i].Load(); float64(sum) >= share*float64(all) {
			return time.Duration(i+1) * time.Millisecond
		}
	}
	return 0
}
