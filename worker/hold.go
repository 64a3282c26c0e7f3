package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

const (
	pace       = 500 * time.Millisecond // between two reports at least: each is an event that is kept
	longAnswer = 10 * time.Second       // for one answer of the database
	firstPause = 100 * time.Millisecond // before a step is sent again, doubled each time
	longPause  = 2 * time.Second        // the limit of that
	lastTries  = 3                      // of a step that is in a hurry
)

// Why an imager is stopped, besides the server's end.
var (
	errLost      = errors.New("the lease is lost")
	errCancelled = errors.New("the owner wants the imaging stopped")
)

// hold is a version in work. One goroutine at a time sends its steps: keep while the imager works, settle after it.
type hold struct {
	*Options
	job   Job
	token uuid.UUID
	term  time.Duration // of the lease
	log   *slog.Logger

	stop   context.CancelCauseFunc // ends the imager
	ending error                   // errLost or errCancelled, once it is known
	until  time.Time               // the lease holds at least so long, if nobody takes it

	mu   sync.Mutex
	said Report
	news chan struct{} // filled while said has not been sent
}

// work has the imager make the image and tells the store what came of it. ctx is the server's.
func (h *hold) work(ctx context.Context) {
	making, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	h.stop = stop
	ended, kept := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(kept)
		h.keep(ctx, ended)
	}()
	result, err := h.image(making)
	close(ended)
	<-kept
	h.settle(ctx, result, err)
}

// image runs the imager; should it panic, that is a failure like any other.
func (h *hold) image(ctx context.Context) (result Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Failure{Code: imagerError, Message: "The imager broke down.", Detail: fmt.Sprintf("%v\n\n%s", p, debug.Stack()), Retryable: true}
		}
	}()
	return h.Imager.Image(ctx, h.job, h.report)
}

// report notes what the imager says, made fit to be stored.
func (h *hold) report(r Report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if stage := clean(r.Stage, imaging.MaxStage); stage != "" {
		h.said.Stage = stage
	}
	if r.Percent != nil {
		percent := min(max(*r.Percent, 0), 100)
		h.said.Percent = &percent
	}
	if r.Excluded != nil {
		h.said.Excluded = imaging.LeftOut(h.job.ExcludePaths, r.Excluded)
	}
	select {
	case h.news <- struct{}{}:
	default:
	}
}

// keep sends what the imager reports, and a sign of life after each third of the lease, until the imager has ended: even
// one that was told to stop holds its lease until it has, so that no other begins beside it.
func (h *hold) keep(ctx context.Context, ended <-chan struct{}) {
	beat := time.NewTicker(h.term / 3)
	defer beat.Stop()
	for {
		select {
		case <-ended:
			return
		case <-beat.C:
		case <-h.news:
		}
		beat.Reset(h.term / 3)
		if !h.tell(ctx, ended) {
			return
		}
		wait(ended, pace)
	}
}

// tell sends what was said last, and tells whether the lease still holds.
func (h *hold) tell(ctx context.Context, hurry <-chan struct{}) bool {
	h.mu.Lock()
	select {
	case <-h.news:
	default:
	}
	step := imaging.Step{Action: imaging.Report, Stage: h.said.Stage, Percent: h.said.Percent, Excluded: h.said.Excluded}
	h.mu.Unlock()
	sent, out, err := h.write(ctx, hurry, step)
	switch {
	case err == nil:
		h.until = sent.Add(h.term)
		if out.CancelRequested && h.ending == nil {
			h.end(errCancelled)
		}
		return true
	case passes(err) && time.Now().Before(h.until): // in a hurry: the imager's last word matters more
		return true
	}
	h.log.Warn("the lease is lost", "error", err)
	h.end(errLost)
	return false
}

func (h *hold) end(why error) {
	h.ending = why
	h.stop(why)
}

