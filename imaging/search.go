package imaging

import (
	"strings"
	"unicode"
)

// SearchWords splits what a person searches for into the words that must all occur in a SearchText. There are no special
// characters: a word is looked for just as it is, but for upper and lower case.
func SearchWords(search string) []string { return strings.Fields(fold(search)) }

// fold makes upper and lower case the same, letter by letter as Unicode has them: the lower case of the upper case, because
// some letters have two lower cases (σ and ς) and some two upper cases (I and İ). Nothing else becomes the same: ß is not ss,
// é is not e, and e with an accent of its own is not é. The database must never do this for us: what lower() makes of a letter
// depends on the locale it was set up with, and under C it knows ASCII alone.
func fold(s string) string {
	return strings.Map(func(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }, s)
}
