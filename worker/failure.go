package worker

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// imagerError is the code of a failure that has none of its own.
const imagerError = "IMAGER_ERROR"

// failureOf is the failure that an imager's error means. What it does not say to the owner is for staff alone.
func failureOf(err error) *Failure {
	var f *Failure
	switch {
	case !errors.As(err, &f):
		return &Failure{Code: imagerError, Message: "The imager failed.", Detail: err.Error()}
	case f == nil: // a *Failure that is nil, in an error that is not
		return &Failure{Code: imagerError}
	}
	return f
}

// clean makes a text fit to be stored: valid UTF-8, no NUL, at most so many characters, not blank all through.
func clean(s string, most int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, string(utf8.RuneError)), "\x00", "")
	if strings.TrimSpace(s) == "" {
		return ""
	}
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i]
		}
	}
	return s
}
