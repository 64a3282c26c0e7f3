package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// An image from claim to completion: the imager learns all it needs, and the owner sees how far it is.
func TestImage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t, "Ubuntu")
	seen, jobs := make(chan struct{}), make(chan Job, 1)
	b.start(t, imagerFunc(func(_ context.Context, job Job, report func(Report)) (Result, error) {
		jobs <- job
		report(Report{Stage: "copy", Percent: new(40), Excluded: []string{"*.pem", "/etc/shadow", "/root/.ssh/"}})
		<-seen
		return Result{Alias: "ami-1"}, nil
	}))
	before := b.version(t, id)
	same(t, Job{
		Version: id, ImageRequest: before.ImageRequestID, Name: "Ubuntu", Label: "1", Instance: before.Instance, Provider: 1,
		Software: "R", Exclude: note, ExcludePaths: []string{"/root/.ssh", "*.pem", "/nowhere"}, Attempt: 1,
	}, receive(t, jobs, "the imager begins"))
	eventually(t, "progress is seen", func() bool { return b.version(t, id).Stage != nil })
	during := b.version(t, id)
	same(t, &imaging.Progress{Stage: new("copy"), Percent: new(40), Attempt: 1, StartedAt: *during.ImagingStarted, Excluded: []string{"/root/.ssh", "*.pem"}}, during.Progress())
	close(seen)
	after := b.settled(t, id)
	same(t, imaging.Completed, after.Status)
	same(t, "ami-1", after.Alias)
	same(t, []string{"/root/.ssh", "*.pem"}, after.Excluded)
	same(t, []imaging.Action{imaging.Requested, imaging.AutoApproved, imaging.Claim, imaging.Report, imaging.Complete}, b.actions(t, id))
}

// However often an imager reports, few events are written, and the last word is among them.
func TestChattyImager(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t, "chatty")
	began := time.Now()
	b.start(t, imagerFunc(func(_ context.Context, _ Job, report func(Report)) (Result, error) {
		for i := range 100_000 {
			report(Report{Stage: fmt.Sprint("stage ", i), Percent: new(i / 1000)})
		}
		return Result{}, &Failure{Code: "X", Message: "x"}
	}))
	v := b.settled(t, id)
	same(t, "stage 99999", *v.Stage)
	same(t, 99, *v.Percent)
	most := 2 + int(time.Since(began)/pace)
	if n := len(b.actions(t, id)) - 4; n > most {
		t.Errorf("%d reports, want at most %d", n, most)
	}
}

// Whatever an imager answers, the version ends, and the owner reads why.
func TestFailures(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	long := strings.Repeat("é", 70_000)
	type want struct {
		code, message, detail string // the beginning of each
		retryable             bool
	}
	cases := map[string]struct {
		result Result
		err    error
		panics any
		want   want
	}{
		"failure":    {err: &Failure{"NO_SPACE", "No room.", "disk 7", true}, want: want{"NO_SPACE", "No room.", "disk 7", true}},
		"wrapped":    {err: fmt.Errorf("copy: %w", &Failure{Code: "A", Message: "b"}), want: want{"A", "b", "", false}},
		"plain":      {err: errors.New("secret path"), want: want{"IMAGER_ERROR", "The imager failed.", "secret path", false}},
		"empty":      {err: &Failure{Message: " \n"}, want: want{"IMAGER_ERROR", "The imager failed without saying why.", "", false}},
		"nil inside": {err: (*Failure)(nil), want: want{"IMAGER_ERROR", "The imager failed without saying why.", "", false}},
		"unfit":      {err: &Failure{Code: "a\x00b", Message: "c\xff", Detail: "d\x00\xffe"}, want: want{"ab", "c\uFFFD", "d\uFFFDe", false}},
		"too long":   {err: &Failure{Code: long, Message: long, Detail: long}, want: want{long[:128], long[:2*imaging.MaxText], long[:2*imaging.MaxDetail], false}},
		"panic":      {panics: "oh", want: want{"IMAGER_ERROR", "The imager broke down.", "oh\n\ngoroutine", true}},
		"no alias":   {want: want{"ALIAS_REFUSED", "The image was made, but the provider's name for it cannot be kept: This field may not be blank.", `the name is ""`, false}},
		"long alias": {result: Result{Alias: long}, want: want{"ALIAS_REFUSED", "The image was made, but", `the name is "éé`, false}},
		"NUL alias":  {result: Result{Alias: "a\x00"}, want: want{"ALIAS_REFUSED", "The image was made, but", `the name is "a\x00"`, false}},
		"taken":      {result: Result{Alias: "taken"}, want: want{"ALIAS_REFUSED", "The image was made, but the provider's name for it cannot be kept: The provider's image belongs", `the name is "taken"`, false}},
	}
	other := b.approved(t, "first")
	r := b.start(t, imagerFunc(func(context.Context, Job, func(Report)) (Result, error) { return Result{Alias: "taken"}, nil }))
	same(t, "taken", b.settled(t, other).Alias)
	r.stop()
	ids := map[string]uuid.UUID{}
	for name := range cases {
		ids[name] = b.approved(t, name)
	}
	b.start(t, imagerFunc(func(_ context.Context, job Job, _ func(Report)) (Result, error) {
		c := cases[job.Name]
		if c.panics != nil {
			panic(c.panics)
		}
		return c.result, c.err
	}))
	for name, c := range cases {
		v := b.settled(t, ids[name])
		f := v.Failure()
		if v.Status != imaging.Failed || f == nil {
			t.Errorf("%s: %s", name, v.Status)
			continue
		}
		detail := ""
		if f.Detail != nil {
			detail = *f.Detail
		}
		if f.Code != c.want.code || !strings.HasPrefix(f.Message, c.want.message) || !strings.HasPrefix(detail, c.want.detail) || f.Retryable != c.want.retryable {
			t.Errorf("%s: %.200q, %.200q, %.200q, %t", name, f.Code, f.Message, detail, f.Retryable)
		}
	}
}

