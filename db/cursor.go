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

// orderValue tells whether the value can be compared with the columns: anybody can compute a checksum.
func orderValue(field imaging.OrderField, value string) bool {
	switch field {
	case imaging.ByStartDate, imaging.ByCreation:
		micros, err := strconv.ParseInt(value, 10, 64)
		return err == nil && imaging.StorableTime(time.UnixMicro(micros))
	case imaging.ByStatus:
		status, moment, _ := strings.Cut(value, " ")
		return imaging.Status(status).Valid() && orderValue(imaging.ByStartDate, moment)
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

// orderColumns are what a list is ordered by. No two of its rows have all of them in common.
func orderColumns(field imaging.OrderField) []string {
	switch field {
	case imaging.ByName:
		return []string{"name", "id"}
	case imaging.ByStatus:
		return []string{"status", "start_date", "id"}
	case imaging.BySeq: // of one request
		return []string{"seq"}
	case imaging.ByCreation:
		return []string{"created_at", "id"}
	default:
		return []string{"start_date", "id"}
	}
}

// orderValues are a cursor's values of these columns, as arguments. decodeCursor has seen that they can be.
func orderValues(field imaging.OrderField, value string, id uuid.UUID) []any {
	moment := func(micros string) time.Time { return time.UnixMicro(number(micros)).UTC() }
	switch field {
	case imaging.ByStatus:
		status, micros, _ := strings.Cut(value, " ")
		return []any{status, moment(micros), id}
	case imaging.BySeq:
		return []any{number(value)}
	case imaging.ByName:
		return []any{value, id}
	default:
		return []any{moment(value), id}
	}
}

func number(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}

func requestValue(r *imaging.ImageRequest, field imaging.OrderField) string {
	return valueOf(field, r.Name, r.Status, r.StartDate)
}

func versionValue(v *imaging.Version, field imaging.OrderField) string {
	return valueOf(field, v.Name, v.Status, v.StartDate)
}

func valueOf(field imaging.OrderField, name string, status imaging.Status, start time.Time) string {
	switch micros := strconv.FormatInt(start.UnixMicro(), 10); field {
	case imaging.ByName:
		return name
	case imaging.ByStatus:
		return string(status) + " " + micros
	default:
		return micros
	}
}

func eventValue(e *imaging.Event) string { return strconv.Itoa(*e.Seq) }
