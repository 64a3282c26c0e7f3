package safedriver

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// longSilence is how long a question must have been unanswered to raise suspicion when it is given up.
	longSilence = time.Second
	// proofTime is how long a suspected connection may take to answer.
	proofTime = 500 * time.Millisecond
)

// suspicion is that connections are dead without anybody having been told, as when
// a router on the way has lost them: whoever used one would wait for its deadline
// in vain, and after that for the next one's. Once that has happened on one of
// them the others have to prove themselves before they are used again.
type suspicion struct{ raised atomic.Pointer[time.Time] }

// raise is for a question, asked then, that is given up.
func (s *suspicion) raise(asked time.Time) {
	if now := time.Now(); now.Sub(asked) >= longSilence {
		s.raised.Store(&now)
	}
}

// since reports whether it was raised since a connection was last asked something,
// which it must have answered.
func (s *suspicion) since(asked time.Time) bool {
	raised := s.raised.Load()
	return raised != nil && asked.Before(*raised)
}

// answers reports whether the connection does, soon.
func (c *conn) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	return c.Ping(ctx) == nil
}