// An imager that nobody hears of keeps its lease all the same.
func TestSignsOfLife(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t, "silent")
	done := make(chan struct{})
	b.start(t, imagerFunc(func(context.Context, Job, func(Report)) (Result, error) {
		<-done
		return Result{Alias: "late"}, nil
	}))
	eventually(t, "it is claimed", func() bool { return b.status(t, id) == imaging.Imaging })
	var apart []time.Duration
	for last := *b.version(t, id).LeaseExpiresAt; len(apart) < 5; { // for longer than one lease
		var next time.Time
		eventually(t, "the lease is extended", func() bool { next = *b.version(t, id).LeaseExpiresAt; return next.After(last) })
		apart, last = append(apart, next.Sub(last)), next
	}
	if slices.Sort(apart); apart[3] > 5*time.Second { // the machine may have stood still once
		t.Errorf("the lease of 10 s was extended after %s, want a third of it", apart)
	}
	close(done)
	same(t, "late", b.settled(t, id).Alias)
}

// The owner's wish ends the imager, and the version is CANCELLED; unless the image was there already.
func TestCancel(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		talks, obeys bool
		want         imaging.Status
	}{
		"silent":   {false, true, imaging.Cancelled},
		"talking":  {true, true, imaging.Cancelled},
		"too late": {true, false, imaging.Completed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			id := b.approved(t, name)
			cancelled, causes := make(chan struct{}), make(chan error, 1)
			b.start(t, imagerFunc(func(ctx context.Context, _ Job, report func(Report)) (Result, error) {
				<-cancelled
				if c.talks {
					report(Report{Percent: new(50)})
				}
				<-ctx.Done()
				causes <- context.Cause(ctx)
				if !c.obeys {
					return Result{Alias: "there"}, nil
				}
				return Result{}, ctx.Err()
			}))
			eventually(t, "it is claimed", func() bool { return b.status(t, id) == imaging.Imaging })
			b.cancel(t, id)
			close(cancelled)
			same(t, errCancelled.Error(), receive(t, causes, "the imager is stopped").Error())
			same(t, c.want, b.settled(t, id).Status)
		})
	}
}

// A failure that comes after the owner's wish, before the worker knew of it, is a cancellation.
func TestCancelBeforeFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t, "x")
	cancelled := make(chan struct{})
	b.start(t, imagerFunc(func(context.Context, Job, func(Report)) (Result, error) {
		<-cancelled
		return Result{}, errors.New("no")
	}))
	eventually(t, "it is claimed", func() bool { return b.status(t, id) == imaging.Imaging })
	b.cancel(t, id)
	close(cancelled)
	same(t, imaging.Cancelled, b.settled(t, id).Status)
}

