package db_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/imaging"
)

// attempt is a create, with the kind of thing that is to come of it.
type attempt struct {
	kind string
	in   imaging.RequestImageInput
}

// attempts are some of each kind.
func attempts(each int) []attempt {
	taken, used, other := image(), image(), image()
	used.IdempotencyKey, other.IdempotencyKey = new("used"), new("other")
	var list []attempt
	for i := range each {
		add := func(kind string, change func(*imaging.RequestImageInput)) {
			in := image()
			change(&in)
			list = append(list, attempt{kind, in})
		}
		add("good", func(in *imaging.RequestImageInput) {})
		add("good, with a key", func(in *imaging.RequestImageInput) { in.IdempotencyKey = new(fmt.Sprint("key ", i)) })
		add("approved at once", func(in *imaging.RequestImageInput) { in.Provider = 2 })
		add("without a name", func(in *imaging.RequestImageInput) { in.Name = "" })
		add("unknown provider", func(in *imaging.RequestImageInput) { in.Provider = 99 })
		add("impossible provider", func(in *imaging.RequestImageInput) { in.Provider = 1 << 40 })
		add("inactive provider", func(in *imaging.RequestImageInput) { in.Provider = 3 })
		add("one instance", func(in *imaging.RequestImageInput) { in.Instance = taken.Instance })
		add("one key, one input", func(in *imaging.RequestImageInput) { *in = used })
		add("one key, many inputs", func(in *imaging.RequestImageInput) { in.IdempotencyKey = other.IdempotencyKey })
	}
	return list
}

// outcomes tells what came of the attempts, kind by kind, in an order that does not depend on who was first.
func outcomes(list []attempt, made []*imaging.Version, errs []error) []string {
	var told []string
	for i, a := range list {
		said := ""
		if errs[i] == nil {
			v := made[i]
			said = fmt.Sprint(v.Status, v.ImageRequest.Revision, v.Version, v.Provider.Name, v.ImageRequest.Tags, len(v.ImageRequest.Versions))
		} else {
			for _, e := range imaging.All(errs[i]) {
				said += fmt.Sprint(e.Code, " ", e.Field, " ", e.Status, " ")
			}
		}
		told = append(told, a.kind+": "+said)
	}
	slices.Sort(told)
	return told
}

// Creates that come all at once have what each has that comes alone: the same answers, rows and events.
func TestCreatesAtOnceAreAsOneByOne(t *testing.T) {
	t.Parallel()
	list := attempts(8)
	alone, together := newBench(t), newBench(t)
	create := func(b bench) func(context.Context, int) (*imaging.Version, error) {
		return func(ctx context.Context, i int) (*imaging.Version, error) {
			return b.RequestImage(ctx, ann, list[i].in)
		}
	}
	made, errs := make([]*imaging.Version, len(list)), make([]error, len(list))
	for i := range list {
		made[i], errs[i] = create(alone)(t.Context(), i)
	}
	want := outcomes(list, made, errs)
	made, errs = all(t.Context(), len(list), create(together))
	same(t, want, outcomes(list, made, errs))
	for i, v := range made {
		if errs[i] != nil {
			continue
		}
		stored, err := together.Version(t.Context(), ann, v.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, stored, v)
	}
	for _, count := range []string{
		"SELECT count(*) FROM image_requests", "SELECT count(*) FROM versions", "SELECT count(*) FROM idempotency_keys",
		"SELECT count(*) || ' ' || max(seq) || ' ' || count(DISTINCT (image_request_id, seq)) FROM events WHERE image_request_id IS NOT NULL",
		"SELECT string_agg(action || to_status, ' ' ORDER BY action, to_status) FROM events WHERE image_request_id IS NOT NULL",
	} {
		same(t, one[string](t, alone.sql, count), one[string](t, together.sql, count))
	}
}

// held is a bench whose provider 1 somebody holds, so that a batch waits for it until release.
func held(t *testing.T) (b bench, release func()) {
	t.Helper()
	b = newBench(t)
	tx, err := b.sql.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("UPDATE providers SET name = name WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	return b, func() {
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
	}
}

// blocked are the server processes that wait for the provider.
func (b bench) blocked(t *testing.T) []int {
	t.Helper()
	var pids []int
	text := one[string](t, b.sql, "SELECT coalesce(json_agg(pid), '[]') FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0")
	if err := json.Unmarshal([]byte(text), &pids); err != nil {
		t.Fatal(err)
	}
	return pids
}

// waits is the one that waits for the provider, once there is one.
func (b bench) waits(t *testing.T) int {
	t.Helper()
	eventually(t, "a batch waits", func() bool { return len(b.blocked(t)) == 1 })
	return b.blocked(t)[0]
}

// begun is the process in which all that waited is carried out, once it is the only one that is held up.
func (b bench) begun(t *testing.T, before []int, waiting func() int) (pid int) {
	t.Helper()
	eventually(t, "the next has begun, all others are gone", func() bool {
		now := b.blocked(t)
		if len(now) != 1 || slices.Contains(before, now[0]) || waiting() > 0 {
			return false
		}
		pid = now[0]
		return true
	})
	return pid
}

// outcome is what came of a create that goes on beside.
type outcome struct {
	v   *imaging.Version
	err error
}

func (b bench) beside(ctx context.Context, in imaging.RequestImageInput) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		v, err := b.RequestImage(ctx, ann, in)
		done <- outcome{v, err}
	}()
	return done
}

