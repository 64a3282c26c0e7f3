package imaging

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzSearch looks for parts of a text in it: whatever the text, its words are found, in upper case and lower.
func FuzzSearch(f *testing.F) {
	for _, text := range []string{"", "alpha Beta", "ΣΟΦΟΣ σοφος", "İzmir ılık", "50% of_a\\b", "a\u00a0b\u2028c", "ſtraße µ", "\xff\xfe", "e\u0301 é", "ǅ ǆ Ǆ"} {
		f.Add(text, "tag")
	}
	f.Fuzz(func(t *testing.T, text, tag string) {
		if !utf8.ValidString(text) || !utf8.ValidString(tag) {
			return // is refused before
		}
		v := &Version{Status: Pending}
		r := &ImageRequest{Name: text, Tags: []string{tag}, Versions: []*Version{v}}
		r.Settle()
		for _, s := range []string{text, tag, strings.ToUpper(text), strings.ToLower(tag)} {
			words := SearchWords(s)
			if len(words) != len(strings.Fields(s)) {
				t.Errorf("%q has the words %q", s, words)
			}
			for _, word := range words {
				if utf8.RuneCountInString(word) < 2 || strings.ContainsAny(word, `%_\`) {
					t.Errorf("%q has the word %q, which an index of trigrams cannot look for", s, word)
				}
				if (s == text || s == tag) && !strings.Contains(r.SearchText, word) {
					t.Errorf("%q is not found in %q", word, r.SearchText)
				}
			}
		}
		if problems := (&Filter{Search: &text}).Problems(); len(problems) == 0 && utf8.RuneCountInString(text) > 256 {
			t.Errorf("a search of %d characters is taken", utf8.RuneCountInString(text))
		}
	})
}
