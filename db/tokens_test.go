package db_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// What is answered to a new token is what is stored, and its secret opens the door as the actor that was meant.
func TestCreateToken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	later := time.Date(2999, 1, 2, 3, 4, 5, 123456789, time.FixedZone("", 7200))
	var want []*imaging.Token
	for _, in := range []imaging.Token{
		{Username: "eve", Roles: []imaging.Role{imaging.Worker, imaging.Reviewer}, Providers: []int{2, 1}, ExpiresAt: &later},
		{Username: `d"a,v\e`, Roles: []imaging.Role{imaging.Requester}},
		{Username: "root", Roles: imaging.Roles},
	} {
		secret, made, err := b.CreateToken(t.Context(), admin, in)
		if err != nil {
			t.Fatal(err)
		}
		shown, err := b.Bearer(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		same(t, made, shown)
		same(t, imaging.Actor{Username: in.Username, Roles: in.Roles, Providers: in.Providers}, shown.Actor())
		want = append(want, made)
	}
	got, err := b.Tokens(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	same(t, want, got)
	same(t, later.UTC().Truncate(time.Microsecond), *want[0].ExpiresAt)
}

// A secret that is unknown, revoked or expired is nobody's, and which of these it is cannot be told.
func TestBearerRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	past := time.Now().Add(-time.Second)
	expired, _, err := b.CreateToken(t.Context(), admin, imaging.Token{Username: "eve", Roles: imaging.Roles, ExpiresAt: &past})
	if err != nil {
		t.Fatal(err)
	}
	revoked, token, err := b.CreateToken(t.Context(), admin, imaging.Token{Username: "eve", Roles: imaging.Roles})
	if err != nil {
		t.Fatal(err)
	}
	first, err := b.RevokeToken(t.Context(), admin, token.ID)
	if err != nil || first.RevokedAt == nil {
		t.Fatal(first, err)
	}
	b.unchanged(t, func() {
		again, err := b.RevokeToken(t.Context(), admin, token.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, first, again)
	})
	_, unknown := b.Bearer(t.Context(), imaging.Secret())
	for _, secret := range []string{"", "x", "\x00", "' OR true --", expired, revoked, string(token.SecretHash)} {
		shown, err := b.Bearer(t.Context(), secret)
		refused(t, err, refusal{imaging.Unauthenticated, ""})
		if shown != nil {
			t.Errorf("%q shows %+v", secret, shown)
		}
		same(t, unknown.Error(), err.Error())
	}
}

// A token that cannot be is refused by field, and nothing is stored.
func TestTokenRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	late := epoch.AddDate(9000, 0, 0)
	b.unchanged(t, func() {
		for _, c := range []struct {
			in   imaging.Token
			want []refusal
		}{
			{imaging.Token{}, invalid("username", "roles")},
			{imaging.Token{Username: "a b", Roles: []imaging.Role{"BOSS"}}, invalid("username", "roles")},
			{imaging.Token{Username: "eve", Roles: []imaging.Role{imaging.Requester}, Providers: []int{1}}, invalid("providers")},
			{imaging.Token{Username: "eve", Roles: imaging.Roles, ExpiresAt: &late}, invalid("expiresAt")},
		} {
			_, _, err := b.CreateToken(t.Context(), admin, c.in)
			refused(t, err, c.want...)
		}
		_, err := b.RevokeToken(t.Context(), admin, uuid.New())
		refused(t, err, refusal{imaging.NotFound, ""})
	})
}

// Of many tokens, those in force are told apart from the revoked, the expired and those that never were.
func TestInForce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	create := func(expires *time.Time) uuid.UUID {
		t.Helper()
		_, made, err := b.CreateToken(t.Context(), admin, imaging.Token{Username: "eve", Roles: imaging.Roles, ExpiresAt: expires})
		if err != nil {
			t.Fatal(err)
		}
		return made.ID
	}
	good, later, past, revoked := create(nil), create(new(time.Now().Add(time.Hour))), create(new(time.Now().Add(-time.Second))), create(nil)
	if _, err := b.RevokeToken(t.Context(), admin, revoked); err != nil {
		t.Fatal(err)
	}
	still, err := b.InForce(t.Context(), []uuid.UUID{past, good, uuid.New(), revoked, later})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(still, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	same(t, []uuid.UUID{good, later}, still)
	if still, err := b.InForce(t.Context(), nil); err != nil || len(still) > 0 {
		t.Errorf("of none: %v, %v", still, err)
	}
}
