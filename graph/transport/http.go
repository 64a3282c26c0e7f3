// Package transport speaks GraphQL to the letter of its specifications: over HTTP with JSON, over HTTP with server-sent
// events, and over WebSocket.
package transport

import (
	"bytes"
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
	// what to call when it is no longer needed.
	Watch func(r *http.Request) (ctx context.Context, stop func(), err error)
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
	ctx, err := t.Admit(r)
	if err != nil {
		a.fail(err)
		return
	}
	start := graphql.Now()
	params, refusal := read(w, r)
	if refusal != nil {
		if refusal.status == http.StatusUnsupportedMediaType {
			w.Header().Set("Accept-Post", typeJSON)
		}
		a.refuse(refusal.status, refusal.message)
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
		t.stream(a, r.WithContext(ctx), task{exec, op, errs})
	case errs != nil:
		a.request(exec.DispatchError(graphql.WithOperationContext(ctx, op), errs))
	default:
		next, ctx := exec.DispatchOperation(ctx, op)
		if response := next(ctx); response != nil {
			a.write(http.StatusOK, response, true)
		} else { // the deadline passed, or the client left and reads nothing of this
			a.fail(imaging.Errorf(imaging.Unavailable, "The operation took too long."))
		}
	}
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
	kind, options, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := options["charset"]
	if err != nil || kind != typeJSON || charset != "" && !strings.EqualFold(charset, "utf-8") {
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

func fromQuery(r *http.Request) (*graphql.RawParams, *refusal) {
	q := r.URL.Query()
	members := map[string]json.RawMessage{}
	for _, name := range []string{"variables", "extensions"} {
		if text := q.Get(name); text != "" {
			members[name] = json.RawMessage(text)
		}
	}
	if id := q.Get("documentId"); id != "" {
		members["documentId"], _ = json.Marshal(id) // a text always can be
	}
	return params(q.Get("query"), q.Get("operationName"), members)
}

func fromBody(body []byte) (*graphql.RawParams, *refusal) {
	if !utf8.Valid(body) {
		return nil, badRequest("The body is not UTF-8.")
	}
	imaging.MarkSurrogates(body)
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return nil, badRequest("The body is not a JSON object." + where(err))
	}
	var query, name string
	for member, to := range map[string]*string{"query": &query, "operationName": &name} {
		if raw := members[member]; len(raw) > 0 && json.Unmarshal(raw, to) != nil {
			return nil, badRequest(member + " must be a text.")
		}
	}
	return params(query, name, members)
}

func params(query, name string, members map[string]json.RawMessage) (*graphql.RawParams, *refusal) {
	p := &graphql.RawParams{Query: query, OperationName: name}
	for member, to := range map[string]*map[string]any{"variables": &p.Variables, "extensions": &p.Extensions} {
		if err := object(members[member], to); err != nil {
			return nil, badRequest(member + " must be a JSON object.")
		}
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
	p.Query = string(document)
	return p, nil
}

// persisted tells whether the document is one that the service is to know already, by its documentId or by Apollo's
// persistedQuery. Extensions carry both to the executor.
func persisted(p *graphql.RawParams, documentID json.RawMessage) bool {
	var id string
	if len(documentID) > 0 && json.Unmarshal(documentID, &id) == nil && id != "" {
		if p.Extensions == nil {
			p.Extensions = map[string]any{}
		}
		p.Extensions["documentId"] = id
	}
	return p.Extensions["documentId"] != nil || p.Extensions["persistedQuery"] != nil
}

func object(raw json.RawMessage, to *map[string]any) error {
	if len(raw) == 0 {
		return nil
	}
	imaging.MarkSurrogates(raw)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

// where tells at which byte the JSON ends to make sense.
func where(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return " It goes wrong at byte " + strconv.FormatInt(syntax.Offset, 10) + "."
	}
	return ""
}
