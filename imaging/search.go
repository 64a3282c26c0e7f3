package imaging

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A search finds what the index of trigrams finds, and that knows three letters or digits in a row, and the one or two that a
// word begins with; of signs it knows nothing. So that there is no word that it cannot look for, a search text is spelt in
// letters alone: letters and digits as they are, folded; blanks as spaces; and any other sign as a few capitals, which no letter
// is any more. After signs comes a space. How a character is spelt depends on nothing but itself and whether a sign stands
// before it, so a text has another as a part of it just when its spelling has the other's.

// searchText spells texts for SearchWords to be looked for in. It begins with a space, as each word in it does.
func searchText(texts ...string) string { return spell(" " + strings.Join(texts, "\n")) }

// SearchWords splits what a person searches for into what must all occur in a SearchText. A word is looked for just as it is,
// but for upper and lower case; there are no special characters, and none of LIKE's are left. One or two letters are looked for
// at the beginning of words only.
func SearchWords(search string) []string {
	words := strings.Fields(search)
	for i, word := range words {
		if words[i] = spell(word); utf8.RuneCountInString(words[i]) < 3 {
			words[i] = " " + words[i]
		}
	}
	return words
}

func spell(s string) string {
	b, afterSign := make([]byte, 0, len(s)+len(s)/4), false
	for _, r := range s {
		r = fold(r)
		letter := isLetter(r)
		sign := !letter && !unicode.IsSpace(r)
		if afterSign && !sign {
			b = append(b, ' ')
		}
		switch afterSign = sign; {
		case letter:
			b = utf8.AppendRune(b, r)
		case sign:
			b = appendSign(b, r)
		default:
			b = append(b, ' ')
		}
	}
	return string(b)
}

// appendSign writes a letter from Q on, which tells how many of the letters A to P follow: sixteenths of the sign's number.
func appendSign(b []byte, sign rune) []byte {
	sixteenths := 6
	switch {
	case sign < 0x800:
		b, sixteenths = append(b, 'Q'+byte(sign>>8)), 2
	case sign < 0x10000:
		b, sixteenths = append(b, 'Y'), 4
	default:
		b = append(b, 'Z')
	}
	for sixteenths--; sixteenths >= 0; sixteenths-- {
		b = append(b, 'A'+byte(sign>>(4*sixteenths)&15))
	}
	return b
}

// isLetter tells what words are made of: our digits, letters, and the marks that stand for letters, as vowels do in India. In
// Chinese, Korean and hiragana each sign stands for itself, so that one or two of them are found wherever they are. Whatever
// the database may not hold for a letter is not one here.
func isLetter(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || '0' <= r && r <= '9'
	}
	return r < 0x10000 && unicode.In(r, unicode.L, unicode.Other_Alphabetic) && !unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana) &&
		!strings.ContainsRune("\u0c04\u0cf3\u0f82\u0f83", r) // too new, or lately become ones
}

// fold makes upper and lower case the same, letter by letter as Unicode has them: the lower case of the upper case, because
// some letters have two lower cases (σ and ς) and some two upper cases (I and İ). Nothing else becomes the same: ß is not ss,
// é is not e, and e with an accent of its own is not é. The database must never do this for us: what lower() makes of a letter
// depends on the locale it was set up with, and under C it knows ASCII alone.
func fold(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }
