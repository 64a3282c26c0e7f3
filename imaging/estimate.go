package imaging

import (
	"math"
	"slices"
	"time"
)

// An estimate goes by the last completed runs of a provider, and there must be some.
const (
	RunsCounted = 50
	RunsNeeded  = 5
)

// Runs is what is known of a provider's past and present.
type Runs struct {
	Count         int       // completed runs looked at
	MedianSeconds float64   // that they took
	Busy          []float64 // how many seconds each run of this moment has taken so far: as many workers are at work
	Now           time.Time // this moment, by the database's clock
}

// SecondsLeft is how long the imaging of a version will still take, if each run takes the median: its own, after those of
// the versions ahead, which the workers at work take one by one as they become free. Nil if there are too few runs to go
// by, for one that waits while nobody is at work, and for one that takes longer than the median already: nobody knows.
func SecondsLeft(v *Version, ahead int, runs Runs) *int {
	if runs.Count < RunsNeeded {
		return nil
	}
	left := runs.MedianSeconds
	switch {
	case v.Status == Imaging && v.ImagingStarted != nil:
		left -= runs.Now.Sub(*v.ImagingStarted).Seconds()
	case v.Status == Approved && len(runs.Busy) > 0:
		left += runs.wait(ahead)
	default:
		return nil
	}
	if left <= 0 {
		return nil
	}
	seconds := int(math.Ceil(left))
	return &seconds
}

// wait is when the worker becomes free that will take the version with so many ahead of it.
func (runs Runs) wait(ahead int) float64 {
	free := []float64{}
	for _, so := range runs.Busy {
		free = append(free, max(0, runs.MedianSeconds-so))
	}
	slices.Sort(free)
	return free[ahead%len(free)] + runs.MedianSeconds*float64(ahead/len(free))
}
