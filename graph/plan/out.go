package plan

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"imagerequests/graph/scalar"
)

// out is an answer that is being written, and then a graphql.Marshaler that is sent once.
type out struct {
	b    []byte
	ctx  context.Context //nolint:containedctx // of the field, for what asks the database; it lives no longer
	left bool            // for gqlgen to tell
}

var outs = sync.Pool{New: func() any { return new(out) }}

// keep is how large a buffer may have grown to be used again.
const keep = 1 << 20

func newOut(ctx context.Context) *out {
	o, _ := outs.Get().(*out)
	o.ctx = ctx
	return o
}

func (o *out) free() {
	if cap(o.b) <= keep {
		*o = out{b: o.b[:0]}
		outs.Put(o)
	}
}

// MarshalGQL writes the answer. gqlgen calls it once, or never if another field's null takes this one along.
func (o *out) MarshalGQL(w io.Writer) {
	if b, ok := w.(*bytes.Buffer); ok {
		b.Grow(len(o.b) + bytes.MinRead) // what comes behind a large answer would double it
	}
	_, _ = w.Write(o.b)
	o.free()
}

func (o *out) null() { o.b = append(o.b, "null"...) }

// missing is what stands where there must be no null: gqlgen knows what to say.
func (o *out) missing() { o.left = true }

func (o *out) int(i int) { o.b = strconv.AppendInt(o.b, int64(i), 10) }

func (o *out) bool(v bool) { o.b = strconv.AppendBool(o.b, v) }

func (o *out) time(t time.Time) { o.b = scalar.AppendDateTime(o.b, t) }

func (o *out) id(id uuid.UUID) {
	if id == uuid.Nil {
		o.missing()
		return
	}
	o.b = scalar.AppendID(o.b, id)
}

func (o *out) text(s string) { o.b = appendText(o.b, s) }

func (o *out) texts(list []string) {
	o.b = append(o.b, '[')
	for i, s := range list {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.text(s)
	}
	o.b = append(o.b, ']')
}

// What may be null.

func (o *out) textsIf(list []string) {
	if list == nil {
		o.null()
		return
	}
	o.texts(list)
}

func (o *out) textIf(s *string) {
	if s == nil {
		o.null()
		return
	}
	o.text(*s)
}

func (o *out) intIf(i *int) {
	if i == nil {
		o.null()
		return
	}
	o.int(*i)
}

func (o *out) timeIf(t *time.Time) {
	if t == nil {
		o.null()
		return
	}
	o.time(*t)
}

// What the database was asked for. If it failed, gqlgen asks again and tells.

func (o *out) truth(v bool, err error) {
	if err != nil {
		o.left = true
		return
	}
	o.bool(v)
}

func (o *out) number(n int, err error) {
	if err != nil {
		o.left = true
		return
	}
	o.int(n)
}

const hex = "0123456789ABCDEF"

// escaped are the bytes that cannot stand for themselves within quotes.
var escaped = func() (table [256]bool) {
	for c := range 0x20 {
		table[c] = true
	}
	table['"'], table['\\'] = true, true
	return table
}()

// plain tells whether each of eight bytes stands for itself. It looks at all at once: a byte below 0x20, or one that is a
// quote or a backslash and so zero after the exclusive or, borrows from its highest bit.
func plain(s string) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	control := (w - ones*0x20) &^ w
	quote, backslash := w^ones*'"', w^ones*'\\'
	return (control|(quote-ones)&^quote|(backslash-ones)&^backslash)&high == 0
}

// appendText writes a text as graphql.MarshalString does.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		for i+8 <= len(s) && plain(s[i:i+8]) {
			i += 8
		}
		if i == len(s) {
			break
		}
		if !escaped[s[i]] {
			continue
		}
		b = append(b, s[start:i]...)
		switch c := s[i]; c {
		case '\t':
			b = append(b, `\t`...)
		case '\r':
			b = append(b, `\r`...)
		case '\n':
			b = append(b, `\n`...)
		case '\\', '"':
			b = append(b, '\\', c)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		start = i + 1
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
