package imaging

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDistinct(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		in, want []string
	}{
		{"nil", nil, []string{}},
		{"empty", []string{}, []string{}},
		{"the order is kept", []string{"b", "a", "c"}, []string{"b", "a", "c"}},
		{"the first of a kind stays", []string{"b", "a", "b"}, []string{"b", "a"}},
		{"blanks around do not count", []string{"a ", "\ta", "\u2003a\n"}, []string{"a"}},
		{"upper case does", []string{"a", "A"}, []string{"a", "A"}},
	} {
		if diff := cmp.Diff(test.want, distinct(test.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func FuzzTags(f *testing.F) {
	for _, tags := range []string{"", "a\nb\na", " a\na \n\u2003a", "Featured\nfeatured", "\x00\n\xff\n\xff "} {
		f.Add(tags)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tags := strings.Split(text, "\n")
		input := slices.Clone(tags)
		once := distinct(tags)
		if diff := cmp.Diff(input, tags); diff != "" {
			t.Errorf("the input has changed (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(once, distinct(once)); diff != "" {
			t.Errorf("not the same when done twice (-once +twice):\n%s", diff)
		}
		var want []string // the plain way to say it
		for _, tag := range tags {
			if tag = strings.TrimSpace(tag); !slices.Contains(want, tag) {
				want = append(want, tag)
			}
		}
		if diff := cmp.Diff(want, once); diff != "" {
			t.Errorf("lost, added or moved (-want +got):\n%s", diff)
		}
		if hasFeatured(tags) != hasFeatured(once) {
			t.Error("the tag of staff is lost or won")
		}
	})
}

func TestStorableTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"0001-01-01T00:00:00Z":           true,
		"0001-01-01T00:00:00-00:01":      true,
		"0001-01-01T00:00:00+00:01":      false,
		"0000-12-31T23:59:59Z":           false,
		"0000-12-31T23:59:59-00:01":      true, // year 1 in UTC
		"9999-12-31T23:59:59.999999999Z": true,
		"9999-12-31T23:59:59-12:00":      false,
		"9999-12-31T23:59:59+12:00":      true,
		"2026-02-28T12:00:00Z":           true,
	} {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := StorableTime(at); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}
