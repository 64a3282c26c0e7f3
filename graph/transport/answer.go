package transport

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"imagerequests/imaging"
	"imagerequests/render"
)

const (
	typeJSON    = "application/json"
	typeGraphQL = "application/graphql-response+json"
	typeEvents  = "text/event-stream"
)

// statuses is what HTTP says of a request that was not let in.
var statuses = map[imaging.Code]int{
	imaging.Unauthenticated: http.StatusUnauthorized,
	imaging.Forbidden:       http.StatusForbidden,
	imaging.Limited:         http.StatusTooManyRequests,
	imaging.Unavailable:     http.StatusServiceUnavailable,
}

// accept picks the answer's media type: of those we have the one that the client likes best, the earlier one if it likes
// both; application/json if it says nothing; "" if it takes none. It also tells whether the client takes streams at all:
// a subscription has no other answer.
func accept(headers []string) (chosen string, streams bool) {
	if len(headers) == 1 && headers[0] == typeJSON {
		return typeJSON, false
	}
	best := 0.0
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		kind, options, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		quality := 1.0
		if q, ok := options["q"]; ok {
			if quality, err = strconv.ParseFloat(q, 64); err != nil || math.IsNaN(quality) {
				continue
			}
		}
		switch kind {
		case "*/*", "application/*":
			kind = typeJSON
		case typeEvents:
			streams = streams || quality > 0
		case typeJSON, typeGraphQL:
		default:
			continue
		}
		if quality > best {
			best, chosen = quality, kind
		}
	}
	if chosen == "" && strings.TrimSpace(strings.Join(headers, "")) == "" {
		chosen = typeJSON
	}
	return chosen, streams
}

// answer writes one response. Who asked for a stream and gets none gets JSON.
type answer struct {
	w           http.ResponseWriter
	contentType string
}

func answerTo(w http.ResponseWriter, r *http.Request) (a answer, streams bool) {
	kind, streams := accept(r.Header.Values("Accept"))
	return answer{w, kind}, streams
}

// refuse answers a request that is no GraphQL request.
func (a answer) refuse(status int, message string) {
	code := imaging.Invalid
	if status == http.StatusRequestEntityTooLarge {
		code = imaging.Limited
	}
	a.write(status, &graphql.Response{Errors: gqlerror.List{Error(imaging.Errorf(code, "%s", message))}}, false)
}

// RefuseForeign answers a page of another site that tries to change something.
func RefuseForeign(w http.ResponseWriter, r *http.Request) {
	a, _ := answerTo(w, r)
	a.fail(imaging.Errorf(imaging.Forbidden, "Pages of other sites may not do this."))
}

// fail answers a request that was not let in.
func (a answer) fail(err error) {
	e := imaging.All(err)[0]
	status := statuses[e.Code]
	switch {
	case status == 0:
		status = http.StatusInternalServerError
	case status == http.StatusUnauthorized:
		a.w.Header().Set("WWW-Authenticate", "Token")
	}
	if e.RetryAfter > 0 {
		a.w.Header().Set("Retry-After", strconv.Itoa(seconds(e)))
	}
	a.write(status, &graphql.Response{Errors: gqlerror.List{Error(e)}}, false)
}

// request answers an operation that is refused before it is carried out. That is no failure of HTTP for those who only know
// application/json, unless it comes too often.
func (a answer) request(refused *graphql.Response) {
	status := http.StatusOK
	if a.contentType == typeGraphQL {
		status = http.StatusBadRequest
	}
	for _, e := range refused.Errors {
		if wait, ok := e.Extensions["retryAfter"].(int); ok {
			status = http.StatusTooManyRequests
			a.w.Header().Set("Retry-After", strconv.Itoa(wait))
		}
	}
	a.write(status, refused, false)
}

// Error is how a refusal of ours looks in GraphQL: nothing of its cause.
func Error(e *imaging.Error) *gqlerror.Error {
	extensions := map[string]any{"code": e.Code}
	if e.Field != "" {
		extensions["field"] = e.Field
	}
	if e.Status != "" {
		extensions["status"] = e.Status
	}
	if e.RetryAfter > 0 {
		extensions["retryAfter"] = seconds(e)
	}
	return &gqlerror.Error{Message: e.Message, Extensions: extensions}
}

func seconds(e *imaging.Error) int { return max(1, int(math.Ceil(e.RetryAfter.Seconds()))) }

// What each answer has, made once: who sets or adds to a header makes a new list.
var (
	always = http.Header{
		"Content-Type":           {typeJSON + "; charset=utf-8"},
		"X-Content-Type-Options": {"nosniff"},
		"Cache-Control":          {"no-store"},
	}
	graphQLText = []string{typeGraphQL + "; charset=utf-8"}
)

// write sends the response, which nobody may read any more. Request errors have no data at all.
func (a answer) write(status int, response *graphql.Response, withData bool) {
	b := bytes.NewBuffer(render.Buffer())
	encode(b, response, withData)
	render.Free(response.Data)
	h := a.w.Header()
	maps.Copy(h, always)
	if a.contentType == typeGraphQL {
		h["Content-Type"] = graphQLText
	}
	h["Content-Length"] = []string{strconv.Itoa(b.Len())}
	h.Add("Vary", "Accept")
	a.w.WriteHeader(status)
	_, _ = a.w.Write(b.Bytes()) // a client that left cannot be told
	render.Free(b.Bytes())
}

// encode writes the response as JSON. The data is copied out of the executor's buffer, which the next response of a stream uses
// again.
func encode(b *bytes.Buffer, response *graphql.Response, withData bool) {
	b.WriteByte('{')
	if len(response.Errors) > 0 {
		member(b, "errors", response.Errors)
	}
	if withData {
		data := response.Data
		if len(data) == 0 {
			data = json.RawMessage("null")
		}
		member(b, "data", data)
	}
	if len(response.Extensions) > 0 {
		name(b, "extensions")
		b.WriteByte('{')
		for _, of := range slices.Sorted(maps.Keys(response.Extensions)) { // ours, so they need no escapes
			member(b, of, response.Extensions[of])
		}
		b.WriteByte('}')
	}
	b.WriteByte('}')
}

// appender writes itself as JSON to the end of b: what each answer has need not cost what encoding/json does.
type appender interface{ AppendJSON(b []byte) []byte }

func name(b *bytes.Buffer, of string) {
	if b.Bytes()[b.Len()-1] != '{' {
		b.WriteByte(',')
	}
	b.WriteString(`"` + of + `":`)
}

func member(b *bytes.Buffer, of string, value any) {
	name(b, of)
	if text, ok := value.(json.RawMessage); ok {
		b.Write(text)
	} else if known, ok := value.(appender); ok {
		b.Write(known.AppendJSON(b.AvailableBuffer()))
	} else if err := json.NewEncoder(b).Encode(value); err == nil {
		b.Truncate(b.Len() - 1) // its line end
	} else { // of which it has written nothing
		b.WriteString("null")
	}
}
