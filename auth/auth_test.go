package auth

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

var admin = imaging.Actor{Username: "admin", Roles: []imaging.Role{imaging.Admin}}

// refusal is a refusal as its reader sees it, "" for none.
func refusal(err error) string {
	if err == nil {
		return ""
	}
	e := imaging.All(err)[0]
	return string(e.Code) + " " + e.Message
}

func TestSecretOfHeader(t *testing.T) {
	t.Parallel()
	const malformed = "UNAUTHENTICATED Invalid token header. "
	for _, test := range []struct {
		name   string
		header []string
		want   string
		told   string
	}{
		{"no header", nil, "", ""},
		{"an empty one", []string{""}, "", ""},
		{"a blank one", []string{" \t"}, "", ""},
		{"Token", []string{"Token abc"}, "abc", ""},
		{"Bearer", []string{"Bearer abc"}, "abc", ""},
		{"lower case", []string{"token abc"}, "abc", ""},
		{"upper case", []string{"BEARER abc"}, "abc", ""},
		{"the secret's case is kept", []string{"tOkEn aBc-_9"}, "aBc-_9", ""},
		{"many blanks", []string{"  Token \t abc "}, "abc", ""},
		{"Basic", []string{"Basic dXNlcjpwYXNz"}, "", ""},
		{"Basic alone", []string{"Basic"}, "", ""},
		{"a scheme that only begins so", []string{"Tokens abc"}, "", ""},
		{"a secret without a scheme", []string{"abc"}, "", ""},
		{"a colon", []string{"Token: abc"}, "", ""},
		{"no secret", []string{"Token"}, "", malformed + "No credentials provided."},
		{"a blank secret", []string{"Bearer  "}, "", malformed + "No credentials provided."},
		{"a blank within", []string{"Token a b"}, "", malformed + "Token string should not contain spaces."},
		{"two in one", []string{"Token a, Token b"}, "", malformed + "Token string should not contain spaces."},
		{"NUL", []string{"Token a\x00b"}, "", malformed + "Token string should not contain invalid characters."},
		{"not UTF-8", []string{"Token a\xffb"}, "", malformed + "Token string should not contain invalid characters."},
		{"two headers", []string{"Token abc", "Token def"}, "", malformed + "Send one Authorization header."},
		{"the same header twice", []string{"Token abc", "Token abc"}, "", malformed + "Send one Authorization header."},
		{"a token before another scheme", []string{"Token abc", "Basic x"}, "", malformed + "Send one Authorization header."},
		{"another scheme first", []string{"Basic x", "Token abc"}, "", ""}, // as in the framework, which joins them by a comma
		{"an empty one first", []string{"", "Bearer abc"}, "", ""},
		{"two of other schemes", []string{"Basic x", "Digest y"}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := Secret(test.header)
			if got != test.want || refusal(err) != test.told {
				t.Errorf("%q, %q; want %q, %q", got, refusal(err), test.want, test.told)
			}
		})
	}
}

func FuzzSecret(f *testing.F) {
	for _, header := range []string{"", "Token", "Token abc", "bearer  abc", "Basic x", "Token a b", "Token a\x00", "Token \xff", "Token\u00a0abc", "To\u212aen abc"} {
		f.Add(header, "")
	}
	f.Add("Token abc", "Token def")
	f.Fuzz(func(t *testing.T, first, second string) {
		header := []string{first}
		if second != "" {
			header = append(header, second)
		}
		secret, err := Secret(header)
		if err != nil {
			if secret != "" || imaging.CodeOf(err) != imaging.Unauthenticated {
				t.Errorf("%q: %q, %v", header, secret, err)
			}
			return
		}
		if secret == "" {
			return
		}
		scheme, rest, _ := strings.Cut(strings.Join(strings.Fields(first), " "), " ")
		if len(header) > 1 || rest != secret || !strings.EqualFold(scheme, "token") && !strings.EqualFold(scheme, "bearer") {
			t.Errorf("%q gives %q", header, secret)
		}
		if !imaging.Storable(secret) || strings.ContainsFunc(secret, unicode.IsSpace) {
			t.Errorf("%q is no secret", secret)
		}
	})
}

