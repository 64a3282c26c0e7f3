package imaging

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

var (
	noon      = time.Date(2026, 5, 4, 12, 0, 0, 123456000, time.UTC)
	manual    = &Provider{ID: 1, Name: "Reviewed", Active: true}
	automatic = &Provider{ID: 2, Name: "Automatic", Active: true, AutoApprove: true}
)

// existing is a request of the owner with one version, PENDING.
func existing(v Visibility) *ImageRequest {
	in := request(func(in *RequestImageInput) {
		in.Visibility = v
		if v == Users {
			in.SharedWith = []string{"ann", "bob"}
		}
		in.Sys, in.Exclude, in.IPAddress = "fstab", "/root", new("192.0.2.1")
	})
	r, _, err := Request(in, [2]uuid.UUID{{2}, {3}}, owner, manual, noon)
	if err != nil {
		panic(err) // a test's own mistake
	}
	return r
}

func tagged(tags ...string) *ImageRequest {
	r := existing(Public)
	r.Tags = distinct(tags)
	return r
}

// copied is all of a request's state as text.
func copied(t fataler, r *ImageRequest) string {
	type whole struct {
		ImageRequest
		ID         uuid.UUID
		Revision   int
		Status     Status
		Instance   uuid.UUID
		ProviderID int
		SearchText string
		Versions   []*Version
	}
	text, err := json.Marshal(whole{*r, r.ID, r.Revision, r.Status, r.Instance, r.ProviderID, r.SearchText, r.Versions})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// lines tell one line for each event: number, actor, action, the version's movement, what changed.
func lines(events []*Event) []string {
	var out []string
	status := func(s *Status) string {
		if s == nil {
			return "-"
		}
		return string(*s)
	}
	for _, e := range events {
		out = append(out, fmt.Sprintf("%d %q %s %s>%s", *e.Seq, e.Actor, e.Action, status(e.From), status(e.To)))
	}
	return out
}

func TestRequest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		provider *Provider
		status   Status
		events   []string
	}{
		{manual, Pending, []string{`1 "owner" REQUESTED ->PENDING`}},
		{automatic, Approved, []string{`1 "owner" REQUESTED ->PENDING`, `2 "" AUTO_APPROVED PENDING>APPROVED`}},
	} {
		t.Run(test.provider.Name, func(t *testing.T) {
			t.Parallel()
			in := &RequestImageInput{
				Name: "\u2003An image \n", Description: " As it is. ", Tags: []string{"b", " a", "b", "a "}, Visibility: Users, SharedWith: []string{"ann", "bob", "ann"},
				Work: Work{Instance: uuid.UUID{9}, Provider: test.provider.ID, Software: "R", Sys: "fstab", Exclude: "/root", IPAddress: new("192.0.2.1"), ChangeLog: "first"},
			}
			ids := [2]uuid.UUID{{1}, {2}}
			got, events, err := Request(in, ids, owner, test.provider, noon)
			if err != nil {
				t.Fatal(err)
			}
			v := &Version{
				ID: ids[1], ImageRequestID: ids[0], Ordinal: 1, Alias: ids[1].String(), Version: "1", ChangeLog: "first", Instance: uuid.UUID{9},
				IPAddress: new("192.0.2.1"), ProviderID: test.provider.ID, Software: "R", Sys: new("fstab"), Exclude: new("/root"), RequestedBy: "owner", Authors: []string{"owner"}, StartDate: noon,
				Status: test.status, Name: "An image", Visibility: Users, Provider: test.provider,
			}
			if test.status == Approved {
				v.DecidedAt = &noon
			}
			want := &ImageRequest{
				ID: ids[0], Name: "An image", Description: " As it is. ", Tags: []string{"b", "a"}, CreatedBy: "owner", Visibility: Users,
				SharedWith: []string{"ann", "bob"}, StartDate: noon, Revision: len(test.events), SharedSince: 1, Status: test.status, Instance: uuid.UUID{9},
				ProviderID: test.provider.ID, SearchText: " an image  as it isQCO   b a", Versions: []*Version{v},
			}
			v.ImageRequest = want
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.events, lines(events)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnotherLabel(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		labels []*string // nil: the next number
		want   []string
		told   []string // of the last one
	}{
		{"numbers", []*string{nil, nil}, []string{"1", "2", "3"}, nil},
		{"a label of one's own", []*string{new(" 1.0 "), nil}, []string{"1", "1.0", "3"}, nil},
		{"the next number is taken", []*string{new("3"), nil, nil}, []string{"1", "3", "4", "5"}, nil},
		{"numbers that are taken are passed over", []*string{new("3"), new("4"), nil}, []string{"1", "3", "4", "5"}, nil}, // 4 would be next
		{"a label twice", []*string{new("a"), new("a")}, []string{"1", "a"}, []string{`version: This image request already has a version "a".`}},
		{"a label twice, with blanks", []*string{new("\t1 ")}, []string{"1"}, []string{`version: This image request already has a version "1".`}},
		{"upper case is another label", []*string{new("a"), new("A")}, []string{"1", "a", "A"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := existing(Private)
			var err error
			for i, label := range test.labels {
				if err != nil {
					t.Fatalf("label %d: %v", i, err)
				}
				_, err = Another(r, version(func(in *RequestVersionInput) { in.Version = label }), uuid.UUID{byte(10 + i)}, owner, manual, noon)
			}
			if diff := cmp.Diff(test.told, refused(err)); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
			var got []string
			for _, v := range r.Versions {
				got = append(got, v.Version)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnotherSettles: what lists show of a request is its newest version's.
func TestAnotherSettles(t *testing.T) {
	t.Parallel()
	r := existing(Private)
	later := noon.Add(time.Hour)
	in := version(func(in *RequestVersionInput) { in.Instance, in.Provider, in.Software = uuid.UUID{8}, 2, "newer" })
	events, err := Another(r, in, uuid.UUID{4}, admin, automatic, later)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{`2 "admin" VERSION_REQUESTED ->PENDING`, `3 "" AUTO_APPROVED PENDING>APPROVED`}, lines(events)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	v := r.Newest()
	if v.Ordinal != 2 || v.Version != "2" || !v.StartDate.Equal(later) || v.ImageRequest != r || v.ImageRequestID != r.ID || r.Version(uuid.UUID{4}) != v {
		t.Errorf("the version is not in its place: %+v", v)
	}
	if r.Status != Approved || r.Instance != (uuid.UUID{8}) || r.ProviderID != 2 || r.Provider() != automatic || r.Software() != "newer" || r.Revision != 3 {
		t.Errorf("the request does not show its newest version: %+v", r)
	}
	if !r.StartDate.Equal(noon) || r.CreatedBy != "owner" {
		t.Errorf("a version has changed its request: %+v", r)
	}
}

// TestInputIsNotTheState: what the caller does to the lists of the input later does not reach the request.
func TestInputIsNotTheState(t *testing.T) {
	t.Parallel()
	in := request(func(in *RequestImageInput) {
		in.Tags, in.Visibility, in.SharedWith = []string{"a"}, Users, []string{"ann"}
	})
	r, _, err := Request(in, [2]uuid.UUID{{1}, {2}}, owner, automatic, noon)
	if err != nil {
		t.Fatal(err)
	}
	before := copied(t, r)
	in.Tags[0], in.SharedWith[0] = "x", "x"
	if after := copied(t, r); after != before {
		t.Errorf("before %s\nafter  %s", before, after)
	}
}

func TestFound(t *testing.T) {
	t.Parallel()
	r := existing(Public)
	r.Revision = 0
	v := r.Newest()
	v.Status, v.DecidedBy, v.DecidedAt = Completed, new("reviewer"), &noon
	event, err := Found(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{`1 "owner" REQUESTED ->COMPLETED`}, lines([]*Event{event})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.Status != Completed || r.Revision != 1 {
		t.Errorf("the request is not settled: %s, revision %d", r.Status, r.Revision)
	}
	if diff := cmp.Diff(copied(t, r), copied(t, rebuilt(t, []*Event{event}))); diff != "" {
		t.Errorf("the event does not tell all (-state +rebuilt):\n%s", diff)
	}
}

// TestDiffLeavesOutSecrets: a token's hash is in no event.
func TestDiffLeavesOutSecrets(t *testing.T) {
	t.Parallel()
	changes, err := Diff(nil, &Token{Username: "ann", Roles: []Role{Requester}, SecretHash: []byte("hash")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, name := range []string{"id", "username", "roles", "providers", "createdAt", "expiresAt", "revokedAt", "readOnly"} {
		if _, ok := changes[name]; ok {
			got = append(got, name)
		}
	}
	if len(changes) != 8 || len(got) != 8 {
		t.Errorf("the changes are %v", changes)
	}
	if text, err := json.Marshal(changes["username"]); err != nil || string(text) != `{"from":null,"to":"ann"}` {
		t.Errorf("a new field is told as %s, %v", text, err)
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	r := existing(Public)
	r.Name, r.Description, r.Tags = "Über IMAGE", "With R", []string{"Biology"}
	r.Settle()
	if want := " über image with r biology"; r.SearchText != want {
		t.Errorf("got %q, want %q", r.SearchText, want)
	}
	if diff := cmp.Diff([]string{"über", " r"}, SearchWords(" ÜBER\u00a0 R\n")); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
}

// refused is what a refusal of any code tells, nil for none.
func refused(err error) (texts []string) {
	if err == nil {
		return nil
	}
	for _, e := range All(err) {
		if e.Code != Conflict {
			texts = append(texts, "not a conflict")
		}
		texts = append(texts, e.Field+": "+e.Message)
	}
	return texts
}
