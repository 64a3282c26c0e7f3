package db_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// epoch is where the times of random worlds lie around.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

// Few values, so that ties and hits are frequent, and odd ones, so that none is changed on its way.
var (
	someNames = []string{"alpha", "Alpha", "alpha beta", "ä", "line\nbreak", `it's "q" \ ? $1 %`, "日本", "ΣΟΦΟΣ Σοφος", "İzmir ılık", "50% of_a\\b", "µm ſtraße", "C++ (R 4.3.11) a-b-c", "日本語のログとメモ🙂", "서울대학교 이미지", "ที่ปรึกษา हिन्दी"}
	someTags  = []string{"a", "A", "it's", `"quoted"`, `back\slash`, "{x,y}", "NULL", "two words", "ü?", "%_"}
	someUsers = []string{"ann", "Ann", "an", "bob", "carl", `d"a,v\e`, "worker", "reviewer"}
)

// world is a database full of random requests, and the same as a plain model.
type world struct {
	*db.Store
	sql       *sql.DB
	rnd       *rand.Rand
	providers []*imaging.Provider
	requests  []*imaging.ImageRequest // whole, never redacted
	instances []uuid.UUID             // shared by versions that are not open
}

func newWorld(t testing.TB, seed uint64, size int) *world {
	t.Helper()
	cfg := dbtest.Config(t)
	w := &world{Store: dbtest.Open(t, cfg), sql: dbtest.SQL(t, cfg), rnd: rand.New(rand.NewPCG(seed, 0))}
	for id := 1; id <= 4; id++ {
		p := &imaging.Provider{ID: id, Name: fmt.Sprintf("provider %d", id), Active: id < 4, AutoApprove: id == 2}
		execute(t, w.sql, "INSERT INTO providers VALUES ($1, $2, $3, $4)", p.ID, p.Name, p.Active, p.AutoApprove)
		w.providers = append(w.providers, p)
		w.instances = append(w.instances, w.id())
	}
	for range size {
		w.requests = append(w.requests, w.request())
	}
	if err := w.Put(t.Context(), w.requests...); err != nil {
		t.Fatal(err)
	}
	execute(t, w.sql, "ANALYZE")
	return w
}

func (w *world) id() (id uuid.UUID) {
	for i := range id {
		id[i] = byte(w.rnd.Uint32())
	}
	return id
}

func pick[T any](w *world, from []T) T { return from[w.rnd.IntN(len(from))] }

// some picks up to so many of them, each at most once; never nil.
func some[T any](w *world, from []T, most int) []T {
	out := []T{}
	for _, i := range w.rnd.Perm(len(from))[:w.rnd.IntN(min(most, len(from))+1)] {
		out = append(out, from[i])
	}
	return out
}

// maybe is a pointer to v, or nil.
func maybe[T any](w *world, v T) *T {
	if w.rnd.IntN(2) == 0 {
		return nil
	}
	return &v
}

// moment is one of few times, to the microsecond.
func (w *world) moment() time.Time {
	return epoch.Add(time.Duration(w.rnd.IntN(5)) * time.Hour).Add(time.Duration(w.rnd.IntN(2)) * time.Microsecond)
}

// momentSince is one that is not before the start.
func (w *world) momentSince(start time.Time) time.Time {
	if m := w.moment(); m.After(start) {
		return m
	}
	return start
}

// end is in the past, in the future, or never.
func (w *world) end(start time.Time) *time.Time {
	switch w.rnd.IntN(3) {
	case 0:
		return new(w.momentSince(start))
	case 1:
		return new(w.moment().AddDate(1000, 0, 0))
	}
	return nil
}

func (w *world) request() *imaging.ImageRequest {
	r := &imaging.ImageRequest{
		ID: w.id(), Name: pick(w, someNames), Icon: maybe(w, "icons/x.png"), Description: pick(w, []string{"", "plain", "Größe alpha"}),
		Tags: some(w, someTags, 3), CreatedBy: pick(w, someUsers), Visibility: pick(w, imaging.Visibilities), SharedWith: []string{},
		StartDate: w.moment(), Revision: 1 + w.rnd.IntN(5),
	}
	if r.Visibility == imaging.Users {
		r.SharedWith = append(some(w, someUsers, 2), "zoe")
	}
	r.EndDate = w.end(r.StartDate)
	for n := range 1 + w.rnd.IntN(4) {
		r.Versions = append(r.Versions, w.version(r, n+1))
	}
	r.Settle()
	return r
}

func (w *world) version(r *imaging.ImageRequest, ordinal int) *imaging.Version {
	p := pick(w, w.providers)
	v := &imaging.Version{
		ID: w.id(), ImageRequestID: r.ID, ImageRequest: r, Ordinal: ordinal, Version: fmt.Sprintf("v%d", ordinal), ChangeLog: "log",
		Instance: w.id(), IPAddress: maybe(w, "10.0.0.1"), ProviderID: p.ID, Provider: p, Software: `soft\ware`,
		Sys: new("sys"), Exclude: new("/home\n*.pem"), RequestedBy: r.CreatedBy, Authors: []string{r.CreatedBy}, StartDate: w.moment(), Status: pick(w, imaging.Statuses),
	}
	v.Alias = v.ID.String()
	if v.Status == imaging.Completed {
		v.Alias, v.EndDate = "image-"+v.Alias, w.end(v.StartDate)
	} else if !v.Status.Open() {
		v.EndDate = new(w.momentSince(v.StartDate))
	}
	if !v.Status.Open() {
		v.Instance = pick(w, append(w.instances, v.Instance))
	}
	if v.Status != imaging.Pending && v.Status != imaging.NeedsInfo {
		v.DecidedBy, v.DecidedAt, v.DecisionMessage = maybe(w, "reviewer"), new(w.moment()), maybe(w, "reason")
	}
	switch v.Status {
	case imaging.Denied:
		v.DecidedBy, v.DecisionMessage = new("reviewer"), new("no")
	case imaging.NeedsInfo:
		v.QuestionedBy, v.QuestionedAt, v.QuestionText = new("reviewer"), new(w.moment()), new("Name the disk.")
	case imaging.Imaging:
		v.LeaseToken, v.LeaseHolder, v.LeaseSeconds, v.LeaseExpiresAt = new(w.id()), new("worker"), new(60), new(w.moment())
		v.Attempt, v.ImagingStarted, v.Stage, v.Percent = 1, new(w.moment()), new("copy"), new(50)
	case imaging.Failed:
		v.FailureCode, v.FailureMessage, v.FailureDetail, v.FailureRetryable = new("DISK_FULL"), new("No space."), new("sda1"), new(true)
	default: // needs nothing besides
	}
	return v
}

// shown is what the actor may see of the world, as the rules of imaging say.
func (w *world) shown(a imaging.Actor) []*imaging.ImageRequest {
	shown := []*imaging.ImageRequest{}
	for _, r := range w.requests {
		if imaging.Visible(a, r) {
			c := clone(r)
			imaging.Redact(a, c)
			shown = append(shown, c)
		}
	}
	return shown
}

// clone is a copy that can be redacted.
func clone(r *imaging.ImageRequest) *imaging.ImageRequest {
	c := *r
	c.Versions = nil
	for _, v := range r.Versions {
		cv := *v
		cv.ImageRequest = &c
		c.Versions = append(c.Versions, &cv)
	}
	return &c
}

// versions are all versions of the requests.
func versions(requests []*imaging.ImageRequest) []*imaging.Version {
	all := []*imaging.Version{}
	for _, r := range requests {
		all = append(all, r.Versions...)
	}
	return all
}
