package transport

import (
	"context"
	"sync"
)

// Resume joins a stream and its transport: where the client says it stopped, and the cursor of each event in the order
// sent. It is a queue because the source of a subscription runs ahead of its transport. A nil Resume, of a transport that
// cannot resume, does nothing.
type Resume struct {
	after string

	mu   sync.Mutex
	sent []string
}

type resumeKey struct{}

// WithResume carries the Resume to the source of the stream.
func WithResume(ctx context.Context, r *Resume) context.Context {
	return context.WithValue(ctx, resumeKey{}, r)
}

// ResumeFrom is what WithResume put there; nil outside a stream that can resume.
func ResumeFrom(ctx context.Context) *Resume {
	r, _ := ctx.Value(resumeKey{}).(*Resume)
	return r
}

// After is the client's Last-Event-ID, "" if there is none. It overrides the argument after: a client that reconnects sends
// the same operation again.
func (r *Resume) After() string {
	if r == nil {
		return ""
	}
	return r.after
}

// Sent is called by the source before it hands over the event with this cursor, once for each event.
func (r *Resume) Sent(cursor string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, cursor)
}

// Next is called by the transport once for each response of the stream: the cursor of its event, "" if it has none.
func (r *Resume) Next() string {
	if r == nil {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.sent) == 0 {
		return ""
	}
	cursor := r.sent[0]
	r.sent = r.sent[1:]
	return cursor
}
