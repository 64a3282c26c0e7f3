package db

import (
	"context"
	"database/sql"
	"time"

	"imagerequests/imaging"
)

// Pool is how the store's connections are used.
func (s *Store) Pool() sql.DBStats { return s.db.Stats() }

// Waiting is how many wait for a turn at the database, by what they wait for: those who share what a turn costs wait here, and not for a
// connection.
func (s *Store) Waiting() map[string]int {
	return map[string]int{"creates": s.batches.count(), "lookups": s.lookups.count(), "pages": s.pages.count(), "tokens": s.bearers.count()}
}

// Gauges are what an operator watches of the data: numbers, of nobody's requests in particular.
type Gauges struct {
	Open    []OpenVersions
	Overdue int           // leases that ran out and were not taken back yet
	Waiting time.Duration // for how long the oldest event has been kept from subscribers by an older transaction
}

// OpenVersions are those of one status on one provider.
type OpenVersions struct {
	Status   imaging.Status
	Provider int
	Count    int
	Oldest   time.Duration // since the one that has waited longest was asked for
}

// Gauges reads them, by indexes over what is open. UNAVAILABLE.
func (s *Store) Gauges(ctx context.Context) (g Gauges, err error) {
	var rows []struct {
		Status     imaging.Status
		ProviderID int
		Count      int
		Seconds    float64
	}
	err = s.db.NewSelect().Model((*imaging.Version)(nil)).Column("status", "provider_id").
		ColumnExpr("count(*) AS count, extract(epoch FROM clock_timestamp() - min(start_date))::float8 AS seconds").
		Where("status IN ('PENDING', 'NEEDS_INFO', 'APPROVED', 'IMAGING')").Group("status", "provider_id").Order("status", "provider_id").Scan(ctx, &rows)
	if err != nil {
		return g, s.translate(err)
	}
	for _, r := range rows {
		g.Open = append(g.Open, OpenVersions{r.Status, r.ProviderID, r.Count, seconds(r.Seconds)})
	}
	var waiting float64
	err = s.db.NewRaw(`SELECT (SELECT count(*) FROM versions WHERE status = 'IMAGING' AND lease_expires_at < clock_timestamp()),
		(SELECT coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8 FROM events WHERE xid >= pg_snapshot_xmin(pg_current_snapshot())::text::bigint)`).
		Scan(ctx, &g.Overdue, &waiting)
	g.Waiting = seconds(waiting)
	return g, s.translate(err)
}

// seconds is a duration; none if clocks differ.
func seconds(n float64) time.Duration { return time.Duration(max(0, n) * float64(time.Second)) }

// Lag is for how long the feed has not been able to read all that there is; up to its interval when all is well, and
// nothing while nobody subscribes.
func (f *Feed) Lag() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subscribers == 0 || f.upToDate.IsZero() {
		return 0
	}
	return time.Since(f.upToDate)
}

// Subscribers is how many there are.
func (f *Feed) Subscribers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.subscribers
}

// isUpToDate notes that the feed has read all there is, or has nobody to read for.
func (f *Feed) isUpToDate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.upToDate = time.Now()
}
