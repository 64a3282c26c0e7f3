package db

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// uses remembers when tokens were used until NoteUses writes it down, so that a request writes nothing.
type uses struct {
	mu   sync.Mutex
	last map[uuid.UUID]time.Time
}

func (u *uses) note(at time.Time, tokens ...uuid.UUID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = map[uuid.UUID]time.Time{}
	}
	for _, id := range tokens {
		u.last[id] = at
	}
}

// take empties it.
func (u *uses) take() map[uuid.UUID]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	last := u.last
	u.last = nil
	return last
}

// UsesInterval is how often NoteUses should be called: a token's last use is as exact as that.
const UsesInterval = time.Minute

// NoteUses writes down when tokens were used last since it was called before: one statement, whatever the number of
// requests. What could not be written is kept for the next time. It is the service that observes, nobody that acts: no event
// tells of it. UNAVAILABLE.
func (s *Store) NoteUses(ctx context.Context) error {
	last := s.uses.take()
	if len(last) == 0 {
		return nil
	}
	ids, times := make([]string, 0, len(last)), make([]string, 0, len(last))
	for id, at := range last {
		ids, times = append(ids, id.String()), append(times, strconv.FormatInt(at.UnixMicro(), 10))
	}
	// rows are locked in one order, and a token that somebody else is just writing is passed over
	_, err := s.db.ExecContext(ctx, `WITH used AS (
			SELECT unnest(?::uuid[]) AS id, '1970-01-01Z'::timestamptz + unnest(?::bigint[]) * interval '1 microsecond' AS at),
		free AS (
			SELECT token.id, used.at FROM tokens AS token JOIN used ON used.id = token.id
			WHERE token.last_used_at IS NULL OR token.last_used_at < used.at
			ORDER BY token.id FOR UPDATE OF token SKIP LOCKED)
		UPDATE tokens SET last_used_at = free.at FROM free WHERE tokens.id = free.id`, array(ids), array(times))
	if err != nil {
		s.uses.keep(last)
		return s.translate(err)
	}
	return nil
}

// array is a list of ids or numbers as Postgres reads it.
func array(values []string) string { return "{" + strings.Join(values, ",") + "}" }

// keep takes back what was not written, unless there was a later use.
func (u *uses) keep(last map[uuid.UUID]time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, at := range u.last {
		last[id] = at
	}
	u.last = last
}
