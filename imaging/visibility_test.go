package imaging

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The rows of the tables below: who asks.
var actors = []struct {
	name  string
	actor Actor
}{
	{"anonymous", Actor{}},
	{"a stranger", stranger},
	{"the owner", owner},
	{"a listed user", Actor{Username: "ann", Roles: []Role{Requester}}},
	{"a prefix of a listed name", Actor{Username: "an", Roles: []Role{Requester}}},
	{"a listed name and more", Actor{Username: "anna", Roles: []Role{Requester}}},
	{"a listed name in another case", Actor{Username: "Ann", Roles: []Role{Requester}}},
	{"the owner's name in another case", Actor{Username: "OWNER", Roles: []Role{Requester}}},
	{"a reviewer", reviewer},
	{"a reviewer of this provider", Actor{Username: "r1", Roles: []Role{Reviewer}, Providers: []int{1}}},
	{"a reviewer of another provider", Actor{Username: "r2", Roles: []Role{Reviewer}, Providers: []int{2}}},
	{"a worker of all", Actor{Username: "w", Roles: []Role{Worker}}},
	{"a worker of this provider", Actor{Username: "w1", Roles: []Role{Worker}, Providers: []int{1, 5}}},
	{"a worker of another provider", Actor{Username: "w2", Roles: []Role{Worker}, Providers: []int{2}}},
	{"a worker of no provider", Actor{Username: "w0", Roles: []Role{Worker}, Providers: []int{}}},
	{"an admin", admin},
	{"an admin, of another provider", Actor{Username: "a2", Roles: []Role{Admin}, Providers: []int{2}}},
}

// What each may do, as letters: s sees it, d sees its details too, v only those of the version, - does not see it. In the order PUBLIC, PRIVATE, USERS;
// first with a version that waits for its reviewer, then with one that is a worker's business.
var sights = map[string][2]string{
	"anonymous":                        {"s--", "s--"},
	"a stranger":                       {"s--", "s--"},
	"the owner":                        {"ddd", "ddd"},
	"a listed user":                    {"s-s", "s-s"},
	"a prefix of a listed name":        {"s--", "s--"},
	"a listed name and more":           {"s--", "s--"},
	"a listed name in another case":    {"s--", "s--"},
	"the owner's name in another case": {"s--", "s--"},
	"a reviewer":                       {"ddd", "ddd"},
	"a reviewer of this provider":      {"ddd", "ddd"},
	"a reviewer of another provider":   {"ddd", "ddd"},
	"a worker of all":                  {"s--", "vvv"},
	"a worker of this provider":        {"s--", "vvv"},
	"a worker of another provider":     {"s--", "s--"},
	"a worker of no provider":          {"s--", "s--"},
	"an admin":                         {"ddd", "ddd"},
	"an admin, of another provider":    {"ddd", "ddd"},
}

// full is a request of provider 1 in which everything private is filled in.
func full(v Visibility, status Status) *ImageRequest {
	r := existing(v)
	newest := r.Newest()
	newest.Status, newest.DecidedBy, newest.DecidedAt, newest.DecisionMessage = status, new("reviewer"), new(noon), new("because")
	newest.Software, newest.ChangeLog = "R", "first"
	r.Settle()
	return r
}

func TestVisibleAndSeesDetails(t *testing.T) {
	t.Parallel()
	for _, row := range actors {
		for column, v := range []Visibility{Public, Private, Users} {
			for _, status := range Statuses {
				work := 0
				if status == Approved || status == Imaging {
					work = 1
				}
				letter := sights[row.name][work][column]
				t.Run(fmt.Sprintf("%s/%s/%s", row.name, v, status), func(t *testing.T) {
					t.Parallel()
					r := full(v, status)
					if got, want := Visible(row.actor, r), letter != '-'; got != want {
						t.Errorf("visible: %v, want %v", got, want)
					}
					if got, want := SeesDetails(row.actor, r), letter == 'd'; got != want {
						t.Errorf("details: %v, want %v", got, want)
					}
				})
			}
		}
	}
}

