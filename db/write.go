package db

import (
	"context"
	"encoding/json"
	"fmt"

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
	if !a.SignedIn() {
		return nil, imaging.ErrUnauthenticated()
	}
	problems := in.Problems(a)
	return s.create(ctx, a, "requestImage", in, in.IdempotencyKey, in.Work, problems, func(ctx context.Context, tx bun.Tx, made made, p *imaging.Provider) (*imaging.ImageRequest, []*imaging.Event, error) {
		return imaging.Request(&in, [2]uuid.UUID{made.ImageRequestID, made.VersionID}, a, p, s.moment())
	})
}

// RequestVersion asks for one more version of a request; its owner and admins may. Keys are as for RequestImage.
//
// UNAUTHENTICATED; NOT_FOUND; FORBIDDEN; INVALID by field; CONFLICT if the instance has an open version, the label was
// taken, or the key was used for another input.
func (s *Store) RequestVersion(ctx context.Context, a imaging.Actor, in imaging.RequestVersionInput) (*imaging.Version, error) {
	if !a.SignedIn() {
		return nil, imaging.ErrUnauthenticated()
	}
	return s.create(ctx, a, "requestVersion", in, in.IdempotencyKey, in.Work, in.Problems(), func(ctx context.Context, tx bun.Tx, made made, p *imaging.Provider) (*imaging.ImageRequest, []*imaging.Event, error) {
		r, err := s.locked(ctx, tx, a, in.ImageRequest)
		if err != nil {
			return nil, nil, err
		}
		events, err := imaging.Another(r, &in, made.VersionID, a, p, s.moment())
		return r, events, err
	})
}

// EditImageRequest changes a request; its owner and admins may. An edit that changes nothing leaves no trace.
//
// UNAUTHENTICATED; NOT_FOUND; FORBIDDEN; INVALID by field; CONFLICT if the revision named is not the current one.
func (s *Store) EditImageRequest(ctx context.Context, a imaging.Actor, in imaging.EditImageRequestInput) (*imaging.ImageRequest, error) {
	if !a.SignedIn() {
		return nil, imaging.ErrUnauthenticated()
	}
	var r *imaging.ImageRequest
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) (err error) {
		if r, err = s.locked(ctx, tx, a, in.ImageRequest); err != nil {
			return err
		}
		events, err := imaging.Edit(r, &in, a, s.moment())
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
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		made, again, err := s.once(ctx, tx, a, operation, in, key)
		if err != nil {
			return err
		}
		if again {
			r, err := s.one(ctx, tx, a, made.ImageRequestID)
			if err == nil {
				version = r.Version(made.VersionID)
			}
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
	if imaging.CodeOf(err) == imaging.Conflict && safedriver.Constraint(err) == "versions_one_open_per_instance" {
		err = s.inTheWay(ctx, a, w.Instance, err)
	}
	if err != nil {
		return nil, err
	}
	return version, nil
}

// inTheWay names the open version of the instance in the refusal, if the actor may see it.
func (s *Store) inTheWay(ctx context.Context, a imaging.Actor, instance uuid.UUID, refusal error) error {
	open := []imaging.Status{imaging.Pending, imaging.NeedsInfo, imaging.Approved, imaging.Imaging}
	first := 1
	c, err := s.Versions(ctx, a, imaging.Slice{First: &first}, &imaging.VersionFilter{Instance: &instance, Status: open}, nil)
	if err != nil || len(c.Edges) == 0 {
		return refusal
	}
	v := c.Edges[0].Node
	e := imaging.Errorf(imaging.Conflict, "This instance already has an open request: %q, id %s, version %q, is %s.",
		v.ImageRequest.Name, v.ImageRequest.ID, v.Version, v.Status).Because(refusal)
	e.Field, e.Status = "instance", v.Status
	return e
}

// locked loads a request for a change: nobody else changes it, or its versions, until the transaction ends. NOT_FOUND if
// there is none or the actor may not see it.
func (s *Store) locked(ctx context.Context, tx bun.Tx, a imaging.Actor, id uuid.UUID) (*imaging.ImageRequest, error) {
	var key uuid.UUID
	q := visible(tx.NewSelect().Model((*imaging.ImageRequest)(nil)), a).Column("image_request.id").Where("image_request.id = ?", id)
	if err := q.For("UPDATE").Scan(ctx, &key); err != nil {
		return nil, s.translate(err)
	}
	r, err := s.one(ctx, tx, a, id) // a statement of its own, so that it sees what the lock waited for
	if err != nil {
		return nil, err
	}
	if !imaging.SeesDetails(a, r) { // what was taken out of r must never be written back
		return nil, imaging.ErrForbidden()
	}
	return r, nil
}

// save writes a changed or new request, the versions that its events concern, and the events.
func save(ctx context.Context, tx bun.Tx, r *imaging.ImageRequest, events []*imaging.Event) error {
	if _, err := tx.NewInsert().Model(r).On("CONFLICT (id) DO UPDATE").Exec(ctx); err != nil {
		return fmt.Errorf("save image request: %w", err)
	}
	saved := map[uuid.UUID]bool{}
	for _, e := range events {
		if e.VersionID == nil || saved[*e.VersionID] {
			continue
		}
		saved[*e.VersionID] = true
		if _, err := tx.NewInsert().Model(r.Version(*e.VersionID)).On("CONFLICT (id) DO UPDATE").Exec(ctx); err != nil {
			return fmt.Errorf("save version: %w", err)
		}
	}
	return record(ctx, tx, events...)
}

// record writes events and tells those who listen.
func record(ctx context.Context, tx bun.Tx, events ...*imaging.Event) error {
	for _, e := range events {
		changes, err := json.Marshal(e.Changes)
		if err != nil {
			return fmt.Errorf("save event: %w", err)
		}
		// As a text: what Bun takes for JSON it changes, and a backslash before u0000 is then none that Postgres takes.
		if _, err := tx.NewInsert().Model(e).Value("changes", "?", string(changes)).Exec(ctx); err != nil {
			return fmt.Errorf("save event: %w", err)
		}
	}
	return notify(ctx, tx)
}
