package auth

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"imagerequests/imaging"
)

// TestTurns: so many at once, eight times as many wait, and the next is refused at once; who has waited too long is refused,
// who leaves waits no longer, and each turn that ends is the next one's.
func TestTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns(2)
		var running []func()
		for range 2 {
			done, err := turns.Take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			running = append(running, done)
		}
		results := make(chan error, 20)
		took := func(ctx context.Context) {
			done, err := turns.Take(ctx)
			results <- err
			done()
			done() // does no harm
		}
		leaving, leave := context.WithCancel(t.Context())
		go took(leaving)
		for range 15 {
			go took(t.Context())
		}
		synctest.Wait()
		refused(t, turns.Busy())
		began := time.Now()
		_, err := turns.Take(t.Context())
		refused(t, err)
		if time.Since(began) != 0 {
			t.Error("one too many waits")
		}
		leave()
		refused(t, <-results)
		running[0]()
		for range 15 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		running[0], _ = turns.Take(t.Context())
		go took(t.Context())
		refused(t, <-results)
		if waited := time.Since(began); waited != turnPatience {
			t.Errorf("who waits in vain waits %v", waited)
		}
		for _, done := range running {
			done()
		}
		if err := turns.Busy(); err != nil {
			t.Error(err)
		}
		if len(turns.places) != 0 || turns.waiting.Load() != 0 {
			t.Errorf("%d places are taken, %d wait", len(turns.places), turns.waiting.Load())
		}
	})
}

func TestNoTurns(t *testing.T) {
	t.Parallel()
	turns := NewTurns(0)
	done, err := turns.Take(t.Context())
	if err != nil || turns.Busy() != nil {
		t.Error(err)
	}
	done()
}

func refused(t *testing.T, err error) {
	t.Helper()
	if e := imaging.All(err); imaging.CodeOf(err) != imaging.Unavailable || e[0].RetryAfter != time.Second {
		t.Errorf("%v", err)
	}
}
