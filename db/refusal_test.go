package db_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// invalid makes the refusals of these fields.
func invalid(fields ...string) (all []refusal) {
	for _, f := range fields {
		all = append(all, refusal{imaging.Invalid, f})
	}
	return all
}

var long = strings.Repeat("日", 20_000) // longer than any text may be

// What a create refuses it tells at once, the provider's trouble with the rest, and stores nothing of it.
func TestRequestImageRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for what, c := range map[string]struct {
		change func(*imaging.RequestImageInput)
		want   []refusal
	}{
		"blank name":         {func(in *imaging.RequestImageInput) { in.Name = " \n" }, invalid("name")},
		"long name":          {func(in *imaging.RequestImageInput) { in.Name = long }, invalid("name")},
		"NUL":                {func(in *imaging.RequestImageInput) { in.Software = "\x00" }, invalid("software")},
		"bad UTF-8":          {func(in *imaging.RequestImageInput) { in.Description = "\xff" }, invalid("description")},
		"bad tag":            {func(in *imaging.RequestImageInput) { in.Tags = []string{"a", "\x00", ""} }, invalid("tags.1", "tags.2")},
		"many tags":          {func(in *imaging.RequestImageInput) { in.Tags = make([]string, 65) }, invalid("tags")},
		"featured":           {func(in *imaging.RequestImageInput) { in.Tags = []string{"featured"} }, invalid("tags.0")},
		"no instance":        {func(in *imaging.RequestImageInput) { in.Instance = uuid.Nil }, invalid("instance")},
		"unknown provider":   {func(in *imaging.RequestImageInput) { in.Provider = 99 }, invalid("provider")},
		"inactive provider":  {func(in *imaging.RequestImageInput) { in.Provider = 3 }, invalid("provider")},
		"provider 0":         {func(in *imaging.RequestImageInput) { in.Provider = 0 }, invalid("provider")},
		"huge provider":      {func(in *imaging.RequestImageInput) { in.Provider = 1 << 40 }, invalid("provider")},
		"no visibility":      {func(in *imaging.RequestImageInput) { in.Visibility = "" }, invalid("visibility")},
		"shared with none":   {func(in *imaging.RequestImageInput) { in.Visibility = imaging.Users }, invalid("sharedWith")},
		"private and shared": {func(in *imaging.RequestImageInput) { in.SharedWith = []string{"bob"} }, invalid("sharedWith")},
		"bad user": {func(in *imaging.RequestImageInput) {
			in.Visibility, in.SharedWith = imaging.Users, []string{"bob", "a b"}
		}, invalid("sharedWith.1")},
		"blank key":        {func(in *imaging.RequestImageInput) { in.IdempotencyKey = new("") }, invalid("idempotencyKey")},
		"long key":         {func(in *imaging.RequestImageInput) { in.IdempotencyKey = new(strings.Repeat("k", 256)) }, invalid("idempotencyKey")},
		"key with NUL":     {func(in *imaging.RequestImageInput) { in.IdempotencyKey = new("\x00") }, invalid("idempotencyKey")},
		"key with control": {func(in *imaging.RequestImageInput) { in.IdempotencyKey = new("a\nb") }, invalid("idempotencyKey")},
		"all of it": {func(in *imaging.RequestImageInput) {
			*in = imaging.RequestImageInput{
				Work:        imaging.Work{Provider: 3, Software: long, Sys: long, Exclude: long, IPAddress: &long, ChangeLog: long},
				Description: long, Tags: []string{long}, Visibility: "SECRET", IdempotencyKey: &long,
			}
		}, invalid("name", "instance", "software", "sys", "exclude", "ipAddress", "changeLog", "description", "tags.0", "visibility", "idempotencyKey", "provider")},
	} {
		t.Run(what, func(t *testing.T) {
			b.unchanged(t, func() {
				in := image()
				in.IdempotencyKey = new("key")
				c.change(&in)
				_, err := b.RequestImage(t.Context(), ann, in)
				refused(t, err, c.want...)
			})
		})
	}
}

// The same for one more version. A label that is there already is INVALID, and its owner is told so.
func TestRequestVersionRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.request(t, ann, image()).ImageRequestID
	for what, c := range map[string]struct {
		change func(*imaging.RequestVersionInput)
		want   []refusal
	}{
		"taken label":   {func(in *imaging.RequestVersionInput) { in.Version = new(" 1 ") }, []refusal{{imaging.Conflict, "version"}}},
		"blank label":   {func(in *imaging.RequestVersionInput) { in.Version = new(" ") }, invalid("version")},
		"long label":    {func(in *imaging.RequestVersionInput) { in.Version = new(strings.Repeat("1", 65)) }, invalid("version")},
		"several":       {func(in *imaging.RequestVersionInput) { in.Version, in.Instance, in.Provider = &long, uuid.Nil, 99 }, invalid("instance", "version", "provider")},
		"absent":        {func(in *imaging.RequestVersionInput) { in.ImageRequest = uuid.New() }, []refusal{{imaging.NotFound, ""}}},
		"same instance": {func(in *imaging.RequestVersionInput) { in.Instance = b.read(t, ann, id).Instance }, []refusal{{imaging.Conflict, "instance"}}},
	} {
		t.Run(what, func(t *testing.T) {
			b.unchanged(t, func() {
				in := another(id)
				in.IdempotencyKey = new("key")
				c.change(&in)
				_, err := b.RequestVersion(t.Context(), ann, in)
				refused(t, err, c.want...)
			})
		})
	}
}

