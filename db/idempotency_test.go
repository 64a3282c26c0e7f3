package db_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// keyed is an input with a key.
func keyed(key string) imaging.RequestImageInput {
	in := image()
	in.IdempotencyKey = &key
	return in
}

// The same key with the same input answers what was made, and makes nothing.
func TestKeyAnswersAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := keyed("k")
	first := b.request(t, ann, in)
	b.unchanged(t, func() {
		for range 3 {
			same(t, first, b.request(t, ann, in))
		}
	})
	next := another(first.ImageRequestID)
	next.IdempotencyKey = new("k2")
	second, err := b.RequestVersion(t.Context(), ann, next)
	if err != nil {
		t.Fatal(err)
	}
	b.unchanged(t, func() {
		again, err := b.RequestVersion(t.Context(), ann, next)
		if err != nil {
			t.Fatal(err)
		}
		same(t, second, again)
	})
}

// However many send it at once, it is done once, and all get the same answer.
func TestKeyAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := keyed("k")
	made, errs := all(t.Context(), 30, func(ctx context.Context, _ int) (*imaging.Version, error) { return b.RequestImage(ctx, ann, in) })
	same(t, map[imaging.Code]int{"": 30}, codes(errs))
	for _, v := range made {
		same(t, made[0], v)
	}
	for _, table := range []string{"image_requests", "versions", "idempotency_keys"} {
		same(t, 1, one[int](t, b.sql, "SELECT count(*) FROM "+table))
	}
	next := another(made[0].ImageRequestID)
	next.IdempotencyKey = new("k2")
	made, errs = all(t.Context(), 30, func(ctx context.Context, _ int) (*imaging.Version, error) { return b.RequestVersion(ctx, ann, next) })
	same(t, map[imaging.Code]int{"": 30}, codes(errs))
	for _, v := range made {
		same(t, made[0].ID, v.ID)
	}
	same(t, 2, one[int](t, b.sql, "SELECT count(*) FROM versions"))
}

// The same key with another input is refused, whatever differs; it is free for another user.
func TestKeyOfAnotherInput(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := keyed("k")
	first := b.request(t, ann, in)
	b.unchanged(t, func() {
		for _, change := range []func(*imaging.RequestImageInput){
			func(in *imaging.RequestImageInput) { in.Name = "other" },
			func(in *imaging.RequestImageInput) { in.Instance = uuid.New() },
			func(in *imaging.RequestImageInput) { in.Provider = 2 },
			func(in *imaging.RequestImageInput) { in.Tags = []string{"b", "a"} },
			func(in *imaging.RequestImageInput) { in.Visibility = imaging.Public },
			func(in *imaging.RequestImageInput) { in.Sys += " " },
			func(in *imaging.RequestImageInput) { in.Software, in.Sys = in.Sys, in.Software },
			func(in *imaging.RequestImageInput) { in.IPAddress = nil },
		} {
			other := in
			change(&other)
			_, err := b.RequestImage(t.Context(), ann, other)
			refused(t, err, refusal{imaging.Conflict, "idempotencyKey"})
		}
		version := imaging.RequestVersionInput{ImageRequest: first.ImageRequestID, Work: in.Work, IdempotencyKey: in.IdempotencyKey}
		_, err := b.RequestVersion(t.Context(), ann, version)
		refused(t, err, refusal{imaging.Conflict, "idempotencyKey"})
	})
	if other := b.request(t, bob, keyed("k")); other.ID == first.ID {
		t.Error("bob was answered what ann made")
	}
	_, err := b.RequestImage(t.Context(), bob, in)
	refused(t, err, refusal{imaging.Conflict, "idempotencyKey"})
}

// A create that failed leaves its key free, for whatever comes next.
func TestKeyOfAFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	taken := b.request(t, ann, image())
	bad, conflict := keyed("k"), keyed("k")
	bad.Provider, conflict.Instance = 3, taken.Instance
	b.unchanged(t, func() {
		_, err := b.RequestImage(t.Context(), ann, bad)
		refused(t, err, refusal{imaging.Invalid, "provider"})
		_, err = b.RequestImage(t.Context(), ann, conflict)
		refused(t, err, refusal{imaging.Conflict, "instance"})
		version := another(uuid.New())
		version.IdempotencyKey = new("k")
		_, err = b.RequestVersion(t.Context(), ann, version)
		refused(t, err, refusal{imaging.NotFound, ""})
	})
	b.request(t, ann, keyed("k"))
}

// What was made is answered even if it could not be made now, and as it stands now.
func TestKeyAfterChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := keyed("k")
	first := b.request(t, ann, in)
	if _, err := b.SaveProvider(t.Context(), admin, imaging.SaveProviderInput{ID: 1, Active: new(false)}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.EditImageRequest(t.Context(), ann, imaging.EditImageRequestInput{ImageRequest: first.ImageRequestID, Name: new("edited")}); err != nil {
		t.Fatal(err)
	}
	again := b.request(t, ann, in)
	same(t, b.read(t, ann, first.ImageRequestID).Versions[0], again)
	same(t, []any{first.ID, "edited"}, []any{again.ID, again.ImageRequest.Name})
}

// Keys are kept for two days, and then their effect may come again.
func TestForgetKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i, age := range []string{"0", "47:59:00", "48:01:00", "1 year"} {
		b.request(t, ann, keyed(fmt.Sprint(i)))
		execute(t, b.sql, "UPDATE idempotency_keys SET created_at = now() - $1::interval WHERE key = $2", age, fmt.Sprint(i))
	}
	for _, want := range []int64{2, 0} {
		if n, err := b.ForgetKeys(t.Context()); err != nil || n != want {
			t.Errorf("forgot %d, %v, want %d", n, err, want)
		}
	}
	same(t, "0,1", one[string](t, b.sql, "SELECT string_agg(key, ',' ORDER BY key) FROM idempotency_keys"))
	b.request(t, ann, keyed("3"))
}
