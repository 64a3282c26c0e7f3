// Package render appends to JSON what lists have much of, as fast as it can be: both doors write their answers with it.
package render

import (
	"math/bits"
	"time"

	"github.com/google/uuid"
)

// Text appends s, in quotes. Escape appends what stands for a byte that cannot stand for itself: a control character, a quote or a
// backslash.
func Text(b []byte, s string, escape func(b []byte, c byte) []byte) []byte {
	b = append(b, '"')
	for {
		n := plain(s)
		if b = append(b, s[:n]...); n == len(s) {
			return append(b, '"')
		}
		b = escape(b, s[n])
		s = s[n+1:]
	}
}

// plain is how many bytes at the start of s stand for themselves within the quotes of JSON: all but control characters, quotes and
// backslashes. It looks at eight at once: a byte below 0x20, or one that is a quote or a backslash and so zero after the exclusive
// or, borrows from its highest bit. A borrow goes upwards, so what is lowest is one.
func plain(s string) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		t := s[i : i+8]
		w := uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
			uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
		if found := ((w - ones*0x20) | (w ^ ones*'"' - ones) | (w ^ ones*'\\' - ones)) &^ w & high; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(s) && s[i] >= 0x20 && s[i] != '"' && s[i] != '\\'; i++ {
	}
	return i
}

// ID appends a UUID, in quotes.
func ID(b []byte, id uuid.UUID) []byte {
	b = append(b, `"00000000-0000-0000-0000-000000000000"`...)
	text := b[len(b)-37:]
	for i, at := range places {
		text[at], text[at+1] = hex[id[i]>>4], hex[id[i]&15]
	}
	return b
}

const hex = "0123456789abcdef"

// places are those of the bytes of a UUID in its text.
var places = [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

// Millis and Micros are how exactly a time is told. What is left is cut, never rounded: nothing is dated into the future.
const (
	Millis = "0000-00-00T00:00:00.000Z"
	Micros = "0000-00-00T00:00:00.000000Z"
)

// Time appends a time in UTC, in quotes, as exactly as the form says. time.AppendFormat takes five times as long.
func Time(b []byte, t time.Time, form string) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	b = append(append(append(b, '"'), form...), '"')
	text := b[len(b)-1-len(form):]
	if year < 0 || year > 9999 { // which no row has
		return append(t.AppendFormat(b[:len(b)-1-len(form)], "2006-01-02T15:04:05."+form[len("0000-00-00T00:00:00."):]), '"')
	}
	hour, minute, second := t.Clock()
	two(text[0:], year/100)
	two(text[2:], year%100)
	two(text[5:], int(month))
	two(text[8:], day)
	two(text[11:], hour)
	two(text[14:], minute)
	two(text[17:], second)
	micros := t.Nanosecond() / 1000
	two(text[20:], micros/10000)
	if form == Micros {
		two(text[22:], micros/100%100)
		two(text[24:], micros%100)
	} else {
		text[22] = '0' + byte(micros/1000%10)
	}
	return b
}

// two writes a number of two digits.
func two(place []byte, n int) {
	place[0], place[1] = '0'+byte(n/10), '0'+byte(n%10)
}
