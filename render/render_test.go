package render_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"imagerequests/render"
)

func TestText(t *testing.T) {
	t.Parallel()
	escape := func(b []byte, c byte) []byte { return fmt.Appendf(b, `\%02x`, c) }
	check := func(t interface{ Fatalf(string, ...any) }, s string) {
		want := []byte(`"`)
		for _, c := range []byte(s) {
			if c < 0x20 || c == '"' || c == '\\' {
				want = escape(want, c)
			} else {
				want = append(want, c)
			}
		}
		if got := string(render.Text(nil, s, escape)); got != string(want)+`"` {
			t.Fatalf("%q: %s, want %s", s, got, want)
		}
	}
	for c := range 256 { // each byte in each place, beside others that borrow
		for at := range 20 {
			for _, fill := range []byte{' ', 'x', '!', '#', '[', ']', 0x7f, 0x80, 0xff} {
				b := bytes.Repeat([]byte{fill}, 20)
				b[at] = byte(c)
				check(t, string(b))
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) { check(t, string(rapid.SliceOf(rapid.Byte()).Draw(t, "text"))) })
}

// What many write at once into buffers that others have used stays theirs until they free it.
func TestBuffers(t *testing.T) {
	t.Parallel()
	var writers sync.WaitGroup
	for id := range byte(16) {
		writers.Go(func() {
			for n := range 500 {
				b := render.Buffer()
				if len(b) > 0 {
					t.Errorf("a buffer has %d bytes in it", len(b))
				}
				for range 1 + n%40 {
					b = append(b, bytes.Repeat([]byte{id}, 300)...)
				}
				runtime.Gosched()
				if i := bytes.IndexFunc(b, func(r rune) bool { return r != rune(id) }); i >= 0 {
					t.Errorf("byte %d is another's", i)
				}
				render.Free(b)
			}
		})
	}
	writers.Wait()
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
		{"Text", func() { render.Text(buffer, text, nil) }},
		{"Text/usual", func() { _, _ = json.Marshal(text) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				way.run()
			}
		})
	}
}
