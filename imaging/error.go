package imaging

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code says what kind of refusal an Error is. Each door has one table from Code to its own way of telling.
type Code string

// The codes. INVALID comes with a field; NOT_FOUND is the answer for what is absent and for what may not be seen;
// FORBIDDEN is for what may be seen but not done.
const (
	Invalid         Code = "INVALID"
	Unauthenticated Code = "UNAUTHENTICATED"
	Forbidden       Code = "FORBIDDEN"
	NotFound        Code = "NOT_FOUND"
	Conflict        Code = "CONFLICT"
	Limited         Code = "LIMITED"
	Unavailable     Code = "UNAVAILABLE"
	Internal        Code = "INTERNAL"
)

// Error is the one error type that reaches a client. Code, Field, Message, Status and RetryAfter leave the process;
// the cause is for the log alone.
type Error struct {
	Code    Code
	Field   string // the input field at fault, in the schema's spelling; "tags.3" for one element
	Message string // a sentence for the person who sent the request
	Status  Status // with CONFLICT: where the version stands now, if that is the reason

	RetryAfter time.Duration // with LIMITED and UNAVAILABLE: when it is worth to try again
	cause      error
}

// Error is for logs: it names the cause, too.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	if e.Field != "" {
		b.WriteString(" " + e.Field)
	}
	b.WriteString(": " + e.Message)
	if e.cause != nil {
		b.WriteString(" (" + e.cause.Error() + ")")
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// Because returns e with its cause.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

// Errorf makes an Error of a code and a message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// ErrNotFound is the only NOT_FOUND there is, so that absent and invisible cannot be told apart.
func ErrNotFound() *Error { return &Error{Code: NotFound, Message: "Not found."} }

// ErrUnauthenticated is the answer to a caller who must sign in first.
func ErrUnauthenticated() *Error {
	return &Error{Code: Unauthenticated, Message: "Authentication credentials were not provided."}
}

// ErrForbidden is the answer to a caller who sees a thing but may not do this to it.
func ErrForbidden() *Error {
	return &Error{Code: Forbidden, Message: "You do not have permission to perform this action."}
}

// Problems are all that is wrong with one input, in the order of its fields. It is never empty as an error.
type Problems []*Error

// Error is for logs.
func (p Problems) Error() string {
	texts := make([]string, len(p))
	for i, e := range p {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}

// Err is nil if there are no problems.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// On tells whether a problem with this field, or an element of it, is known already.
func (p Problems) On(field string) bool {
	for _, e := range p {
		if e.Field == field || strings.HasPrefix(e.Field, field+".") {
			return true
		}
	}
	return false
}

func (p *Problems) add(field, format string, args ...any) {
	*p = append(*p, &Error{Code: Invalid, Field: field, Message: fmt.Sprintf(format, args...)})
}

// All splits an error into the refusals that may be shown. What is not one of ours becomes INTERNAL, with the error as
// its cause, so that a raw error never leaves the process.
func All(err error) []*Error {
	var problems Problems
	if errors.As(err, &problems) && len(problems) > 0 {
		return problems
	}
	var one *Error
	if errors.As(err, &one) {
		return []*Error{one}
	}
	return []*Error{Errorf(Internal, "Something went wrong on our side.").Because(err)}
}

// CodeOf is the code of the first refusal in err, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return All(err)[0].Code
}
