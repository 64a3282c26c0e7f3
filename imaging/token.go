package imaging

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Token lets its bearer act as a user. Only the hash of its secret is kept.
type Token struct {
	ID         uuid.UUID  `bun:",pk" json:"id"`
	Username   string     `json:"username"`
	Roles      []Role     `bun:",array" json:"roles"`
	Providers  []int      `bun:",array" json:"providers"` // nil: its roles are not confined
	ReadOnly   bool       `json:"readOnly"`               // its bearer may read as the user, and change nothing
	SecretHash []byte     `json:"-"`
	CreatedAt  time.Time  `json:"createdAt"`
	ExpiresAt  *time.Time `json:"expiresAt"`
	RevokedAt  *time.Time `json:"revokedAt"`
	LastUsedAt *time.Time `json:"-"` // about: to the minute; no state, so no event tells of it
}

// CreateTokenInput is a token to be made.
type CreateTokenInput struct {
	Username  string
	Roles     []Role
	Providers []int
	ReadOnly  *bool
	ExpiresAt *time.Time
}

// Token is the token that is asked for.
func (in CreateTokenInput) Token() Token {
	return Token{Username: in.Username, Roles: in.Roles, Providers: in.Providers, ReadOnly: in.ReadOnly != nil && *in.ReadOnly, ExpiresAt: in.ExpiresAt}
}

// RevokeTokenInput names a token to be revoked.
type RevokeTokenInput struct {
	Token uuid.UUID
}

// Secret is a new secret of 256 random bits, as text that fits a header.
func Secret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// HashSecret is what is stored of a secret. Secrets are random and long, so a plain hash is enough.
func HashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// Problems lists what is wrong with a token to be made: INVALID, by field.
func (t *Token) Problems() Problems {
	var p Problems
	p.username("username", t.Username)
	p.roles(t.Roles)
	if len(t.Providers) > 0 && !slices.Contains(t.Roles, Reviewer) && !slices.Contains(t.Roles, Worker) {
		p.add("providers", "Providers confine reviewers and workers only.")
	}
	if t.Providers != nil && len(t.Providers) == 0 {
		p.add("providers", "This list may not be empty.")
	}
	if p.some("providers", len(t.Providers)) {
		for i, n := range t.Providers {
			p.number(fmt.Sprintf("providers.%d", i), n)
		}
	}
	p.moment("expiresAt", t.ExpiresAt)
	return p
}

func (p *Problems) roles(roles []Role) {
	switch {
	case len(roles) == 0:
		p.add("roles", "This field is required.")
	case len(roles) > len(Roles):
		p.add("roles", "Ensure this field has no more than %d elements.", len(Roles))
	default:
		for _, r := range roles {
			if !r.Valid() {
				p.add("roles", "%q is not a valid choice.", string(r))
			}
		}
	}
}

// Actor is who the bearer is.
func (t *Token) Actor() Actor {
	return Actor{Username: t.Username, Roles: t.Roles, Providers: t.Providers, ReadOnly: t.ReadOnly}
}
