package db_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"imagerequests/imaging"
)

// Of any number who ask for one instance at once, by whichever way, one gets it.
func TestOneOpenVersionPerInstance(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.request(t, ann, image()).ImageRequestID
	in := image()
	_, errs := all(t.Context(), 50, func(ctx context.Context, i int) (*imaging.Version, error) {
		if i%5 == 0 {
			return b.RequestVersion(ctx, ann, imaging.RequestVersionInput{ImageRequest: id, Work: in.Work})
		}
		return b.RequestImage(ctx, imaging.Actor{Username: fmt.Sprint("user", i)}, in)
	})
	same(t, map[imaging.Code]int{"": 1, imaging.Conflict: 49}, codes(errs))
	same(t, 1, one[int](t, b.sql, "SELECT count(*) FROM versions WHERE instance = $1", in.Instance.String()))
	same(t, 2, one[int](t, b.sql, "SELECT count(*) FROM versions"))
	for _, err := range errs {
		if err != nil {
			refused(t, err, refusal{imaging.Conflict, "instance"})
		}
	}
}

// An instance is free again when its version is no longer open.
func TestInstanceIsFreeAfterTheEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := image()
	v := b.request(t, ann, in)
	execute(t, b.sql, "UPDATE versions SET status = 'CANCELLED', end_date = now() WHERE id = $1", v.ID.String())
	b.request(t, bob, in)
}

// Of any number who edit the same revision at once, one wins; the others learn that it has changed.
func TestOneEditPerRevision(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.request(t, ann, image()).ImageRequestID
	edited, errs := all(t.Context(), 20, func(ctx context.Context, i int) (*imaging.ImageRequest, error) {
		return b.EditImageRequest(ctx, ann, imaging.EditImageRequestInput{ImageRequest: id, Revision: new(1), Name: new(fmt.Sprint("name ", i))})
	})
	same(t, map[imaging.Code]int{"": 1, imaging.Conflict: 19}, codes(errs))
	winner := slices.IndexFunc(errs, func(err error) bool { return err == nil })
	same(t, edited[winner], b.read(t, ann, id))
	for _, err := range errs {
		if err != nil {
			refused(t, err, refusal{imaging.Conflict, "revision"})
		}
	}
}

// Edits that name no revision all come to pass, one after the other, and none undoes what another changed.
func TestEditsOfDifferentFields(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.request(t, ann, image()).ImageRequestID
	edits := []imaging.EditImageRequestInput{
		{Name: new("new name")}, {Description: new("new text")}, {Tags: []string{"new"}}, {Icon: imaging.SetTo(new("new.png"))}, {Visibility: new(imaging.Public)},
	}
	_, errs := all(t.Context(), len(edits), func(ctx context.Context, i int) (*imaging.ImageRequest, error) {
		edits[i].ImageRequest = id
		return b.EditImageRequest(ctx, ann, edits[i])
	})
	same(t, map[imaging.Code]int{"": len(edits)}, codes(errs))
	r := b.read(t, ann, id)
	same(t, []any{"new name", "new text", []string{"new"}, new("new.png"), imaging.Public, 1 + len(edits)},
		[]any{r.Name, r.Description, r.Tags, r.Icon, r.Visibility, r.Revision})
}

// A label goes to one of those who want it at once; without one, each gets a number of its own.
func TestLabelRaces(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.request(t, ann, image()).ImageRequestID
	ask := func(label *string) ([]*imaging.Version, []error) {
		return all(t.Context(), 12, func(ctx context.Context, _ int) (*imaging.Version, error) {
			in := another(id)
			in.Version = label
			return b.RequestVersion(ctx, ann, in)
		})
	}
	_, errs := ask(new("final"))
	same(t, map[imaging.Code]int{"": 1, imaging.Conflict: 11}, codes(errs))
	numbered, errs := ask(nil)
	same(t, map[imaging.Code]int{"": 12}, codes(errs))
	labels := map[string]bool{}
	for _, v := range numbered {
		labels[v.Version] = true
	}
	same(t, 12, len(labels))
	for i, v := range b.read(t, ann, id).Versions {
		same(t, i+1, v.Ordinal)
	}
}

// Admins who save one provider at once follow each other: each sees what the one before left, new provider or not.
func TestProviderRaces(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, id := range []int{1, 50} {
		_, errs := all(t.Context(), 16, func(ctx context.Context, i int) (*imaging.Provider, error) {
			return b.SaveProvider(ctx, admin, imaging.SaveProviderInput{ID: id, Name: new(fmt.Sprintf("%d by %d", id, i))})
		})
		same(t, map[imaging.Code]int{"": 16}, codes(errs))
		last := `null`
		for _, e := range b.events(t, "changes->'id'->>'to' = '"+fmt.Sprint(id)+"'") {
			same(t, last, string(e.Changes["name"].From))
			last = string(e.Changes["name"].To)
		}
		same(t, last, one[string](t, b.sql, "SELECT to_json(name)::text FROM providers WHERE id = $1", id))
	}
}
