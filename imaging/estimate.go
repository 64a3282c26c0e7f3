package imaging

import (
	"math"
	"time"
)

// An estimate goes by the last completed runs of a provider, and there must be some.
const (
	RunsCounted = 50
	RunsNeeded  = 5
)

// Runs is what is known of a provider's past and present.
type Runs struct {
	Count         int     // completed runs looked at
	MedianSeconds float64 // that they took
	Workers       int     // versions being imaged just now
}

// SecondsLeft is how long the imaging of a version will still take: its own run, after the runs of those ahead, which the
// workers that are busy now share. Nil if there are too few runs to go by. A run that takes longer than the median has
// no seconds left that anybody could know of: 0.
func SecondsLeft(v *Version, ahead int, runs Runs, now time.Time) *int {
	if runs.Count < RunsNeeded {
		return nil
	}
	left := runs.MedianSeconds
	switch {
	case v.Status == Imaging && v.ImagingStarted != nil:
		left -= now.Sub(*v.ImagingStarted).Seconds()
	case v.Status == Approved:
		left += runs.MedianSeconds * math.Ceil(float64(ahead)/float64(max(1, runs.Workers)))
	default:
		return nil
	}
	seconds := int(math.Ceil(max(0, left)))
	return &seconds
}
