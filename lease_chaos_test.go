package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

var leasesFull = flag.Bool("leases.full", false, "run TestLeases at its full length, which takes minutes")

// ordeal is what the workers go through.
type ordeal struct{ versions, workers, kills, stops, crashes int }

// TestLeases: workers are killed, workers stand still for longer than their leases hold and then go on, and the database
// crashes. Each version is completed once, by the worker that held it last.
func TestLeases(t *testing.T) {
	t.Parallel()
	o := ordeal{versions: 120, workers: 3, kills: 4, stops: 4, crashes: 1}
	if *leasesFull {
		o = ordeal{versions: 1200, workers: 5, kills: 39, stops: 39, crashes: 3}
	}
	began := time.Now()
	y := newYard(t)
	for range o.workers {
		y.hire()
	}
	acts := o.acts(y)
	for i, act := range acts { // some versions for each, so that there is work until the last
		y.request(o.versions*(i+1)/len(acts) - o.versions*i/len(acts))
		eventually(t, "the queue is short", func() bool {
			waiting, ok := y.waiting()
			return ok && waiting <= 2*o.workers
		})
		act()
	}
	y.standing.Wait()
	o.versions = int(y.asked.Load())
	eventually(t, "all versions are completed", func() bool {
		open, ok := y.count("SELECT count(*) FROM versions WHERE status <> 'COMPLETED'")
		return ok && open == 0 || t.Failed()
	})
	took := time.Since(began)
	y.close()
	f := y.figures()
	f.check(t, o)
	events, err := dbtest.Histories(t.Context(), y.store, y.sql)
	if err != nil {
		t.Errorf("the state cannot be told from the events: %v", err)
	}
	t.Logf("%d versions, %d workers, %d × kill -9, %d × SIGSTOP longer than the lease, %d database crashes, in %s:\n%s\nthe stored state rebuilt from %d events",
		o.versions, o.workers, o.kills, o.stops, o.crashes, took.Round(time.Second), f, events)
}

// acts are all that is to happen, in any order. Every second stop, and in the short run each, is of a worker whose leases
// are cut short in the database: it comes back believing in them, so that only the database can refuse it. The others
// stand still until their leases have run out by themselves.
func (o ordeal) acts(y *yard) (acts []func()) {
	for range o.kills {
		acts = append(acts, y.kill)
	}
	for i := range o.stops {
		acts = append(acts, func() { y.stop(y.hurried || i%2 == 0) })
	}
	for range o.crashes {
		acts = append(acts, y.crash)
	}
	rand.Shuffle(len(acts), func(i, j int) { acts[i], acts[j] = acts[j], acts[i] })
	return acts
}

// hand is a worker process. Its name is its own, and so is told from its leases.
type hand struct {
	*program
	name  string
	still atomic.Bool
}

// hire starts a worker.
func (y *yard) hire() {
	w := &hand{name: fmt.Sprintf("worker-%d", len(y.all))}
	w.program = launch(y.t, []string{"DATABASE_URL=" + y.url}, "work", "--provider=1", "--user="+w.name,
		"--parallel=4", "--lease=10s", "--poll=100ms", "--program="+y.script, "--arg="+y.provider)
	y.t.Cleanup(func() { w.signal(syscall.SIGCONT) }) // one that stands still could not end
	y.all, y.hands = append(y.all, w), append(y.hands, w)
}

// anyone is the place of a worker that does not stand still; there is always one.
func (y *yard) anyone() int {
	for {
		if i := rand.IntN(len(y.hands)); !y.hands[i].still.Load() {
			return i
		}
	}
}

// kill kills a worker and starts another in its place.
func (y *yard) kill() {
	i := y.anyone()
	w := y.hands[i]
	w.program.kill()
	y.hands = append(y.hands[:i], y.hands[i+1:]...)
	y.mu.Lock()
	y.gone = append(y.gone, w.name)
	y.mu.Unlock()
	y.hire()
}

