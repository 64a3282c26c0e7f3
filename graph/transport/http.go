// Package transport speaks GraphQL to the letter of its specifications: over HTTP with JSON, over HTTP with server-sent
// events, and over WebSocket.
package transport

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"imagerequests/imaging"
)

// Limits of a request.
const (
	MaxBody      = 256 << 10
	bodyDeadline = 10 * time.Second
)

// HTTP serves one operation a request, as GraphQL over HTTP says: GET for queries, POST for queries and mutations; and, to
// those who take text/event-stream, subscriptions and all else as GraphQL over SSE says (events.go).
type HTTP struct {
	Door

	KeepAlive    time.Duration // between two signs of life on a stream that has nothing to say; by default 15 s
	WriteTimeout time.Duration // for each write of a stream, after which a slow reader is dropped; by default 10 s
}

// Door is what a transport asks of the house.
type Door struct {
	// Admit lets an operation in, with the context to carry it out in, or refuses it with an error of imaging.
	Admit func(r *http.Request) (context.Context, error)
	// Watch returns a context that ends, with an error of imaging as its cause, when the token of the request does, and
	// what to call, once, when it is no longer needed. It may refuse with an error of imaging.
	Watch func(r *http.Request) (ctx context.Context, stop func(), err error)
	// Turn waits until it is the turn of an operation, and returns what to call when it has been carried out or, if that is a
	// subscription, has begun; again does no harm. It may refuse with an error of imaging. nil: at once.
	Turn func(ctx context.Context) (done func(), err error)
	// Busy refuses like Turn if that would, without waiting. nil: never.
	Busy func() error
	// Time is what an operation may take, other than a subscription; 0: no limit.
	Time time.Duration
	// Origins are the pages that may open sockets and streams.
	Origins *Origins
}

var _ graphql.Transport = HTTP{}

// Supports takes every request. Whoever offers another protocol beside is served in this one.
func (HTTP) Supports(*http.Request) bool { return true }

// Do serves one request.
func (t HTTP) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	a, streams := answerTo(w, r)
	if a.contentType == "" {
		w.Header().Set("Accept", typeGraphQL+", "+typeJSON+", "+typeEvents)
		a.refuse(http.StatusNotAcceptable, "Answers are application/graphql-response+json, application/json or text/event-stream.")
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		a.refuse(http.StatusMethodNotAllowed, "Use GET for queries and POST for queries and mutations.")
		return
	}
	if t.Busy != nil {
		if err := t.Busy(); err != nil { // before its body costs anything
			a.fail(err)
			return
		}
	}
	start := graphql.Now()
	params, refusal := read(w, r) // before its turn, for that takes as long as the client likes
	if refusal != nil {
		if refusal.status == http.StatusUnsupportedMediaType {
			w.Header().Set("Accept-Post", typeJSON)
		}
		a.refuse(refusal.status, refusal.message)
		return
	}
	done, err := t.turn(r.Context())
	if err != nil {
		a.fail(err)
		return
	}
	defer done()
	ctx, err := t.Admit(r)
	if err != nil {
		a.fail(err)
		return
	}
	params.Headers = r.Header
	params.ReadTime = graphql.TraceTiming{Start: start, End: graphql.Now()}
	op, errs := exec.CreateOperationContext(ctx, params)
	kind := ast.Query
	if errs == nil {
		kind = op.Operation.Operation
	}
	streams = a.contentType == typeEvents || streams && kind == ast.Subscription
	switch {
	case kind == ast.Mutation && r.Method == http.MethodGet:
		w.Header().Set("Allow", "POST")
		a.refuse(http.StatusMethodNotAllowed, "GET serves queries only.")
	case kind == ast.Subscription && !streams:
		a.refuse(http.StatusBadRequest, "Subscriptions are served over WebSocket, with the subprotocol graphql-transport-ws, and as server-sent events, with Accept: text/event-stream.")
	case streams && t.Origins.Foreign(r):
		RefuseForeign(w, r)
	case streams:
		t.stream(a, r.WithContext(ctx), task{exec, op, errs, t.Time, done})
	case errs != nil:
		a.request(exec.DispatchError(graphql.WithOperationContext(ctx, op), errs))
	default:
		response, err := task{exec, op, nil, t.Time, done}.single(ctx)
		if err != nil {
			a.fail(err)
			return
		}
		a.write(http.StatusOK, response, true)
	}
}

