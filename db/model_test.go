package db_test

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// This is what schema.graphqls says of lists, said once more in plain Go, as somebody would who has read nothing else: no
// cleverness, no regard for time, and nothing in common with what it judges.

// wants is the meaning of ImageRequestFilter.
func wants(f *imaging.Filter, r *imaging.ImageRequest) bool {
	newest := r.Versions[len(r.Versions)-1]
	return oneOf(f.IDs, r.ID) && oneOf(f.Status, newest.Status) && is(f.Provider, newest.ProviderID) && is(f.Instance, newest.Instance) &&
		ofRequest(f, r) && ofTimes(f, r.StartDate, r.EndDate)
}

// wantsVersion is the meaning of VersionFilter.
func wantsVersion(f *imaging.Filter, v *imaging.Version) bool {
	return oneOf(f.IDs, v.ID) && oneOf(f.Status, v.Status) && is(f.Provider, v.ProviderID) && is(f.Instance, v.Instance) &&
		is(f.ImageRequest, v.ImageRequest.ID) && ofRequest(f, v.ImageRequest) && ofTimes(f, v.StartDate, v.EndDate)
}

func ofRequest(f *imaging.Filter, r *imaging.ImageRequest) bool {
	for _, tag := range f.Tags {
		if !slices.Contains(r.Tags, tag) {
			return false
		}
	}
	return is(f.CreatedBy, r.CreatedBy) && is(f.Visibility, r.Visibility) && (f.Search == nil || finds(*f.Search, r))
}

func ofTimes(f *imaging.Filter, start time.Time, end *time.Time) bool {
	ended := end != nil && end.Before(time.Now())
	return (f.StartedFrom == nil || !start.Before(*f.StartedFrom)) &&
		(f.StartedBefore == nil || start.Before(*f.StartedBefore)) &&
		(f.EndsFrom == nil || end != nil && !end.Before(*f.EndsFrom)) &&
		(f.EndsBefore == nil || end != nil && end.Before(*f.EndsBefore)) &&
		(f.Ended == nil || *f.Ended == ended)
}

func is[T comparable](wanted *T, v T) bool { return wanted == nil || *wanted == v }

func oneOf[T comparable](wanted []T, v T) bool { return wanted == nil || slices.Contains(wanted, v) }

// finds tells whether each word of a search occurs in the name, the description or a tag; one or two letters only where a word
// begins.
func finds(search string, r *imaging.ImageRequest) bool {
	for _, word := range strings.Fields(search) {
		found := occurs(word, r.Name) || occurs(word, r.Description)
		for _, tag := range r.Tags {
			found = found || occurs(word, tag)
		}
		if !found {
			return false
		}
	}
	return true
}

// occurs looks for the word from each letter of the text on.
func occurs(word, text string) bool {
	letters, in := []rune(word), []rune(text)
	short := len(letters) < 3 && !slices.ContainsFunc(letters, alone)
	for at := 0; at+len(letters) <= len(in); at++ {
		if short && at > 0 && !alone(in[at-1]) {
			continue
		}
		if slices.EqualFunc(letters, in[at:at+len(letters)], sameLetter) {
			return true
		}
	}
	return false
}

// alone tells whether the character makes no words with others: blanks, signs, those of Chinese, Korean and hiragana, and all
// beyond 16 bits.
func alone(r rune) bool {
	switch {
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana), r > 0xffff:
		return true
	case r >= '0' && r <= '9':
		return false
	}
	return !unicode.IsLetter(r) && !unicode.Is(unicode.Other_Alphabetic, r)
}

// sameLetter knows upper and lower case as Unicode's folding has it; and I, whose lower cases are i and ı and which shares
// i with İ.
func sameLetter(a, b rune) bool {
	const i = "IiİI\u0131"
	return strings.EqualFold(string(a), string(b)) || strings.ContainsRune(i, a) && strings.ContainsRune(i, b)
}

// key is a row's place in a list: what the list is ordered by, and its id.
type key struct {
	moment time.Time
	text   string
	id     uuid.UUID
}

func requestKey(r *imaging.ImageRequest, f imaging.OrderField) key {
	switch f {
	case imaging.ByName:
		return key{text: r.Name, id: r.ID}
	case imaging.ByStatus:
		return key{text: string(r.Status), moment: r.StartDate, id: r.ID}
	default:
		return key{moment: r.StartDate, id: r.ID}
	}
}

func versionKey(v *imaging.Version, f imaging.OrderField) key {
	switch f {
	case imaging.ByName:
		return key{text: v.ImageRequest.Name, id: v.ID}
	case imaging.ByStatus:
		return key{text: string(v.Status), moment: v.StartDate, id: v.ID}
	default:
		return key{moment: v.StartDate, id: v.ID}
	}
}

// compare tells which of two places comes first in a list of this order.
func compare(o imaging.Order, a, b key) int {
	n := cmp.Or(cmp.Compare(a.text, b.text), a.moment.Compare(b.moment), bytes.Compare(a.id[:], b.id[:]))
	if o.Direction == imaging.Desc {
		return -n
	}
	return n
}

// ordered sorts rows as a list of this order has them.
func ordered[T any](rows []T, o imaging.Order, of func(T, imaging.OrderField) key) []T {
	slices.SortFunc(rows, func(x, y T) int { return compare(o, of(x, o.Field), of(y, o.Field)) })
	return rows
}

func filtered[T any](rows []T, keep func(T) bool) []T {
	out := []T{}
	for _, r := range rows {
		if keep(r) {
			out = append(out, r)
		}
	}
	return out
}

// piece says which part of a list is wanted, as the arguments do; nil is an end of the list.
type piece struct {
	first, last   int // 0 is absent
	after, before *key
}

// answer is a page.
type answer[T any] struct {
	Rows              []T
	Previous, Next    bool
	StartsAt, EndsAt  *key
	Total             int
	EdgesAreTheirRows bool
}

// page is the meaning of the arguments, of pageInfo and of totalCount.
func page[T any](list []T, o imaging.Order, of func(T, imaging.OrderField) key, p piece) answer[T] {
	var within []T
	a := answer[T]{Total: len(list), Rows: []T{}, EdgesAreTheirRows: true}
	for _, row := range list {
		at := of(row, o.Field)
		behind := p.after == nil || compare(o, at, *p.after) > 0
		ahead := p.before == nil || compare(o, at, *p.before) < 0
		if behind && ahead {
			within = append(within, row)
		}
		a.Previous = a.Previous || p.last == 0 && !behind
		a.Next = a.Next || p.last != 0 && !ahead
	}
	for i, row := range within {
		switch {
		case p.last == 0 && i >= p.first:
			a.Next = true
		case p.last != 0 && i < len(within)-p.last:
			a.Previous = true
		default:
			a.Rows = append(a.Rows, row)
		}
	}
	if n := len(a.Rows); n > 0 {
		start, end := of(a.Rows[0], o.Field), of(a.Rows[n-1], o.Field)
		a.StartsAt, a.EndsAt = &start, &end
	}
	return a
}
