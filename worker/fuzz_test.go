package worker

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzOutput lets a program say anything: it is understood within the limits, or it is a failure that can be stored.
func FuzzOutput(f *testing.F) {
	for _, said := range []string{
		"", "\n\n", `{"stage":"copy","percent":12.5}` + "\n" + `{"alias":"ami-1","excluded":["/a"]}`, `{"error":{"code":"X","message":"m","detail":"d","retryable":true}}`,
		`{"percent":1e400}`, `{"percent":-1}`, `{"alias":" "}`, `{}`, `[]`, `{"stage":1}`, `{"unknown":1}`, "{\"stage\":\"\xff\"}", `{"stage":"a"} {"stage":"b"}`, `{"stage":"\u0000"}`,
		`{"alias":"a"}` + "\n" + `not read`, strings.Repeat("x", 300), `{"STAGE":"a"}`, `{"stage":"a","stage":"b"}`,
	} {
		f.Add([]byte(said))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		s := speech{report: func(r Report) {
			if r.Percent != nil && (*r.Percent < 0 || *r.Percent > 100) || !utf8.ValidString(r.Stage) {
				t.Errorf("%q is the report %+v", said, r)
			}
		}}
		err := s.listen(strings.NewReader(string(said)))
		var failure *Failure
		if err != nil && (!errors.As(err, &failure) || failure.Code != "IMAGER_OUTPUT" || failure.Message == "") {
			t.Errorf("%q: %v", said, err)
		}
		if s.alias != "" && (s.failure != nil || strings.TrimSpace(s.alias) == "") {
			t.Errorf("%q: alias %q and %v", said, s.alias, s.failure)
		}
		for _, most := range []int{1, 64, 16384} {
			text := clean(string(said), most)
			if !utf8.ValidString(text) || strings.Contains(text, "\x00") || utf8.RuneCountInString(text) > most {
				t.Errorf("%q is cleaned to %q", said, text)
			}
		}
	})
}
