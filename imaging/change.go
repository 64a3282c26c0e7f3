package imaging

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Request makes a new image request with its first version, as the actor asked at that time. The input has no problems
// left, and ids are the server's. An auto-approving provider's version starts APPROVED.
func Request(in *RequestImageInput, ids [2]uuid.UUID, a Actor, provider *Provider, now time.Time) (*ImageRequest, []*Event, error) {
	r := &ImageRequest{
		ID: ids[0], Name: strings.TrimSpace(in.Name), Description: in.Description, Tags: distinct(in.Tags), CreatedBy: a.Username,
		Visibility: in.Visibility, SharedWith: distinct(in.SharedWith), StartDate: now,
	}
	events, err := r.add(in.version(ids[1], "1", a, provider, now), Requested, nil, a, now)
	return r, events, err
}

// Another adds a version to a request that is there. FORBIDDEN unless the actor may edit it, CONFLICT if it has ended or the
// label is taken.
func Another(r *ImageRequest, in *RequestVersionInput, id uuid.UUID, a Actor, provider *Provider, now time.Time) ([]*Event, error) {
	if !a.MayEdit(r) {
		return nil, ErrForbidden()
	}
	if r.EndDate != nil && !r.EndDate.After(now) {
		return nil, conflict(r.Newest(), "imageRequest", "The image request has ended; take back its end first, with editImageRequest.")
	}
	label, err := r.label(in.Version)
	if err != nil {
		return nil, err
	}
	before := *r
	return r.add(in.version(id, label, a, provider, now), VersionRequested, &before, a, now)
}

// Edit changes the request as the actor asked; no event if nothing changed. FORBIDDEN unless the actor may edit it, CONFLICT
// if it has changed since the revision named, INVALID by field.
func Edit(r *ImageRequest, in *EditImageRequestInput, a Actor, now time.Time) ([]*Event, error) {
	if !a.MayEdit(r) {
		return nil, ErrForbidden()
	}
	if in.Revision != nil && *in.Revision != r.Revision {
		return nil, staleRevision(*in.Revision, r, r.Newest())
	}
	visibility, users := in.sharing(r)
	if err := in.problems(a, r, visibility, users).Err(); err != nil {
		return nil, err
	}
	before := *r
	if in.Name != nil {
		r.Name = strings.TrimSpace(*in.Name)
	}
	set(&r.Description, in.Description)
	if in.Icon.Named {
		r.Icon = in.Icon.To
	}
	if in.Tags != nil {
		r.Tags = distinct(in.Tags)
	}
	r.Visibility, r.SharedWith = visibility, distinct(users)
	if in.EndDate.Named {
		r.EndDate = moment(in.EndDate.To)
	}
	event, err := r.record(Edited, &before, a, now)
	if err != nil || len(event.Changes) == 0 {
		return nil, err
	}
	r.sign(event)
	return []*Event{event}, nil
}

// TransferImageRequestInput is an image request and its owner to be.
type TransferImageRequestInput struct {
	ImageRequest uuid.UUID
	To           string
	Revision     *int
}

// Transfer gives the request to another user; no event if it is theirs already. FORBIDDEN unless the actor may edit it,
// CONFLICT if it has changed since the revision named, INVALID by field.
func Transfer(r *ImageRequest, in *TransferImageRequestInput, a Actor, now time.Time) ([]*Event, error) {
	var problems Problems
	problems.username("to", in.To)
	switch {
	case !a.MayEdit(r):
		return nil, ErrForbidden()
	case len(problems) > 0:
		return nil, problems
	case in.Revision != nil && *in.Revision != r.Revision:
		return nil, staleRevision(*in.Revision, r, r.Newest())
	case in.To == r.CreatedBy:
		return nil, nil
	}
	before := *r
	r.CreatedBy = in.To
	event, err := r.record(Transferred, &before, a, now)
	if err != nil {
		return nil, err
	}
	r.sign(event)
	return []*Event{event}, nil
}

// EditVersionInput is what to change in a version; nil and unnamed fields stay.
type EditVersionInput struct {
	Version   uuid.UUID
	Revision  *int
	ChangeLog *string
	Software  *string
	Sys       *string
	Exclude   *string
	EndDate   Set[*time.Time]
}

// EditVersion changes what a version is to be made of while it waits for a decision, and when it ends once it is
// COMPLETED; no event if nothing changed. FORBIDDEN unless the actor may edit its request; CONFLICT if it stands
// elsewhere or the request has changed since the revision named; INVALID by field.
func EditVersion(r *ImageRequest, v *Version, in *EditVersionInput, a Actor, now time.Time) ([]*Event, error) {
	if !a.MayEdit(r) {
		return nil, ErrForbidden()
	}
	if err := in.problems(v).Err(); err != nil {
		return nil, err
	}
	if in.EndDate.Named && v.Status != Completed && !sameMoment(in.EndDate.To, v.EndDate) {
		return nil, conflict(v, "endDate", "The version is %s; its end can be set once it is COMPLETED.", v.Status)
	}
	after := *v
	in.apply(&after)
	changes, err := Diff(v, &after)
	if err != nil {
		return nil, err
	}
	m, step := life[VersionEdited], &Step{Action: VersionEdited, Revision: in.Revision, edit: in.apply, remakes: in.remakes()}
	if !in.remakes() && !slices.Contains(m.from, v.Status) { // what is only said of an image may change at any time
		m.from, m.to = Statuses, ""
	}
	if len(changes) == 0 {
		return nil, m.refusal(r, v, step, a)
	}
	return m.apply(VersionEdited, r, v, step, a, now)
}

