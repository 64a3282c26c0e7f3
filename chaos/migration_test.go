package chaos

import (
	"testing"
	"time"

	"imagerequests/db"
)

// TestKilledInMigration: two copies start over a database without a schema. The first is killed in the middle of a step, of each
// step in turn, while the second waits for it; nothing is half done, and the second, or the one after it, serves.
func TestKilledInMigration(t *testing.T) {
	t.Parallel()
	steps, err := db.Migrations()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, setup{copies: 2})
	tried := steps
	if !*full {
		tried = steps[len(steps)-1:]
	}
	for _, step := range tried {
		w.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
		held := w.proxy.HoldOn("'" + step.Name + "'") // its row in schema_migrations, when its statements are done
		first := launch(t, w.env, w.args...)
		wait(t, "the first copy is in step "+step.Name, held)
		second := launch(t, w.env, w.args...)
		eventually(t, "the second copy waits for the first", func() bool {
			n, ok := w.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
			return ok && n == 1
		})
		if n, ok := w.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); !ok || n != 0 {
			t.Errorf("%d tables of a migration that goes on can be seen", n)
		}
		began := time.Now()
		first.kill()
		w.balancer.Set(1, second.serves(t))
		took := time.Since(began)
		if n, ok := w.query("SELECT count(*) FROM schema_migrations"); !ok || n != len(steps) {
			t.Errorf("%d of %d steps were applied", n, len(steps))
		}
		w.populate()
		c := w.crew(5*time.Second, 50*time.Millisecond)
		c.await(t, 20)
		c.settle()
		c.end()
		t.Logf("killed in step %s: the other copy serves after %v", step.Name, took.Round(time.Millisecond))
		second.kill()
	}
}

// wait waits for a signal.
func wait(t testing.TB, what string, signal <-chan struct{}) {
	t.Helper()
	select {
	case <-signal:
	case <-time.After(patience):
		t.Fatalf("it never came to be that %s", what)
	}
}
