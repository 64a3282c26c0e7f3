package imaging

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// told lists the refusals of an error as "field: message". Each must be INVALID.
func told(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var texts []string
	for _, e := range All(err) {
		if e.Code != Invalid {
			t.Errorf("code %s, want INVALID: %v", e.Code, e)
		}
		texts = append(texts, e.Field+": "+e.Message)
	}
	return texts
}

func TestAll(t *testing.T) {
	t.Parallel()
	raw := errors.New("dial tcp 10.1.2.3: password is hunter2")
	two := Problems{{Code: Invalid, Field: "name", Message: "a"}, {Code: Invalid, Field: "tags.1", Message: "b"}}
	for _, test := range []struct {
		name string
		err  error
		want []string // code, field, message
	}{
		{"a refusal", ErrForbidden(), []string{"FORBIDDEN  You do not have permission to perform this action."}},
		{"a wrapped one", fmt.Errorf("save: %w", ErrNotFound()), []string{"NOT_FOUND  Not found."}},
		{"one with a cause", ErrNotFound().Because(raw), []string{"NOT_FOUND  Not found."}},
		{"one caused by another", Errorf(Conflict, "Outer.").Because(ErrNotFound()), []string{"CONFLICT  Outer."}},
		{"problems", two, []string{"INVALID name a", "INVALID tags.1 b"}},
		{"wrapped problems", fmt.Errorf("in a transaction: %w", two.Err()), []string{"INVALID name a", "INVALID tags.1 b"}},
		{"problems among others", errors.Join(raw, two), []string{"INVALID name a", "INVALID tags.1 b"}},
		{"a raw error", raw, []string{"INTERNAL  Something went wrong on our side."}},
		{"a wrapped raw error", fmt.Errorf("save: %w", io.EOF), []string{"INTERNAL  Something went wrong on our side."}},
		{"problems that are none", Problems{}, []string{"INTERNAL  Something went wrong on our side."}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, e := range All(test.err) {
				got = append(got, fmt.Sprintf("%s %s %s", e.Code, e.Field, e.Message))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if code := CodeOf(test.err); string(code) != strings.Fields(test.want[0])[0] {
				t.Errorf("CodeOf is %s, want that of %q", code, test.want[0])
			}
		})
	}
}

func TestCodeOfNil(t *testing.T) {
	t.Parallel()
	if code := CodeOf(nil); code != "" {
		t.Errorf("the code of no error is %q", code)
	}
	if err := (Problems{}).Err(); err != nil {
		t.Errorf("no problems are the error %v", err)
	}
}

// TestRawErrorStaysInside: the log sees a cause, the client does not.
func TestRawErrorStaysInside(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New("secret-text"), fmt.Errorf("secret-text: %w", context.Canceled)} {
		for _, e := range []*Error{All(err)[0], ErrNotFound().Because(err), Errorf(Unavailable, "Later.").Because(err)} {
			if strings.Contains(e.Message+e.Field+string(e.Code), "secret-text") {
				t.Errorf("what leaves the process holds the cause: %+v", e)
			}
			if !strings.Contains(e.Error(), "secret-text") {
				t.Errorf("the log does not see the cause: %q", e.Error())
			}
			if !errors.Is(e, err) {
				t.Errorf("%v does not unwrap to its cause", e)
			}
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	problems := Problems{{Code: Invalid, Field: "name", Message: "A."}, Errorf(Conflict, "B %d.", 2).Because(io.EOF)}
	if got, want := problems.Error(), "INVALID name: A.; CONFLICT: B 2. (EOF)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProblemsOn(t *testing.T) {
	t.Parallel()
	problems := Problems{{Field: "tags.3"}, {Field: "name"}}
	for field, want := range map[string]bool{"tags": true, "tags.3": true, "tags.30": false, "tag": false, "name": true, "names": false, "": false} {
		if got := problems.On(field); got != want {
			t.Errorf("On(%q) is %v, want %v", field, got, want)
		}
	}
}
