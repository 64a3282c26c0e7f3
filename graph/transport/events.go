package transport

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"imagerequests/imaging"
)

// event is one response of a stream, and the cursor to go on after. Written is closed when it was: only then is it asked for
// the next one, so that none that was let through waits behind a slow client while rights change.
type event struct {
	id      string
	data    []byte
	written chan struct{}
}

// stream answers with server-sent events, as GraphQL over SSE has it in its distinct connections mode: next for each
// response, also for what is wrong with the document, and then complete. What comes to its end without complete is worth a
// new try: the server stops, or the connection broke.
func (t HTTP) stream(a answer, r *http.Request, operation task) {
	live, stop, err := t.Watch(r)
	if err != nil {
		a.fail(err)
		return
	}
	defer stop()
	live, end := untilStop(live)
	resume := &Resume{after: r.Header.Get("Last-Event-ID")}
	events := make(chan event)
	var running sync.WaitGroup
	defer running.Wait()
	defer end(nil)
	running.Go(func() {
		defer close(events)
		operation.run(WithResume(live, resume), func(response []byte) bool {
			e := event{resume.Next(), response, make(chan struct{})}
			select {
			case events <- e:
				<-e.written
				return live.Err() == nil
			case <-live.Done():
				return false
			}
		})
	})
	t.open(a.w).follow(live, events, cmp.Or(t.KeepAlive, 15*time.Second))
}

// eventWriter writes to one stream, each time within the time for a write.
type eventWriter struct {
	w          http.ResponseWriter
	connection *http.ResponseController
	timeout    time.Duration
	err        error // of the first write that failed
}

func (t HTTP) open(w http.ResponseWriter) *eventWriter {
	h := w.Header()
	h.Set("Content-Type", typeEvents+"; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // for proxies that would wait for more
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept")
	s := &eventWriter{w: w, connection: http.NewResponseController(w), timeout: cmp.Or(t.WriteTimeout, 10*time.Second)}
	s.write(":\n\n")
	return s
}

// follow writes what comes, until there is no more or the stream has to end.
func (s *eventWriter) follow(live context.Context, events <-chan event, keepAlive time.Duration) {
	quiet := time.NewTicker(keepAlive)
	defer quiet.Stop()
	for s.err == nil {
		select {
		case <-live.Done():
			s.farewell(context.Cause(live))
			return
		case <-quiet.C:
			s.write(":\n\n")
		case e, more := <-events:
			ended := live.Err() != nil // told by the next look at it
			switch {
			case more && !ended:
				s.next(e)
				quiet.Reset(keepAlive)
			case !more && !ended:
				s.complete()
				return
			}
			if more {
				close(e.written)
			}
		}
	}
}

// farewell says why the stream ends before its operation does. A client that left hears nothing of it.
func (s *eventWriter) farewell(why error) {
	var ours *imaging.Error
	switch {
	case errors.As(why, &ours):
		s.next(event{data: encoded(&graphql.Response{Errors: gqlerror.List{Error(ours)}}, false)})
		s.complete()
	case errors.Is(why, errStopping):
		s.write("retry: 1000\n: The server stops. Connect again, with the id of the last event as Last-Event-ID.\n\n")
	}
}

// oneLine makes line ends of JSON, which can stand between its tokens only, blanks: a line is what an event's data is.
var oneLine = strings.NewReplacer("\n", " ", "\r", " ")

// next writes a response.
func (s *eventWriter) next(e event) {
	id := ""
	if e.id != "" {
		id = "id: " + e.id + "\n"
	}
	s.write("event: next\n" + id + "data: " + oneLine.Replace(string(e.data)) + "\n\n")
}

// complete has a line of data, for without one browsers drop the event.
func (s *eventWriter) complete() { s.write("event: complete\ndata:\n\n") }

func (s *eventWriter) write(text string) {
	if s.err != nil {
		return
	}
	_ = s.connection.SetWriteDeadline(time.Now().Add(s.timeout)) // not every writer has one
	if _, s.err = s.w.Write([]byte(text)); s.err == nil {
		s.err = s.connection.Flush()
	}
}
