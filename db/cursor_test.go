package db_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/imaging"
)

// badCursors are texts that are no cursor of the list of requests in this order, by what is wrong with them.
func badCursors(good string, o imaging.Order, w *world) map[string]string {
	id := w.requests[0].ID
	other := imaging.Order{Field: imaging.ByName, Direction: o.Direction}
	reverse := imaging.Order{Field: o.Field, Direction: imaging.Asc}
	bad := map[string]string{
		"nothing":          "",
		"a blank":          " ",
		"no base64":        "%%%",
		"padded":           good + "==",
		"with a line":      good + "\n",
		"NUL":              "\x00",
		"another field":    db.EncodeCursor("image_request", other, "alpha", id),
		"another end":      db.EncodeCursor("image_request", reverse, "0", id),
		"another list":     db.EncodeCursor("version", o, "0", id),
		"no number":        db.EncodeCursor("image_request", o, "alpha", id),
		"no value":         db.EncodeCursor("image_request", o, "", id),
		"a fraction":       db.EncodeCursor("image_request", o, "0.5", id),
		"year 10000":       db.EncodeCursor("image_request", o, "253402300800000000", id),
		"year 0":           db.EncodeCursor("image_request", o, "-62135596800000001", id),
		"the last number":  db.EncodeCursor("image_request", o, "9223372036854775807", id),
		"the first number": db.EncodeCursor("image_request", o, "-9223372036854775808", id),
		"beyond numbers":   db.EncodeCursor("image_request", o, strings.Repeat("9", 40), id),
		"a long value":     db.EncodeCursor("image_request", o, strings.Repeat("1", 1<<16), id),
		"too few parts":    forged("image_request\nSTART_DATE\n", id[:]),
		"too short":        forged("", id[:8]),
		"just an id":       forged("", id[:]),
	}
	for i := range good {
		bad["cut at "+strconv.Itoa(i)] = good[:i]
		flipped := []byte(good)
		flipped[i] ^= 1
		bad["flipped at "+strconv.Itoa(i)] = string(flipped)
	}
	raw, _ := base64.RawURLEncoding.DecodeString(good) // good is our own
	for i := range raw {
		flipped := append([]byte(nil), raw...)
		flipped[i] ^= 0x80
		bad["flipped within at "+strconv.Itoa(i)] = base64.RawURLEncoding.EncodeToString(flipped)
	}
	return bad
}

// forged has the right checksum, as anybody can make one.
func forged(head string, tail []byte) string {
	text := append([]byte(head), tail...)
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(append(sum[:6], text...))
}

// A cursor that this list did not give is INVALID by its field, at either end, and never anything worse.
func TestBadCursors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 400, 3)
	ctx := t.Context()
	c, err := w.ImageRequests(ctx, admin, imaging.Slice{}, everything, nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, cursor := range badCursors(c.Edges[1].Cursor(), imaging.NewestFirst, w) {
		_, after := w.ImageRequests(ctx, admin, imaging.Slice{After: &cursor}, everything, nil)
		refused(t, after, refusal{imaging.Invalid, "after"})
		_, before := w.ImageRequests(ctx, admin, imaging.Slice{Before: &cursor}, everything, nil)
		refused(t, before, refusal{imaging.Invalid, "before"})
		_, version := w.Versions(ctx, admin, imaging.Slice{After: new(c.Edges[1].Cursor())}, nil, nil)
		refused(t, version, refusal{imaging.Invalid, "after"})
		if t.Failed() {
			t.Fatalf("a cursor with %s: %q", what, cursor)
		}
	}
}

