package scalar

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
)

func written(m graphql.Marshaler) string {
	var b strings.Builder
	m.MarshalGQL(&b)
	return b.String()
}

const text = "bdc31c14-f807-11e3-8ef5-b2227cce2b54"

func TestID(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse(text)
	for _, test := range []struct {
		name string
		in   any
		want uuid.UUID
	}{
		{"as written", text, id},
		{"upper case", strings.ToUpper(text), id},
		{"undashed", strings.ReplaceAll(text, "-", ""), id},
		{"in braces", "{" + text + "}", id},
		{"as a URN", "urn:uuid:" + text, id},
		{"between other characters", "x" + text + "y", uuid.Nil},
		{"with blanks", " " + text + " ", uuid.Nil},
		{"in half of the braces", "{" + text + "x", uuid.Nil},
		{"too short", text[1:], uuid.Nil},
		{"a letter that is no digit", "g" + text[1:], uuid.Nil},
		{"dashes elsewhere", "bdc31c1-4f807-11e3-8ef5-b2227cce2b54", uuid.Nil},
		{"empty", "", uuid.Nil},
		{"a word", "me", uuid.Nil},
		{"NUL", text[:35] + "\x00", uuid.Nil},
		{"the nil UUID", uuid.Nil.String(), uuid.Nil},
		{"a number", json.Number("7"), uuid.Nil},
		{"a number in the document", int64(7), uuid.Nil},
		{"null", nil, uuid.Nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := UnmarshalID(test.in)
			if err != nil || got != test.want {
				t.Errorf("%v, %v; want %v", got, err, test.want)
			}
		})
	}
	for _, in := range []any{map[string]any{"id": text}, []any{text}} {
		if got, err := UnmarshalID(in); err == nil || got != uuid.Nil {
			t.Errorf("%v is read as %v, %v", in, got, err)
		}
	}
	if got := written(MarshalID(id)); got != `"`+text+`"` {
		t.Errorf("written as %s", got)
	}
}

func TestInt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		in   any
		want int
		fine bool
	}{
		{"in the document", int64(7), 7, true},
		{"in a variable", json.Number("-7"), -7, true},
		{"zero", json.Number("0"), 0, true},
		{"the greatest", json.Number("2147483647"), 2147483647, true},
		{"the least", int64(-2147483648), -2147483648, true},
		{"one more than the greatest", json.Number("2147483648"), 0, false},
		{"one less than the least", int64(-2147483649), 0, false},
		{"more than 64 bits", json.Number("99999999999999999999"), 0, false},
		{"a fraction", json.Number("1.5"), 0, false},
		{"a float", 1.5, 0, false},
		{"an exponent", json.Number("1e999999999"), 0, false},
		{"a text", "7", 0, false},
		{"an empty text", "", 0, false},
		{"a truth", true, 0, false},
		{"a list", []any{json.Number("7")}, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := UnmarshalInt(test.in)
			if (err == nil) != test.fine || got != test.want {
				t.Errorf("%d, %v; want %d, fine %v", got, err, test.want, test.fine)
			}
			if err != nil && strings.Contains(err.Error(), "strconv") {
				t.Errorf("the client is told of our insides: %v", err)
			}
		})
	}
	if got := written(MarshalInt(-7)); got != "-7" {
		t.Errorf("written as %s", got)
	}
}

func TestDateTime(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ in, want string }{
		{"2014-02-05T01:03:27.903Z", "2014-02-05T01:03:27.903000Z"},
		{"2014-02-05T01:03:27Z", "2014-02-05T01:03:27.000000Z"},
		{"2014-02-05T01:03:27.999999999Z", "2014-02-05T01:03:27.999999Z"},
		{"1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999Z"},
		{"2014-02-05T10:03:27.5+09:00", "2014-02-05T01:03:27.500000Z"},
		{"0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"},
		{"9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z"},
		{"2024-02-29T00:00:00-00:00", "2024-02-29T00:00:00.000000Z"},
	} {
		t.Run(test.in, func(t *testing.T) {
			t.Parallel()
			at, err := UnmarshalDateTime(test.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := written(MarshalDateTime(at)); got != `"`+test.want+`"` {
				t.Errorf("got %s, want %q", got, test.want)
			}
			if at.Nanosecond()%1000 != 0 {
				t.Errorf("%v is finer than it can be stored", at)
			}
		})
	}
}

func TestNoDateTime(t *testing.T) {
	t.Parallel()
	for _, in := range []any{
		"", "now", "2014-02-05", "2014-02-05 01:03:27Z", "2014-02-05T01:03:27", "2014-02-05T1:03:27Z", "2014-02-05T01:03:27,5Z", "2014-02-05T01:03Z",
		"2014-02-30T01:03:27Z", "2014-13-05T01:03:27Z", "2014-02-05T24:00:00Z", "2014-02-05T01:03:27+24:00", "2014-02-05T01:03:27+01:60",
		"2014-02-05T01:03:27+0100", "10000-01-01T00:00:00Z", "-001-01-01T00:00:00Z", " 2014-02-05T01:03:27Z", "2014-02-05T01:03:27Z\x00",
		json.Number("1391562207"), int64(1391562207), nil, true, []any{"2014-02-05T01:03:27Z"},
	} {
		if got, err := UnmarshalDateTime(in); err == nil || !got.IsZero() || err.Error() != "write a time as 2006-01-02T15:04:05Z" {
			t.Errorf("%#v is read as %v, %v", in, got, err)
		}
	}
}

// TestDateTimesSortAsTexts: clients compare what they were given.
func TestDateTimesSortAsTexts(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.FixedZone("", 3600))
	before := ""
	for _, step := range []time.Duration{0, time.Microsecond, time.Millisecond, time.Second, 48 * time.Hour, 400 * 24 * time.Hour} {
		got := written(MarshalDateTime(at.Add(step)))
		if got <= before {
			t.Errorf("%s comes after %s", before, got)
		}
		before = got
	}
}
