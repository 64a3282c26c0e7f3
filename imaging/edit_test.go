package imaging

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func TestWhoMayChange(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		actor Actor
		want  Code
	}{
		"owner":                       {owner, ""},
		"admin":                       {admin, ""},
		"nobody":                      {Actor{}, Forbidden},
		"somebody without a name":     {Actor{Roles: []Role{Admin}}, Forbidden},
		"a listed user":               {Actor{Username: "ann", Roles: []Role{Requester}}, Forbidden},
		"a reviewer":                  {reviewer, Forbidden},
		"a worker":                    {Actor{Username: "w", Roles: []Role{Worker}}, Forbidden},
		"the owner's name, otherwise": {Actor{Username: "Owner", Roles: []Role{Requester}}, Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := existing(Users)
			before := copied(t, r)
			edited, err := Edit(r, &EditImageRequestInput{Name: new("Other"), Revision: new(1)}, test.actor, noon)
			if CodeOf(err) != test.want {
				t.Errorf("edit: %v, want %q", err, test.want)
			}
			another, err := Another(r, version(nil), uuid.UUID{4}, test.actor, manual, noon)
			if CodeOf(err) != test.want {
				t.Errorf("another version: %v, want %q", err, test.want)
			}
			if test.want != "" && (copied(t, r) != before || len(edited)+len(another) > 0) {
				t.Errorf("what was refused was done: %s", copied(t, r))
			}
		})
	}
}

// TestForbiddenComesFirst: who may not change a request learns nothing of its revision or rules.
func TestForbiddenComesFirst(t *testing.T) {
	t.Parallel()
	if _, err := Edit(existing(Public), &EditImageRequestInput{Name: new(""), Revision: new(7)}, stranger, noon); CodeOf(err) != Forbidden {
		t.Errorf("got %v", err)
	}
	if _, err := Another(existing(Public), version(func(in *RequestVersionInput) { in.Version = new("1") }), uuid.UUID{4}, stranger, manual, noon); CodeOf(err) != Forbidden {
		t.Errorf("got %v", err)
	}
}

func TestStaleRevision(t *testing.T) {
	t.Parallel()
	for _, named := range []int{0, 2, -1} {
		r := existing(Public)
		before := copied(t, r)
		_, err := Edit(r, &EditImageRequestInput{Name: new(""), Revision: &named}, owner, noon)
		want := &Error{Code: Conflict, Field: "revision", Status: Pending, Message: fmt.Sprintf("The request has changed: you named revision %d, it is at 1. Read it again.", named)}
		if diff := cmp.Diff([]*Error{want}, All(err), cmp.Comparer(func(a, b *Error) bool { return *a == *b })); diff != "" {
			t.Errorf("revision %d (-want +got):\n%s", named, diff)
		}
		if copied(t, r) != before {
			t.Errorf("revision %d: what was refused was done", named)
		}
	}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	tokyo := time.Date(2027, 1, 1, 9, 0, 0, 999_999_999, time.FixedZone("", 9*3600))
	for _, test := range []struct {
		name string
		had  *ImageRequest
		in   EditImageRequestInput
		want map[string]string // the changes, as "from > to"
	}{
		{"a name", existing(Public), EditImageRequestInput{Name: new(" Other ")}, map[string]string{"name": `"Image" > "Other"`}},
		{"a description", existing(Public), EditImageRequestInput{Description: new(" a\n")}, map[string]string{"description": `"" > " a\n"`}},
		{"an icon", existing(Public), EditImageRequestInput{Icon: SetTo(new("a.png"))}, map[string]string{"icon": `null > "a.png"`}},
		{"tags", tagged("a"), EditImageRequestInput{Tags: []string{"b", " a ", "b"}}, map[string]string{"tags": `["a"] > ["b","a"]`}},
		{"no tags", tagged("a"), EditImageRequestInput{Tags: []string{}}, map[string]string{"tags": `["a"] > []`}},
		{"the order of tags", tagged("a", "b"), EditImageRequestInput{Tags: []string{"b", "a"}}, map[string]string{"tags": `["a","b"] > ["b","a"]`}},
		{"visibility empties the users", existing(Users), EditImageRequestInput{Visibility: new(Private)},
			map[string]string{"visibility": `"USERS" > "PRIVATE"`, "sharedWith": `["ann","bob"] > []`}},
		{"visibility and users", existing(Public), EditImageRequestInput{Visibility: new(Users), SharedWith: []string{"eve"}},
			map[string]string{"visibility": `"PUBLIC" > "USERS"`, "sharedWith": `[] > ["eve"]`}},
		{"users alone", existing(Users), EditImageRequestInput{SharedWith: []string{"ann", "ann"}}, map[string]string{"sharedWith": `["ann","bob"] > ["ann"]`}},
		{"an end, in UTC and to the microsecond", existing(Public), EditImageRequestInput{EndDate: SetTo(&tokyo)}, map[string]string{"endDate": `null > "2027-01-01T00:00:00.999999Z"`}},
		{"nothing named", existing(Users), EditImageRequestInput{}, nil},
		{"nothing but the revision", existing(Users), EditImageRequestInput{Revision: new(1)}, nil},
		{"what is there already", existing(Users), EditImageRequestInput{
			Name: new("Image "), Description: new(""), Icon: SetTo[*string](nil), Tags: []string{}, Visibility: new(Users), SharedWith: []string{"ann", "bob", "ann"}, EndDate: SetTo[*time.Time](nil),
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			before := copied(t, test.had)
			events, err := Edit(test.had, &test.in, owner, noon)
			if err != nil {
				t.Fatal(err)
			}
			if test.want == nil {
				if len(events) > 0 || before != copied(t, test.had) {
					t.Errorf("nothing was asked for, and this was done: %v, %s", lines(events), copied(t, test.had))
				}
				return
			}
			if diff := cmp.Diff([]string{`2 "owner" EDITED ->-`}, lines(events)); diff != "" {
				t.Fatalf("events (-want +got):\n%s", diff)
			}
			got := map[string]string{}
			for field, change := range events[0].Changes {
				got[field] = string(change.From) + " > " + string(change.To)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEditTwice: the same moment is no change, in whatever zone it is written.
func TestEditTwice(t *testing.T) {
	t.Parallel()
	r := existing(Public)
	end := time.Date(2027, 1, 1, 9, 0, 0, 1999, time.FixedZone("", 9*3600))
	same := time.Date(2027, 1, 1, 0, 0, 0, 1000, time.UTC)
	for i, at := range []*time.Time{&end, &end, &same} {
		events, err := Edit(r, &EditImageRequestInput{EndDate: SetTo(at)}, owner, noon)
		if err != nil {
			t.Fatal(err)
		}
		if (len(events) == 1) != (i == 0) {
			t.Errorf("edit %d: %d events", i+1, len(events))
		}
	}
	if r.EndDate.Location() != time.UTC || !r.EndDate.Equal(same) {
		t.Errorf("the end is %v", r.EndDate)
	}
}

func TestIconStaysOnThePage(t *testing.T) {
	t.Parallel()
	for icon, ok := range map[string]bool{
		"a.png": true, "/media/a.png": true, "a/b:c.png": true, "https://example.org/a.png": false, "//example.org/a.png": false,
		"javascript:alert(1)": false, ` \\example.org`: false,
	} {
		in := EditImageRequestInput{Icon: SetTo(&icon)}
		if problems := in.problems(Actor{}, &ImageRequest{}, Private, nil); (len(problems) == 0) != ok {
			t.Errorf("%q: %v", icon, problems)
		}
	}
}
