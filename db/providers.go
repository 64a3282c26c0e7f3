package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"imagerequests/imaging"
)

// Providers are all providers, by id. Open to everyone.
func (s *Store) Providers(ctx context.Context) ([]*imaging.Provider, error) {
	all := []*imaging.Provider{}
	err := s.db.NewSelect().Model(&all).Order("id").Scan(ctx)
	return all, s.translate(err)
}

// SaveProvider adds a provider or changes one; admins may. UNAUTHENTICATED, FORBIDDEN, INVALID by field, CONFLICT if
// another has the name. Saving what is there already leaves no trace.
func (s *Store) SaveProvider(ctx context.Context, a imaging.Actor, in imaging.SaveProviderInput) (*imaging.Provider, error) {
	if err := mayKeep(a); err != nil {
		return nil, err
	}
	var saved *imaging.Provider
	err := s.inTx(ctx, a, func(ctx context.Context, tx bun.Tx) error {
		// One at a time: there may be no row to lock yet, and two that share a row's lock can neither change it. Readers pass.
		if _, err := tx.ExecContext(ctx, "LOCK TABLE providers IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return fmt.Errorf("lock providers: %w", err)
		}
		before, err := provider(ctx, tx, in.ID)
		if err != nil {
			return err
		}
		if saved, err = in.Apply(before); err != nil {
			return err
		}
		changes, err := imaging.Diff(before, saved)
		if err != nil || len(changes) == 0 {
			return err
		}
		if _, err := tx.NewInsert().Model(saved).On("CONFLICT (id) DO UPDATE").Exec(ctx); err != nil {
			return fmt.Errorf("save provider: %w", err)
		}
		changes["id"] = imaging.Change{To: fmt.Appendf(nil, "%d", saved.ID)}
		return record(ctx, tx, &imaging.Event{At: s.moment(), Actor: a.Username, Action: imaging.ProviderSaved, Changes: changes})
	})
	if err != nil {
		return nil, err
	}
	return saved, nil
}

// provider reads one for a change of it or of what belongs to it; nil if there is none.
func provider(ctx context.Context, tx bun.Tx, number int) (*imaging.Provider, error) {
	p := &imaging.Provider{}
	if number < 1 || number > 1<<31-1 {
		return nil, nil
	}
	err := tx.NewSelect().Model(p).Where("id = ?", number).For("SHARE").Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read provider: %w", err)
	}
	return p, nil
}

// mayKeep is whether the actor may change providers and tokens. UNAUTHENTICATED, FORBIDDEN.
func mayKeep(a imaging.Actor) error {
	if err := a.MayWrite(); err != nil {
		return err
	}
	return onlyAdmin(a)
}

func onlyAdmin(a imaging.Actor) error {
	switch {
	case !a.SignedIn():
		return imaging.ErrUnauthenticated()
	case !a.IsAdmin():
		return imaging.ErrForbidden()
	}
	return nil
}