// Values that are not compared as they are written are refused in the other orders, too.
func TestBadCursorsOfTexts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 401, 2)
	for _, c := range []struct {
		field imaging.OrderField
		value string
	}{
		{imaging.ByName, "a\x00b"}, {imaging.ByName, "\xff"}, {imaging.ByName, strings.Repeat("x", 4*imaging.MaxName+1)},
		{imaging.ByStatus, "pending 0"}, {imaging.ByStatus, ""}, {imaging.ByStatus, "'; DROP TABLE events; -- 0"}, {imaging.ByStatus, "PENDING\x00 0"},
		{imaging.ByStatus, "PENDING"}, {imaging.ByStatus, "PENDING "}, {imaging.ByStatus, "PENDING x"}, {imaging.ByStatus, "PENDING 0 0"}, {imaging.ByStatus, "PENDING 253402300800000000"},
	} {
		o := imaging.Order{Field: c.field, Direction: imaging.Asc}
		cursor := db.EncodeCursor("image_request", o, c.value, uuid.New())
		_, err := w.ImageRequests(t.Context(), admin, imaging.Slice{After: &cursor}, everything, &o)
		refused(t, err, refusal{imaging.Invalid, "after"})
	}
}

// A cursor stays good when its row is gone from the list: it is a place, not a row.
func TestCursorOfAPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 402, 12)
	want := ordered(w.shown(admin), imaging.NewestFirst, requestKey)
	cursor := db.EncodeCursor("image_request", imaging.NewestFirst, strconv.FormatInt(want[5].StartDate.UnixMicro(), 10), uuid.Max)
	c, err := w.ImageRequests(t.Context(), admin, imaging.Slice{After: &cursor}, everything, nil)
	if err != nil {
		t.Fatal(err)
	}
	rest := filtered(want, func(r *imaging.ImageRequest) bool { return !r.StartDate.After(want[5].StartDate) })
	same(t, rest, c.Nodes())
}

// A page has 1 to 100 rows, 20 if nobody says, and is counted from one end only. All that is wrong is told at once.
func TestSlices(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 403, 25)
	for _, c := range []struct {
		slice imaging.Slice
		want  []refusal
	}{
		{imaging.Slice{First: new(0)}, []refusal{{imaging.Invalid, "first"}}},
		{imaging.Slice{First: new(-1)}, []refusal{{imaging.Invalid, "first"}}},
		{imaging.Slice{First: new(101)}, []refusal{{imaging.Invalid, "first"}}},
		{imaging.Slice{Last: new(0)}, []refusal{{imaging.Invalid, "last"}}},
		{imaging.Slice{Last: new(-1)}, []refusal{{imaging.Invalid, "last"}}},
		{imaging.Slice{Last: new(101)}, []refusal{{imaging.Invalid, "last"}}},
		{imaging.Slice{First: new(1), Last: new(1)}, []refusal{{imaging.Invalid, "last"}}},
		{imaging.Slice{First: new(0), After: new("x"), Before: new("y")}, []refusal{{imaging.Invalid, "first"}, {imaging.Invalid, "after"}, {imaging.Invalid, "before"}}},
	} {
		_, err := w.ImageRequests(t.Context(), admin, c.slice, nil, nil)
		refused(t, err, c.want...)
		_, err = w.Versions(t.Context(), admin, c.slice, nil, nil)
		refused(t, err, c.want...)
	}
	c, err := w.ImageRequests(t.Context(), admin, imaging.Slice{}, everything, nil)
	if err != nil || len(c.Edges) != imaging.DefaultPage {
		t.Errorf("%d rows, %v", len(c.Edges), err)
	}
	for _, limits := range [][2]int{{0, 0}, {0, -1}, {-1, 5}} {
		rows, err := w.ImageRequestPage(t.Context(), admin, limits[0], limits[1], everything, nil)
		if err != nil || rows == nil || len(rows) != 0 {
			t.Errorf("page at %d of %d: %v, %v", limits[0], limits[1], rows, err)
		}
	}
}

