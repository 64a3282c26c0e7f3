package db

import (
	"context"

	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/imaging"
)

// QueuePosition is the version's place among those that wait for the same people: its provider's reviewers while it is
// PENDING, its workers while it is APPROVED; nil if it does not wait. The version is one that the actor was shown; how
// many wait before it is no secret, who they are is.
func (s *Store) QueuePosition(ctx context.Context, v *imaging.Version) (*int, error) {
	if v.Status != imaging.Pending && v.Status != imaging.Approved {
		return nil, nil
	}
	n, err := s.db.NewSelect().Model((*imaging.Version)(nil)).
		Where("status = ? AND provider_id = ? AND (start_date, id) <= (?, ?)", v.Status, v.ProviderID, v.StartDate, v.ID).Count(ctx)
	if err != nil {
		return nil, s.translate(err)
	}
	position := int(n)
	return &position, nil
}

// SecondsLeft is how long the version's imaging will still take, by the provider's median of the last runs; nil if that
// cannot be told honestly: it neither waits for a worker nor is being imaged, or too few runs have ended.
func (s *Store) SecondsLeft(ctx context.Context, v *imaging.Version) (*int, error) {
	if !v.Status.InWork() {
		return nil, nil
	}
	runs, err := s.runs(ctx, v.ProviderID)
	if err != nil {
		return nil, err
	}
	ahead := 0
	if v.Status == imaging.Approved {
		position, err := s.QueuePosition(ctx, v)
		if err != nil {
			return nil, err
		}
		ahead = *position - 1
	}
	return imaging.SecondsLeft(v, ahead, runs), nil
}

// runs are what the provider's last completed versions took, and how long those being imaged now have taken.
func (s *Store) runs(ctx context.Context, provider int) (imaging.Runs, error) {
	var runs imaging.Runs
	last := s.db.NewSelect().Model((*imaging.Version)(nil)).
		ColumnExpr("extract(epoch FROM imaging_ended - imaging_started)::float8 AS seconds").
		Where("status = 'COMPLETED' AND provider_id = ? AND imaging_started IS NOT NULL AND imaging_ended IS NOT NULL", provider).
		OrderExpr("imaging_ended DESC").Limit(imaging.RunsCounted)
	busy := s.db.NewSelect().Model((*imaging.Version)(nil)).
		ColumnExpr("coalesce(array_agg(extract(epoch FROM clock_timestamp() - imaging_started)::float8), '{}')").
		Where("status = 'IMAGING' AND provider_id = ?", provider)
	err := s.db.NewSelect().TableExpr("(?) AS last", last).
		ColumnExpr("count(*)").ColumnExpr("coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), 0)").
		ColumnExpr("(?)", busy).ColumnExpr("clock_timestamp()").
		Scan(ctx, &runs.Count, &runs.MedianSeconds, pgdialect.Array(&runs.Busy), &runs.Now)
	return runs, s.translate(err)
}
