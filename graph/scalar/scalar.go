// Package scalar says how the schema's scalars are read and written.
package scalar

import (
	"encoding/hex"
	"errors"
	"io"
	"regexp"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
)

// MarshalID writes a UUID.
func MarshalID(id uuid.UUID) graphql.Marshaler { return graphql.MarshalUUID(id) }

// AppendID writes a UUID that is not nil to the end of b, as MarshalID does.
func AppendID(b []byte, id uuid.UUID) []byte {
	b = hex.AppendEncode(append(b, '"'), id[:4])
	b = hex.AppendEncode(append(b, '-'), id[4:6])
	b = hex.AppendEncode(append(b, '-'), id[6:8])
	b = hex.AppendEncode(append(b, '-'), id[8:10])
	b = hex.AppendEncode(append(b, '-'), id[10:])
	return append(b, '"')
}

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

// timeFormat has a fixed width, so that texts sort as times do.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// MarshalDateTime writes a time in UTC, to the microsecond.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = w.Write(AppendDateTime(nil, t))
	})
}

// AppendDateTime writes a time to the end of b, as MarshalDateTime does. Lists have many: time.AppendFormat takes five times as
// long.
func AppendDateTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 { // which no row has
		return append(t.AppendFormat(append(b, '"'), timeFormat), '"')
	}
	hour, minute, second := t.Clock()
	start := len(b) + 1
	b = append(b, `"0000-00-00T00:00:00.000000Z"`...)
	text := b[start:]
	digits(text[0:4], year)
	digits(text[5:7], int(month))
	digits(text[8:10], day)
	digits(text[11:13], hour)
	digits(text[14:16], minute)
	digits(text[17:19], second)
	digits(text[20:26], t.Nanosecond()/1000)
	return b
}

// digits writes a number in all of the place that there is.
func digits(place []byte, n int) {
	for i := len(place) - 1; i >= 0; i-- {
		place[i] = '0' + byte(n%10)
		n /= 10
	}
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
