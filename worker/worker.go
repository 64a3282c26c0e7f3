// Package worker makes images within the server's process. Run claims approved versions from the store, lets an Imager
// make them, tells how far it is, and completes or fails them: by the very calls that a worker elsewhere sends.
//
// Whatever crashes, there is one image per version: each write shows the lease, and who has lost it writes nothing more.
package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/imaging"
)

// Job is what an Imager needs to know of a version.
type Job struct {
	Version      uuid.UUID `json:"version"`
	ImageRequest uuid.UUID `json:"imageRequest"`
	Name         string    `json:"name"`
	Label        string    `json:"label"`
	Instance     uuid.UUID `json:"instance"` // what is to become an image
	Provider     int       `json:"provider"`
	Software     string    `json:"software,omitempty"`
	Exclude      string    `json:"exclude"`      // the owner's note, word for word
	ExcludePaths []string  `json:"excludePaths"` // the paths and globs in it: what must not be in the image
	Attempt      int       `json:"attempt"`      // from 1
}

// Report is how far an Imager is. What it leaves empty stays as it was said before.
type Report struct {
	Stage    string   // at most 256 characters; the rest is cut off
	Percent  *int     // 0 to 100
	Excluded []string // those of the job's ExcludePaths that were found and left out
}

// Result is an image that was made.
type Result struct {
	Alias    string   // the provider's name for it, 1 to 256 characters
	Excluded []string // as in Report; nil: as was reported last
}

// Imager makes an image. It is used for several jobs at once.
//
// ctx ends when the lease is lost, the owner wants the work stopped, or the server stops. The Imager then ends soon: it
// leaves no process and, as far as it can, no half-made image behind, and returns an error. If the image is there all the
// same, it returns it, and it is kept if the lease still holds.
//
// report never blocks and may be called from any goroutine until Image returns; of frequent reports only the last counts.
type Imager interface {
	Image(ctx context.Context, job Job, report func(Report)) (Result, error)
}

// Failure is why there is no image. Any other error of an Imager becomes one with the code IMAGER_ERROR.
type Failure struct {
	Code      string // for programs, at most 64 characters
	Message   string // for the owner
	Detail    string // for staff
	Retryable bool   // whether it is worth to try again
}

// Error is for logs.
func (f *Failure) Error() string { return f.Code + ": " + f.Message }

// Options say what Run works on.
type Options struct {
	Store        *db.Store
	Actor        imaging.Actor // a worker of the provider
	Provider     int
	Imager       Imager
	Parallel     int           // how many versions at once, at least 1
	LeaseSeconds int           // 10 to 3600: after so long without a sign of life another worker takes over
	Poll         time.Duration // how often to look for work while there is none
	Log          *slog.Logger  // nil: none
}

func (o *Options) check() error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Store == nil || o.Imager == nil || o.Parallel < 1 || o.Poll <= 0 {
		return errors.New("a worker needs a store, an imager, at least one place to work and a time between looks")
	}
	return o.claim().Refusal(o.Actor)
}

func (o *Options) claim() imaging.ClaimVersionInput {
	return imaging.ClaimVersionInput{Provider: o.Provider, LeaseSeconds: o.LeaseSeconds}
}

// longPoll is how long to wait at most before the next look after many that failed.
const longPoll = 30 * time.Second

// Run works until ctx ends, and until everything that it started has ended. An outage of the database does not end it.
// What it was imaging when ctx ended goes back into the queue at once.
//
// UNAUTHENTICATED, FORBIDDEN or INVALID at once if the actor is not a worker of the provider or the lease is no good.
func Run(ctx context.Context, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, o.Parallel)
	pause := o.Poll
	for {
		select {
		case <-ctx.Done():
			return nil
		case places <- struct{}{}:
		}
		h, err := o.next(ctx)
		if h != nil {
			pause = o.Poll
			running.Go(func() {
				defer func() { <-places }()
				h.work(ctx)
			})
			continue
		}
		<-places
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			pause = min(2*pause, max(longPoll, o.Poll))
			o.Log.Warn("no work can be claimed", "provider", o.Provider, "error", err, "again_in", pause)
		default:
			pause = o.Poll
		}
		wait(ctx.Done(), pause)
	}
}

// next claims a version; nil if none waits.
func (o *Options) next(ctx context.Context) (*hold, error) {
	asked := time.Now()
	out, err := o.Store.ClaimVersion(ctx, o.Actor, o.claim())
	if err != nil || out.Version == nil || out.Lease == nil {
		return nil, err
	}
	h := &hold{
		Options: o, job: jobOf(out.Version), token: out.Lease.Token, news: make(chan struct{}, 1),
		term: time.Duration(o.LeaseSeconds) * time.Second,
		log:  o.Log.With("version", out.Version.ID, "attempt", out.Version.Attempt),
	}
	h.until = asked.Add(h.term)
	return h, nil
}

func jobOf(v *imaging.Version) Job {
	j := Job{
		Version: v.ID, ImageRequest: v.ImageRequestID, Name: v.ImageRequest.Name, Label: v.Version, Instance: v.Instance,
		Provider: v.ProviderID, Software: v.Software, ExcludePaths: v.ExcludePaths(), Attempt: v.Attempt,
	}
	if v.Exclude != nil {
		j.Exclude = *v.Exclude
	}
	return j
}

// wait waits until the time is over, or enough says so.
func wait[T any](enough <-chan T, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-enough:
	case <-t.C:
	}
}
