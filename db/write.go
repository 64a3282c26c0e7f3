package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// RequestImage asks for a new image; any signed-in user may. It answers the first version of the new request. With an
// idempotency key that was used for the same input it answers what was made then, and does nothing.
//
// UNAUTHENTICATED; INVALID by field; CONFLICT if the instance has an open version or the key was used for another input.
func (s *Store) RequestImage(ctx context.Context, a imaging.Actor, in imaging.RequestImageInput) (*imaging.Version, error) {
	if err := a.MayWrite(); err != nil {
		return nil, err
	}
	problems := in.Problems(a)
	if len(problems) == 0 {
		if v, err := s.inBatch(ctx, a, &in); v != nil || err != nil {
			return v, err
		}
	}
	return s.create(ctx, a, "requestImage", in, in.IdempotencyKey, in.Work, problems, func(ctx context.Context, tx bun.Tx, made made, p *imaging.Provider) (*imaging.ImageRequest, []*imaging.Event, error) {
		now, err := clock(ctx, tx)
		if err != nil {
			return nil, nil, err
		}
		return imaging.Request(&in, [2]uuid.UUID{made.ImageRequestID, made.VersionID}, a, p, now)
	})
}

// PreviewImageRequest tells what RequestImage would refuse, by the same rules, and what is worth a second look. It stores
// nothing. Any signed-in user may. UNAUTHENTICATED.
func (s *Store) PreviewImageRequest(ctx context.Context, a imaging.Actor, in imaging.RequestImageInput) (*imaging.ImageRequestPreview, error) {
	if !a.SignedIn() {
		return nil, imaging.ErrUnauthenticated()
	}
	refusals, err := s.Refusals(ctx, a, in)
	if err != nil {
		return nil, err
	}
	return imaging.Preview(&in, refusals), nil
}

// Refusals are what RequestImage would refuse the input for. A key that was used before says all: either that it was used
// for another input, or that there is nothing left to refuse; and so does a token that may only read.
func (s *Store) Refusals(ctx context.Context, a imaging.Actor, in imaging.RequestImageInput) (imaging.Problems, error) {
	if err := a.MayWrite(); err != nil {
		return imaging.All(err), nil
	}
	problems := in.Problems(a)
	if in.IdempotencyKey != nil && !problems.On("idempotencyKey") {
		var m made
		if err := m.claim(a, "requestImage", in, *in.IdempotencyKey); err != nil {
			return nil, err
		}
		before, err := m.before(ctx, s.db)
		if err == nil {
			_, err = s.madeBefore(ctx, s.db, a, before)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return refusal(s.translate(err))
		}
	}
	err := s.inTx(ctx, a, func(ctx context.Context, tx bun.Tx) error {
		p, err := provider(ctx, tx, in.Provider)
		problems = append(in.Problems(a), imaging.ProviderProblem(in.Provider, p)...)
		return err
	})
	if err != nil {
		return nil, err
	}
	inTheWay, err := s.inTheWay(ctx, a, in.Instance)
	return append(problems, inTheWay...), err
}

// refusal tells what is refused from what has failed.
func refusal(err error) (imaging.Problems, error) {
	switch imaging.CodeOf(err) {
	case imaging.Conflict, imaging.NotFound:
		return imaging.All(err), nil
	default:
		return nil, err
	}
}

// RequestVersion asks for one more version of a request; its owner and admins may. Keys are as for RequestImage.
//
// UNAUTHENTICATED; NOT_FOUND; FORBIDDEN; INVALID by field; CONFLICT if the instance has an open version, the label was
// taken, or the key was used for another input.
func (s *Store) RequestVersion(ctx context.Context, a imaging.Actor, in imaging.RequestVersionInput) (*imaging.Version, error) {
	if err := a.MayWrite(); err != nil {
		return nil, err
	}
	return s.create(ctx, a, "requestVersion", in, in.IdempotencyKey, in.Work, in.Problems(), func(ctx context.Context, tx bun.Tx, made made, p *imaging.Provider) (*imaging.ImageRequest, []*imaging.Event, error) {
		r, err := s.locked(ctx, tx, a, theID(tx, in.ImageRequest))
		if err != nil {
			return nil, nil, err
		}
		now, err := clock(ctx, tx)
		if err != nil {
			return nil, nil, err
		}
		events, err := imaging.Another(r, &in, made.VersionID, a, p, now)
		return r, events, err
	})
}

