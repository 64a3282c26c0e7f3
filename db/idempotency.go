package db

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"imagerequests/imaging"
)

// KeyAge is how long an idempotency key is kept at least.
const KeyAge = 48 * time.Hour

// made is what a create makes: the ids are chosen before, so that the key can be written first and hold the place.
type made struct {
	bun.BaseModel `bun:"table:idempotency_keys"`

	Username       string `bun:",pk"`
	Key            string `bun:",pk"`
	InputHash      []byte
	ImageRequestID uuid.UUID
	VersionID      uuid.UUID
}

// once claims the key for this input. Again is true if the same input has claimed it before, and then made is what was
// made; a claim that is still under way is waited for. Without a key it is never again. CONFLICT for another input.
func (s *Store) once(ctx context.Context, tx bun.Tx, a imaging.Actor, operation string, in any, key *string) (m made, again bool, err error) {
	if m, err = newMade(in); err != nil || key == nil {
		return m, false, err
	}
	if err := m.claim(a, operation, in, *key); err != nil {
		return m, false, err
	}
	result, err := tx.NewInsert().Model(&m).On("CONFLICT DO NOTHING").Exec(ctx)
	if err != nil {
		return m, false, fmt.Errorf("claim idempotency key: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return m, false, err
	}
	before, err := m.before(ctx, tx)
	return before, true, err
}

// claim is for whom, and for which input, the key stands.
func (m *made) claim(a imaging.Actor, operation string, in any, key string) error {
	input, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("hash the input: %w", err)
	}
	sum := sha256.Sum256(append([]byte(operation+"\n"), input...))
	m.Username, m.Key, m.InputHash = a.Username, key, sum[:]
	return nil
}

// before is what was made with the key. CONFLICT if it was claimed for another input; sql.ErrNoRows if it is free.
func (m made) before(ctx context.Context, idb bun.IDB) (made, error) {
	before := made{Username: m.Username, Key: m.Key}
	if err := idb.NewSelect().Model(&before).WherePK().Scan(ctx); err != nil {
		return m, fmt.Errorf("read idempotency key: %w", err)
	}
	if string(before.InputHash) != string(m.InputHash) {
		e := imaging.Errorf(imaging.Conflict, "This idempotency key was used for another input.")
		e.Field = "idempotencyKey"
		return m, e
	}
	return before, nil
}

// madeBefore is the version that was made then. NOT_FOUND if the actor has given its request away and sees it no longer.
func (s *Store) madeBefore(ctx context.Context, idb bun.IDB, a imaging.Actor, m made) (*imaging.Version, error) {
	r, err := s.one(ctx, idb, a, m.ImageRequestID)
	if imaging.CodeOf(err) == imaging.NotFound {
		e := imaging.Errorf(imaging.NotFound, "This idempotency key was used for an image request that you may see no longer.")
		e.Field = "idempotencyKey"
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	return r.Version(m.VersionID), nil
}

func newMade(in any) (m made, err error) {
	if m.VersionID, err = uuid.NewV7(); err != nil {
		return m, fmt.Errorf("make an id: %w", err)
	}
	if v, ok := in.(imaging.RequestVersionInput); ok {
		m.ImageRequestID = v.ImageRequest
		return m, nil
	}
	if m.ImageRequestID, err = uuid.NewV7(); err != nil {
		return m, fmt.Errorf("make an id: %w", err)
	}
	return m, nil
}

// ForgetKeys deletes the idempotency keys that are older than KeyAge, and tells how many there were.
func (s *Store) ForgetKeys(ctx context.Context) (int64, error) {
	result, err := s.db.NewDelete().Model((*made)(nil)).Where("created_at < now() - ?::interval", KeyAge.String()).Exec(ctx)
	if err != nil {
		return 0, s.translate(err)
	}
	n, err := result.RowsAffected()
	return n, s.translate(err)
}
