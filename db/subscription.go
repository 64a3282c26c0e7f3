package db

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// How much of the table a subscriber reads at once, and keeps until it is told.
const (
	replayEvents = 50
	replayBytes  = 128 << 10
)

// Stream says which events a subscriber wants, and from where on.
type Stream struct {
	After        *string    // a cursor; "": from the beginning; nil: from now on
	ImageRequest *uuid.UUID // of this one alone
	Filter       *imaging.EventFilter
}

// Subscription is one subscriber with its place in the stream. It is for one goroutine.
type Subscription struct {
	feed  *Feed
	actor imaging.Actor
	Stream

	place place          // what is up to here was told, or is not for the subscriber
	known map[int64]bool // what is behind it all the same, and not for the subscriber
	ahead []*streamed    // what comes next, from the table
	upTo  place          // the end of what was read from the table
}

// Subscribe begins to listen as the actor; it ends with the context. Anybody may: what they may not see they are not told.
//
// INVALID with the field after for a bad cursor; INVALID by field for a bad filter; NOT_FOUND for an image request that is
// not there for the actor.
func (f *Feed) Subscribe(ctx context.Context, a imaging.Actor, want Stream) (*Subscription, error) {
	s := &Subscription{feed: f, actor: a, Stream: want}
	problems := want.Filter.Problems()
	var err error
	s.place, s.known, err = f.store.begin(ctx, want.After)
	if imaging.CodeOf(err) == imaging.Invalid {
		problems, err = append(problems, imaging.All(err)...), nil
	}
	if err != nil {
		return nil, err
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if want.ImageRequest != nil {
		if _, err := f.store.ImageRequest(ctx, a, *want.ImageRequest); err != nil {
			return nil, err
		}
	}
	f.join(ctx)
	return s, nil
}

// Next waits for the next event that the actor wants and may see now: it looks that up after the event's turn has come. So
// call it only when the event can be sent at once. What goes wrong meanwhile is tried again; the only error is the
// context's.
func (s *Subscription) Next(ctx context.Context) (*imaging.Event, error) {
	for {
		e, err := s.next(ctx)
		if err != nil {
			return nil, err
		}
		if !s.mayWant(e) {
			continue
		}
		r, err := s.requests(ctx, e)
		if err != nil {
			return nil, err
		}
		if now := r[*e.ImageRequestID]; s.wants(e, now) {
			now = now.Copy()
			imaging.Redact(s.actor, now)
			return show(&e.Event, s.actor, now), nil
		}
	}
}

// next is the next event of the stream, whoever it is for.
func (s *Subscription) next(ctx context.Context) (*streamed, error) {
	for {
		if len(s.ahead) > 0 {
			e := s.ahead[0]
			s.ahead, s.place = s.ahead[1:], e.place()
			if len(s.ahead) == 0 {
				s.place = s.upTo
			}
			return e, nil
		}
		e, behind, more := s.feed.after(s.place)
		switch {
		case e != nil:
			s.place = e.place()
			return e, nil
		case behind:
			if err := insist(ctx, func() error { return s.replay(ctx) }); err != nil {
				return nil, err
			}
		default:
			select {
			case <-more:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
}

// replay reads what comes next from the table, and leaves out at once what is not for the actor.
func (s *Subscription) replay(ctx context.Context) error {
	select {
	case s.feed.replays <- struct{}{}:
		defer func() { <-s.feed.replays }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	horizon, _, err := s.feed.store.horizon(ctx)
	if err != nil {
		return err
	}
	rows, upTo, err := s.feed.store.page(ctx, s.place, horizon, s.ImageRequest, replayEvents, replayBytes)
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(e *streamed) bool { return !s.mayWant(e) })
	if len(rows) > 0 {
		now, err := s.requests(ctx, rows...)
		if err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(e *streamed) bool { return !s.wants(e, now[*e.ImageRequestID]) })
	}
	if s.ahead, s.upTo = rows, upTo; len(rows) == 0 {
		s.place = upTo
	}
	return nil
}

// requests are those of the events, read after this was called.
func (s *Subscription) requests(ctx context.Context, events ...*streamed) (found map[uuid.UUID]*imaging.ImageRequest, err error) {
	ids := make([]uuid.UUID, len(events))
	for i, e := range events {
		ids[i] = *e.ImageRequestID
	}
	return found, insist(ctx, func() error {
		found, err = s.feed.fresh.requests(ctx, ids...)
		return err
	})
}

// mayWant tells whether the event is for the subscriber, as far as it says so itself.
func (s *Subscription) mayWant(e *streamed) bool {
	return !s.known[e.ID] && (s.ImageRequest == nil || *s.ImageRequest == *e.ImageRequestID) && s.Filter.MayWant(&e.Event)
}

// wants tells whether the event is for the subscriber, whose request is r now.
func (s *Subscription) wants(e *streamed, r *imaging.ImageRequest) bool {
	return r != nil && imaging.Told(s.actor, r, &e.Event) && s.Filter.Wants(&e.Event, r)
}