// EditImageRequest changes a request; its owner and admins may. An edit that changes nothing leaves no trace.
//
// UNAUTHENTICATED; NOT_FOUND; FORBIDDEN; INVALID by field; CONFLICT if the revision named is not the current one.
func (s *Store) EditImageRequest(ctx context.Context, a imaging.Actor, in imaging.EditImageRequestInput) (*imaging.ImageRequest, error) {
	r, err := s.change(ctx, a, theID(s.db, in.ImageRequest), func(r *imaging.ImageRequest, now time.Time) ([]*imaging.Event, error) {
		return imaging.Edit(r, &in, a, now)
	})
	if err != nil {
		return nil, err
	}
	imaging.Redact(a, r)
	return r, nil
}

// TransferImageRequest gives a request to another user; its owner and admins may. The answer has no request if the actor
// may see it no longer.
//
// UNAUTHENTICATED; NOT_FOUND; FORBIDDEN; INVALID by field; CONFLICT if the revision named is not the current one.
func (s *Store) TransferImageRequest(ctx context.Context, a imaging.Actor, in imaging.TransferImageRequestInput) (*imaging.Outcome, error) {
	r, err := s.change(ctx, a, theID(s.db, in.ImageRequest), func(r *imaging.ImageRequest, now time.Time) ([]*imaging.Event, error) {
		return imaging.Transfer(r, &in, a, now)
	})
	if err != nil {
		return nil, err
	}
	return imaging.OutcomeFor(a, r.Newest(), false), nil
}

// EditVersion changes a version; the owner of its request and admins may.
//
// UNAUTHENTICATED; NOT_FOUND; FORBIDDEN; INVALID by field; CONFLICT if it stands elsewhere or the revision named is not
// the current one.
func (s *Store) EditVersion(ctx context.Context, a imaging.Actor, in imaging.EditVersionInput) (*imaging.Outcome, error) {
	r, err := s.change(ctx, a, requestOf(s.db, in.Version), func(r *imaging.ImageRequest, now time.Time) ([]*imaging.Event, error) {
		return imaging.EditVersion(r, r.Version(in.Version), &in, a, now)
	})
	if err != nil {
		return nil, err
	}
	return imaging.OutcomeFor(a, r.Version(in.Version), false), nil
}

