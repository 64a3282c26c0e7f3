// Package auth finds out who is asking: it turns a request into an imaging.Actor, and keeps each caller to their budget.
package auth

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"
	"time"

	"imagerequests/db"
	"imagerequests/imaging"
)

// Authenticator knows the tokens.
type Authenticator struct {
	store *db.Store
	known map[[sha256.Size]byte]imaging.Actor // by the hash of the secret, so that no comparison takes time by how much of it is right
	watch *watch
}

// New makes an Authenticator over the store's tokens. Known are tokens beside them that this process alone accepts, those
// of the demonstration: they are never stored, so that they end with it.
func New(store *db.Store, known map[string]imaging.Actor) *Authenticator {
	hashed := make(map[[sha256.Size]byte]imaging.Actor, len(known))
	for secret, actor := range known {
		hashed[sha256.Sum256([]byte(secret))] = actor
	}
	return &Authenticator{store: store, known: hashed, watch: newWatch(store.InForce, time.Second)}
}

// Actor is who sent the request: the zero Actor if it carries no token. UNAUTHENTICATED if what it carries is no token in
// force, UNAVAILABLE if that cannot be found out.
func (a *Authenticator) Actor(r *http.Request) (imaging.Actor, error) {
	t, err := a.token(r)
	return t.Actor(), err
}

// token is what the request carries: the zero Token if nothing, one without an id if it is known to this process alone.
func (a *Authenticator) token(r *http.Request) (imaging.Token, error) {
	secret, err := Secret(r.Header.Values("Authorization"))
	if err != nil || secret == "" {
		return imaging.Token{}, err
	}
	if actor, ok := a.known[sha256.Sum256([]byte(secret))]; ok {
		return imaging.Token{Username: actor.Username, Roles: actor.Roles, Providers: actor.Providers}, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), tokenTime)
	defer cancel()
	t, err := a.store.Bearer(ctx, secret)
	if err != nil {
		return imaging.Token{}, err
	}
	return *t, nil
}

// Secret reads the Authorization header: schemes Token and Bearer, in upper or lower case. It is empty without an error
// if there is no such header or it is of another scheme. UNAUTHENTICATED if it is malformed.
func Secret(header []string) (string, error) {
	if len(header) == 0 {
		return "", nil
	}
	parts := strings.Fields(header[0])
	if len(parts) == 0 || !strings.EqualFold(parts[0], "Token") && !strings.EqualFold(parts[0], "Bearer") {
		return "", nil
	}
	switch {
	case len(header) > 1:
		return "", malformed("Send one Authorization header.")
	case len(parts) == 1:
		return "", malformed("No credentials provided.")
	case len(parts) > 2:
		return "", malformed("Token string should not contain spaces.")
	case !imaging.Storable(parts[1]):
		return "", malformed("Token string should not contain invalid characters.")
	}
	return parts[1], nil
}

// malformed words the refusal as the clients of the REST interface know it.
func malformed(what string) error {
	return imaging.Errorf(imaging.Unauthenticated, "Invalid token header. %s", what)
}

type actorKey struct{}

// WithActor carries the actor below a skin's handler.
func WithActor(ctx context.Context, a imaging.Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// From is the actor that WithActor put there; the zero Actor if there is none.
func From(ctx context.Context) imaging.Actor {
	a, _ := ctx.Value(actorKey{}).(imaging.Actor)
	return a
}