// The same for an edit, which also names the revision it was made on.
func TestEditRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.request(t, ann, image()).ImageRequestID
	late := time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -12*3600))
	early := time.Time{}.Add(-time.Microsecond)
	for what, c := range map[string]struct {
		in   imaging.EditImageRequestInput
		want []refusal
	}{
		"blank name":         {imaging.EditImageRequestInput{Name: new("")}, invalid("name")},
		"blank icon":         {imaging.EditImageRequestInput{Icon: imaging.SetTo(new(" "))}, invalid("icon")},
		"description":        {imaging.EditImageRequestInput{Description: &long}, invalid("description")},
		"tags":               {imaging.EditImageRequestInput{Tags: []string{"Featured", ""}}, invalid("tags.0", "tags.1")},
		"visibility":         {imaging.EditImageRequestInput{Visibility: new(imaging.Visibility("x"))}, invalid("visibility")},
		"users without any":  {imaging.EditImageRequestInput{Visibility: new(imaging.Users)}, invalid("sharedWith")},
		"private and shared": {imaging.EditImageRequestInput{SharedWith: []string{"bob"}}, invalid("sharedWith")},
		"year 10000":         {imaging.EditImageRequestInput{EndDate: imaging.SetTo(&late)}, invalid("endDate")},
		"year 0":             {imaging.EditImageRequestInput{EndDate: imaging.SetTo(&early)}, invalid("endDate")},
		"several":            {imaging.EditImageRequestInput{Name: &long, Icon: imaging.SetTo(&long), Description: &long}, invalid("name", "icon", "description")},
		"old revision":       {imaging.EditImageRequestInput{Revision: new(0), Name: new("")}, []refusal{{imaging.Conflict, "revision"}}},
		"future revision":    {imaging.EditImageRequestInput{Revision: new(2)}, []refusal{{imaging.Conflict, "revision"}}},
	} {
		t.Run(what, func(t *testing.T) {
			b.unchanged(t, func() {
				c.in.ImageRequest = id
				_, err := b.EditImageRequest(t.Context(), ann, c.in)
				refused(t, err, c.want...)
			})
		})
	}
}

// The same for a provider.
func TestSaveProviderRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for what, c := range map[string]struct {
		in   imaging.SaveProviderInput
		want []refusal
	}{
		"id 0":           {imaging.SaveProviderInput{Name: new("x")}, invalid("id")},
		"huge id":        {imaging.SaveProviderInput{ID: 1 << 31, Name: new("x")}, invalid("id")},
		"no name":        {imaging.SaveProviderInput{ID: 9}, invalid("name")},
		"blank name":     {imaging.SaveProviderInput{ID: 1, Name: new(" ")}, invalid("name")},
		"NUL":            {imaging.SaveProviderInput{ID: 1, Name: new("\x00")}, invalid("name")},
		"several":        {imaging.SaveProviderInput{ID: -1, Name: &long}, invalid("id", "name")},
		"another's name": {imaging.SaveProviderInput{ID: 1, Name: new("two")}, []refusal{{imaging.Conflict, "name"}}},
		"new, same name": {imaging.SaveProviderInput{ID: 9, Name: new("two")}, []refusal{{imaging.Conflict, "name"}}},
	} {
		t.Run(what, func(t *testing.T) {
			b.unchanged(t, func() {
				_, err := b.SaveProvider(t.Context(), admin, c.in)
				refused(t, err, c.want...)
			})
		})
	}
}

// Who may not write is told so before anything else, and nothing is stored.
func TestWhoMayWrite(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	public := image()
	public.Visibility = imaging.Public
	id := b.request(t, ann, public).ImageRequestID
	ctx := t.Context()
	token := imaging.Token{Username: "eve", Roles: []imaging.Role{imaging.Admin}}
	b.unchanged(t, func() {
		for _, a := range []imaging.Actor{nobody, bob, reviewer, worker} {
			want := refusal{imaging.Forbidden, ""}
			if !a.SignedIn() {
				want.Code = imaging.Unauthenticated
				_, err := b.RequestImage(ctx, a, imaging.RequestImageInput{})
				refused(t, err, want)
			}
			_, err := b.RequestVersion(ctx, a, another(id))
			refused(t, err, want)
			_, err = b.EditImageRequest(ctx, a, imaging.EditImageRequestInput{ImageRequest: id, Name: new("")})
			refused(t, err, want)
			_, err = b.SaveProvider(ctx, a, imaging.SaveProviderInput{})
			refused(t, err, want)
			_, _, err = b.CreateToken(ctx, a, token)
			refused(t, err, want)
			_, err = b.RevokeToken(ctx, a, uuid.New())
			refused(t, err, want)
			_, err = b.Tokens(ctx, a)
			refused(t, err, want)
		}
	})
}
