package render_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"imagerequests/render"
)

func TestPlain(t *testing.T) {
	t.Parallel()
	plain := func(s string) int {
		if i := strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r == '"' || r == '\\' }); i >= 0 {
			return i
		}
		return len(s)
	}
	for c := range 256 { // each byte in each place, beside others that borrow
		for at := range 20 {
			for _, fill := range []byte{' ', 'x', '!', '#', '[', ']', 0x7f, 0x80, 0xff} {
				b := []byte(strings.Repeat(string([]byte{fill}), 20))
				b[at] = byte(c)
				if got, want := render.Plain(string(b)), plain(string(b)); got != want {
					t.Fatalf("%q: %d, want %d", b, got, want)
				}
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "text"))
		if got, want := render.Plain(s), plain(s); got != want {
			t.Fatalf("%q: %d, want %d", s, got, want)
		}
	})
}

func TestIDsAndTimes(t *testing.T) {
	t.Parallel()
	forms := map[string]string{render.Millis: "2006-01-02T15:04:05.000Z", render.Micros: "2006-01-02T15:04:05.000000Z"}
	first, last := time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	rapid.Check(t, func(t *rapid.T) {
		id := uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		if got, want := string(render.ID([]byte("x"), id)), `x"`+id.String()+`"`; got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		zone := time.FixedZone("", rapid.IntRange(-14*3600, 14*3600).Draw(t, "zone"))
		at := time.UnixMicro(rapid.Int64Range(first, last).Draw(t, "at")).Add(time.Duration(rapid.IntRange(0, 999).Draw(t, "nanos"))).In(zone)
		for form, layout := range forms {
			if got, want := string(render.Time([]byte("x"), at, form)), `x"`+at.UTC().Format(layout)+`"`; got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		}
	})
}

// What lists have most of, beside what is usual.
//
//	go test ./render -run '^$' -bench . -benchmem
func BenchmarkRender(b *testing.B) {
	id, at, text := uuid.New(), time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC), strings.Repeat("What is installed. ", 18)
	buffer := make([]byte, 0, 1<<10)
	for _, way := range []struct {
		name string
		run  func()
	}{
		{"ID", func() { render.ID(buffer, id) }},
		{"ID/usual", func() { buffer = append(append(append(buffer[:0], '"'), id.String()...), '"') }},
		{"Time", func() { render.Time(buffer, at, render.Micros) }},
		{"Time/usual", func() { at.AppendFormat(buffer, `"2006-01-02T15:04:05.000000Z"`) }},
		{"Plain", func() { render.Plain(text) }},
		{"Plain/usual", func() { _, _ = json.Marshal(text) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				way.run()
			}
		})
	}
}
