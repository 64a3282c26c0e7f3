// Package scalar says how the schema's scalars are read and written.
package scalar

import (
	"errors"
	"io"
	"regexp"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"imagerequests/render"
)

// MarshalID writes a UUID.
func MarshalID(id uuid.UUID) graphql.Marshaler { return graphql.MarshalUUID(id) }

// UnmarshalID reads a UUID in any of its spellings. What is none becomes the nil UUID, which no object has: looking it up
// answers as for any unknown id, and the rules refuse it by its field together with all else that is wrong.
func UnmarshalID(v any) (uuid.UUID, error) {
	text, err := graphql.UnmarshalString(v)
	if err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.Parse(text)
	if err != nil || len(text) == bracedLength && text != "{"+text[1:bracedLength-1]+"}" {
		return uuid.Nil, nil //nolint:nilerr // the nil UUID says it
	}
	return id, nil
}

// bracedLength is that of a UUID in braces; of those, uuid.Parse takes any two characters.
const bracedLength = 38

// MarshalInt writes a number.
func MarshalInt(i int) graphql.Marshaler { return graphql.MarshalInt(i) }

// UnmarshalInt reads a number of 32 bits. A text is none, whatever stands in it.
func UnmarshalInt(v any) (int, error) {
	i, err := graphql.UnmarshalInt32(v)
	if _, text := v.(string); text || err != nil {
		return 0, errNoInt
	}
	return int(i), nil
}

var errNoInt = errors.New("write a whole number from -2147483648 to 2147483647")

// MarshalDateTime writes a time in UTC, to the microsecond, always as long, so that texts sort as times do.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = w.Write(render.Time(nil, t, render.Micros))
	})
}

// UnmarshalDateTime reads a time as RFC 3339 writes it.
func UnmarshalDateTime(v any) (time.Time, error) {
	text, ok := v.(string)
	if !ok || !rfc3339.MatchString(text) {
		return time.Time{}, errNoTime
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, errNoTime
	}
	return t.Truncate(time.Microsecond), nil
}

// rfc3339 refuses what time.Parse lets through: hours of one digit, a comma, offsets of a day and more.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

var errNoTime = errors.New("write a time as 2006-01-02T15:04:05Z")