// TestSecretIsNotTold: what somebody took for a secret is in no error, whether for the client or the log.
func TestSecretIsNotTold(t *testing.T) {
	t.Parallel()
	for _, header := range [][]string{{"Token hunter2 x"}, {"Token hunter2\xff"}, {"Token hunter2", "Token y"}} {
		if _, err := Secret(header); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", header, err)
		}
	}
}

func withHeader(ctx context.Context, value string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if value != "" {
		r.Header.Set("Authorization", value)
	}
	return r
}

func TestActor(t *testing.T) {
	t.Parallel()
	ctx, store := context.Background(), dbtest.Store(t)
	ann := imaging.Actor{Username: "ann", Roles: []imaging.Role{imaging.Requester, imaging.Reviewer}, Providers: []int{3, 1}}
	demo := imaging.Actor{Username: "demo", Roles: []imaging.Role{imaging.Worker}}
	a := New(store, map[string]imaging.Actor{"known": demo})
	create := func(expires *time.Time) string {
		t.Helper()
		secret, _, err := store.CreateToken(ctx, admin, imaging.Token{Username: ann.Username, Roles: ann.Roles, Providers: ann.Providers, ExpiresAt: expires})
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	lasting, later, past := create(nil), create(new(time.Now().Add(time.Hour))), create(new(time.Now().Add(-time.Second)))
	const invalid = "UNAUTHENTICATED Invalid token."
	for _, test := range []struct {
		name, header string
		want         imaging.Actor
		told         string
	}{
		{"no header", "", imaging.Actor{}, ""},
		{"another scheme", "Basic " + lasting, imaging.Actor{}, ""},
		{"a stored token", "Token " + lasting, ann, ""},
		{"a stored token as bearer", "bearer " + lasting, ann, ""},
		{"one that expires later", "Token " + later, ann, ""},
		{"one that has expired", "Token " + past, imaging.Actor{}, invalid},
		{"one that is not there", "Token " + imaging.Secret(), imaging.Actor{}, invalid},
		{"one in another case", "Token " + strings.ToUpper(lasting), imaging.Actor{}, invalid},
		{"one cut short", "Token " + lasting[:42], imaging.Actor{}, invalid},
		{"the stored form of one", "Token " + string(imaging.HashSecret("a")), imaging.Actor{}, "UNAUTHENTICATED Invalid token header. Token string should not contain invalid characters."},
		{"a known token", "Token known", demo, ""},
		{"a known token in another case", "Token KNOWN", imaging.Actor{}, invalid},
		{"malformed", "Token", imaging.Actor{}, "UNAUTHENTICATED Invalid token header. No credentials provided."},
	} {
		t.Run(test.name, func(t *testing.T) { // not parallel: the store closes with the test around it
			got, err := a.Actor(withHeader(ctx, test.header))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if refusal(err) != test.told {
				t.Errorf("told %q, want %q", refusal(err), test.told)
			}
		})
	}
}

// TestKnownTokensAreOfOneProcess: without a demonstration, its tokens are like any others that nobody made.
func TestKnownTokensAreOfOneProcess(t *testing.T) {
	t.Parallel()
	ctx, store := context.Background(), dbtest.Store(t)
	known := map[string]imaging.Actor{"demo-admin": admin}
	if _, err := New(store, known).Actor(withHeader(ctx, "Token demo-admin")); err != nil {
		t.Fatal(err)
	}
	if got, err := New(store, nil).Actor(withHeader(ctx, "Token demo-admin")); imaging.CodeOf(err) != imaging.Unauthenticated || got.SignedIn() {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestRevokedAtOnce: nothing remembers that a token was in force.
func TestRevokedAtOnce(t *testing.T) {
	t.Parallel()
	ctx, store := context.Background(), dbtest.Store(t)
	a := New(store, nil)
	secret, token, err := store.CreateToken(ctx, admin, imaging.Token{Username: "ann", Roles: []imaging.Role{imaging.Requester}})
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := store.CreateToken(ctx, admin, imaging.Token{Username: "ann", Roles: []imaging.Role{imaging.Requester}})
	if err != nil {
		t.Fatal(err)
	}
	r := withHeader(ctx, "Token "+secret)
	if got, err := a.Actor(r); err != nil || got.Username != "ann" {
		t.Fatalf("before: %+v, %v", got, err)
	}
	if _, err := store.RevokeToken(ctx, admin, token.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Actor(r); refusal(err) != "UNAUTHENTICATED Invalid token." || got.SignedIn() {
		t.Errorf("after: %+v, %v", got, err)
	}
	if _, err := a.Actor(withHeader(ctx, "Token "+other)); err != nil {
		t.Errorf("another token of the same user: %v", err)
	}
}

// TestTokensAreForAdmins: nobody else makes or revokes one, not even their own.
func TestTokensAreForAdmins(t *testing.T) {
	t.Parallel()
	ctx, store := context.Background(), dbtest.Store(t)
	for actor, want := range map[string]imaging.Code{"": imaging.Unauthenticated, "ann": imaging.Forbidden} {
		a := imaging.Actor{Username: actor}
		if _, _, err := store.CreateToken(ctx, a, imaging.Token{Username: "ann", Roles: []imaging.Role{imaging.Admin}}); imaging.CodeOf(err) != want {
			t.Errorf("%q creates: %v, want %s", actor, err, want)
		}
		if _, err := store.RevokeToken(ctx, a, uuid.Nil); imaging.CodeOf(err) != want {
			t.Errorf("%q revokes: %v, want %s", actor, err, want)
		}
	}
}

// TestActorWithoutDatabase: not to know who somebody is, is not the same as to know that they are nobody.
func TestActorWithoutDatabase(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a := New(dbtest.Store(t), map[string]imaging.Actor{"known": admin})
	if got, err := a.Actor(withHeader(ctx, "Token abc")); imaging.CodeOf(err) != imaging.Unavailable || got.SignedIn() {
		t.Errorf("a stored token: %+v, %v", got, err)
	}
	if _, err := a.Actor(withHeader(ctx, "")); err != nil {
		t.Errorf("no token needs no database: %v", err)
	}
	if _, err := a.Actor(withHeader(ctx, "Token known")); err != nil {
		t.Errorf("a known token needs no database: %v", err)
	}
}

func TestActorInContext(t *testing.T) {
	t.Parallel()
	if got := From(context.Background()); got.SignedIn() {
		t.Errorf("an empty context carries %+v", got)
	}
	if diff := cmp.Diff(admin, From(WithActor(context.Background(), admin))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	var inside []string
	h := Identify(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inside = append(inside, RequestID(r.Context())) }))
	var outside []string
	for range 3 {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
		r.Header.Set("X-Request-Id", "chosen by the client")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		outside = append(outside, w.Header().Get("X-Request-Id"))
	}
	if diff := cmp.Diff(outside, inside); diff != "" {
		t.Errorf("(-header +context):\n%s", diff)
	}
	for i, id := range outside {
		if len(id) < 20 || id == outside[(i+1)%3] {
			t.Errorf("the ids %q are not each their own", outside)
		}
	}
	if id := RequestID(context.Background()); id != "" {
		t.Errorf("a context without an id has %q", id)
	}
}

// TestKnownSecretsAreNotKept: what this process alone accepts it knows by hash, so that no comparison tells how much of a
// guess is right.
func TestKnownSecretsAreNotKept(t *testing.T) {
	t.Parallel()
	a := New(dbtest.Store(t), map[string]imaging.Actor{"hunter2": {Username: "demo"}})
	if text := fmt.Sprintf("%+v %q", a.known, slices.Collect(maps.Keys(a.known))); strings.Contains(text, "hunter2") || !strings.Contains(text, "demo") {
		t.Errorf("it keeps %s", text)
	}
	for secret, want := range map[string]string{"hunter2": "demo", "hunter": "", "hunter22": "", "Hunter2": ""} {
		actor, err := a.Actor(withHeader(t.Context(), "Token "+secret))
		if actor.Username != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v", secret, actor.Username, err)
		}
	}
}
