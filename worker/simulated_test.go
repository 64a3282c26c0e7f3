package worker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

var job = Job{Version: uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057"), ExcludePaths: imaging.ExcludePaths(note + "\n/home/*/.aws\n/var/log/\n/home/user/.ss\n[")}

func TestSimulated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var seen []string
		last := -1
		result, err := Simulated{Takes: time.Minute}.Image(t.Context(), job, func(r Report) {
			if len(seen) == 0 || seen[len(seen)-1] != r.Stage {
				seen = append(seen, r.Stage)
			}
			if *r.Percent <= last || *r.Percent > 100 {
				t.Errorf("%d %% after %d %%", *r.Percent, last)
			}
			last = *r.Percent
		})
		if err != nil {
			t.Fatal(err)
		}
		same(t, time.Minute, time.Since(began))
		same(t, []string{"snapshot", "copy", "exclude", "register"}, seen)
		same(t, []string{"/root/.ssh", "*.pem", "/home/*/.aws", "/var/log"}, result.Excluded)
		again, err := Simulated{}.Image(t.Context(), job, func(Report) {})
		same(t, result, again)
		same(t, nil, err)
		other, _ := Simulated{}.Image(t.Context(), Job{Version: uuid.New()}, func(Report) {})
		if _, err := uuid.Parse(result.Alias); err != nil || other.Alias == result.Alias {
			t.Errorf("aliases %q and %q, %v", result.Alias, other.Alias, err)
		}
	})
}

func TestSimulatedFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate   float64
		random []float64
		want   string // the last stage
		fails  bool
	}{
		{0, []float64{0}, "register", false},
		{0.5, []float64{0.5}, "register", false},
		{0.5, []float64{0.49, 0}, "snapshot", true},
		{1, []float64{0.99, 0.5}, "copy", true},
		{1, []float64{0.99, 0.999}, "register", true},
	} {
		stage := ""
		s := Simulated{FailureRate: c.rate, Rand: func() (f float64) { f, c.random = c.random[0], c.random[1:]; return f }}
		_, err := s.Image(t.Context(), job, func(r Report) { stage = r.Stage })
		same(t, c.want, stage)
		same(t, c.fails, err != nil)
		if err != nil {
			same(t, "SIMULATED", failureOf(err).Code)
		}
	}
}

func TestSimulatedStops(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancelCause(t.Context())
	_, err := Simulated{Takes: 1000 * time.Hour}.Image(ctx, job, func(Report) { stop(errCancelled) })
	same(t, errCancelled.Error(), err.Error())
}

// The simulated imager works the queue, and what it left out is shown.
func TestSimulatedWorks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t, "x")
	b.start(t, Simulated{})
	v := b.settled(t, id)
	same(t, imaging.Completed, v.Status)
	same(t, []string{"/root/.ssh", "*.pem"}, v.Excluded)
}
