package auth

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// Watch returns a context that ends when the token of the request does: at the time it expires, or about a second after
// it was revoked. Its cause is UNAUTHENTICATED then. It is for what outlives a request: sockets and streams. A caller
// without a token, or with one of the demonstration, has none that could end. The context carries the actor. Whoever calls it calls
// stop in the end.
// UNAUTHENTICATED, UNAVAILABLE.
func (a *Authenticator) Watch(r *http.Request) (ctx context.Context, stop func(), err error) {
	t, err := a.token(r)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(WithActor(r.Context(), t.Actor()))
	if t.ID == uuid.Nil {
		return ctx, func() { cancel(nil) }, nil
	}
	release := func() {}
	if t.ExpiresAt != nil {
		ctx, release = context.WithDeadlineCause(ctx, *t.ExpiresAt, errEnded)
	}
	forget := a.watch.add(t.ID, func() { cancel(errEnded) })
	return ctx, func() {
		forget()
		release()
		cancel(nil)
	}, nil
}

var errEnded = imaging.Errorf(imaging.Unauthenticated, "The token is no longer in force.")

// watch looks, once in a while, which tokens are still in force: one question for all that somebody lives by, and none
// while nobody does.
type watch struct {
	inForce func(context.Context, []uuid.UUID) ([]uuid.UUID, error)
	every   time.Duration

	mu      sync.Mutex
	watched map[*watched]struct{}
	stop    func() // ends the goroutine that looks, and waits for it
}

// watched is one socket or stream, and the token it lives by.
type watched struct {
	token uuid.UUID
	end   func()
}

func newWatch(inForce func(context.Context, []uuid.UUID) ([]uuid.UUID, error), every time.Duration) *watch {
	return &watch{inForce: inForce, every: every, watched: map[*watched]struct{}{}}
}

// add has end called when the token ends. Forget lets go of it; the last one to do so waits until nothing runs any more.
func (w *watch) add(token uuid.UUID, end func()) (forget func()) {
	one := &watched{token, end}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watched[one] = struct{}{}
	if len(w.watched) == 1 {
		w.stop = w.start()
	}
	return func() {
		if stop := w.remove(one); stop != nil {
			stop()
		}
	}
}

// remove returns how to stop looking, if that was the last one.
func (w *watch) remove(one *watched) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.watched[one]; !ok {
		return nil
	}
	delete(w.watched, one)
	if len(w.watched) > 0 {
		return nil
	}
	return w.stop
}

func (w *watch) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(w.every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				w.look(ctx)
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// look ends those whose token has ended. While the database is away nobody can tell, and nothing of it is sent either.
func (w *watch) look(ctx context.Context) {
	w.mu.Lock()
	byToken := map[uuid.UUID][]*watched{}
	for one := range w.watched {
		byToken[one.token] = append(byToken[one.token], one)
	}
	w.mu.Unlock()
	tokens := make([]uuid.UUID, 0, len(byToken))
	for token := range byToken {
		tokens = append(tokens, token)
	}
	still, err := w.inForce(ctx, tokens)
	if err != nil {
		return
	}
	for _, token := range still {
		delete(byToken, token)
	}
	for _, ended := range byToken {
		for _, one := range ended {
			one.end()
		}
	}
}
