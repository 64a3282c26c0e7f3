package rest

import (
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/imaging"
	"imagerequests/render"
)

// itemColumns are what appendItem writes.
var itemColumns = &db.Columns{
	ImageRequest: []string{"id", "icon", "created_by", "name", "tags", "description", "start_date", "end_date", "visibility"},
	Version:      []string{"alias", "version", "start_date", "end_date", "provider_id"},
}

// item answers GET on one image request. A malformed id is answered like an unknown one.
func (x *exchange) item() ([]byte, error) {
	id, ok := parseID(x.id)
	if !ok {
		return nil, imaging.ErrNotFound()
	}
	r, err := x.Store.Only(itemColumns).ImageRequest(x.r.Context(), x.actor, id)
	if err != nil {
		return nil, err
	}
	return appendItem(render.Buffer(), r), nil
}

// parseID reads a uuid, with its dashes or without, in upper or lower case.
func parseID(s string) (uuid.UUID, bool) {
	id, err := uuid.Parse(s)
	return id, err == nil && (len(s) == 36 || len(s) == 32)
}

// appendItem writes an image request with the documented keys, in their order.
func appendItem(b []byte, r *imaging.ImageRequest) []byte {
	b = append(render.ID(append(b, `{"id":`...), r.ID), `,"icon":`...)
	if r.Icon == nil {
		b = append(b, "null"...)
	} else {
		b = appendText(b, *r.Icon)
	}
	b = appendText(append(b, `,"created_by":`...), r.CreatedBy)
	b = appendText(append(b, `,"name":`...), r.Name)
	b = append(b, `,"tags":[`...)
	for _, tag := range r.Tags {
		b = appendText(comma(b), tag)
	}
	b = appendText(append(b, `],"description":`...), r.Description)
	b = appendPeriod(b, r.StartDate, r.EndDate)
	b = strconv.AppendBool(append(b, `,"private":`...), r.Visibility != imaging.Public)
	b = append(b, `,"versions":[`...)
	for _, v := range r.Versions {
		b = appendText(append(comma(b), `{"alias":`...), v.Alias)
		b = appendText(append(b, `,"version":`...), v.Version)
		b = appendPeriod(b, v.StartDate, v.EndDate)
		b = append(strconv.AppendInt(append(b, `,"provider":`...), int64(v.ProviderID), 10), '}')
	}
	return append(b, ']', '}')
}

func appendPeriod(b []byte, start time.Time, end *time.Time) []byte {
	b = render.Time(append(b, `,"start_date":`...), start, render.Millis)
	b = append(b, `,"end_date":`...)
	if end == nil {
		return append(b, "null"...)
	}
	return render.Time(b, *end, render.Millis)
}

// comma separates from the element before, if there is one.
func comma(b []byte) []byte {
	switch b[len(b)-1] {
	case '[', '{':
		return b
	}
	return append(b, ',')
}

// appendText writes a JSON string. Only what must be is escaped; encoding/json would escape more, U+2028 in any case. U+FFFD
// stands for what is not UTF-8.
func appendText(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	return render.Text(b, s, escape)
}

func escape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	default:
		return fmt.Appendf(b, `\u%04x`, c)
	}
}
