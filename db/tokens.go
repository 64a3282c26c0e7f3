package db

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// CreateToken stores a new token for the user, roles and providers in t and answers its secret, which cannot be read
// again. Admins may. UNAUTHENTICATED, FORBIDDEN, INVALID by field.
func (s *Store) CreateToken(ctx context.Context, a imaging.Actor, t imaging.Token) (secret string, made *imaging.Token, err error) {
	if err := mayKeep(a); err != nil {
		return "", nil, err
	}
	if err := t.Problems().Err(); err != nil {
		return "", nil, err
	}
	if t.ID, err = uuid.NewV7(); err != nil {
		return "", nil, fmt.Errorf("make an id: %w", err)
	}
	secret = imaging.Secret()
	if t.ExpiresAt != nil {
		cut := t.ExpiresAt.UTC().Truncate(time.Microsecond)
		t.ExpiresAt = &cut
	}
	t.SecretHash, t.CreatedAt, t.RevokedAt = imaging.HashSecret(secret), s.moment(), nil
	t.LastUsedAt = nil
	err = s.inTx(ctx, a, func(ctx context.Context, tx bun.Tx) error {
		return s.saveToken(ctx, tx, a, imaging.TokenCreated, nil, &t)
	})
	if err != nil {
		return "", nil, err
	}
	return secret, &t, nil
}

// RevokeToken makes a token worthless from now on; doing it again changes nothing. Admins may. UNAUTHENTICATED, FORBIDDEN,
// NOT_FOUND.
func (s *Store) RevokeToken(ctx context.Context, a imaging.Actor, id uuid.UUID) (*imaging.Token, error) {
	if err := mayKeep(a); err != nil {
		return nil, err
	}
	t := &imaging.Token{ID: id}
	err := s.inTx(ctx, a, func(ctx context.Context, tx bun.Tx) error {
		if err := tx.NewSelect().Model(t).WherePK().For("UPDATE").Scan(ctx); err != nil {
			return err
		}
		if t.RevokedAt != nil {
			return nil
		}
		before, now := *t, s.moment()
		t.RevokedAt = &now
		return s.saveToken(ctx, tx, a, imaging.TokenRevoked, &before, t)
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Tokens are all tokens, oldest first, without their secrets. Admins may. UNAUTHENTICATED, FORBIDDEN.
func (s *Store) Tokens(ctx context.Context, a imaging.Actor) ([]*imaging.Token, error) {
	if err := onlyAdmin(a); err != nil {
		return nil, err
	}
	all := []*imaging.Token{}
	err := s.db.NewSelect().Model(&all).Order("created_at", "id").Scan(ctx)
	return all, s.translate(err)
}

// tokenTable is the list of all tokens, whose only order is that in which they were made.
const tokenTable = "token"

var byCreation = imaging.Order{Field: imaging.ByCreation, Direction: imaging.Asc}

// TokenPage is a page of what Tokens answers. Admins may. UNAUTHENTICATED; FORBIDDEN; INVALID by field for a bad slice or cursor.
func (s *Store) TokenPage(ctx context.Context, a imaging.Actor, slice imaging.Slice) (*TokenConnection, error) {
	if err := onlyAdmin(a); err != nil {
		return nil, err
	}
	page, err := newCut(slice, tokenTable, byCreation, nil)
	if err != nil {
		return nil, err
	}
	list := func() *bun.SelectQuery { return s.db.NewSelect().Model((*imaging.Token)(nil)) }
	rows := []*imaging.Token{}
	if err := page.apply(list()).Scan(ctx, &rows); err != nil {
		return nil, s.translate(err)
	}
	cursor := func(t *imaging.Token) string {
		return encodeCursor(tokenTable, byCreation, strconv.FormatInt(t.CreatedAt.UnixMicro(), 10), t.ID)
	}
	there := func(ctx context.Context, beyond *cut) (bool, error) {
		found, err := beyond.within(list()).Exists(ctx)
		return found, s.translate(err)
	}
	return connect(page, rows, cursor, there, func(ctx context.Context) (int, error) {
		n, err := list().Count(ctx)
		return int(n), s.translate(err)
	}), nil
}

// inForce is what makes a token open the door.
const inForce = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"

// bearer is prepared: nearly every request begins with it.
const bearer = "SELECT id, username, roles, providers, read_only, secret_hash, created_at, expires_at, last_used_at FROM tokens WHERE secret_hash = $1 AND " + inForce

// Bearer is the token with this secret. UNAUTHENTICATED if it is not that of a token in force.
//
// It is found by an index of hashes. How far the hash that is looked for agrees with those that are there may show in the time
// this takes, but nobody can choose a secret by its SHA-256, and what is learned of a hash opens nothing.
func (s *Store) Bearer(ctx context.Context, secret string) (*imaging.Token, error) {
	var t *imaging.Token
	hash := []string{`\x` + hex.EncodeToString(imaging.HashSecret(secret))}
	err := s.lookUp(ctx, s.bearers, safedriver.Reading{Query: bearer, Args: hash, Row: func(r safedriver.Row) error {
		c := cells{row: r}
		t = &imaging.Token{ID: c.id(), Username: c.text(), Roles: roles(c.texts()), Providers: c.numbers(),
			ReadOnly: c.truth(), SecretHash: c.bytes(), CreatedAt: c.time(), ExpiresAt: orNil(&c, c.time), LastUsedAt: orNil(&c, c.time)}
		return c.err
	}})
	if err != nil {
		return nil, s.translate(err)
	}
	if t == nil {
		return nil, imaging.Errorf(imaging.Unauthenticated, "Invalid token.")
	}
	s.uses.note(s.moment(), t.ID)
	return t, nil
}

func roles(names []string) []imaging.Role {
	roles := make([]imaging.Role, len(names))
	for i, name := range names {
		roles[i] = imaging.Role(name)
	}
	return roles
}

// InForce are those of the tokens that are still in force. UNAVAILABLE.
func (s *Store) InForce(ctx context.Context, ids []uuid.UUID) (still []uuid.UUID, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	err = s.db.NewSelect().Model((*imaging.Token)(nil)).Column("id").Where("id IN (?)", bun.List(ids)).Where(inForce).Scan(ctx, &still)
	if err == nil {
		s.uses.note(s.moment(), still...) // sockets and streams live by them
	}
	return still, s.translate(err)
}

func (s *Store) saveToken(ctx context.Context, tx bun.Tx, a imaging.Actor, action imaging.Action, before, t *imaging.Token) error {
	if _, err := tx.NewInsert().Model(t).On("CONFLICT (id) DO UPDATE").Exec(ctx); err != nil {
		return fmt.Errorf("save token: %w", err)
	}
	changes, err := imaging.Diff(before, t)
	if err != nil {
		return err
	}
	return record(ctx, tx, &imaging.Event{At: s.moment(), Actor: a.Username, Action: action, Changes: changes})
}
