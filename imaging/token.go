package imaging

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
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
	SecretHash []byte     `json:"-"`
	CreatedAt  time.Time  `json:"createdAt"`
	ExpiresAt  *time.Time `json:"expiresAt"`
	RevokedAt  *time.Time `json:"revokedAt"`
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
	if len(t.Roles) == 0 {
		p.add("roles", "This field is required.")
	}
	for _, r := range t.Roles {
		if !r.Valid() {
			p.add("roles", "%q is not a valid choice.", string(r))
		}
	}
	if len(t.Providers) > 0 && !slices.Contains(t.Roles, Reviewer) && !slices.Contains(t.Roles, Worker) {
		p.add("providers", "Providers confine reviewers and workers only.")
	}
	if len(t.Providers) > MaxIDs {
		p.add("providers", "Ensure this field has no more than %d elements.", MaxIDs)
	}
	p.moment("expiresAt", t.ExpiresAt)
	return p
}

// Actor is who the bearer is.
func (t *Token) Actor() Actor {
	return Actor{Username: t.Username, Roles: t.Roles, Providers: t.Providers}
}
