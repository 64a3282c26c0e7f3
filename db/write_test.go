package db_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// odd is a text with everything that is changed on its way where something is quoted badly.
const odd = "it's \"q\" \\ ? ?0 $1 % _ {a,b} \\n \\u0000 \\\\u0000 </b> \u2028 日本 \U0001F600 \x01 line\nline\ttab"

// oddImage is an input whose every text is odd.
func oddImage() imaging.RequestImageInput {
	in := image()
	in.Name, in.Description, in.Tags = odd, odd, []string{odd, "NULL", "", `\`, `"`, ","}
	in.Tags = append(in.Tags[:2], in.Tags[3:]...) // a blank one is refused
	in.Visibility, in.SharedWith = imaging.Users, []string{`d"a,v\e`, "NULL", "{x}", "ü?"}
	in.Software, in.Sys, in.Exclude, in.ChangeLog, in.IPAddress = odd, odd, odd, odd, new(odd)
	in.IdempotencyKey = new(`k"e'y\ ?`)
	return in
}

// read is the request as it is stored, for its owner.
func (b bench) read(t testing.TB, a imaging.Actor, id uuid.UUID) *imaging.ImageRequest {
	t.Helper()
	r, err := b.ImageRequest(t.Context(), a, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What is answered to a create is what is read afterwards, to the last character and microsecond.
func TestRequestImage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	plain, auto := image(), image()
	plain.Tags, plain.IPAddress, plain.Name = nil, nil, "  Ubuntu \n"
	auto.Provider = 2
	for what, in := range map[string]imaging.RequestImageInput{"plain": plain, "odd": oddImage(), "approved by itself": auto} {
		t.Run(what, func(t *testing.T) {
			began := time.Now().Add(-time.Microsecond)
			v := b.request(t, ann, in)
			r := b.read(t, ann, v.ImageRequestID)
			same(t, r, v.ImageRequest)
			same(t, r.Versions[0], v)
			same(t, strings.TrimSpace(in.Name), r.Name)
			same(t, append([]string{}, in.Tags...), r.Tags)
			same(t, append([]string{}, in.SharedWith...), r.SharedWith)
			same(t, []string{in.Description, in.Software, in.Sys, in.Exclude, in.ChangeLog}, []string{r.Description, v.Software, *v.Sys, *v.Exclude, v.ChangeLog})
			same(t, []string{"ann", "1", v.ID.String()}, []string{r.CreatedBy, v.Version, v.Alias})
			want := imaging.Pending
			if in.Provider == 2 {
				want = imaging.Approved
			}
			same(t, []imaging.Status{want, want}, []imaging.Status{v.Status, r.Status})
			if v.StartDate.Before(began) || v.StartDate.After(time.Now()) || r.ID.Version() != 7 || v.ID.Version() != 7 {
				t.Errorf("made at %v under %v, %v", v.StartDate, r.ID, v.ID)
			}
		})
	}
}

// One more version is numbered by itself or carries its label, and moves the request's newest values along.
func TestRequestVersion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.request(t, ann, image()).ImageRequestID
	for i, c := range []struct {
		actor       imaging.Actor
		label       *string
		want        string
		provider    int
		wantsStatus imaging.Status
	}{
		{ann, nil, "2", 1, imaging.Pending},
		{admin, new("  4 "), "4", 2, imaging.Approved},
		{ann, nil, "5", 1, imaging.Pending}, // the number 4 is taken
		{ann, new(odd[:40]), strings.TrimSpace(odd[:40]), 1, imaging.Pending},
	} {
		in := another(id)
		in.Version, in.Provider = c.label, c.provider
		v, err := b.RequestVersion(t.Context(), c.actor, in)
		if err != nil {
			t.Fatal(err)
		}
		r := b.read(t, ann, id)
		same(t, r, v.ImageRequest)
		same(t, r.Newest(), v)
		same(t, c.want, v.Version)
		same(t, i+2, v.Ordinal)
		same(t, "ann", r.CreatedBy)
		same(t, []any{c.wantsStatus, in.Instance, c.provider}, []any{r.Status, r.Instance, r.ProviderID})
	}
}

// An edit changes what it names and nothing else; what is answered is what is read.
func TestEditImageRequest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.request(t, ann, oddImage()).ImageRequestID
	later := time.Date(2999, 1, 2, 3, 4, 5, 123456789, time.FixedZone("", 7200))
	stored := later.UTC().Truncate(time.Microsecond)
	for what, c := range map[string]struct {
		in   imaging.EditImageRequestInput
		want func(*imaging.ImageRequest)
	}{
		"name":        {imaging.EditImageRequestInput{Name: new(" New ")}, func(r *imaging.ImageRequest) { r.Name = "New" }},
		"odd name":    {imaging.EditImageRequestInput{Name: new(odd + "!")}, func(r *imaging.ImageRequest) { r.Name = odd + "!" }},
		"icon":        {imaging.EditImageRequestInput{Icon: imaging.SetTo(new("x.png"))}, func(r *imaging.ImageRequest) { r.Icon = new("x.png") }},
		"description": {imaging.EditImageRequestInput{Description: new("")}, func(r *imaging.ImageRequest) { r.Description = "" }},
		"tags":        {imaging.EditImageRequestInput{Tags: []string{"x", " x ", odd}}, func(r *imaging.ImageRequest) { r.Tags = []string{"x", odd} }},
		"no tags":     {imaging.EditImageRequestInput{Tags: []string{}}, func(r *imaging.ImageRequest) { r.Tags = []string{} }},
		"public":      {imaging.EditImageRequestInput{Visibility: new(imaging.Public)}, func(r *imaging.ImageRequest) { r.Visibility, r.SharedWith = imaging.Public, []string{} }},
		"shared":      {imaging.EditImageRequestInput{SharedWith: []string{"eve"}, Visibility: new(imaging.Users)}, func(r *imaging.ImageRequest) { r.Visibility, r.SharedWith = imaging.Users, []string{"eve"} }},
		"end":         {imaging.EditImageRequestInput{EndDate: imaging.SetTo(&later)}, func(r *imaging.ImageRequest) { r.EndDate = &stored }},
		"no end":      {imaging.EditImageRequestInput{EndDate: imaging.SetTo[*time.Time](nil)}, func(r *imaging.ImageRequest) { r.EndDate = nil }},
		"no icon":     {imaging.EditImageRequestInput{Icon: imaging.SetTo[*string](nil)}, func(r *imaging.ImageRequest) { r.Icon = nil }},
	} {
		t.Run(what, func(t *testing.T) {
			want := b.read(t, ann, id)
			c.in.ImageRequest, c.in.Revision = id, &want.Revision
			got, err := b.EditImageRequest(t.Context(), ann, c.in)
			if err != nil {
				t.Fatal(err)
			}
			read := b.read(t, ann, id)
			same(t, read, got)
			c.want(want)
			want.Settle()
			want.Revision = read.Revision
			if c.in.Visibility != nil { // it is shared otherwise from here on
				want.SharedSince = read.Revision + read.Reports
			}
			same(t, want, read)
			b.unchanged(t, func() { // the same once more, with another revision or none, changes nothing
				c.in.Revision = nil
				again, err := b.EditImageRequest(t.Context(), ann, c.in)
				if err != nil {
					t.Fatal(err)
				}
				same(t, read, again)
			})
		})
	}
}

