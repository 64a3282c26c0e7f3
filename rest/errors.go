package rest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"imagerequests/auth"
	"imagerequests/imaging"
)

// statuses is this door's table of the codes.
var statuses = map[imaging.Code]int{
	imaging.Invalid:         http.StatusBadRequest,
	imaging.Unauthenticated: http.StatusUnauthorized,
	imaging.Forbidden:       http.StatusForbidden,
	imaging.NotFound:        http.StatusNotFound,
	imaging.Conflict:        http.StatusConflict,
	imaging.Limited:         http.StatusTooManyRequests,
	imaging.Unavailable:     http.StatusServiceUnavailable,
	imaging.Internal:        http.StatusInternalServerError,
}

// refusal is an error that HTTP has a status of its own for.
type refusal struct {
	status int
	err    *imaging.Error
}

func (r *refusal) Error() string { return r.err.Error() }

func refuse(status int, code imaging.Code, format string, args ...any) error {
	return &refusal{status, imaging.Errorf(code, format, args...)}
}

// wrong is an error in one field.
func wrong(field, format string, args ...any) *imaging.Error {
	e := imaging.Errorf(imaging.Invalid, format, args...)
	e.Field = field
	return e
}

// fail writes an error: {"detail": …}, for fields a map of messages, or a problem document for who asked for one.
func (x *exchange) fail(err error) {
	var status int
	var errs []*imaging.Error
	var fields bool
	var own *refusal
	if errors.As(err, &own) {
		status, errs = own.status, []*imaging.Error{own.err}
	} else {
		errs = imaging.All(err)
		fields = slices.ContainsFunc(errs, func(e *imaging.Error) bool { return e.Code == imaging.Invalid })
		status = statuses[errs[0].Code]
	}
	first := *errs[0]
	if fields { // whatever else is wrong, the input has to be changed
		first.Code, status = imaging.Invalid, statuses[imaging.Invalid]
	}
	if first.Status != "" { // the name of a status, as it is written here
		first.Message = strings.ReplaceAll(first.Message, " "+string(first.Status)+".", " "+lower(first.Status)+".")
	}
	x.explain(status, &first, err)
	switch {
	case x.problem:
		x.write(status, typeProblem, problemDocument(status, &first, errs, fields))
	case fields:
		x.write(status, typeJSON, fieldErrors(errs))
	default:
		x.write(status, typeJSON, append(appendText([]byte(`{"detail":`), first.Message), '}'))
	}
}

// explain adds the headers of an error and notes in the log what is ours to repair.
func (x *exchange) explain(status int, first *imaging.Error, err error) {
	h := x.w.Header()
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Token")
	case http.StatusInternalServerError:
		id := auth.RequestID(x.r.Context())
		first.Message += " Request id: " + id
		x.Log.ErrorContext(x.r.Context(), "internal error", "error", err, "method", x.r.Method, "path", x.r.URL.Path, "request", id)
	case http.StatusServiceUnavailable:
		if errors.Unwrap(first) != nil { // too many at once is no news, and there are many of them
			x.Log.WarnContext(x.r.Context(), "unavailable", "error", err, "method", x.r.Method, "path", x.r.URL.Path)
		}
		h.Set("Retry-After", "1")
	case http.StatusRequestEntityTooLarge, http.StatusRequestTimeout:
		h.Set("Connection", "close") // there may be more of the body to come
	}
	if first.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds(first.RetryAfter)))
	}
}

// fieldErrors is {"name":["…"],"tags":{"1":["…"]}}. Fields come in the order of their first error; a name never is
// "detail" or "errors", which clients take for something else.
func fieldErrors(errs []*imaging.Error) []byte {
	var fields []string
	messages := map[string][]*imaging.Error{}
	for _, e := range errs {
		field, _, _ := strings.Cut(e.Field, ".")
		if messages[field] == nil {
			fields = append(fields, field)
		}
		messages[field] = append(messages[field], e)
	}
	b := []byte{'{'}
	for _, field := range fields {
		name := field
		if name == "" {
			name = "non_field_errors"
		}
		b = append(appendText(comma(b), name), ':')
		b = appendMessages(b, field, messages[field])
	}
	return append(b, '}')
}

// appendMessages writes the messages of one field: a list, or an object of lists if they are about its elements.
func appendMessages(b []byte, field string, errs []*imaging.Error) []byte {
	if errs[0].Field == field {
		b = append(b, '[')
		for _, e := range errs {
			b = appendText(comma(b), e.Message)
		}
		return append(b, ']')
	}
	b = append(b, '{')
	for i := 0; i < len(errs); {
		element := errs[i].Field
		b = append(appendText(comma(b), strings.TrimPrefix(element, field+".")), ':', '[')
		for ; i < len(errs) && errs[i].Field == element; i++ {
			b = appendText(comma(b), errs[i].Message)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// problemDocument is the error as RFC 9457 has it, with our code and all fields.
func problemDocument(status int, first *imaging.Error, errs []*imaging.Error, fields bool) []byte {
	detail := first.Message
	if fields && len(errs) > 1 {
		detail = fmt.Sprintf("The request has %d problems.", len(errs))
	}
	b := appendText([]byte(`{"type":"about:blank","title":`), http.StatusText(status))
	b = strconv.AppendInt(append(b, `,"status":`...), int64(status), 10)
	b = appendText(append(b, `,"detail":`...), detail)
	b = appendText(append(b, `,"code":`...), string(first.Code))
	if first.Status != "" && !fields {
		b = appendText(append(b, `,"current_status":`...), lower(first.Status))
	}
	if !fields {
		return append(b, '}')
	}
	b = append(b, `,"errors":[`...)
	for _, e := range errs {
		b = appendText(append(comma(b), `{"field":`...), e.Field)
		b = appendText(append(b, `,"detail":`...), e.Message)
		b = appendText(append(b, `,"code":`...), string(e.Code))
		if e.Status != "" {
			b = appendText(append(b, `,"current_status":`...), lower(e.Status))
		}
		b = append(b, '}')
	}
	return append(b, ']', '}')
}

func lower(s imaging.Status) string { return strings.ToLower(string(s)) }
