package transport

import (
	"context"
	"sync"
)

// Resume carries cursors between a transport and the subscription that it serves: the client's Last-Event-ID on the way
// in, and on the way out the cursor of each event, in the order in which they are sent. A nil Resume carries nothing.
type Resume struct {
	after string
	mu    sync.Mutex
	sent  []string
}

type resumeKey struct{}

// WithResume gives the subscription of this context its Resume.
func WithResume(ctx context.Context, r *Resume) context.Context {
	return context.WithValue(ctx, resumeKey{}, r)
}

// ResumeFrom is the Resume of this context, nil if it has none.
func ResumeFrom(ctx context.Context) *Resume {
	r, _ := ctx.Value(resumeKey{}).(*Resume)
	return r
}

// After is the client's Last-Event-ID, "" if it sent none. It goes before the argument.
func (r *Resume) After() string {
	if r == nil {
		return ""
	}
	return r.after
}

// Sent notes the cursor of the event that is sent next.
func (r *Resume) Sent(cursor string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, cursor)
}

// Next is the oldest cursor noted that was not yet asked for, "" if there is none.
func (r *Resume) Next() (cursor string) {
	if r == nil {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.sent) > 0 {
		cursor, r.sent = r.sent[0], r.sent[1:]
	}
	return cursor
}
