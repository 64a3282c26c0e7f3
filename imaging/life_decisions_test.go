package imaging_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imagerequests/imaging"
)

// A decision holds for the revision that was read, and for no other; the refusal names where the version stands, not
// where another version of the request does.
func TestStaleDecisions(t *testing.T) {
	t.Parallel()
	for _, action := range []imaging.Action{imaging.Approve, imaging.Deny, imaging.Question} {
		for _, revision := range []int{-1, 0, 6, 8} {
			r, v := standing("owner", imaging.Pending)
			_, newer := standing("owner", imaging.Denied)
			r.Versions = append(r.Versions, newer)
			r.Settle()
			s := valid(action)
			s.Revision = &revision
			events, err := imaging.Apply(r, v, s, players["reviewer"], today)
			var e *imaging.Error
			if !errors.As(err, &e) || e.Code != imaging.Conflict || e.Field != "revision" || e.Status != imaging.Pending {
				t.Errorf("%s on %d: %+v", action, revision, e)
			}
			if v.Status != imaging.Pending || r.Revision != 7 || len(events) > 0 {
				t.Errorf("%s on %d was done", action, revision)
			}
		}
	}
}

// Nobody decides on what they asked for, whoever owns the request by now, nor on what is theirs, whoever asked for it.
func TestNobodyDecidesOnTheirOwn(t *testing.T) {
	t.Parallel()
	for _, action := range []imaging.Action{imaging.Approve, imaging.Deny, imaging.Question} {
		for _, side := range []string{"owner", "asked"} {
			for _, role := range []string{"reviewer", "admin", "both"} {
				r, v := standing("owner", imaging.Pending)
				if side == "owner" {
					r.CreatedBy = role
				} else {
					v.Authors = []string{"owner", role}
				}
				if _, err := imaging.Apply(r, v, valid(action), players[role], today); imaging.CodeOf(err) != imaging.Forbidden || v.Status != imaging.Pending {
					t.Errorf("%s by the %s, who is %s: %v", action, role, side, err)
				}
			}
		}
	}
	r, v := standing("owner", imaging.Pending)
	to := func(name string, by string) {
		t.Helper()
		if _, err := imaging.Transfer(r, &imaging.TransferImageRequestInput{To: name}, players[by], today); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(by string, in imaging.EditVersionInput) {
		t.Helper()
		if _, err := imaging.EditVersion(r, v, &in, players[by], today); err != nil {
			t.Fatal(err)
		}
	}
	to("both", "owner")
	edit("both", imaging.EditVersionInput{Exclude: ptr("/none")})
	edit("both", imaging.EditVersionInput{Software: ptr("mine")})
	edit("admin", imaging.EditVersionInput{ChangeLog: ptr("a word")})
	to("owner", "both")
	if diff := cmp.Diff([]string{"owner", "both"}, v.Authors); diff != "" || v.RequestedBy != "owner" {
		t.Errorf("who said what it is made of (-want +got):\n%s", diff)
	}
	for role, want := range map[string]imaging.Code{"both": imaging.Forbidden, "admin": ""} { // what is only said of it is nobody's own
		s := valid(imaging.Approve)
		s.Revision = &r.Revision
		if _, err := imaging.Apply(r, v, s, players[role], today); imaging.CodeOf(err) != want {
			t.Errorf("%s approves: %v", role, err)
		}
	}
}

// A decision that names no revision is none: nobody knows what it was made on.
func TestDecisionWithoutRevision(t *testing.T) {
	t.Parallel()
	for _, action := range []imaging.Action{imaging.Approve, imaging.Deny, imaging.Question} {
		r, v := standing("owner", imaging.Pending)
		s := valid(action)
		s.Revision = nil
		_, err := imaging.Apply(r, v, s, players["reviewer"], today)
		if e := imaging.All(err)[0]; e.Code != imaging.Invalid || e.Field != "revision" || v.Status != imaging.Pending {
			t.Errorf("%s: %v", action, err)
		}
	}
}

// Only a provider that approves by itself does, and only the service speaks for it.
func TestWhoApprovesByItself(t *testing.T) {
	t.Parallel()
	for role, a := range players {
		for _, automatic := range []bool{false, true} {
			r, v := standing("owner", imaging.Pending)
			v.Provider.AutoApprove = automatic
			_, err := imaging.Apply(r, v, &imaging.Step{Action: imaging.AutoApproved}, a, today)
			if done := err == nil; done != (role == "service" && automatic) || done != (v.Status == imaging.Approved) {
				t.Errorf("as %s, automatic %v: %v", role, automatic, err)
			}
		}
	}
}
