package imaging

import (
	"strings"
	"testing"
	"unicode"
)

// Upper and lower case are the same, and nothing else is: the letters that fold into one are those that Unicode's folding
// holds for one, and all that are an i.
func TestFold(t *testing.T) {
	t.Parallel()
	fold := func(s string) string { return strings.Map(fold, s) }
	folded := map[string][]string{}
	for r := range unicode.MaxRune + 1 {
		if letter := string(r); unicode.IsPrint(r) || unicode.IsSpace(r) || unicode.IsMark(r) {
			folded[fold(letter)] = append(folded[fold(letter)], letter)
			for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
				if fold(string(other)) != fold(letter) {
					t.Errorf("%c and %c are different", r, other)
				}
			}
		}
	}
	for into, letters := range folded {
		if fold(into) != into {
			t.Errorf("%q folds again, into %q", into, fold(into))
		}
		for _, letter := range letters {
			if !strings.EqualFold(letter, letters[0]) && !strings.Contains("IiİI\u0131", letter) {
				t.Errorf("%q and %q are the same", letters[0], letter)
			}
		}
	}
	for _, pair := range [][2]string{{"ΣΟΦΟΣ", "σοφος"}, {"GRÖẞE", "größe"}, {"µm", "ΜM"}, {"İZMIR", "izmir"}, {"ſ", "S"}, {"K", "k"}} {
		if fold(pair[0]) != fold(pair[1]) {
			t.Errorf("%q is not %q", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{{"ß", "ss"}, {"é", "e"}, {"é", "e\u0301"}, {"æ", "ae"}, {"１", "1"}} {
		if fold(pair[0]) == fold(pair[1]) {
			t.Errorf("%q is %q", pair[0], pair[1])
		}
	}
}

// A text has a word as a part of it just when its spelling has the word's, however much the numbers of signs are alike.
func TestSpellingKeepsParts(t *testing.T) {
	t.Parallel()
	characters := strings.Split("a q A Q c 0 - \" é 本 \u0322 \u1122 \u2122 \u2f22 \u2202 \U00012122 \U00102122 \U00102202 \u0f3a \U000f3a22", " ")
	var words []string
	for _, a := range characters {
		words = append(words, a)
		for _, b := range characters {
			words = append(words, a+b)
		}
	}
	type form struct{ folded, spelt string }
	forms := make([]form, len(words))
	for i, word := range words {
		forms[i] = form{strings.Map(fold, word), spell(word)}
	}
	for _, first := range words {
		for _, last := range append([]string{"", " ", "\n-"}, characters...) {
			for _, text := range []string{first + last, last + first, "x " + first + " " + last} {
				folded, spelt := strings.Map(fold, text), searchText(text)
				for i, word := range forms {
					if want := strings.Contains(folded, word.folded); strings.Contains(spelt, word.spelt) != want {
						t.Fatalf("%q, spelt %q, is in %q, spelt %q: want %v", words[i], word.spelt, text, spelt, want)
					}
				}
			}
		}
	}
}
