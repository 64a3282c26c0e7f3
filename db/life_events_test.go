package db_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// play is one random life: requests on two providers of its own, the second of which approves by itself.
type play struct {
	bench
	ctx       context.Context
	providers [2]int
	instances []uuid.UUID
	requests  []uuid.UUID
	versions  []uuid.UUID
	leases    map[uuid.UUID]uuid.UUID // the last one that each version was claimed with
	done      map[string]int          // how often each act succeeded
}

var players = []imaging.Actor{
	ann, bob, reviewer, worker, admin, nobody,
	{Username: "ann", Roles: []imaging.Role{imaging.Requester, imaging.Reviewer}},
	{Username: "confined", Roles: []imaging.Role{imaging.Reviewer, imaging.Worker}, Providers: []int{1}},
}

// farEnd is the only end that is ever planned.
var farEnd = time.Date(2030, 1, 2, 3, 4, 5, 678901000, time.UTC)

// errNothing says that there was nothing to do.
var errNothing = errors.New("nothing to do")

var playNumber atomic.Int64

func begin(t *rapid.T, b bench) *play {
	n := int(playNumber.Add(1)) * 10
	p := &play{bench: b, ctx: context.Background(), providers: [2]int{n, n + 1}, leases: map[uuid.UUID]uuid.UUID{}, done: map[string]int{}}
	for i, number := range p.providers {
		in := imaging.SaveProviderInput{ID: number, Name: new(fmt.Sprint("provider ", number)), AutoApprove: new(i == 1)}
		if _, err := b.SaveProvider(p.ctx, admin, in); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		p.instances = append(p.instances, uuid.New())
	}
	p.request(t, ann)
	return p
}

func drawn[T any](t *rapid.T, from []T) T {
	return from[rapid.IntRange(0, len(from)-1).Draw(t, "which")]
}

// actor is mostly one who may, else anybody.
func (p *play) actor(t *rapid.T, act string) imaging.Actor {
	if rapid.IntRange(0, 3).Draw(t, "anybody") == 0 {
		return drawn(t, players)
	}
	switch act {
	case "request":
		return ann
	case "decide":
		return reviewer
	case "claim", "work":
		return worker
	default:
		return admin
	}
}

func word(t *rapid.T) string { return drawn(t, []string{"", "yes", "it's \"odd\" \\ ü <&>", " "}) }

// request asks for an image, anew or as one more version.
func (p *play) request(t *rapid.T, a imaging.Actor) error {
	work := imaging.Work{Instance: drawn(t, p.instances), Provider: p.providers[rapid.IntRange(0, 1).Draw(t, "provider")], Exclude: "/root/.ssh\n*.pem"}
	var v *imaging.Version
	var err error
	if len(p.requests) > 0 && rapid.Bool().Draw(t, "another") {
		v, err = p.RequestVersion(p.ctx, a, imaging.RequestVersionInput{ImageRequest: drawn(t, p.requests), Work: work})
	} else {
		in := imaging.RequestImageInput{Name: "Ubuntu", Visibility: drawn(t, []imaging.Visibility{imaging.Public, imaging.Private}), Work: work}
		v, err = p.RequestImage(p.ctx, a, in)
	}
	if err == nil {
		p.versions = append(p.versions, v.ID)
		if !slices.Contains(p.requests, v.ImageRequestID) {
			p.requests = append(p.requests, v.ImageRequestID)
		}
	}
	return err
}

func (p *play) edit(t *rapid.T, a imaging.Actor) error {
	in := imaging.EditImageRequestInput{ImageRequest: drawn(t, p.requests), Name: new(drawn(t, []string{"Ubuntu", "Debian", ""}))}
	switch rapid.IntRange(0, 2).Draw(t, "sharing") {
	case 1:
		in.Visibility, in.SharedWith = new(imaging.Users), []string{"bob"}
	case 2:
		in.Visibility = new(imaging.Public)
		in.EndDate = imaging.SetTo(new(farEnd))
	}
	_, err := p.EditImageRequest(p.ctx, a, in)
	return err
}