// Whom nobody waits for does not begin, and ends when it has begun: the last caller takes the query along.
func TestAllLeaveABatch(t *testing.T) {
	t.Parallel()
	b, release := held(t)
	ctx, leave := context.WithCancel(t.Context())
	first, second, third := image(), image(), image()
	begun := b.beside(ctx, first)
	pid := b.waits(t)
	waits := b.beside(ctx, second) // in the next lane, or it comes when its context has ended
	leave()
	for _, o := range []outcome{<-begun, <-waits} {
		if !errors.Is(o.err, context.Canceled) && imaging.CodeOf(o.err) != imaging.Unavailable {
			t.Errorf("who left is told %v, %v", o.v, o.err)
		}
	}
	eventually(t, "the query is gone", func() bool {
		return one[int](t, b.sql, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'", pid) == 0
	})
	release()
	b.request(t, ann, third)
	b.stored(t, map[uuid.UUID]int{first.Instance: 0, second.Instance: 0, third.Instance: 1})
}

// A batch goes on for those who stay.
func TestOneLeavesABatch(t *testing.T) {
	t.Parallel()
	b, release := held(t)
	early, leaveEarly := context.WithCancel(t.Context())
	var lanes []<-chan outcome
	for range db.BatchLanes { // one after the other, else they share a batch
		lanes = append(lanes, b.beside(early, image()))
		eventually(t, "one more lane is taken", func() bool { return len(b.blocked(t)) == len(lanes) })
	}
	before := b.blocked(t)
	ctx, leave := context.WithCancel(t.Context())
	first, second := image(), image()
	leaves, stays := b.beside(ctx, first), b.beside(t.Context(), second)
	eventually(t, "both wait for the next batch", func() bool { return b.CreatesWaiting() == 2 })
	leaveEarly()
	for _, lane := range lanes {
		<-lane
	}
	b.begun(t, before, b.CreatesWaiting)
	leave()
	if o := <-leaves; o.err == nil {
		t.Errorf("who left is told %v", o.v)
	}
	release()
	if o := <-stays; o.err != nil {
		t.Error(o.err)
	}
	b.stored(t, map[uuid.UUID]int{first.Instance: 1, second.Instance: 1})
}

// Of two with one key the second waits for the first, though a lane is free: it is answered with what the first has made.
func TestRepeatWaitsForItsBatch(t *testing.T) {
	t.Parallel()
	b, release := held(t)
	in := image()
	in.IdempotencyKey = new("key")
	first := b.beside(t.Context(), in)
	b.waits(t)
	again := b.beside(t.Context(), in)
	eventually(t, "the repeat waits", func() bool { return b.CreatesWaiting() == 1 })
	other := b.beside(t.Context(), image()) // the free lane takes it past the repeat
	eventually(t, "another passes it", func() bool { return len(b.blocked(t)) == db.BatchLanes && b.CreatesWaiting() == 1 })
	release()
	one, two := <-first, <-again
	if one.err != nil || two.err != nil || (<-other).err != nil {
		t.Fatal(one.err, two.err)
	}
	same(t, one.v.ID, two.v.ID)
	b.stored(t, map[uuid.UUID]int{in.Instance: 1})
}

// stored compares how many versions there are of each instance.
func (b bench) stored(t *testing.T, want map[uuid.UUID]int) {
	t.Helper()
	got := map[uuid.UUID]int{}
	for instance := range want {
		got[instance] = one[int](t, b.sql, "SELECT count(*) FROM versions WHERE instance = $1", instance.String())
	}
	same(t, want, got)
}

// A batch whose connection is ended by the server has stored nothing; what was in it is tried again, alone, and has its effect once.
func TestBatchWhoseConnectionDies(t *testing.T) {
	t.Parallel()
	b, release := held(t)
	first, second := image(), image()
	first.IdempotencyKey, second.IdempotencyKey = new("one"), new("second")
	begun := b.beside(t.Context(), first)
	pid := b.waits(t)
	execute(t, b.sql, "SELECT pg_terminate_backend($1::int)", pid)
	eventually(t, "it is tried again", func() bool { now := b.blocked(t); return len(now) == 1 && now[0] != pid })
	release()
	if o := <-begun; o.err != nil {
		t.Error("its caller is told ", o.err)
	}
	for range 2 {
		for _, in := range []imaging.RequestImageInput{first, second} {
			b.request(t, ann, in)
		}
	}
	if n := one[int](t, b.sql, "SELECT count(*) FROM versions"); n != 2 {
		t.Errorf("%d versions", n)
	}
}

// A store that is closed lets what is under way come to an end, and begins nothing.
func TestCreateInAClosedStore(t *testing.T) {
	t.Parallel()
	b, release := held(t)
	under := b.beside(t.Context(), image())
	b.waits(t)
	closed := make(chan error, 1)
	go func() { closed <- b.Close() }()
	if o := <-under; imaging.CodeOf(o.err) != imaging.Unavailable {
		t.Errorf("what was under way says %v, %v", o.v, o.err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	release()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := b.RequestImage(ctx, ann, image()); imaging.CodeOf(err) != imaging.Unavailable {
		t.Errorf("a closed store says %v", err)
	}
}

// A panic in a batch is an error of those in it, told without its inside, and the next batch begins.
func TestBatchThatPanics(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.BreakBatches()
	_, errs := all(t.Context(), 8, func(ctx context.Context, _ int) (*imaging.Version, error) { return b.RequestImage(ctx, ann, image()) })
	same(t, map[imaging.Code]int{imaging.Internal: 8}, codes(errs))
	for _, err := range errs {
		if e := imaging.All(err)[0]; strings.Contains(e.Message, "broken") {
			t.Errorf("a client is told %q", e.Message)
		}
	}
}
