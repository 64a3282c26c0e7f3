package imaging

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

var (
	owner    = Actor{Username: "owner", Roles: []Role{Requester}}
	stranger = Actor{Username: "stranger", Roles: []Role{Requester}}
	reviewer = Actor{Username: "reviewer", Roles: []Role{Reviewer}}
	admin    = Actor{Username: "admin", Roles: []Role{Admin}}
)

// request is an input without a fault, changed as the test needs it.
func request(change func(*RequestImageInput)) *RequestImageInput {
	in := &RequestImageInput{Name: "Image", Work: Work{Instance: uuid.UUID{1}, Provider: 1}, Visibility: Private}
	if change != nil {
		change(in)
	}
	return in
}

func version(change func(*RequestVersionInput)) *RequestVersionInput {
	in := &RequestVersionInput{ImageRequest: uuid.UUID{2}, Work: Work{Instance: uuid.UUID{1}, Provider: 1}}
	if change != nil {
		change(in)
	}
	return in
}

// textField is one text of one input, and how it is checked.
type textField struct {
	input, field string
	most         int
	blank        bool // may be blank
	trimmed      bool // blanks around it are cut off, so they do not count
	check        func(s string) error
}

func textFields() []textField {
	asked := func(change func(*RequestImageInput, string)) func(string) error {
		return func(s string) error {
			return request(func(in *RequestImageInput) { change(in, s) }).Problems(owner).Err()
		}
	}
	again := func(change func(*RequestVersionInput, string)) func(string) error {
		return func(s string) error {
			return version(func(in *RequestVersionInput) { change(in, s) }).Problems().Err()
		}
	}
	edited := func(input func(string) EditImageRequestInput) func(string) error {
		return func(s string) error {
			in := input(s)
			_, err := Edit(existing(Public), &in, owner, noon)
			return err
		}
	}
	return []textField{
		{"request", "name", 256, false, true, asked(func(in *RequestImageInput, s string) { in.Name = s })},
		{"request", "software", 16384, true, false, asked(func(in *RequestImageInput, s string) { in.Software = s })},
		{"request", "sys", 16384, true, false, asked(func(in *RequestImageInput, s string) { in.Sys = s })},
		{"request", "exclude", 16384, true, false, asked(func(in *RequestImageInput, s string) { in.Exclude = s })},
		{"request", "ipAddress", 255, true, false, asked(func(in *RequestImageInput, s string) { in.IPAddress = &s })},
		{"request", "changeLog", 16384, true, false, asked(func(in *RequestImageInput, s string) { in.ChangeLog = s })},
		{"request", "description", 16384, true, false, asked(func(in *RequestImageInput, s string) { in.Description = s })},
		{"request", "tags.0", 128, false, true, asked(func(in *RequestImageInput, s string) { in.Tags = []string{s} })},
		{"request", "sharedWith.0", 150, false, false, asked(func(in *RequestImageInput, s string) { in.Visibility, in.SharedWith = Users, []string{s} })},
		{"request", "idempotencyKey", 255, false, false, asked(func(in *RequestImageInput, s string) { in.IdempotencyKey = &s })},

		{"version", "version", 64, false, true, again(func(in *RequestVersionInput, s string) { in.Version = &s })},
		{"version", "software", 16384, true, false, again(func(in *RequestVersionInput, s string) { in.Software = s })},
		{"version", "sys", 16384, true, false, again(func(in *RequestVersionInput, s string) { in.Sys = s })},
		{"version", "exclude", 16384, true, false, again(func(in *RequestVersionInput, s string) { in.Exclude = s })},
		{"version", "ipAddress", 255, true, false, again(func(in *RequestVersionInput, s string) { in.IPAddress = &s })},
		{"version", "changeLog", 16384, true, false, again(func(in *RequestVersionInput, s string) { in.ChangeLog = s })},
		{"version", "idempotencyKey", 255, false, false, again(func(in *RequestVersionInput, s string) { in.IdempotencyKey = &s })},

		{"edit", "name", 256, false, true, edited(func(s string) EditImageRequestInput { return EditImageRequestInput{Name: &s} })},
		{"edit", "icon", 1024, false, false, edited(func(s string) EditImageRequestInput { return EditImageRequestInput{Icon: SetTo(&s)} })},
		{"edit", "description", 16384, true, false, edited(func(s string) EditImageRequestInput { return EditImageRequestInput{Description: &s} })},
		{"edit", "tags.0", 128, false, true, edited(func(s string) EditImageRequestInput { return EditImageRequestInput{Tags: []string{s}} })},
		{"edit", "sharedWith.0", 150, false, false, edited(func(s string) EditImageRequestInput {
			return EditImageRequestInput{Visibility: new(Users), SharedWith: []string{s}}
		})},

		{"provider", "name", 256, false, false, func(s string) error {
			_, err := (&SaveProviderInput{ID: 1, Name: &s}).Apply(nil)
			return err
		}},
		{"token", "username", 150, false, false, func(s string) error {
			return (&Token{Username: s, Roles: []Role{Requester}}).Problems().Err()
		}},
		{"filter", "createdBy", 150, true, false, func(s string) error { return (&Filter{CreatedBy: &s}).Problems().Err() }},
		{"filter", "search", 256, true, false, func(s string) error { return (&Filter{Search: &s}).Problems().Err() }},
		{"filter", "tags.0", 128, true, false, func(s string) error { return (&Filter{Tags: []string{s}}).Problems().Err() }},
	}
}

// TestTextLimits: every text is counted in characters, to the very last one, and holds nothing that cannot be stored.
func TestTextLimits(t *testing.T) {
	t.Parallel()
	const nul, bad = "Null characters and lone surrogates are not allowed.", "This text is not valid UTF-8."
	for _, f := range textFields() {
		t.Run(f.input+"/"+f.field, func(t *testing.T) {
			t.Parallel()
			long := fmt.Sprintf("Ensure this field has no more than %d characters.", f.most)
			full, over := strings.Repeat("é", f.most), strings.Repeat("é", f.most+1)
			for _, test := range []struct{ name, text, want string }{
				{"one character", "x", ""},
				{"full", full, ""},
				{"four bytes each", strings.Repeat("𝔵", f.most), ""},
				{"one too many", over, long},
				{"NUL", "a\x00b", nul},
				{"NUL alone", "\x00", nul},
				{"not UTF-8", "a\xffb", bad},
				{"half a character", "\xc3", bad},
				{"a surrogate in bytes", "\xed\xa0\x80", bad},
				{"NUL, and not UTF-8, and too long", "\x00\xff" + over, nul},
				{"empty", "", unless(f.blank, "This field may not be blank.")},
				{"blank", " \t\u00a0\u2003", unless(f.blank, "This field may not be blank.")},
				{"full, with blanks around", "  " + full + "\n", unless(f.trimmed, long)},
			} {
				var want []string
				if test.want != "" {
					want = []string{f.field + ": " + test.want}
				}
				if diff := cmp.Diff(want, told(t, f.check(test.text))); diff != "" {
					t.Errorf("%s (-want +got):\n%s", test.name, diff)
				}
			}
		})
	}
}

func unless(fine bool, message string) string {
	if fine {
		return ""
	}
	return message
}