func (d Door) turn(ctx context.Context) (done func(), err error) {
	if d.Turn == nil {
		return func() {}, nil
	}
	return d.Turn(ctx)
}

// refusal is a request that is no GraphQL request.
type refusal struct {
	status  int
	message string
}

func badRequest(message string) *refusal { return &refusal{http.StatusBadRequest, message} }

func read(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, *refusal) {
	if r.Method == http.MethodGet {
		return fromQuery(r)
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		return nil, &refusal{http.StatusUnsupportedMediaType, "Send application/json in UTF-8."}
	}
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyDeadline)) // not every writer has one
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &refusal{http.StatusRequestEntityTooLarge, "The body is larger than 256 KiB."}
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close") // there may be more of it to come
		return nil, &refusal{http.StatusRequestTimeout, "The body took too long to arrive."}
	case err != nil:
		return nil, badRequest("The body could not be read to its end.")
	}
	_ = connection.SetReadDeadline(time.Time{}) // else its passing would cancel the operation
	return fromBody(body)
}

func isJSON(contentType string) bool {
	if contentType == typeJSON {
		return true
	}
	kind, options, err := mime.ParseMediaType(contentType)
	charset := options["charset"]
	return err == nil && kind == typeJSON && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

func fromQuery(r *http.Request) (*graphql.RawParams, *refusal) {
	q := r.URL.Query()
	members := map[string]any{"query": q.Get("query"), "operationName": q.Get("operationName"), "documentId": q.Get("documentId")}
	for _, name := range []string{"variables", "extensions"} {
		if text := []byte(q.Get(name)); len(text) > 0 {
			imaging.MarkSurrogates(text)
			object, err := object(text)
			if err != nil {
				return nil, badRequest(name + " must be a JSON object.")
			}
			members[name] = object
		}
	}
	return params(members)
}

func fromBody(body []byte) (*graphql.RawParams, *refusal) {
	if !utf8.Valid(body) {
		return nil, badRequest("The body is not UTF-8.")
	}
	imaging.MarkSurrogates(body)
	members, err := object(body)
	if err != nil || members == nil {
		return nil, badRequest("The body is not a JSON object." + where(err))
	}
	return params(members)
}

func params(members map[string]any) (*graphql.RawParams, *refusal) {
	p := &graphql.RawParams{}
	var query, name string
	switch {
	case !is(members["query"], &query):
		return nil, badRequest("query must be a text.")
	case !is(members["operationName"], &name):
		return nil, badRequest("operationName must be a text.")
	case !is(members["variables"], &p.Variables):
		return nil, badRequest("variables must be a JSON object.")
	case !is(members["extensions"], &p.Extensions):
		return nil, badRequest("extensions must be a JSON object.")
	}
	document := []byte(query)
	imaging.MarkSurrogates(document)
	switch {
	case strings.TrimSpace(query) == "" && !persisted(p, members["documentId"]):
		return nil, badRequest("query is missing.")
	case !imaging.Storable(query) || !imaging.Storable(name):
		return nil, badRequest("The request holds a null character or is not UTF-8.")
	case string(document) != query && strings.Contains(query, `"""`):
		return nil, badRequest("The document holds a lone surrogate.") // within a block text it would not be an escape
	}
	p.Query, p.OperationName = string(document), name
	return p, nil
}

// is tells whether a member is of a type, or null, and takes it.
func is[T any](member any, to *T) bool {
	var ok bool
	*to, ok = member.(T)
	return ok || member == nil
}

// persisted tells whether the document is one that the service is to know already, by its documentId or by Apollo's
// persistedQuery. Extensions carry both to the executor.
func persisted(p *graphql.RawParams, documentID any) bool {
	if id, ok := documentID.(string); ok && id != "" {
		if p.Extensions == nil {
			p.Extensions = map[string]any{}
		}
		p.Extensions["documentId"] = id
	}
	return p.Extensions["documentId"] != nil || p.Extensions["persistedQuery"] != nil
}

// where tells at which byte the JSON ends to make sense.
func where(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return " It goes wrong at byte " + strconv.FormatInt(syntax.Offset, 10) + "."
	}
	return ""
}
