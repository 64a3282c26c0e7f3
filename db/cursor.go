package db

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// A cursor is a place in a list: the list's order, the row's value in it, and its id, with a checksum. It gives no
// rights, so it needs no secret; the checksum tells a damaged one from a sound one.
const checksumLength = 6

var cursorEncoding = base64.RawURLEncoding.Strict()

func encodeCursor(list string, o imaging.Order, value string, id uuid.UUID) string {
	text := []byte(strings.Join([]string{list, string(o.Field), string(o.Direction), value}, "\n"))
	text = append(text, id[:]...)
	sum := sha256.Sum256(text)
	return cursorEncoding.EncodeToString(append(sum[:checksumLength], text...))
}

// decodeCursor gives value and id back. INVALID by field if the cursor is damaged or from another order.
func decodeCursor(field, cursor, list string, o imaging.Order) (value string, id uuid.UUID, err error) {
	raw, err := cursorEncoding.DecodeString(cursor)
	if err != nil || len(raw) < checksumLength+len(id) || strings.ContainsAny(cursor, "\r\n") { // base64 passes over line ends
		return "", id, invalid(field, "This is not a cursor of ours.")
	}
	text := raw[checksumLength:]
	if sum := sha256.Sum256(text); !bytes.Equal(sum[:checksumLength], raw[:checksumLength]) {
		return "", id, invalid(field, "This is not a cursor of ours.")
	}
	head, tail := text[:len(text)-len(id)], text[len(text)-len(id):]
	parts := strings.SplitN(string(head), "\n", 4)
	if len(parts) != 4 || parts[0] != list || parts[1] != string(o.Field) || parts[2] != string(o.Direction) {
		return "", id, invalid(field, "This cursor comes from a list of another order.")
	}
	if !orderValue(o.Field, parts[3]) {
		return "", id, invalid(field, "This is not a cursor of ours.")
	}
	return parts[3], uuid.UUID(tail), nil
}

func invalid(field, message string) error {
	e := imaging.Errorf(imaging.Invalid, "%s", message)
	e.Field = field
	return e
}

// orderValue tells whether the value can be compared with the column: anybody can compute a checksum.
func orderValue(field imaging.OrderField, value string) bool {
	switch field {
	case imaging.ByStartDate, imaging.ByCreation:
		micros, err := strconv.ParseInt(value, 10, 64)
		return err == nil && imaging.StorableTime(time.UnixMicro(micros))
	case imaging.ByStatus:
		return imaging.Status(value).Valid()
	case imaging.BySeq:
		_, err := strconv.ParseInt(value, 10, 32)
		return err == nil
	case imaging.ByID:
		_, err := strconv.ParseInt(value, 10, 64)
		return err == nil
	default:
		return imaging.Storable(value) && len(value) <= 4*imaging.MaxName
	}
}

// column is the column of an order.
func column(table string, field imaging.OrderField) string {
	switch field {
	case imaging.ByName:
		return table + ".name"
	case imaging.ByStatus:
		return table + ".status"
	case imaging.BySeq:
		return table + ".seq"
	case imaging.ByCreation:
		return table + ".created_at"
	default:
		return table + ".start_date"
	}
}

// sqlValue is a cursor's value as an argument.
func sqlValue(field imaging.OrderField, value string) any {
	n, _ := strconv.ParseInt(value, 10, 64) // decodeCursor has seen that it is a number
	switch field {
	case imaging.ByStartDate, imaging.ByCreation:
		return time.UnixMicro(n).UTC()
	case imaging.BySeq, imaging.ByID:
		return n
	default:
		return value
	}
}

func requestValue(r *imaging.ImageRequest, field imaging.OrderField) string {
	switch field {
	case imaging.ByName:
		return r.Name
	case imaging.ByStatus:
		return string(r.Status)
	default:
		return strconv.FormatInt(r.StartDate.UnixMicro(), 10)
	}
}

func versionValue(v *imaging.Version, field imaging.OrderField) string {
	switch field {
	case imaging.ByName:
		return v.ImageRequest.Name
	case imaging.ByStatus:
		return string(v.Status)
	default:
		return strconv.FormatInt(v.StartDate.UnixMicro(), 10)
	}
}

func eventValue(e *imaging.Event) string { return strconv.Itoa(*e.Seq) }
