package plan

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"time"

	"github.com/google/uuid"

	"imagerequests/render"
)

// out is an answer that is being written, and then a graphql.Marshaler that is sent once.
type out struct {
	b    []byte
	room int             // of b, for what gqlgen writes before
	ctx  context.Context //nolint:containedctx // of the field, for what asks the database; it lives no longer
	left bool            // for gqlgen to tell
}

// newOut is one for the field that the answer calls by this name.
func newOut(ctx context.Context, name string) *out {
	o := &out{b: append(append(append(render.Buffer(), `{"`...), name...), `":`...), ctx: ctx}
	o.room = len(o.b)
	return o
}

func (o *out) free() {
	render.Free(o.b)
	o.b = nil
}

// MarshalGQL writes the answer. gqlgen calls it once, or never if another field's null takes this one along. The first field of an
// answer is most of it, mostly: gqlgen goes on behind it, instead of copying it.
func (o *out) MarshalGQL(w io.Writer) {
	if b, ok := w.(*bytes.Buffer); ok && bytes.Equal(b.Bytes(), o.b[:o.room]) {
		*b = *bytes.NewBuffer(o.b)
		o.b = nil
		return
	}
	_, _ = w.Write(o.b[o.room:])
	o.free()
}

func (o *out) null() { o.b = append(o.b, "null"...) }

// missing is what stands where there must be no null: gqlgen knows what to say.
func (o *out) missing() { o.left = true }

func (o *out) int(i int) { o.b = strconv.AppendInt(o.b, int64(i), 10) }

func (o *out) bool(v bool) { o.b = strconv.AppendBool(o.b, v) }

func (o *out) time(t time.Time) { o.b = render.Time(o.b, t, render.Micros) }

func (o *out) id(id uuid.UUID) {
	if id == uuid.Nil {
		o.missing()
		return
	}
	o.b = render.ID(o.b, id)
}

func (o *out) text(s string) { o.b = render.Text(o.b, s, escape) }

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

// escape writes a byte of a text as graphql.MarshalString does.
func escape(b []byte, c byte) []byte {
	switch c {
	case '\t':
		return append(b, `\t`...)
	case '\r':
		return append(b, `\r`...)
	case '\n':
		return append(b, `\n`...)
	case '\\', '"':
		return append(b, '\\', c)
	default:
		return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
	}
}
