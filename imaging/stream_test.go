package imaging_test

import (
	"testing"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// An event is wanted if it meets everything that the filter names.
func TestEventFilter(t *testing.T) {
	t.Parallel()
	r, v := standing("owner", imaging.Approved)
	older := *v
	older.ID, older.ProviderID = uuid.New(), v.ProviderID+1
	r.Versions = []*imaging.Version{&older, v}
	approved := &imaging.Event{VersionID: &v.ID, Action: imaging.Approve, From: ptr(imaging.Pending), To: ptr(imaging.Approved)}
	cancelled := &imaging.Event{VersionID: &older.ID, Action: imaging.Cancel, From: ptr(imaging.Pending), To: ptr(imaging.Cancelled)}
	edited := &imaging.Event{Action: imaging.Edited}
	for what, c := range map[string]struct {
		filter *imaging.EventFilter
		want   [3]bool
	}{
		"no filter":             {nil, [3]bool{true, true, true}},
		"an empty one":          {&imaging.EventFilter{}, [3]bool{true, true, true}},
		"an action":             {&imaging.EventFilter{Action: []imaging.Action{imaging.Edited, imaging.Cancel}}, [3]bool{false, true, true}},
		"no action":             {&imaging.EventFilter{Action: []imaging.Action{}}, [3]bool{}},
		"a status":              {&imaging.EventFilter{Status: []imaging.Status{imaging.Approved}}, [3]bool{true, false, false}},
		"no status":             {&imaging.EventFilter{Status: []imaging.Status{}}, [3]bool{}},
		"the newest's provider": {&imaging.EventFilter{Provider: &v.ProviderID}, [3]bool{true, false, true}},
		"the other's provider":  {&imaging.EventFilter{Provider: &older.ProviderID}, [3]bool{false, true, false}},
		"the owner":             {&imaging.EventFilter{CreatedBy: ptr("owner")}, [3]bool{true, true, true}},
		"another owner":         {&imaging.EventFilter{CreatedBy: ptr("Owner")}, [3]bool{}},
		"several things":        {&imaging.EventFilter{CreatedBy: ptr("owner"), Provider: &v.ProviderID, Action: []imaging.Action{imaging.Approve, imaging.Cancel}}, [3]bool{true, false, false}},
	} {
		for i, e := range []*imaging.Event{approved, cancelled, edited} {
			if got := c.filter.Wants(e, r); got != c.want[i] {
				t.Errorf("%s, %s: %v", what, e.Action, got)
			}
			if c.filter.Wants(e, r) && !c.filter.MayWant(e) {
				t.Errorf("%s, %s: wanted, but may not be", what, e.Action)
			}
		}
	}
	if err := (*imaging.EventFilter)(nil).Problems().Err(); err != nil {
		t.Error(err)
	}
}

// What an event tells is for the owner and staff, the insides of a failure for staff; and nothing of it is taken from the event
// itself, which others are shown, too.
func TestShownEvent(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]int{"owner": 1, "stranger": 0, "listed": 0, "reviewer": 2, "worker": 0, "worker2": 0, "admin": 2} {
		r, v := standing("owner", imaging.Imaging)
		e := &imaging.Event{
			Actor: "owner", Message: ptr("said"), VersionID: &v.ID, Action: imaging.Fail, From: ptr(imaging.Imaging), To: ptr(imaging.Failed),
			Changes: imaging.Changes{"version.failureDetail": {}, "version.failureCode": {}},
		}
		mine := r.Copy()
		imaging.Redact(players[role], mine)
		shown := e.Show(players[role], mine)
		if len(shown.Changes) != want || (shown.Message != nil) != (want > 0) || (shown.By() != nil) != (want > 0) {
			t.Errorf("%s: %+v", role, shown)
		}
		if shown.ImageRequest != mine || shown.Version() != mine.Version(v.ID) || shown.Action != e.Action || *shown.To != *e.To {
			t.Errorf("%s: %+v", role, shown)
		}
		if len(e.Changes) != 2 || e.Message == nil || e.Actor == "" || e.ImageRequest != nil || v.ImageRequest != r {
			t.Errorf("%s: the event itself was changed: %+v", role, e)
		}
	}
}

// Who sees a request and not its details is told of what happened since it was last shared otherwise, and of nothing before.
func TestToldSinceItWasShared(t *testing.T) {
	t.Parallel()
	r, v := standing("owner", imaging.Pending)
	r.Visibility, r.SharedWith, r.SharedSince = imaging.Private, nil, 1
	var events []*imaging.Event
	do := func(more []*imaging.Event, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, more...)
	}
	deny := valid(imaging.Deny)
	do(imaging.Apply(r, v, deny, players["reviewer"], today))
	do(imaging.Edit(r, &imaging.EditImageRequestInput{Visibility: ptr(imaging.Users), SharedWith: []string{"listed"}}, players["owner"], today))
	do(imaging.Edit(r, &imaging.EditImageRequestInput{Name: ptr("Debian")}, players["owner"], today))
	for role, want := range map[string][3]bool{
		"owner": {true, true, true}, "reviewer": {true, true, true}, "admin": {true, true, true}, "listed": {false, true, true},
		"stranger": {}, "worker": {}, "heir": {},
	} {
		for i, e := range events {
			if got := imaging.Told(players[role], r, e); got != want[i] {
				t.Errorf("%s is told of %s: %v", role, e.Action, got)
			}
		}
	}
	do(imaging.Transfer(r, &imaging.TransferImageRequestInput{To: "heir"}, players["owner"], today))
	if imaging.Told(players["listed"], r, events[2]) || !imaging.Told(players["listed"], r, events[3]) {
		t.Error("a transfer is no new beginning")
	}
}