func (p *play) transfer(t *rapid.T, a imaging.Actor) error {
	to := drawn(t, []string{"ann", "bob", "a b"})
	_, err := p.TransferImageRequest(p.ctx, a, imaging.TransferImageRequestInput{ImageRequest: drawn(t, p.requests), To: to})
	return err
}

func (p *play) editVersion(t *rapid.T, a imaging.Actor) error {
	in := imaging.EditVersionInput{Version: drawn(t, p.versions)}
	switch rapid.IntRange(0, 3).Draw(t, "what") {
	case 0:
		in.Software = new(word(t))
	case 1:
		in.ChangeLog = new(word(t))
	case 2:
		in.EndDate = imaging.SetTo(new(farEnd))
	default:
		in.EndDate = imaging.SetTo[*time.Time](nil)
	}
	_, err := p.EditVersion(p.ctx, a, in)
	return err
}

// decide approves, denies or asks, mostly on the current revision.
func (p *play) decide(t *rapid.T, a imaging.Actor) error {
	id, stale := drawn(t, p.versions), rapid.IntRange(0, 4).Draw(t, "stale")
	v, err := p.Version(p.ctx, admin, id)
	if err != nil {
		return err
	}
	revision := v.ImageRequest.Revision
	if stale == 0 {
		revision--
	}
	action := drawn(t, []imaging.Action{imaging.Approve, imaging.Deny, imaging.Question})
	_, err = p.Step(p.ctx, a, id, on(revision, action, word(t)))
	return err
}

func (p *play) remark(t *rapid.T, a imaging.Actor) error {
	action := drawn(t, []imaging.Action{imaging.Answer, imaging.Cancel, imaging.Resubmit, imaging.Retry})
	return p.step(t, a, drawn(t, p.versions), said(action, word(t)))
}

// step takes a step; errNothing if it was done before, whether by a worker's last word or an owner's wish to stop.
func (p *play) step(t *rapid.T, a imaging.Actor, id uuid.UUID, s imaging.Step) error {
	before, err := p.Version(p.ctx, admin, id)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Step(p.ctx, a, id, s)
	if err == nil && (before.Repeats(&s, a) || s.Action == imaging.Cancel && s.Message == "" && before.CancelRequested) {
		return errNothing
	}
	return err
}

func (p *play) claimNext(t *rapid.T, a imaging.Actor) error {
	out, err := p.ClaimVersion(p.ctx, a, imaging.ClaimVersionInput{Provider: p.providers[rapid.IntRange(0, 1).Draw(t, "provider")], LeaseSeconds: 60})
	if err == nil && out.Version == nil {
		return errNothing
	}
	if err == nil {
		p.leases[out.Version.ID] = out.Lease.Token
	}
	return err
}

func (p *play) work(t *rapid.T, a imaging.Actor) error {
	id := drawn(t, p.versions)
	s := imaging.Step{
		Action: drawn(t, []imaging.Action{imaging.Report, imaging.Report, imaging.Complete, imaging.Fail, imaging.Release}), Lease: p.leases[id],
		Stage: word(t), Percent: new(rapid.IntRange(0, 101).Draw(t, "percent")), Alias: "ami " + id.String(), Code: "CODE", Message: "could not", Detail: word(t),
		Excluded: drawn(t, [][]string{nil, {}, {"/root/.ssh"}}),
	}
	return p.step(t, a, id, s)
}

// expire lets the lease of one version run out.
func (p *play) expire(t *rapid.T, _ imaging.Actor) error {
	id := drawn(t, p.versions)
	res, err := p.sql.ExecContext(p.ctx, "UPDATE versions SET lease_expires_at = now() - interval '1 s' WHERE status = 'IMAGING' AND id = $1", id.String())
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return cmp.Or(err, errNothing)
	}
	_, err = p.ExpireLeases(p.ctx) // those of earlier plays, too, which are long over on a slow machine
	return err
}

