package imaging_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imagerequests/imaging"
)

// Each refusal becomes a blocker, word for word, and each blocker says what to do about it.
func TestPreviewTellsEachRefusal(t *testing.T) {
	t.Parallel()
	in := &imaging.RequestImageInput{
		Name: " ", Work: imaging.Work{Software: "\x00"}, Tags: []string{"Featured", ""}, Visibility: "ALL", IdempotencyKey: ptr(""),
	}
	refusals := in.Problems(players["owner"])
	refusals = append(refusals, imaging.ProviderProblem(9, nil)...)
	taken := imaging.Errorf(imaging.Conflict, "This instance already has an open request.")
	taken.Field = "instance"
	refusals = append(refusals, taken)
	p := imaging.Preview(in, refusals)
	if len(p.Blockers) != len(refusals) || len(refusals) != 9 {
		t.Fatalf("%d blockers of %d refusals", len(p.Blockers), len(refusals))
	}
	for i, b := range p.Blockers {
		e := refusals[i]
		if b.Code != string(e.Code) || *b.Field != e.Field || b.Message != e.Message || b.Fix == "" {
			t.Errorf("%+v of %+v", b, e)
		}
	}
}

// What is worth a second look is told without keeping anything from being accepted.
func TestPreviewWarns(t *testing.T) {
	t.Parallel()
	fine := imaging.RequestImageInput{
		Name: "x", Description: "For all.", Visibility: imaging.Public, Work: imaging.Work{Instance: token, Provider: 1, Exclude: "/root/.ssh"},
	}
	for name, test := range map[string]struct {
		change func(*imaging.RequestImageInput)
		want   []string
	}{
		"nothing":              {func(*imaging.RequestImageInput) {}, nil},
		"nothing left out":     {func(in *imaging.RequestImageInput) { in.Exclude = " " }, []string{"exclude"}},
		"private, nothing out": {func(in *imaging.RequestImageInput) { in.Exclude, in.Visibility = "", imaging.Private }, nil},
		"prose":                {func(in *imaging.RequestImageInput) { in.Exclude = "my keys, please" }, []string{"exclude"}},
		"no description":       {func(in *imaging.RequestImageInput) { in.Description = "" }, []string{"description"}},
		"a password":           {func(in *imaging.RequestImageInput) { in.Software = "R, Password: hunter2" }, []string{"software"}},
		"a key in two texts": {func(in *imaging.RequestImageInput) {
			in.Sys, in.ChangeLog = "AKIAABCDEFGHIJKLMNOP", "-----BEGIN RSA PRIVATE KEY-----"
		}, []string{"sys", "changeLog"}},
		"a text about passwords":  {func(in *imaging.RequestImageInput) { in.Description = "Resets a forgotten password." }, nil},
		"an odd key in the notes": {func(in *imaging.RequestImageInput) { in.Description = "-----begin private key" }, []string{"description"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := fine
			test.change(&in)
			p := imaging.Preview(&in, nil)
			var fields []string
			for _, w := range p.Warnings {
				fields = append(fields, *w.Field)
				if w.Message == "" || w.Fix == "" {
					t.Errorf("%+v", w)
				}
			}
			if diff := cmp.Diff(test.want, fields); diff != "" || len(p.Blockers) > 0 {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// An estimate goes by the median, and is none where there is too little to go by or nothing to wait for.
func TestSecondsLeft(t *testing.T) {
	t.Parallel()
	enough := imaging.Runs{Count: imaging.RunsNeeded, MedianSeconds: 100, Busy: []float64{30, 90}, Now: today}
	fewer, idle, late := enough, enough, enough
	fewer.Count--
	idle.Busy, late.Busy = nil, []float64{1000}
	for name, test := range map[string]struct {
		status imaging.Status
		ahead  int
		runs   imaging.Runs
		after  time.Duration // since the worker began
		want   *int
	}{
		"too few runs":            {imaging.Imaging, 0, fewer, 0, nil},
		"too few runs, waiting":   {imaging.Approved, 3, fewer, 0, nil},
		"just begun":              {imaging.Imaging, 0, enough, 0, ptr(100)},
		"half way":                {imaging.Imaging, 0, enough, 50 * time.Second, ptr(50)},
		"a part of a second":      {imaging.Imaging, 0, enough, 99500 * time.Millisecond, ptr(1)},
		"longer than the median":  {imaging.Imaging, 0, enough, time.Hour, nil},
		"exactly the median":      {imaging.Imaging, 0, enough, 100 * time.Second, nil},
		"next":                    {imaging.Approved, 0, enough, 0, ptr(110)},
		"behind one":              {imaging.Approved, 1, enough, 0, ptr(170)},
		"behind as many as work":  {imaging.Approved, 2, enough, 0, ptr(210)},
		"behind more":             {imaging.Approved, 5, enough, 0, ptr(370)},
		"nobody at work":          {imaging.Approved, 3, idle, 0, nil},
		"next, nobody at work":    {imaging.Approved, 0, idle, 0, nil},
		"behind one that is late": {imaging.Approved, 0, late, 0, ptr(100)},
		"waits for a reviewer":    {imaging.Pending, 0, enough, 0, nil},
		"waits for the owner":     {imaging.NeedsInfo, 0, enough, 0, nil},
		"is there":                {imaging.Completed, 0, enough, 0, nil},
		"failed":                  {imaging.Failed, 0, enough, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, v := standing("owner", test.status)
			if v.ImagingStarted != nil {
				v.ImagingStarted = ptr(today.Add(-test.after))
			}
			if diff := cmp.Diff(test.want, imaging.SecondsLeft(v, test.ahead, test.runs)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