// change is what every use case does that changes a request that is there: lock, apply the rule, save.
func (s *Store) change(ctx context.Context, a imaging.Actor, id *bun.SelectQuery, rule func(*imaging.ImageRequest, time.Time) ([]*imaging.Event, error)) (*imaging.ImageRequest, error) {
	var r *imaging.ImageRequest
	err := s.inTx(ctx, a, func(ctx context.Context, tx bun.Tx) (err error) {
		if r, err = s.locked(ctx, tx, a, id); err != nil {
			return err
		}
		now, err := clock(ctx, tx)
		if err != nil {
			return err
		}
		events, err := rule(r, now)
		if err != nil || len(events) == 0 {
			return err
		}
		return save(ctx, tx, r, events)
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// create is what every use case does that makes a version: once per key, in one transaction, with what is wrong with the
// input and its provider told together.
func (s *Store) create(ctx context.Context, a imaging.Actor, operation string, in any, key *string, w imaging.Work, problems imaging.Problems,
	make func(context.Context, bun.Tx, made, *imaging.Provider) (*imaging.ImageRequest, []*imaging.Event, error),
) (*imaging.Version, error) {
	if problems.On("idempotencyKey") {
		key = nil
	}
	var version *imaging.Version
	err := s.inTx(ctx, a, func(ctx context.Context, tx bun.Tx) error {
		made, again, err := s.once(ctx, tx, a, operation, in, key)
		if err != nil {
			return err
		}
		if again {
			version, err = s.madeBefore(ctx, tx, a, made)
			return err
		}
		p, err := provider(ctx, tx, w.Provider)
		if err != nil {
			return err
		}
		if err := append(problems, imaging.ProviderProblem(w.Provider, p)...).Err(); err != nil {
			return err
		}
		r, events, err := make(ctx, tx, made, p)
		if err != nil {
			return err
		}
		version = r.Version(made.VersionID)
		return save(ctx, tx, r, events)
	})
	if err != nil {
		return nil, s.withInTheWay(ctx, a, w.Instance, err)
	}
	imaging.Redact(a, version.ImageRequest) // of one version more, the others are told, too
	return version, nil
}

// oneOpenPerInstance is the constraint that an instance has at most one open version.
const oneOpenPerInstance = "versions_one_open_per_instance"

// withInTheWay tells, beside what else is wrong with an input, which open version of the instance is in the way.
func (s *Store) withInTheWay(ctx context.Context, a imaging.Actor, instance uuid.UUID, refusal error) error {
	var problems imaging.Problems
	taken := safedriver.Constraint(refusal) == oneOpenPerInstance
	if !taken && !errors.As(refusal, &problems) {
		return refusal
	}
	inTheWay, err := s.inTheWay(ctx, a, instance)
	switch {
	case err != nil || len(inTheWay) == 0:
		return refusal
	case taken:
		return inTheWay[0].Because(refusal)
	}
	return append(problems, inTheWay...)
}

// inTheWay is the refusal for an instance that has an open version, naming it if the actor may see it; none if it has none.
func (s *Store) inTheWay(ctx context.Context, a imaging.Actor, instance uuid.UUID) (imaging.Problems, error) {
	open := &imaging.Filter{Instance: &instance, Status: imaging.OpenStatuses}
	n, err := wanted(s.db, versionTable, imaging.Service(), open).Count(ctx)
	if err != nil || n == 0 {
		return nil, s.translate(err)
	}
	c, err := s.Versions(ctx, a, imaging.Slice{}, open, nil)
	if err != nil {
		return nil, err
	}
	e := constraints[oneOpenPerInstance]
	if len(c.Edges) > 0 {
		v := c.Edges[0].Node
		e.Status = v.Status
		e.Message = fmt.Sprintf("This instance already has an open request: %q, id %s, version %q, is %s.", v.ImageRequest.Name, v.ImageRequest.ID, v.Version, v.Status)
	}
	return imaging.Problems{&e}, nil
}

// locked loads the request whose id the query selects for a change: nobody else changes it, or its versions, until the
// transaction ends. NOT_FOUND if there is none or the actor may not see it. What it answers has not been redacted.
func (s *Store) locked(ctx context.Context, tx bun.Tx, a imaging.Actor, id *bun.SelectQuery) (*imaging.ImageRequest, error) {
	var key uuid.UUID
	q := visible(tx.NewSelect().Model((*imaging.ImageRequest)(nil)), a).Column("image_request.id").Where("image_request.id IN (?)", id)
	if err := q.For("UPDATE").Scan(ctx, &key); err != nil {
		return nil, s.translate(err)
	}
	// a statement of its own, so that it sees what the lock waited for
	rows, err := s.load(ctx, tx, a, theID(tx, key))
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, imaging.ErrNotFound()
	}
	return rows[0], nil
}

// clock is the database's time: the same for every copy of the server, as leases need it.
func clock(ctx context.Context, tx bun.Tx) (now time.Time, err error) {
	if err := tx.NewSelect().ColumnExpr("clock_timestamp()").Scan(ctx, &now); err != nil {
		return now, fmt.Errorf("read the clock: %w", err)
	}
	return now.UTC(), nil
}

// theID is an id as a query that selects it.
func theID(idb bun.IDB, id uuid.UUID) *bun.SelectQuery {
	return idb.NewSelect().ColumnExpr("?::uuid", id)
}

// requestOf selects the id of a version's request.
func requestOf(idb bun.IDB, version uuid.UUID) *bun.SelectQuery {
	return idb.NewSelect().Model((*imaging.Version)(nil)).Column("version.image_request_id").Where("version.id = ?", version)
}
