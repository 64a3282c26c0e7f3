package db_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"imagerequests/imaging"
)

// blocked is a refusal as a person reads it.
type blocked struct {
	Code           imaging.Code
	Field, Message string
}

// A preview and the request itself say the same: what the preview finds nothing against is accepted, and what is refused is
// refused for exactly what the preview has told, in the same words.
func TestPreviewIsTheRequest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := context.Background()
	seen, unseen := image(), image()
	b.request(t, ann, seen)
	b.request(t, bob, unseen)
	used := []imaging.RequestImageInput{}
	outcomes := map[imaging.Code]int{}
	rapid.Check(t, func(t *rapid.T) {
		instances := []uuid.UUID{uuid.New()}
		if rapid.Uint64().Draw(t, "instance")%6 == 1 {
			instances = []uuid.UUID{uuid.Nil, seen.Instance, unseen.Instance}
		}
		in, a := odds(t, instances), drawn(t, []imaging.Actor{ann, reviewer})
		if len(used) > 0 && rapid.Uint64().Draw(t, "again")%4 == 1 { // what was asked for before, sometimes with a change
			in = drawn(t, used)
			in.Name = drawn(t, []string{in.Name, "Changed"})
		}
		before := total(t, b)
		preview, err := b.PreviewImageRequest(ctx, a, in)
		if err != nil {
			t.Fatal(err)
		}
		if total(t, b) != before {
			t.Fatal("the preview has stored something")
		}
		told, got := []blocked{}, []blocked{}
		for _, f := range preview.Blockers {
			field := ""
			if f.Field != nil {
				field = *f.Field
			}
			told = append(told, blocked{imaging.Code(f.Code), field, f.Message})
		}
		_, err = b.RequestImage(ctx, a, in)
		if err != nil {
			for _, e := range imaging.All(err) {
				got = append(got, blocked{e.Code, e.Field, e.Message})
			}
		} else if in.IdempotencyKey != nil {
			used = append(used, in)
		}
		if diff := cmp.Diff(told, got); diff != "" {
			t.Fatalf("the request is refused otherwise (-preview +request):\n%s", diff)
		}
		if outcomes[imaging.CodeOf(err)]++; len(got) > 0 && got[0].Field == "idempotencyKey" {
			outcomes["key "+got[0].Code]++
		}
	})
	t.Log(outcomes)
	for _, code := range []imaging.Code{"", imaging.Invalid, imaging.Conflict} {
		if outcomes[code] == 0 {
			t.Errorf("no outcome was %q: %v", code, outcomes)
		}
	}
}

// rarely is true about once in twelve times; the generator likes small numbers and the ends of a range.
func rarely(t *rapid.T) bool { return rapid.Uint64().Draw(t, "rarely")%12 == 7 }

// odds is an input in which each field is mostly fine.
func odds(t *rapid.T, instances []uuid.UUID) imaging.RequestImageInput {
	long := strings.Repeat("ü", imaging.MaxText+1)
	in := image()
	in.Instance = drawn(t, instances)
	odd := func(field *string, values ...string) {
		if rarely(t) {
			*field = drawn(t, values)
		}
	}
	odd(&in.Name, "", " \t ", "\u3000", strings.Repeat("x", 257), "a\x00b", "\xff", " trimmed ", strings.Repeat("ü", 256))
	odd(&in.Description, long, "\x00", "")
	odd(&in.Software, long, "password: x")
	odd(&in.Sys, long, "\xc0")
	odd(&in.Exclude, long, "", "prose")
	odd(&in.ChangeLog, long)
	odd(in.IPAddress, strings.Repeat("1", 256), "\x00")
	if rarely(t) {
		in.Provider = drawn(t, []int{2, 3, 9, 0, -1, 1 << 40})
	}
	if rarely(t) {
		in.Tags = drawn(t, [][]string{nil, {"a", "a "}, {" "}, {"Featured"}, {"featured ", ""}, make([]string, 65)})
	}
	if rarely(t) {
		in.Visibility = drawn(t, []imaging.Visibility{imaging.Public, imaging.Users, imaging.Users, "", "public"})
		in.SharedWith = drawn(t, [][]string{nil, {"bob"}, {"a b"}, {"bob", ""}, make([]string, 201)})
	}
	in.IdempotencyKey = drawn(t, []*string{nil, new(uuid.NewString())})
	if rarely(t) {
		in.IdempotencyKey = drawn(t, []*string{new("k"), new(""), new("a\nb"), new(strings.Repeat("k", 256))})
	}
	return in
}

// total is how many rows there are.
func total(t *rapid.T, b bench) (n int) {
	const count = "SELECT (SELECT count(*) FROM image_requests) + (SELECT count(*) FROM versions) + (SELECT count(*) FROM events) + (SELECT count(*) FROM idempotency_keys)"
	if err := b.sql.QueryRowContext(context.Background(), count).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A key that was used says all there is to say, as it does for the request itself.
func TestPreviewOfAUsedKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := image()
	in.IdempotencyKey = new("mine")
	b.request(t, ann, in)
	b.unchanged(t, func() {
		p, err := b.PreviewImageRequest(t.Context(), ann, in)
		same(t, []any{0, error(nil)}, []any{len(p.Blockers), err})
		other := in
		other.Name, other.Provider = "Other", 9
		p, err = b.PreviewImageRequest(t.Context(), ann, other)
		same(t, []any{1, error(nil)}, []any{len(p.Blockers), err})
		same(t, []string{"CONFLICT", "idempotencyKey"}, []string{p.Blockers[0].Code, *p.Blockers[0].Field})
		p, err = b.PreviewImageRequest(t.Context(), bob, in) // keys are each user's own
		same(t, []any{1, error(nil)}, []any{len(p.Blockers), err})
		same(t, "instance", *p.Blockers[0].Field)
		_, err = b.PreviewImageRequest(t.Context(), nobody, in)
		refused(t, err, refusal{imaging.Unauthenticated, ""})
	})
}