// A provider is added with its defaults and changed field by field.
func TestSaveProvider(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, c := range []struct {
		in   imaging.SaveProviderInput
		want imaging.Provider
	}{
		{imaging.SaveProviderInput{ID: 9, Name: new(odd)}, imaging.Provider{ID: 9, Name: odd, Active: true}},
		{imaging.SaveProviderInput{ID: 9, Active: new(false), AutoApprove: new(true)}, imaging.Provider{ID: 9, Name: odd, AutoApprove: true}},
		{imaging.SaveProviderInput{ID: 9, Name: new("nine")}, imaging.Provider{ID: 9, Name: "nine", AutoApprove: true}},
		{imaging.SaveProviderInput{ID: 1<<31 - 1, Name: new("last")}, imaging.Provider{ID: 1<<31 - 1, Name: "last", Active: true}},
	} {
		got, err := b.SaveProvider(t.Context(), admin, c.in)
		if err != nil {
			t.Fatal(err)
		}
		same(t, &c.want, got)
		all, err := b.Providers(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		same(t, 1, len(filtered(all, func(p *imaging.Provider) bool { return *p == c.want })))
	}
	b.unchanged(t, func() {
		if _, err := b.SaveProvider(t.Context(), admin, imaging.SaveProviderInput{ID: 9, Name: new("nine")}); err != nil {
			t.Error(err)
		}
	})
}