// remakes tells whether the edit changes what the image is made of, not only what is said of it.
func (in *EditVersionInput) remakes() bool {
	return in.Software != nil || in.Sys != nil || in.Exclude != nil
}

func (in *EditVersionInput) problems(v *Version) (p Problems) {
	p.work(&Work{Instance: v.Instance, Software: or(in.Software, ""), Sys: or(in.Sys, ""), Exclude: or(in.Exclude, ""), ChangeLog: or(in.ChangeLog, "")})
	p.end(in.EndDate.To, v.StartDate)
	return p
}

func (in *EditVersionInput) apply(v *Version) {
	set(&v.ChangeLog, in.ChangeLog)
	set(&v.Software, in.Software)
	v.Sys, v.Exclude = first(in.Sys, v.Sys), first(in.Exclude, v.Exclude)
	if in.EndDate.Named && v.Status == Completed {
		v.EndDate = moment(in.EndDate.To)
	}
}

func sameMoment(a, b *time.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && moment(a).Equal(*b)
}

// sharing is the visibility after the edit, and the users it names.
func (in *EditImageRequestInput) sharing(r *ImageRequest) (Visibility, []string) {
	visibility, users := r.Visibility, r.SharedWith
	set(&visibility, in.Visibility)
	if in.SharedWith != nil {
		return visibility, in.SharedWith
	}
	if visibility != Users {
		users = nil
	}
	return visibility, users
}

// staleRevision refuses a change of v, or of the request itself, of which its newest version tells where it stands.
func staleRevision(named int, r *ImageRequest, v *Version) *Error {
	e := Errorf(Conflict, "The request has changed: you named revision %d, it is at %d. Read it again.", named, r.Revision)
	e.Field, e.Status = "revision", v.Status
	return e
}

// version makes a version of the work, not yet part of a request.
func (w *Work) version(id uuid.UUID, label string, a Actor, provider *Provider, now time.Time) *Version {
	return &Version{
		ID: id, Alias: id.String(), Version: label, ChangeLog: w.ChangeLog, Instance: w.Instance, IPAddress: w.IPAddress,
		ProviderID: provider.ID, Provider: provider, Software: w.Software, Sys: &w.Sys, Exclude: &w.Exclude,
		RequestedBy: a.Username, Authors: []string{a.Username}, StartDate: now, Status: Pending,
	}
}

// label is the one asked for, or the next free number. CONFLICT if it is taken.
func (r *ImageRequest) label(asked *string) (string, error) {
	taken := map[string]bool{}
	for _, v := range r.Versions {
		taken[v.Version] = true
	}
	if asked == nil {
		n := len(r.Versions) + 1
		for taken[strconv.Itoa(n)] {
			n++
		}
		return strconv.Itoa(n), nil
	}
	label := strings.TrimSpace(*asked)
	if taken[label] {
		e := Errorf(Conflict, "This image request already has a version %q.", label)
		e.Field, e.Status = "version", r.Status
		return "", e
	}
	return label, nil
}

// add appends a version and, where its provider approves by itself, approves it.
func (r *ImageRequest) add(v *Version, action Action, before *ImageRequest, a Actor, now time.Time) ([]*Event, error) {
	v.ImageRequestID, v.ImageRequest, v.Ordinal = r.ID, r, len(r.Versions)+1
	r.Versions = append(r.Versions, v)
	asked, err := r.record(action, before, a, now)
	if err != nil {
		return nil, err
	}
	if err := asked.concern(nil, v); err != nil {
		return nil, err
	}
	r.sign(asked)
	if !v.Provider.AutoApprove {
		return []*Event{asked}, nil
	}
	approved, err := Apply(r, v, &Step{Action: AutoApproved}, Service(), now)
	return append([]*Event{asked}, approved...), err
}

// record notes what the actor changed in the request itself.
func (r *ImageRequest) record(action Action, before *ImageRequest, a Actor, now time.Time) (*Event, error) {
	changes, err := Diff(before, r)
	return &Event{ImageRequestID: new(r.ID), At: now, Actor: a.Username, Action: action, Changes: changes}, err
}

// concern notes that the event changed a version; old is nil for a new one.
func (e *Event) concern(old, v *Version) error {
	changes, err := Diff(old, v)
	if err != nil {
		return err
	}
	e.Changes.merge(changes)
	e.VersionID, e.To = new(v.ID), new(v.Status) // copies: an event never changes
	if old != nil {
		e.From = new(old.Status)
	}
	return nil
}

// sign numbers the event and settles the request.
func (r *ImageRequest) sign(e *Event) {
	if e.Action == Report {
		r.Reports++
	} else {
		r.Revision++
	}
	seq := r.Revision + r.Reports
	e.Seq = &seq
	for _, field := range []string{"visibility", "sharedWith", "createdBy"} {
		if _, ok := e.Changes[field]; ok {
			r.SharedSince = seq
		}
	}
	r.Settle()
}

// moment is t as it can be stored: in UTC, to the microsecond.
func moment(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC().Truncate(time.Microsecond)
	return &u
}

// Found is the event with which a request that came from elsewhere, with one version, begins its history here.
func Found(r *ImageRequest) (*Event, error) {
	event, err := r.record(Requested, nil, Actor{Username: r.CreatedBy}, r.StartDate)
	if err != nil {
		return nil, err
	}
	r.sign(event)
	return event, event.concern(nil, r.Newest())
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}
