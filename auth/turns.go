package auth

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"imagerequests/imaging"
)

// Limits of what is carried out.
const (
	OperationTime = 30 * time.Second                         // for one operation, whatever it asks
	turnPatience  = 5 * time.Second                          // for its turn
	tokenTime     = 10 * time.Second                         // to find out whose a token is
	AnswerTime    = turnPatience + tokenTime + OperationTime // from a request to its answer
	perPlace      = 8                                        // that wait for each one that is carried out
)

// Turns bounds how many operations are carried out at once. Some more wait for their turn; who comes beyond that is told to
// come again, which costs little: so the service stays on its feet, however many come. A turn is over before
// what lasts, as long as somebody else likes: a subscription, a body, an answer to a slow reader. A nil Turns has no bound.
type Turns struct {
	places  chan struct{}
	waiting atomic.Int64
	most    int64
	wait    time.Duration
}

// NewTurns makes room for so many operations at once; 0: no bound.
func NewTurns(atOnce int) *Turns {
	if atOnce == 0 {
		return nil
	}
	return &Turns{places: make(chan struct{}, atOnce), most: int64(atOnce * perPlace), wait: turnPatience}
}

// Busy refuses as Take does if too many wait already: for who has to do something dear before it takes a turn, such as to read a
// body.
func (t *Turns) Busy() error {
	if t != nil && t.waiting.Load() >= t.most {
		return busy()
	}
	return nil
}

// Take waits for a turn, and returns what to call at its end; again does no harm. UNAVAILABLE, with the time to wait, if too
// many wait already or the turn does not come soon.
func (t *Turns) Take(ctx context.Context) (done func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	select {
	case t.places <- struct{}{}:
		return t.done(), nil
	default:
	}
	defer t.waiting.Add(-1)
	if t.waiting.Add(1) > t.most {
		return func() {}, busy()
	}
	patience := time.NewTimer(t.wait)
	defer patience.Stop()
	select {
	case t.places <- struct{}{}:
		return t.done(), nil
	case <-patience.C:
	case <-ctx.Done():
	}
	return func() {}, busy()
}

func (t *Turns) done() func() { return sync.OnceFunc(func() { <-t.places }) }

func busy() error {
	e := imaging.Errorf(imaging.Unavailable, "The service has too much to do just now. Try again.")
	e.RetryAfter = time.Second
	return e
}