// A filter that cannot be meant is INVALID by its field in all ways to ask, together with what is wrong with the slice.
func TestBadFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 404, 1)
	ctx, late := t.Context(), epoch.AddDate(9000, 0, 0)
	bad := &imaging.Filter{
		IDs: make([]uuid.UUID, 101), Tags: []string{"\xff"}, CreatedBy: new("\x00"), Search: new(strings.Repeat("x", 257)),
		StartedFrom: &late, StartedBefore: &late, EndsFrom: &late, EndsBefore: &late,
	}
	var want []refusal
	for _, field := range []string{"ids", "tags.0", "createdBy", "search", "startedFrom", "startedBefore", "endsFrom", "endsBefore"} {
		want = append(want, refusal{imaging.Invalid, field})
	}
	_, err := w.CountImageRequests(ctx, admin, bad)
	refused(t, err, want...)
	_, err = w.ImageRequestPage(ctx, admin, 0, 1, bad, nil)
	refused(t, err, want...)
	_, err = w.ImageRequests(ctx, admin, imaging.Slice{First: new(0)}, bad, nil)
	refused(t, err, append(want, refusal{imaging.Invalid, "first"})...)
	_, err = w.Versions(ctx, admin, imaging.Slice{}, &imaging.Filter{CreatedBy: new("\x00"), StartedFrom: &late, StartedBefore: &late}, nil)
	refused(t, err, refusal{imaging.Invalid, "createdBy"}, refusal{imaging.Invalid, "startedFrom"}, refusal{imaging.Invalid, "startedBefore"})
}

// Whatever is read as a cursor, reading it never panics, and what is a cursor is written again as it was.
func FuzzCursor(f *testing.F) {
	id := uuid.MustParse("bdc31c14-f807-11e3-8ef5-b2227cce2b54")
	for _, o := range orders(imaging.ByStartDate, imaging.ByName, imaging.ByStatus)[1:] {
		for _, value := range []string{"0", "1391562207903000", "-1", "alpha\nbeta", "PENDING 1391562207903000", ""} {
			f.Add(db.EncodeCursor("image_request", *o, value, id), string(o.Field), string(o.Direction))
		}
	}
	f.Add("", "", "")
	f.Add("AAAA", "NAME", "ASC")
	f.Fuzz(func(t *testing.T, cursor, field, direction string) {
		o := imaging.Order{Field: imaging.OrderField(field), Direction: imaging.Direction(direction)}
		value, id, err := db.DecodeCursor("after", cursor, "image_request", o)
		if err != nil {
			refused(t, err, refusal{imaging.Invalid, "after"})
			return
		}
		same(t, cursor, db.EncodeCursor("image_request", o, value, id))
		for _, v := range db.OrderValues(o.Field, value, id) {
			if v == nil {
				t.Errorf("%q has a value that is none", value)
			}
		}
	})
}

// What is written as a cursor is read as it was.
func FuzzCursorValue(f *testing.F) {
	f.Add("alpha", []byte("0123456789abcdef"))
	f.Add("line\nbreak\n", []byte{})
	f.Add("", []byte("\x00"))
	f.Fuzz(func(t *testing.T, value string, bytes []byte) {
		id := uuid.UUID(append(bytes, make([]byte, 16)...)[:16])
		o := imaging.Order{Field: imaging.ByName, Direction: imaging.Asc}
		got, gotID, err := db.DecodeCursor("after", db.EncodeCursor("image_request", o, value, id), "image_request", o)
		if !imaging.Storable(value) || len(value) > 4*imaging.MaxName {
			refused(t, err, refusal{imaging.Invalid, "after"})
			return
		}
		if err != nil || got != value || gotID != id {
			t.Errorf("%q %v became %q %v, %v", value, id, got, gotID, err)
		}
	})
}

// A stream goes on after a cursor only if that is one of a stream, and the number in it is one that an event can have.
func FuzzStreamCursor(f *testing.F) {
	byID := imaging.Order{Field: imaging.ByID, Direction: imaging.Asc}
	for _, value := range []string{"0", "1", "-1", "9223372036854775807", "9223372036854775808", "1.5", "", "x", "01"} {
		f.Add(db.EncodeCursor("stream", byID, value, uuid.Nil), value)
	}
	f.Add(db.EncodeCursor("event", byID, "1", uuid.Nil), "+1")
	f.Fuzz(func(t *testing.T, cursor, value string) {
		for _, c := range []string{cursor, db.EncodeCursor("stream", byID, value, uuid.Nil)} {
			got, id, err := db.DecodeCursor("after", c, "stream", byID)
			if err != nil {
				refused(t, err, refusal{imaging.Invalid, "after"})
				continue
			}
			same(t, c, db.EncodeCursor("stream", byID, got, id))
			if _, err := strconv.ParseInt(got, 10, 64); err != nil {
				t.Errorf("%q is no number of an event", got)
			}
		}
	})
}
