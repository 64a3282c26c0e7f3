package db

import (
	"testing"

	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// FuzzCells reads rows of any bytes as requests, versions and providers: whatever a server sends, it is read to an end, and what is no
// value of its column is an error.
func FuzzCells(f *testing.F) {
	f.Add("")
	f.Add("\x00\x00\x00\x10" + "0123456789abcdef" + "\x00\x00\x00\x01n" + "\xff\xff\xff\xff" + "\x00\x00\x00\x00")
	f.Add("\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x19")
	f.Add("\x00\x00\x00\x19\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x19\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01a")
	f.Add("\x00\x00\x00\x17\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x19\x00\x00\x00\x01\x00\x00\x00\x01abc")
	f.Fuzz(func(t *testing.T, row string) {
		for n := range requestColumns { // so that each column comes first
			c := cells{row: safedriver.Row(row)}
			fill(&imaging.ImageRequest{}, requestColumns[n:], &c)
		}
		for n := range versionColumns {
			c := cells{row: safedriver.Row(row)}
			fill(&imaging.Version{}, versionColumns[n:], &c)
		}
		for _, read := range []func(*cells) int{
			func(c *cells) int { return len(c.texts()) }, func(c *cells) int { return len(c.numbers()) },
		} {
			c := cells{row: safedriver.Row(row)}
			if n := read(&c); n > len(row) {
				t.Errorf("%d elements of %d bytes", n, len(row))
			}
		}
		first := safedriver.Row(row)
		value, there := first.Next()
		id, number := cells{row: safedriver.Row(row)}, cells{row: safedriver.Row(row)}
		_, _ = id.id(), number.number()
		if ok := there && len(value) == 16; ok != (id.err == nil) {
			t.Errorf("%q is an id: %v", value, id.err)
		}
		if ok := there && (len(value) == 2 || len(value) == 4 || len(value) == 8); ok != (number.err == nil) {
			t.Errorf("%q is a number: %v", value, number.err)
		}
	})
}
