package auth

import (
	"context"
	"crypto/rand"
	"net/http"
)

type requestKey struct{}

// Identify gives each request an id, sends it back as X-Request-Id, and carries it in the context: it joins what a person
// reports and what the log says.
func Identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, id)))
	})
}

// RequestID is the id that Identify gave; "" without it.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}