// The state can be told from the events alone: whatever happens to requests, by whoever, each success has written its
// event and each refusal none, they are numbered without a gap, and played one after the other they give what is stored.
func TestLifeFromEvents(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	done := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		p := begin(t, b)
		acts := map[string]func(*rapid.T, imaging.Actor) error{
			"request": p.request, "edit": p.edit, "transfer": p.transfer, "editVersion": p.editVersion, "decide": p.decide, "decide more": p.decide,
			"remark": p.remark, "claim": p.claimNext, "claim more": p.claimNext, "work": p.work, "work more": p.work, "expire": p.expire,
		}
		names := rapid.SliceOfN(rapid.SampledFrom(slices.Sorted(maps.Keys(acts))), 15, 60).Draw(t, "acts")
		for _, name := range names {
			before := p.events(t)
			name, _, _ = strings.Cut(name, " ")
			err := acts[name](t, p.actor(t, name))
			written := p.events(t) - before
			switch {
			case err != nil && written != 0:
				t.Fatalf("%s was refused (%v) and wrote %d events", name, err, written)
			case err == nil && written > 2, err == nil && written == 2 && name != "request":
				t.Fatalf("%s wrote %d events", name, written)
			case err == nil && written == 0 && !strings.HasPrefix(name, "edit") && name != "transfer": // those may change nothing
				t.Fatalf("%s wrote no event", name)
			case err == nil:
				done[name]++
			default:
				if code := imaging.CodeOf(err); !errors.Is(err, errNothing) && (code == imaging.Internal || code == imaging.Unavailable) {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
		p.check(t)
	})
	for _, name := range []string{"request", "edit", "transfer", "editVersion", "decide", "remark", "claim", "work", "expire"} {
		if done[name] == 0 {
			t.Errorf("%s never succeeded: the play shows nothing of it", name)
		}
	}
	t.Log(done)
}

// events counts the events of the play's requests.
func (p *play) events(t *rapid.T) (n int) {
	const count = "SELECT count(*) FROM events e JOIN image_requests r ON r.id = e.image_request_id WHERE EXISTS (SELECT FROM versions v WHERE v.image_request_id = r.id AND v.provider_id IN ($1, $2))"
	if err := p.sql.QueryRowContext(p.ctx, count, p.providers[0], p.providers[1]).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// check compares each request of the play, as it is stored, with what its events tell, and looks for what cannot be.
func (p *play) check(t *rapid.T) {
	for _, id := range p.requests {
		if err := dbtest.History(p.ctx, p.Store, p.sql, id); err != nil {
			t.Fatal(err)
		}
		r, err := p.ImageRequest(p.ctx, admin, id)
		if err != nil {
			t.Fatal(err)
		}
		newest := r.Newest()
		if r.Status != newest.Status || r.Instance != newest.Instance || r.ProviderID != newest.ProviderID {
			t.Fatalf("the request tells %s %s %d of its newest version, which is %s %s %d", r.Status, r.Instance, r.ProviderID, newest.Status, newest.Instance, newest.ProviderID)
		}
		for _, v := range r.Versions {
			if ends := slices.Contains([]imaging.Status{imaging.Denied, imaging.Cancelled, imaging.Failed}, v.Status); v.Status != imaging.Completed && ends != (v.EndDate != nil) {
				t.Fatalf("%s ends %v", v.Status, v.EndDate)
			}
			if v.Status == imaging.Failed && v.FailureCode == nil || v.FailureCode != nil && v.Status != imaging.Failed && v.Status != imaging.Cancelled || (v.LeaseToken != nil) != (v.Status == imaging.Imaging) || v.CancelRequested && v.Status != imaging.Imaging {
				t.Fatalf("a version that is %s: %+v", v.Status, v)
			}
		}
	}
}