// Who has lost the lease is stopped and writes nothing more, whether they learn of it before their image is made or when
// they name it: there is the one image of the worker that came after.
func TestLostLease(t *testing.T) {
	t.Parallel()
	for name, learns := range map[string]bool{"stopped": true, "refused": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			id := b.approved(t, name)
			lost, causes := make(chan struct{}), make(chan error, 1)
			first := b.start(t, imagerFunc(func(ctx context.Context, job Job, _ func(Report)) (Result, error) {
				if job.Attempt > 1 {
					return Result{}, errors.New("claimed once more")
				}
				<-lost
				if learns {
					<-ctx.Done()
				}
				causes <- context.Cause(ctx)
				return Result{Alias: "first"}, nil
			}), func(o *Options) {
				if !learns { // before it is done
					o.LeaseSeconds = 600
				}
			})
			eventually(t, "it is claimed", func() bool { return b.status(t, id) == imaging.Imaging })
			b.expire(t, id)
			b.start(t, imagerFunc(func(context.Context, Job, func(Report)) (Result, error) { return Result{Alias: "second"}, nil }))
			b.settled(t, id)
			close(lost)
			cause := receive(t, causes, "the first imager ends")
			if learns != errors.Is(cause, errLost) {
				t.Errorf("the first imager ended by %v", cause)
			}
			eventually(t, "the unused image is in the log", func() bool { return first.log.has("unused_image=first") })
			v := b.version(t, id)
			same(t, "second", v.Alias)
			same(t, 2, v.Attempt)
			same(t, []imaging.Action{
				imaging.Requested, imaging.AutoApproved, imaging.Claim, imaging.Expire, imaging.Claim, imaging.Complete,
			}, b.actions(t, id))
		})
	}
}

// When the server stops, what is in work goes back into the queue at once and loses no attempt, and an image that is there
// is kept.
func TestServerStops(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	half, whole := b.approved(t, "half"), b.approved(t, "whole")
	var began sync.WaitGroup
	began.Add(2)
	r := b.start(t, imagerFunc(func(ctx context.Context, job Job, _ func(Report)) (Result, error) {
		began.Done()
		<-ctx.Done()
		if job.Name == "whole" {
			return Result{Alias: "kept"}, nil
		}
		return Result{}, &Failure{Code: "STOPPED", Message: "cut short"}
	}), func(o *Options) { o.Parallel = 2 })
	began.Wait()
	r.stop()
	same(t, "kept", b.version(t, whole).Alias)
	same(t, imaging.Approved, b.status(t, half))
	b.start(t, imagerFunc(made))
	same(t, []any{imaging.Completed, 1}, []any{b.settled(t, half).Status, b.settled(t, half).Attempt})
}

// Sixteen workers get each version once.
func TestManyWorkers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const workers, versions = 16, 300
	for i := range versions {
		b.approved(t, fmt.Sprint(i))
	}
	jobs := make(chan uuid.UUID, 2*versions)
	for range workers {
		b.start(t, imagerFunc(func(ctx context.Context, job Job, report func(Report)) (Result, error) {
			jobs <- job.Version
			return made(ctx, job, report)
		}), func(o *Options) { o.LeaseSeconds = 600 })
	}
	completed := func() (n int) {
		if err := b.sql.QueryRowContext(t.Context(), "SELECT count(*) FROM versions WHERE status = 'COMPLETED' AND attempt = 1 AND alias = 'image of ' || id").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "all images are made", func() bool { return completed() == versions })
	same(t, versions, len(jobs))
	once := map[uuid.UUID]bool{}
	for range versions {
		once[<-jobs] = true
	}
	same(t, versions, len(once))
}

// A worker that could never get anything says so at once.
func TestRunRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	good := Options{Store: b.Store, Actor: smith, Provider: 1, Imager: Simulated{}, Parallel: 1, LeaseSeconds: 10, Poll: time.Second}
	for name, change := range map[string]func(*Options){
		"no store":         func(o *Options) { o.Store = nil },
		"no imager":        func(o *Options) { o.Imager = nil },
		"no place":         func(o *Options) { o.Parallel = 0 },
		"no poll":          func(o *Options) { o.Poll = 0 },
		"another provider": func(o *Options) { o.Provider = 2 },
		"no worker":        func(o *Options) { o.Actor = ann },
		"nobody":           func(o *Options) { o.Actor = imaging.Actor{} },
		"short lease":      func(o *Options) { o.LeaseSeconds = 9 },
	} {
		o := good
		change(&o)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := Run(ctx, o); err == nil {
			t.Errorf("%s: no error", name)
		}
		cancel()
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ended, good); err != nil {
		t.Errorf("a good one: %v", err)
	}
}
