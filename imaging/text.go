package imaging

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Limits of what may be stored. Lengths are in characters. The database checks them, too.
const (
	MaxName     = 256
	MaxText     = 16384
	MaxIcon     = 1024
	MaxAddress  = 255
	MaxLabel    = 64
	MaxTag      = 128
	MaxTags     = 64
	MaxUsername = 150
	MaxShared   = 200
	MaxKey      = 255
	MaxSearch   = 256
	MaxIDs      = 100
)

// featured is the tag that only staff may give.
const featured = "Featured"

// storable says what keeps a text from being stored, "" if nothing does: Postgres takes no NUL, and the driver would
// change invalid UTF-8 without a word. The doors turn a lone surrogate into NUL, so that it is refused here by its field.
func storable(s string) string {
	switch {
	case strings.ContainsRune(s, 0):
		return "Null characters and lone surrogates are not allowed."
	case !utf8.ValidString(s):
		return "This text is not valid UTF-8."
	}
	return ""
}

// text checks one text field of at most so many characters.
func (p *Problems) text(field, s string, most int) {
	if bad := storable(s); bad != "" {
		p.add(field, "%s", bad)
	} else if utf8.RuneCountInString(s) > most {
		p.add(field, "Ensure this field has no more than %d characters.", most)
	}
}

// line checks one text field that must not be blank.
func (p *Problems) line(field, s string, most int) {
	if strings.TrimSpace(s) == "" {
		p.add(field, "This field may not be blank.")
		return
	}
	p.text(field, s, most)
}

// oneLine checks a name that must not be blank, and has no line breaks or other control characters.
func (p *Problems) oneLine(field, s string, most int) {
	p.line(field, s, most)
	if !p.On(field) && strings.ContainsFunc(s, unicode.IsControl) {
		p.add(field, "This field has no line breaks or control characters.")
	}
}

func (p *Problems) id(field string, id uuid.UUID) {
	if id == uuid.Nil {
		p.add(field, "Must be a valid UUID.")
	}
}

// number checks the number of a provider: 31 bits, and not 0.
func (p *Problems) number(field string, n int) {
	if n < 1 || n > math.MaxInt32 {
		p.add(field, "Ensure this value is between 1 and %d.", math.MaxInt32)
	}
}

// username checks a user name: 1 to 150 characters, none of them a blank or a control character.
func (p *Problems) username(field, s string) {
	p.line(field, s, MaxUsername)
	if !p.On(field) && strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		p.add(field, "A user name has no blanks or control characters.")
	}
}

// CheckUsername is why s cannot be a user name, nil if it can.
func CheckUsername(s string) error {
	var p Problems
	p.username("username", s)
	return p.Err()
}

// moment checks that a time can be stored and read back: years 1 to 9999 in UTC.
func (p *Problems) moment(field string, t *time.Time) {
	if t != nil && !StorableTime(*t) {
		p.add(field, "Ensure this time lies in the years 1 to 9999 in UTC.")
	}
}

// tags checks labels. Featured is for staff, unless the request carries it already.
func (p *Problems) tags(tags []string, a Actor, had []string) {
	if len(tags) > MaxTags {
		p.add("tags", "Ensure this field has no more than %d elements.", MaxTags)
		return
	}
	for i, tag := range tags {
		field := fmt.Sprintf("tags.%d", i)
		p.line(field, strings.TrimSpace(tag), MaxTag)
		if isFeatured(tag) && !a.Staff() && !hasFeatured(had) {
			p.add(field, "The tag %s is given by staff.", featured)
		}
	}
}

// shared checks a visibility together with the users it names.
func (p *Problems) shared(v Visibility, users []string) {
	switch {
	case !v.Valid():
		p.add("visibility", "%q is not a valid choice.", string(v))
	case v != Users && len(users) > 0:
		p.add("sharedWith", "Users can only be named with visibility USERS.")
	case v == Users && len(users) == 0:
		p.add("sharedWith", "Name at least one user, or choose visibility PRIVATE.")
	case len(users) > MaxShared:
		p.add("sharedWith", "Ensure this field has no more than %d elements.", MaxShared)
	default:
		for i, user := range users {
			p.username(fmt.Sprintf("sharedWith.%d", i), user)
		}
	}
}

// key checks an idempotency key: 1 to 255 printable characters.
func (p *Problems) key(field string, key *string) {
	if key == nil {
		return
	}
	p.line(field, *key, MaxKey)
	if !p.On(field) && strings.ContainsFunc(*key, func(r rune) bool { return !unicode.IsPrint(r) }) {
		p.add(field, "A key has printable characters only.")
	}
}

// distinct trims each text and leaves out what was there before, keeping the order. It is never nil.
func distinct(texts []string) []string {
	seen := make(map[string]bool, len(texts))
	out := make([]string, 0, len(texts))
	for _, s := range texts {
		if s = strings.TrimSpace(s); !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

func isFeatured(tag string) bool { return strings.EqualFold(strings.TrimSpace(tag), featured) }

func hasFeatured(tags []string) bool {
	for _, tag := range tags {
		if isFeatured(tag) {
			return true
		}
	}
	return false
}

// Storable tells whether a text can be stored and read back unchanged.
func Storable(s string) bool { return storable(s) == "" }

// StorableTime tells whether a time can be stored and read back: years 1 to 9999 in UTC.
func StorableTime(t time.Time) bool {
	year := t.UTC().Year()
	return 1 <= year && year <= 9999
}

// excluded checks the paths that a worker says it has left out.
func (p *Problems) excluded(paths []string) {
	if len(paths) > MaxExcluded {
		p.add("excluded", "Ensure this field has no more than %d elements.", MaxExcluded)
		return
	}
	for i, path := range paths {
		p.line(fmt.Sprintf("excluded.%d", i), path, MaxPath)
	}
}