// TestRedact: what is private is gone for who may not read it, whole for who may, and nothing else is touched.
func TestRedact(t *testing.T) {
	t.Parallel()
	for _, row := range actors {
		for column, v := range []Visibility{Public, Private, Users} {
			for work, status := range []Status{Completed, Imaging} {
				t.Run(fmt.Sprintf("%s/%s/%s", row.name, v, status), func(t *testing.T) {
					t.Parallel()
					want, got := full(v, status), full(v, status)
					letter := sights[row.name][work][column]
					if letter != 'd' {
						want.SharedWith = nil
					}
					if letter != 'd' && letter != 'v' {
						newest := want.Newest()
						newest.IPAddress, newest.Sys, newest.Exclude = nil, nil, nil
						newest.DecidedBy, newest.DecidedAt, newest.DecisionMessage = nil, nil, nil
					}
					Redact(row.actor, got)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
				})
			}
		}
	}
}

// TestRedactEveryVersion: not only the newest one holds what is private, and no shorter way leads to it.
func TestRedactEveryVersion(t *testing.T) {
	t.Parallel()
	r := full(Public, Completed)
	if _, err := Another(r, version(func(in *RequestVersionInput) { in.Sys, in.Exclude, in.IPAddress = "s", "/e", new("192.0.2.2") }), [16]byte{7}, owner, automatic, noon); err != nil {
		t.Fatal(err)
	}
	Redact(stranger, r)
	for _, v := range r.Versions {
		if v.Sys != nil || v.Exclude != nil || v.IPAddress != nil || v.DecidedAt != nil || v.DecidedBy != nil || v.DecisionMessage != nil || v.ExcludePaths() != nil {
			t.Errorf("version %s is not redacted: %+v", v.Version, v)
		}
	}
	if r.Sys() != nil || r.Exclude() != nil || r.SharedWith != nil {
		t.Error("the request still tells what its versions do not")
	}
}

// TestWorkInOlderVersion: any version that is theirs to image lets a worker see the request, not the newest alone.
func TestWorkInOlderVersion(t *testing.T) {
	t.Parallel()
	worker := Actor{Username: "w1", Roles: []Role{Worker}, Providers: []int{1}}
	r := full(Private, Approved)
	if _, err := Another(r, version(nil), [16]byte{7}, owner, &Provider{ID: 2}, noon); err != nil {
		t.Fatal(err)
	}
	if !Visible(worker, r) || SeesDetails(worker, r) {
		t.Error("the worker does not see the request whose first version is theirs, or all of its details")
	}
	shown := *r
	shown.Versions = []*Version{new(*r.Versions[0]), new(*r.Versions[1])}
	Redact(worker, &shown)
	if v := shown.Versions[0]; v.Exclude == nil || v.Sys == nil || v.DecidedAt == nil {
		t.Errorf("what the worker is to make is kept from them: %+v", v)
	}
	if v := shown.Versions[1]; v.Exclude != nil || v.Sys != nil || v.IPAddress != nil {
		t.Errorf("the version of another provider is shown to the worker: %+v", v)
	}
	r.Versions[0].Status = Completed
	if Visible(worker, r) || SeesDetails(worker, r) {
		t.Error("the worker still sees the request after the work")
	}
}

// TestEmptyNames: nobody is the owner of what has none, and an empty name on a list lets nobody in.
func TestEmptyNames(t *testing.T) {
	t.Parallel()
	r := full(Users, Pending)
	r.CreatedBy, r.SharedWith = "", []string{""}
	if Visible(Actor{}, r) || SeesDetails(Actor{}, r) || (Actor{}).MayEdit(r) {
		t.Error("somebody who has not signed in passes for a user")
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for _, r := range Roles {
		if !admin.Has(r) {
			t.Errorf("an admin is no %s", r)
		}
		if (Actor{Username: "a"}).Has(r) {
			t.Errorf("somebody without roles is a %s", r)
		}
		if got := (Actor{Username: "a", Roles: []Role{r}}).Staff(); got != (r == Reviewer || r == Admin) {
			t.Errorf("%s is staff: %v", r, got)
		}
	}
	if Role("admin").Valid() || Role("").Valid() || Visibility("public").Valid() || Status("").Valid() {
		t.Error("what is no name of ours is valid")
	}
}

// TestStatuses holds which statuses occupy an instance, and which are a worker's business: the database has its own list.
func TestStatuses(t *testing.T) {
	t.Parallel()
	want := map[Status][2]bool{
		Pending: {true, false}, NeedsInfo: {true, false}, Approved: {true, true}, Imaging: {true, true},
		Denied: {}, Cancelled: {}, Completed: {}, Failed: {},
	}
	got := map[Status][2]bool{}
	for _, s := range Statuses {
		got[s] = [2]bool{s.Open(), s.InWork()}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("open, in work (-want +got):\n%s", diff)
	}
}