// settle ends the work as the imager has ended it: an image that is there counts, whatever else was wanted meanwhile.
func (h *hold) settle(ctx context.Context, result Result, err error) {
	switch {
	case errors.Is(h.ending, errLost):
		h.log.Warn("the work was given up: the lease is lost", "unused_image", result.Alias, "error", err)
	case err == nil:
		h.complete(ctx, result)
	case errors.Is(h.ending, errCancelled):
		h.release(ctx, "The imaging was stopped, as the owner wanted.")
	case ctx.Err() != nil:
		h.release(ctx, "")
	default:
		h.fail(ctx, failureOf(err))
	}
}

func (h *hold) complete(ctx context.Context, result Result) {
	h.mu.Lock()
	excluded := h.said.Excluded
	h.mu.Unlock()
	if result.Excluded != nil {
		excluded = imaging.LeftOut(h.job.ExcludePaths, result.Excluded)
	}
	_, _, err := h.write(ctx, ctx.Done(), imaging.Step{Action: imaging.Complete, Alias: result.Alias, Excluded: excluded})
	if err == nil {
		h.log.Info("the image is made", "alias", result.Alias)
		return
	}
	refusal := imaging.All(err)[0]
	if refusal.Code == imaging.Invalid || refusal.Field == "alias" {
		h.fail(ctx, &Failure{
			Code: "ALIAS_REFUSED", Message: "The image was made, but the provider's name for it cannot be kept: " + refusal.Message,
			Detail: fmt.Sprintf("the name is %q", result.Alias),
		})
		return
	}
	h.log.Warn("the image came too late", "unused_image", result.Alias, "error", err)
}

// fail ends the version without an image, and says before how far it had come.
func (h *hold) fail(ctx context.Context, f *Failure) {
	if len(h.news) > 0 && !h.tell(ctx, ctx.Done()) {
		return
	}
	step := imaging.Step{Action: imaging.Fail, Retryable: f.Retryable, Detail: clean(f.Detail, imaging.MaxDetail)}
	if step.Code = clean(f.Code, imaging.MaxCode); step.Code == "" {
		step.Code = imagerError
	}
	if step.Message = clean(f.Message, imaging.MaxText); step.Message == "" {
		step.Message = "The imager failed without saying why."
	}
	if _, _, err := h.write(ctx, ctx.Done(), step); err != nil {
		h.log.Warn("the failure cannot be told", "failure", step.Code, "error", err)
		return
	}
	h.log.Info("there is no image", "failure", step.Code, "message", step.Message)
}

// release gives the version back: into the queue or, if the owner wanted it stopped, to its end. Should that fail, its lease
// runs out.
func (h *hold) release(ctx context.Context, message string) {
	if _, _, err := h.write(ctx, ctx.Done(), imaging.Step{Action: imaging.Release, Message: message}); err != nil {
		h.log.Warn("the version is given back when its lease has run out", "error", err)
		return
	}
	h.log.Info("the version was given back undone")
}

// write sends a step, again and again while the database is away and the lease may hold; in a hurry a few times only. It
// goes on when ctx has ended. sent is when the try that was answered began.
func (h *hold) write(ctx context.Context, hurry <-chan struct{}, step imaging.Step) (sent time.Time, out *imaging.Outcome, err error) {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), h.until)
	defer cancel()
	step.Lease = h.token
	pause := firstPause
	for try := 1; ; try++ {
		sent = time.Now()
		once, done := context.WithTimeout(ctx, min(longAnswer, h.term/3))
		out, err = h.Store.Step(once, h.Actor, h.job.Version, step)
		done()
		if !passes(err) {
			return sent, out, err
		}
		if ctx.Err() != nil || try >= lastTries && over(hurry) {
			return sent, nil, err
		}
		h.log.Debug("the database does not answer", "step", step.Action, "error", err, "again_in", pause)
		wait(ctx.Done(), pause)
		pause = min(2*pause, longPause)
	}
}

// passes tells whether a refusal may be gone when the step is sent again.
func passes(err error) bool {
	switch imaging.CodeOf(err) {
	case imaging.Unavailable, imaging.Internal, imaging.Limited:
		return true
	}
	return false
}

func over(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
