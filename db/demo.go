package db

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"imagerequests/imaging"
)

// The documented example, as the API's document gives it.
var (
	DemoRequest = uuid.MustParse("bdc31c14-f807-11e3-8ef5-b2227cce2b54")
	// DemoDraft is a request of username's that waits for a reviewer: for trying out changes.
	DemoDraft = uuid.MustParse("01980000-0000-7000-8000-000000000001")
	// DemoDraftVersion is its version: for trying out a decision.
	DemoDraftVersion = uuid.MustParse("01980000-0000-7000-8000-000000000002")
	demoAlias        = "813557f2-f808-11e3-8ef5-b2227cce2b54"
	demoInstance     = uuid.MustParse("b8a1c9f4-f806-11e3-8ef5-b2227cce2b54")
)

// demoLock is the advisory lock of who loads the demonstration.
const demoLock = migrationLock + 1

// LoadDemo puts the demonstration data into the database, unless it is there: two providers, the documented example under
// its documented id, and requests in other states. It belongs to databases that are meant to be looked at.
func (s *Store) LoadDemo(ctx context.Context) error {
	return s.inTx(ctx, imaging.Service(), func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(?)", demoLock); err != nil { // several may start at once
			return err
		}
		there, err := tx.NewSelect().Model((*imaging.ImageRequest)(nil)).Where("id = ?", DemoRequest).Exists(ctx)
		if err != nil || there {
			return err
		}
		providers := []*imaging.Provider{
			{ID: 1, Name: "Demonstration cloud", Active: true},
			{ID: 2, Name: "Retired cloud"},
		}
		if err := saveProviders(ctx, tx, providers, s.moment()); err != nil {
			return err
		}
		requests, err := demoRequests(providers[0], s.moment())
		if err != nil {
			return err
		}
		for _, r := range requests {
			event, err := imaging.Found(r)
			if err != nil {
				return err
			}
			if err := save(ctx, tx, r, []*imaging.Event{event}); err != nil {
				return err
			}
		}
		return nil
	})
}

// saveProviders adds the providers whose ids are free; others are left as they are.
func saveProviders(ctx context.Context, tx bun.Tx, providers []*imaging.Provider, now time.Time) error {
	for _, p := range providers {
		result, err := tx.NewInsert().Model(p).On("CONFLICT (id) DO NOTHING").Exec(ctx)
		if err != nil {
			return fmt.Errorf("save provider: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			continue
		}
		changes, err := imaging.Diff(nil, p)
		if err != nil {
			return err
		}
		changes["id"] = imaging.Change{To: fmt.Appendf(nil, "%d", p.ID)}
		if err := record(ctx, tx, &imaging.Event{At: now, Action: imaging.ProviderSaved, Changes: changes}); err != nil {
			return err
		}
	}
	return nil
}

// demoRequests are the documented example and what a newcomer wants to see beside it.
func demoRequests(p *imaging.Provider, now time.Time) ([]*imaging.ImageRequest, error) {
	documented := &imaging.ImageRequest{
		ID: DemoRequest, Name: "Ubuntu 12.04 Updated NoGUI v1", Description: "Descriptiong for Ubuntu 12.04 Updated NoGUI v1",
		Tags: []string{"Ubuntu", "Featured"}, CreatedBy: "username", Visibility: imaging.Public,
		StartDate: time.Date(2014, 2, 5, 1, 3, 27, 903_000_000, time.UTC),
	}
	made := time.Date(2014, 2, 4, 23, 56, 40, 77_000_000, time.UTC)
	all := []*imaging.ImageRequest{documented}
	if err := demoVersion(documented, uuid.Nil, p, imaging.Completed, made); err != nil {
		return nil, err
	}
	documented.Versions[0].Alias, documented.Versions[0].Instance = demoAlias, demoInstance
	documented.Settle()
	for i, d := range []struct {
		id, version uuid.UUID // the nil UUID: any
		name, owner string
		visibility  imaging.Visibility
		shared      []string
		status      imaging.Status
		tags        []string
	}{
		{DemoDraft, DemoDraftVersion, "Genome assembly workbench", "username", imaging.Private, nil, imaging.Pending, []string{"biology"}},
		{uuid.Nil, uuid.Nil, "Image processing for sky surveys", "astronomer", imaging.Users, []string{"username"}, imaging.Approved, []string{"astronomy", "Python"}},
		{uuid.Nil, uuid.Nil, "Desktop with everything", "username", imaging.Public, nil, imaging.Denied, []string{"desktop"}},
		{uuid.Nil, uuid.Nil, "Statistics course 2026", "teacher", imaging.Public, nil, imaging.Pending, []string{"R", "course"}},
		{uuid.Nil, uuid.Nil, "Scratch machine", "teacher", imaging.Public, nil, imaging.Cancelled, nil},
	} {
		id, err := idUnless(d.id)
		if err != nil {
			return nil, err
		}
		r := &imaging.ImageRequest{
			ID: id, Name: d.name, Description: "Part of the demonstration.", Tags: append([]string{}, d.tags...), CreatedBy: d.owner,
			Visibility: d.visibility, SharedWith: append([]string{}, d.shared...), StartDate: now.Add(-time.Duration(i+1) * time.Hour),
		}
		if err := demoVersion(r, d.version, p, d.status, r.StartDate); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// idUnless makes an id unless there is one.
func idUnless(id uuid.UUID) (uuid.UUID, error) {
	if id != uuid.Nil {
		return id, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return id, fmt.Errorf("make an id: %w", err)
	}
	return id, nil
}

// demoVersion gives the request its only version, in the status named. With the nil UUID, its id is any.
func demoVersion(r *imaging.ImageRequest, id uuid.UUID, p *imaging.Provider, status imaging.Status, at time.Time) error {
	id, err := idUnless(id)
	if err != nil {
		return err
	}
	instance, err := idUnless(uuid.Nil)
	if err != nil {
		return err
	}
	none := ""
	v := &imaging.Version{
		ID: id, ImageRequestID: r.ID, ImageRequest: r, Ordinal: 1, Alias: id.String(), Version: "1", Instance: instance, ProviderID: p.ID,
		Provider: p, Sys: &none, Exclude: &none, RequestedBy: r.CreatedBy,
		Authors: []string{r.CreatedBy}, StartDate: at, Status: status,
	}
	if status == imaging.Denied || status == imaging.Cancelled {
		v.EndDate = &at
	}
	if status != imaging.Pending && status != imaging.Cancelled {
		reviewer := "reviewer"
		v.DecidedBy, v.DecidedAt = &reviewer, &at
	}
	if status == imaging.Denied {
		reason := "The instance holds licensed software. Ask again without it."
		v.DecisionMessage = &reason
	}
	if r.SharedWith == nil {
		r.SharedWith = []string{}
	}
	r.Versions = []*imaging.Version{v}
	r.Settle()
	return nil
}
