package chaos

import (
	"context"
	"sync"
	"testing"
	"time"
)

// TestOverload: what the service can do is measured, and four times as much is asked of it, whether it keeps up or not. Nobody is
// told anything but what they asked for, or to come again; and soon after, the service does as much as before.
func TestOverload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.populate()
	w.startAll()
	tokens := w.tokens(32)
	speed := func(d time.Duration) float64 {
		var l tally
		ctx, stop := context.WithTimeout(t.Context(), d)
		defer stop()
		w.crowd(ctx, tokens, &l)
		if l.failed.Load() > 0 {
			t.Errorf("%v: %s", &l, l.wrong)
		}
		return float64(l.answered.Load()) / d.Seconds()
	}
	measured := length(20*time.Second, 2*time.Second)
	speed(measured) // warm
	capacity := speed(measured)
	var l tally
	lasting := length(time.Minute, 5*time.Second)
	sent := w.flood(tokens, int(4*capacity*lasting.Seconds()), lasting, &l)
	mended := time.Now()
	lasts(5 * time.Second)
	after := speed(measured)
	t.Logf("%.0f a second with 32 clients; asked for %d in %v, %.1f times as many: %v; memory %.0f MiB; %v later %.0f a second",
		capacity, sent, lasting, float64(sent)/lasting.Seconds()/capacity, &l, w.servers[0].memory(t), time.Since(mended).Round(time.Second)-measured, after)
	if l.failed.Load() > 0 {
		t.Errorf("an answer was %s", l.wrong)
	}
	if l.answered.Load() == 0 || *full && l.refused.Load() == 0 {
		t.Errorf("that was no overload, or a standstill: %v", &l)
	}
	if *full && after < 0.8*capacity { // others are at work on the machine of a short run
		t.Errorf("the service does %.0f a second afterwards, and did %.0f before", after, capacity)
	}
}

// flood has so many come in that time, each when it is their turn, however many are still waiting; and waits for the last answer.
func (w *world) flood(tokens []string, number int, d time.Duration, l *tally) (sent int) {
	visitors := make(chan *visitor, 2048)
	var all sync.WaitGroup
	defer all.Wait()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for time.Since(began) < d {
		<-tick.C
		for due := int(float64(number) * time.Since(began).Seconds() / d.Seconds()); sent < due; sent++ {
			var v *visitor
			select {
			case v = <-visitors:
			default:
				v = &visitor{client: newClient(w.direct(), tokens[sent%len(tokens)], patience), last: someID}
			}
			n := sent
			all.Go(func() {
				v.visit(context.Background(), l, n%2*2) // a write, or a list
				select {
				case visitors <- v: // with its connection
				default:
					v.http.CloseIdleConnections()
				}
			})
		}
	}
	return sent
}

const someID = "00000000-0000-7000-8000-000000000000"
