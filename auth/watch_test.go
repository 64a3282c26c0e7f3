package auth

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// ended waits for a context to end, and tells why it did.
func ended(t *testing.T, ctx context.Context) string {
	t.Helper()
	select {
	case <-ctx.Done():
	case <-time.After(patience):
		t.Fatal("it never ended")
	}
	return refusal(context.Cause(ctx))
}

const inForceNoMore = "UNAUTHENTICATED The token is no longer in force."

// TestWatch: what lives by a token ends with it, and with no other.
func TestWatch(t *testing.T) {
	t.Parallel()
	ctx, store := context.Background(), dbtest.Store(t)
	a := New(store, map[string]imaging.Actor{"known": admin})
	create := func(expires *time.Time) (string, uuid.UUID) {
		t.Helper()
		secret, made, err := store.CreateToken(ctx, admin, imaging.Token{Username: "ann", Roles: []imaging.Role{imaging.Requester}, ExpiresAt: expires})
		if err != nil {
			t.Fatal(err)
		}
		return secret, made.ID
	}
	start := func(header string) context.Context {
		t.Helper()
		live, stop, err := a.Watch(withHeader(ctx, header))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		return live
	}
	revoked, id := create(nil)
	lasting, _ := create(nil)
	first, second := start("Token "+revoked), start("Token "+revoked)
	others := []context.Context{start("Token " + lasting), start("Token known"), start("")}
	var live context.Context
	for lasts := 2 * time.Second; live == nil; lasts *= 2 { // one that is over before it is watched is refused
		end := time.Now().Add(lasts)
		expiring, _ := create(&end)
		watched, stop, err := a.Watch(withHeader(ctx, "Token "+expiring))
		switch {
		case err == nil:
			t.Cleanup(stop)
			live = watched
		case imaging.CodeOf(err) != imaging.Unauthenticated || time.Now().Before(end):
			t.Fatal(err)
		}
	}
	if why := ended(t, live); why != inForceNoMore {
		t.Errorf("the expired one: %q", why)
	}
	if first.Err() != nil {
		t.Errorf("ended before it was revoked: %v", context.Cause(first))
	}
	if _, err := store.RevokeToken(ctx, admin, id); err != nil {
		t.Fatal(err)
	}
	for _, live := range []context.Context{first, second} {
		if why := ended(t, live); why != inForceNoMore {
			t.Errorf("the revoked one: %q", why)
		}
	}
	for i, live := range others {
		if live.Err() != nil {
			t.Errorf("%d ended, too: %v", i, context.Cause(live))
		}
	}
	if _, _, err := a.Watch(withHeader(ctx, "Token "+revoked)); imaging.CodeOf(err) != imaging.Unauthenticated {
		t.Errorf("a revoked token is watched: %v", err)
	}
}

// TestWatchAsksOnce: one question each second for all, however many live by whatever tokens, and none for nobody. The
// bubble ends only when every goroutine of it has.
func TestWatchAsksOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var questions atomic.Int32
		var mu sync.Mutex
		revoked, away := map[uuid.UUID]bool{}, false
		w := newWatch(func(_ context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
			questions.Add(1)
			mu.Lock()
			defer mu.Unlock()
			if away {
				return nil, errors.New("away")
			}
			return slices.DeleteFunc(slices.Clone(ids), func(id uuid.UUID) bool { return revoked[id] }), nil
		}, time.Second)
		pass := func(d time.Duration) {
			<-time.After(d)
			synctest.Wait()
		}
		var ends [3]atomic.Int32
		tokens := [3]uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
		var forget []func()
		for i := range 300 {
			forget = append(forget, w.add(tokens[i%3], func() { ends[i%3].Add(1) }))
		}
		pass(3500 * time.Millisecond)
		if n := questions.Load(); n != 3 {
			t.Errorf("%d questions in 3.5 seconds", n)
		}
		mu.Lock()
		revoked[tokens[1]], away = true, true
		mu.Unlock()
		pass(2 * time.Second)
		if n := ends[1].Load(); n != 0 {
			t.Errorf("%d ended although nobody can tell", n)
		}
		mu.Lock()
		away = false
		mu.Unlock()
		pass(time.Second)
		if a, b, c := ends[0].Load(), ends[1].Load(), ends[2].Load(); a != 0 || b != 100 || c != 0 {
			t.Errorf("%d, %d, %d ended, want 0, 100, 0", a, b, c)
		}
		for _, f := range forget {
			f()
			f() // once more changes nothing
		}
		before := questions.Load()
		pass(time.Hour)
		if n := questions.Load(); n != before {
			t.Errorf("%d questions for nobody", n-before)
		}
		w.add(tokens[0], func() {})() // it can begin again
	})
}
