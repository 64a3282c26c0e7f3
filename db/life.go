package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// Step does to a version what imaging.Apply allows.
//
// UNAUTHENTICATED; NOT_FOUND; FORBIDDEN; INVALID by field; CONFLICT with the current status, of a lost lease, of a
// revision that is not the current one, or of an instance that has another open version by now.
func (s *Store) Step(ctx context.Context, a imaging.Actor, version uuid.UUID, step imaging.Step) (*imaging.Outcome, error) {
	var instance uuid.UUID
	r, err := s.change(ctx, a, requestOf(s.db, version), func(r *imaging.ImageRequest, now time.Time) ([]*imaging.Event, error) {
		v := r.Version(version)
		instance = v.Instance
		return imaging.Apply(r, v, &step, a, now)
	})
	switch {
	case err == nil:
		return imaging.OutcomeFor(a, r.Version(version), step.Action == imaging.Report), nil
	case safedriver.Constraint(err) == oneOpenPerInstance: // the step would have opened it again
		return nil, s.withInTheWay(ctx, a, instance, err)
	case step.Lease != uuid.Nil:
		return s.repeated(ctx, a, version, &step, err)
	}
	return nil, err
}

// repeated answers a worker whose step was done already, and whose answer was lost. The version may be out of their sight
// by now: who shows the lease that ended it learns that it has ended, and no more.
func (s *Store) repeated(ctx context.Context, a imaging.Actor, version uuid.UUID, step *imaging.Step, refusal error) (*imaging.Outcome, error) {
	if code := imaging.CodeOf(refusal); code != imaging.NotFound && code != imaging.Conflict {
		return nil, refusal
	}
	rows, err := s.load(ctx, s.db, imaging.Service(), requestOf(s.db, version).Where("version.ended_lease = ?", step.Lease))
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || !rows[0].Version(version).Repeats(step, a) {
		return nil, refusal
	}
	return imaging.OutcomeFor(a, rows[0].Version(version), false), nil
}

// ClaimVersion gives the longest waiting APPROVED version of a provider to the worker, with a lease; nil if none waits.
// Until the lease runs out, or its holder ends the work, nobody else gets it.
//
// UNAUTHENTICATED; FORBIDDEN; INVALID by field.
func (s *Store) ClaimVersion(ctx context.Context, a imaging.Actor, in imaging.ClaimVersionInput) (*imaging.Outcome, error) {
	if err := in.Refusal(a); err != nil {
		return nil, err
	}
	step := in.Step()
	v, err := s.next(ctx, a, &step, new(uuid.UUID), func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("version.status = 'APPROVED' AND version.provider_id = ?", in.Provider)
	})
	if err != nil {
		return nil, err
	}
	return imaging.OutcomeFor(a, v, true), nil
}

// ExpireLeases takes back the versions whose leases have run out, and tells how many there were. They go back to the
// queue or, after the last attempt, fail. One that cannot be taken back is passed over, so that it holds up no other.
func (s *Store) ExpireLeases(ctx context.Context) (n int, err error) {
	stuck := []uuid.UUID{}
	for {
		var found uuid.UUID
		v, failed := s.next(ctx, imaging.Service(), &imaging.Step{Action: imaging.Expire}, &found, func(q *bun.SelectQuery) *bun.SelectQuery {
			return q.Where("version.status = 'IMAGING' AND version.lease_expires_at < clock_timestamp() AND version.id <> ALL (?)", pgdialect.Array(stuck))
		})
		switch {
		case failed != nil && (found == uuid.Nil || imaging.CodeOf(failed) == imaging.Unavailable):
			return n, errors.Join(err, failed)
		case failed != nil:
			stuck, err = append(stuck, found), errors.Join(err, fmt.Errorf("take back version %s: %w", found, failed))
		case v == nil:
			return n, err
		default:
			n++
		}
	}
}

// next does the step to the first version that is wanted and that nobody else is at work on; nil if there is none. Which it
// is stands in found, also if the step then fails. The request's row is what is locked, as always, so two who want the same
// version cannot wait for each other.
func (s *Store) next(ctx context.Context, a imaging.Actor, step *imaging.Step, found *uuid.UUID, wanted func(*bun.SelectQuery) *bun.SelectQuery) (v *imaging.Version, err error) {
	for {
		again := false
		err := s.inTx(ctx, a, func(ctx context.Context, tx bun.Tx) (err error) {
			*found = uuid.Nil
			v, again, err = s.tryNext(ctx, tx, a, step, found, wanted)
			return err
		})
		if err != nil {
			return nil, err
		}
		if !again {
			return v, nil
		}
	}
}

// tryNext answers again if the version that was found had been moved on before its request was locked.
func (s *Store) tryNext(ctx context.Context, tx bun.Tx, a imaging.Actor, step *imaging.Step, found *uuid.UUID, wanted func(*bun.SelectQuery) *bun.SelectQuery) (v *imaging.Version, again bool, err error) {
	var key imaging.Version
	q := wanted(tx.NewSelect().Model(&key).Column("version.id", "version.image_request_id")).
		Join("JOIN image_requests AS image_request ON image_request.id = version.image_request_id").
		OrderExpr("version.start_date, version.id").Limit(1).For("UPDATE OF image_request SKIP LOCKED")
	if err := q.Scan(ctx); errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, err
	}
	*found = key.ID
	still, err := wanted(tx.NewSelect().Model((*imaging.Version)(nil))).Where("version.id = ?", key.ID).Exists(ctx)
	if err != nil || !still {
		return nil, true, err
	}
	rows, err := s.load(ctx, tx, imaging.Service(), theID(tx, key.ImageRequestID))
	if err != nil || len(rows) == 0 {
		return nil, false, err
	}
	now, err := clock(ctx, tx)
	if err != nil {
		return nil, false, err
	}
	v = rows[0].Version(key.ID)
	events, err := imaging.Apply(v.ImageRequest, v, step, a, now)
	if err != nil {
		return nil, false, err
	}
	return v, false, save(ctx, tx, v.ImageRequest, events)
}
