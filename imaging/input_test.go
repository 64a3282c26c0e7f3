package imaging

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// labels are n different texts.
func labels(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("t%d", i)
	}
	return out
}

const (
	byStaff  = "The tag Featured is given by staff."
	notUsers = "sharedWith: Users can only be named with visibility USERS."
	noUsers  = "sharedWith: Name at least one user, or choose visibility PRIVATE."
	noBlanks = "A user name has no blanks or control characters."
)

func TestRequestImageInput(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		actor  Actor
		change func(*RequestImageInput)
		want   []string
	}{
		{"the least", owner, func(*RequestImageInput) {}, nil},
		{"no instance", owner, func(in *RequestImageInput) { in.Instance = uuid.Nil }, []string{"instance: Must be a valid UUID."}},
		{"64 tags", owner, func(in *RequestImageInput) { in.Tags = labels(64) }, nil},
		{"65 tags", owner, func(in *RequestImageInput) { in.Tags = labels(65) }, []string{"tags: Ensure this field has no more than 64 elements."}},
		{"5,000 bad tags are one problem", owner, func(in *RequestImageInput) { in.Tags = make([]string, 5000) }, []string{"tags: Ensure this field has no more than 64 elements."}},
		{"each bad tag is named", owner, func(in *RequestImageInput) { in.Tags = []string{"a", "", "b", "\xff"} },
			[]string{"tags.1: This field may not be blank.", "tags.3: This text is not valid UTF-8."}},
		{"Featured", owner, func(in *RequestImageInput) { in.Tags = []string{"a", "Featured"} }, []string{"tags.1: " + byStaff}},
		{"fEATURED", owner, func(in *RequestImageInput) { in.Tags = []string{"fEATURED"} }, []string{"tags.0: " + byStaff}},
		{"Featured with blanks", owner, func(in *RequestImageInput) { in.Tags = []string{"\u2003featured\n"} }, []string{"tags.0: " + byStaff}},
		{"Featured by a worker", Actor{Username: "w", Roles: []Role{Worker}}, func(in *RequestImageInput) { in.Tags = []string{"Featured"} }, []string{"tags.0: " + byStaff}},
		{"Featured by a reviewer", reviewer, func(in *RequestImageInput) { in.Tags = []string{"Featured"} }, nil},
		{"Featured by an admin", admin, func(in *RequestImageInput) { in.Tags = []string{"FEATURED"} }, nil},
		{"Featured within a word", owner, func(in *RequestImageInput) { in.Tags = []string{"Featured2", "NotFeatured"} }, nil},
		{"no visibility", owner, func(in *RequestImageInput) { in.Visibility = "" }, []string{`visibility: "" is not a valid choice.`}},
		{"lower-case visibility", owner, func(in *RequestImageInput) { in.Visibility = "public" }, []string{`visibility: "public" is not a valid choice.`}},
		{"users, but PUBLIC", owner, func(in *RequestImageInput) { in.Visibility, in.SharedWith = Public, []string{"ann"} }, []string{notUsers}},
		{"users, but PRIVATE", owner, func(in *RequestImageInput) { in.SharedWith = []string{"ann"} }, []string{notUsers}},
		{"USERS without users", owner, func(in *RequestImageInput) { in.Visibility = Users }, []string{noUsers}},
		{"USERS with an empty list", owner, func(in *RequestImageInput) { in.Visibility, in.SharedWith = Users, []string{} }, []string{noUsers}},
		{"200 users", owner, func(in *RequestImageInput) { in.Visibility, in.SharedWith = Users, labels(200) }, nil},
		{"201 users", owner, func(in *RequestImageInput) { in.Visibility, in.SharedWith = Users, labels(201) }, []string{"sharedWith: Ensure this field has no more than 200 elements."}},
		{"user names with blanks", owner, func(in *RequestImageInput) {
			in.Visibility, in.SharedWith = Users, []string{"ann", "ann lee", " ann", "ann\n", "a\tb", "a\u00a0b", "a\x7fb", "ann@example.org"}
		}, []string{"sharedWith.1: " + noBlanks, "sharedWith.2: " + noBlanks, "sharedWith.3: " + noBlanks, "sharedWith.4: " + noBlanks, "sharedWith.5: " + noBlanks, "sharedWith.6: " + noBlanks}},
		{"a key with a line end", owner, func(in *RequestImageInput) { in.IdempotencyKey = new("a\nb") }, []string{"idempotencyKey: A key has printable characters only."}},
		{"a key with a blank", owner, func(in *RequestImageInput) { in.IdempotencyKey = new("a b") }, nil},
		{"all at once, in the order of the fields", owner, func(in *RequestImageInput) {
			*in = RequestImageInput{
				Name: " ", Work: Work{Software: "\x00", Sys: "\x00", Exclude: "\x00", IPAddress: new("\x00"), ChangeLog: "\x00"},
				Description: "\xff", Tags: []string{"", "featured"}, Visibility: Users, IdempotencyKey: new(""),
			}
		}, []string{
			"name: This field may not be blank.",
			"instance: Must be a valid UUID.",
			"software: Null characters and lone surrogates are not allowed.",
			"sys: Null characters and lone surrogates are not allowed.",
			"exclude: Null characters and lone surrogates are not allowed.",
			"ipAddress: Null characters and lone surrogates are not allowed.",
			"changeLog: Null characters and lone surrogates are not allowed.",
			"description: This text is not valid UTF-8.",
			"tags.0: This field may not be blank.",
			"tags.1: " + byStaff,
			noUsers,
			"idempotencyKey: This field may not be blank.",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, told(t, request(test.change).Problems(test.actor).Err())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequestVersionInput(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*RequestVersionInput)
		want   []string
	}{
		{"the least", func(*RequestVersionInput) {}, nil},
		{"a label", func(in *RequestVersionInput) { in.Version = new("1.0-beta") }, nil},
		{"all at once", func(in *RequestVersionInput) {
			*in = RequestVersionInput{Work: Work{Software: "\xff"}, Version: new(" "), IdempotencyKey: new("\u200b")}
		}, []string{
			"instance: Must be a valid UUID.", "software: This text is not valid UTF-8.", "version: This field may not be blank.",
			"idempotencyKey: A key has printable characters only.",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, told(t, version(test.change).Problems().Err())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestProviderProblem(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		provider *Provider
		want     []string
	}{
		"active":   {&Provider{ID: 7, Active: true}, nil},
		"inactive": {&Provider{ID: 7}, []string{"provider: Provider 7 takes no new requests."}},
		"unknown":  {nil, []string{"provider: There is no provider 7."}},
	} {
		if diff := cmp.Diff(test.want, told(t, ProviderProblem(7, test.provider).Err())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEditRules(t *testing.T) {
	t.Parallel()
	date := func(s string) Set[*time.Time] {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return SetTo(&at)
	}
	const year = "endDate: Ensure this time lies in the years 1 to 9999 in UTC."
	for _, test := range []struct {
		name string
		had  *ImageRequest
		in   EditImageRequestInput
		by   Actor
		want []string
	}{
		{"Featured that staff gave is kept", tagged("Featured"), EditImageRequestInput{Tags: []string{"a", "featured"}}, owner, nil},
		{"Featured that nobody gave", tagged("a"), EditImageRequestInput{Tags: []string{"FEATURED"}}, owner, []string{"tags.0: " + byStaff}},
		{"Featured by an admin", tagged("a"), EditImageRequestInput{Tags: []string{"Featured"}}, admin, nil},
		{"65 tags", tagged(), EditImageRequestInput{Tags: labels(65)}, owner, []string{"tags: Ensure this field has no more than 64 elements."}},
		{"no tags", tagged("a"), EditImageRequestInput{Tags: []string{}}, owner, nil},
		{"the first microsecond", existing(Public), EditImageRequestInput{EndDate: date("0001-01-01T00:00:00Z")}, owner, []string{"endDate: The end cannot lie before the start."}},
		{"the last microsecond", existing(Public), EditImageRequestInput{EndDate: date("9999-12-31T23:59:59.999999999Z")}, owner, nil},
		{"year 10000 in UTC", existing(Public), EditImageRequestInput{EndDate: date("9999-12-31T23:59:59-12:00")}, owner, []string{year}},
		{"year 0", existing(Public), EditImageRequestInput{EndDate: date("0000-12-31T23:59:59Z")}, owner, []string{year}},
		{"year 0 in UTC", existing(Public), EditImageRequestInput{EndDate: date("0001-01-01T00:00:00+00:01")}, owner, []string{year}},
		{"no icon", existing(Public), EditImageRequestInput{Icon: SetTo[*string](nil)}, owner, nil},
		{"PUBLIC, then users", existing(Public), EditImageRequestInput{SharedWith: []string{"ann"}}, owner, []string{notUsers}},
		{"USERS without users", existing(Public), EditImageRequestInput{Visibility: new(Users)}, owner, []string{noUsers}},
		{"USERS loses its users", existing(Users), EditImageRequestInput{SharedWith: []string{}}, owner, []string{noUsers}},
		{"USERS becomes PUBLIC with users", existing(Users), EditImageRequestInput{Visibility: new(Public), SharedWith: []string{"ann"}}, owner, []string{notUsers}},
		{"a visibility that is none", existing(Public), EditImageRequestInput{Visibility: new(Visibility("x\x00"))}, owner, []string{`visibility: "x\x00" is not a valid choice.`}},
		{"all at once", existing(Public), EditImageRequestInput{
			Name: new(""), Icon: SetTo(new("")), Description: new("\x00"), Tags: []string{""}, Visibility: new(Users), EndDate: date("0000-01-01T00:00:00Z"),
		}, owner, []string{
			"name: This field may not be blank.", "icon: This field may not be blank.", "description: Null characters and lone surrogates are not allowed.",
			"tags.0: This field may not be blank.", noUsers, year,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			before := copied(t, test.had)
			_, err := Edit(test.had, &test.in, test.by, noon)
			if diff := cmp.Diff(test.want, told(t, err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err != nil && before != copied(t, test.had) {
				t.Errorf("a refused edit has changed the request:\n%s\n%s", before, copied(t, test.had))
			}
		})
	}
}

func TestSaveProviderInput(t *testing.T) {
	t.Parallel()
	known := Provider{ID: 3, Name: "Cloud", Active: true, AutoApprove: true}
	const between = "id: Ensure this value is between 1 and 2147483647."
	for _, test := range []struct {
		name string
		in   SaveProviderInput
		had  *Provider
		want *Provider
		told []string
	}{
		{"a new one", SaveProviderInput{ID: 1, Name: new("New")}, nil, &Provider{ID: 1, Name: "New", Active: true}, nil},
		{"a new one that waits", SaveProviderInput{ID: 1, Name: new("New"), Active: new(false), AutoApprove: new(true)}, nil, &Provider{ID: 1, Name: "New", AutoApprove: true}, nil},
		{"the greatest number", SaveProviderInput{ID: 2147483647, Name: new("New")}, nil, &Provider{ID: 2147483647, Name: "New", Active: true}, nil},
		{"nothing changes", SaveProviderInput{ID: 3}, &known, &known, nil},
		{"one field changes", SaveProviderInput{ID: 3, Active: new(false)}, &known, &Provider{ID: 3, Name: "Cloud", AutoApprove: true}, nil},
		{"a new one without a name", SaveProviderInput{ID: 1}, nil, nil, []string{"name: This field is required."}},
		{"number 0", SaveProviderInput{Name: new("New")}, nil, nil, []string{between}},
		{"a negative number and a blank name", SaveProviderInput{ID: -1, Name: new("\t")}, nil, nil, []string{between, "name: This field may not be blank."}},
		{"a number of 33 bits", SaveProviderInput{ID: 1 << 31, Name: new("New")}, nil, nil, []string{between}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := test.in.Apply(test.had)
			if diff := cmp.Diff(test.told, told(t, err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("provider (-want +got):\n%s", diff)
			}
			if test.had != nil && got == test.had {
				t.Error("the provider before is the provider after")
			}
		})
	}
}

func TestTokenProblems(t *testing.T) {
	t.Parallel()
	late := time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -12*3600))
	for _, test := range []struct {
		name  string
		token Token
		want  []string
	}{
		{"a requester", Token{Username: "ann", Roles: []Role{Requester}}, nil},
		{"all roles", Token{Username: "ann", Roles: Roles}, nil},
		{"a confined worker", Token{Username: "w", Roles: []Role{Worker}, Providers: []int{1, 2}}, nil},
		{"a confined reviewer", Token{Username: "r", Roles: []Role{Requester, Reviewer}, Providers: []int{2147483647}}, nil},
		{"a confined requester", Token{Username: "ann", Roles: []Role{Requester}, Providers: []int{1}}, []string{"providers: Providers confine reviewers and workers only."}},
		{"a confined admin", Token{Username: "ann", Roles: []Role{Admin}, Providers: []int{1}}, []string{"providers: Providers confine reviewers and workers only."}},
		{"100 providers", Token{Username: "w", Roles: []Role{Worker}, Providers: slices.Repeat([]int{1}, 100)}, nil},
		{"101 providers", Token{Username: "w", Roles: []Role{Worker}, Providers: slices.Repeat([]int{1}, 101)}, []string{"providers: Ensure this field has no more than 100 elements."}},
		{"confined to nothing", Token{Username: "w", Roles: []Role{Worker}, Providers: []int{}}, []string{"providers: This list may not be empty."}},
		{"provider 0", Token{Username: "w", Roles: []Role{Worker}, Providers: []int{1, 0}}, []string{"providers.1: Ensure this value is between 1 and 2147483647."}},
		{"a provider of 33 bits", Token{Username: "w", Roles: []Role{Worker}, Providers: []int{1 << 31}}, []string{"providers.0: Ensure this value is between 1 and 2147483647."}},
		{"the same role five times", Token{Username: "w", Roles: slices.Repeat([]Role{Worker}, 5)}, []string{"roles: Ensure this field has no more than 4 elements."}},
		{"a user name with a blank", Token{Username: "ann lee", Roles: []Role{Requester}}, []string{"username: " + noBlanks}},
		{"roles that are none", Token{Username: "ann", Roles: []Role{"admin", Admin, "ROOT"}}, []string{`roles: "admin" is not a valid choice.`, `roles: "ROOT" is not a valid choice.`}},
		{"all at once", Token{Providers: []int{1}, ExpiresAt: &late}, []string{
			"username: This field may not be blank.", "roles: This field is required.", "providers: Providers confine reviewers and workers only.",
			"expiresAt: Ensure this time lies in the years 1 to 9999 in UTC.",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, told(t, test.token.Problems().Err())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTokenActor(t *testing.T) {
	t.Parallel()
	token := Token{ID: uuid.UUID{1}, Username: "w", Roles: []Role{Worker}, Providers: []int{2}, SecretHash: []byte("x")}
	if diff := cmp.Diff(Actor{Username: "w", Roles: []Role{Worker}, Providers: []int{2}}, token.Actor()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		s := Secret()
		if len(s) != 43 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatalf("%q is not 256 bits as text for a header", s)
		}
		if seen[s] {
			t.Fatalf("%q came twice", s)
		}
		seen[s] = true
	}
}

// TestHashSecret holds the stored form: a change would lock everybody out.
func TestHashSecret(t *testing.T) {
	t.Parallel()
	const want = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" // SHA-256 of "secret"
	if got := fmt.Sprintf("%x", HashSecret("secret")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
