package imaging

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func TestFilter(t *testing.T) {
	t.Parallel()
	late := time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -12*3600))
	const year = ": Ensure this time lies in the years 1 to 9999 in UTC."
	for _, test := range []struct {
		name   string
		filter Filter
		want   []string
	}{
		{"all", Filter{}, nil},
		{"100 ids", Filter{IDs: make([]uuid.UUID, 100)}, nil},
		{"101 ids", Filter{IDs: make([]uuid.UUID, 101)}, []string{"ids: Ensure this field has no more than 100 elements."}},
		{"100 tags", Filter{Tags: labels(100)}, nil},
		{"5,000 bad tags are one problem", Filter{Tags: slices.Repeat([]string{"\x00"}, 5000)}, []string{"tags: Ensure this field has no more than 100 elements."}},
		{"101 statuses", Filter{Status: slices.Repeat([]Status{Pending}, 101)}, []string{"status: Ensure this field has no more than 100 elements."}},
		{"all at once", Filter{
			IDs: make([]uuid.UUID, 101), Tags: []string{"a", "\xff"}, CreatedBy: new("\x00"), Search: new("\xff"),
			StartedFrom: &late, StartedBefore: &late, EndsFrom: &late, EndsBefore: &late,
		}, []string{
			"ids: Ensure this field has no more than 100 elements.", "tags.1: This text is not valid UTF-8.",
			"createdBy: Null characters and lone surrogates are not allowed.", "search: This text is not valid UTF-8.",
			"startedFrom" + year, "startedBefore" + year, "endsFrom" + year, "endsBefore" + year,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, told(t, test.filter.Problems().Err())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSliceSize(t *testing.T) {
	t.Parallel()
	const between = ": Ensure this value is between 1 and 100."
	for _, test := range []struct {
		name    string
		slice   Slice
		n       int
		fromEnd bool
		want    []string
	}{
		{"by default", Slice{}, 20, false, nil},
		{"cursors do not count", Slice{After: new("a"), Before: new("b")}, 20, false, nil},
		{"the first one", Slice{First: new(1)}, 1, false, nil},
		{"the last 100", Slice{Last: new(100)}, 100, true, nil},
		{"first 0", Slice{First: new(0)}, 0, false, []string{"first" + between}},
		{"first -1", Slice{First: new(-1)}, -1, false, []string{"first" + between}},
		{"first 101", Slice{First: new(101)}, 101, false, []string{"first" + between}},
		{"last 0", Slice{Last: new(0)}, 0, true, []string{"last" + between}},
		{"last 101", Slice{Last: new(101)}, 101, true, []string{"last" + between}},
		{"both", Slice{First: new(1), Last: new(1)}, 20, true, []string{"last: Give either first or last."}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n, fromEnd, err := test.slice.Size()
			if n != test.n || fromEnd != test.fromEnd {
				t.Errorf("%d, %v; want %d, %v", n, fromEnd, test.n, test.fromEnd)
			}
			if diff := cmp.Diff(test.want, told(t, err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