// stop has a worker stand still, beside what else happens, until a lease that it held has run out and been taken back.
// More than one worker always goes on.
func (y *yard) stop(hurried bool) {
	select {
	case y.places <- struct{}{}:
	case <-time.After(patience):
		y.t.Fatal("a worker stands still for too long")
	}
	w := y.hands[y.anyone()]
	w.still.Store(true)
	y.standing.Go(func() {
		defer func() { <-y.places }()
		defer w.still.Store(false)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		end, again := time.After(patience), 20*time.Millisecond
		for ; !y.outlives(w, hurried, tick.C, end); again = min(2*again, 250*time.Millisecond) {
			if waiting, ok := y.waiting(); ok && waiting == 0 {
				y.request(4) // the others have done all there was
			}
			select {
			case <-time.After(again): // it goes on, and may claim something
			case <-end:
				y.t.Errorf("%s never outlives a lease", w.name)
				return
			}
		}
		y.outlived.Add(1)
	})
}

// outlives stops a worker and has it go on when it holds nothing any more. It answers false if it held nothing before, or
// had sent its completion already.
func (y *yard) outlives(w *hand, hurried bool, tick, end <-chan time.Time) bool {
	w.signal(syscall.SIGSTOP)
	defer w.signal(syscall.SIGCONT)
	var last int64
	var held string
	err := y.sql.QueryRowContext(y.t.Context(), `SELECT coalesce(max(id), 0), (SELECT coalesce(string_agg(id::text, ','), '') FROM versions
		WHERE lease_holder = $1) FROM events`, w.name).Scan(&last, &held)
	if err != nil || held == "" {
		return false
	}
	for {
		if hurried {
			y.cutShort(w.name)
		}
		if holds, ok := y.count("SELECT count(*) FROM versions WHERE lease_holder = $1", w.name); ok && holds == 0 {
			break
		}
		select {
		case <-tick:
		case <-end:
			return false
		}
	}
	lost, ok := y.count(`SELECT count(*) FROM events WHERE action IN ('LEASE_EXPIRED', 'GAVE_UP') AND id > $1
		AND version_id::text = ANY (string_to_array($2, ','))`, last, held)
	return ok && lost > 0
}

// cutShort leaves the leases of these workers one more second at most. One that is locked has to wait.
func (y *yard) cutShort(names ...string) {
	_, _ = y.sql.ExecContext(y.t.Context(), `UPDATE versions SET lease_expires_at = clock_timestamp() + interval '1 s' WHERE id IN
		(SELECT id FROM versions WHERE lease_holder = ANY (string_to_array($1, ',')) AND lease_expires_at > clock_timestamp() + interval '1 s'
		FOR UPDATE SKIP LOCKED)`, strings.Join(names, ",")) // tried again if the database is away
}

// crash is the sudden death of the database server, and its return.
func (y *yard) crash() {
	pid := 0
	eventually(y.t, "the database server is killed", func() bool {
		pid = y.cluster.Pid()
		return pid > 1 && syscall.Kill(pid, syscall.SIGKILL) == nil
	})
	eventually(y.t, "another database server runs", func() bool { now := y.cluster.Pid(); return now != 0 && now != pid })
}

// waiting is how many versions nobody has claimed yet.
func (y *yard) waiting() (n int, ok bool) {
	return y.count("SELECT count(*) FROM versions WHERE status = 'APPROVED'")
}

// request asks for so many images at once, each until it is answered.
func (y *yard) request(n int) {
	y.asked.Add(int64(n))
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			in := imaging.RequestImageInput{
				Name: "leased", Visibility: imaging.Private, Work: imaging.Work{Instance: uuid.New(), Provider: 1}, IdempotencyKey: new(uuid.NewString()),
			}
			again := time.NewTicker(50 * time.Millisecond)
			defer again.Stop()
			for end := time.After(patience); ; {
				_, err := y.store.RequestImage(context.Background(), imaging.Actor{Username: "owner", Roles: []imaging.Role{imaging.Requester}}, in)
				if err == nil {
					return
				}
				select {
				case <-again.C:
				case <-end:
					y.t.Errorf("an image cannot be asked for: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
}
