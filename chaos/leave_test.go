package chaos

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// TestCallersWhoLeave: a caller whose query waits in the database leaves, and two seconds later the query is gone from there.
func TestCallersWhoLeave(t *testing.T) {
	t.Parallel()
	const atOnce = 5
	callers := number(100, 20)
	w := newWorld(t, setup{options: "-c lock_timeout=100s -c statement_timeout=100s"}) // so that it is nothing else that ends them
	w.populate()
	w.startAll()
	token := w.token("owner", imaging.Requester)
	tx, err := w.sql.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "SET LOCAL idle_in_transaction_session_timeout = 0; LOCK TABLE providers, counts IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	var longest time.Duration
	gone := 0
	for first := 0; first < callers; first += atOnce {
		// what the service does by the clock asks for no provider, and counts nothing
		eventually(t, "nothing waits", func() bool { return len(w.waiting(t)) == 0 })
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for i := range atOnce {
			all.Go(func() { w.ask(ctx, token, first+i) })
		}
		var ours []int
		eventually(t, "their queries wait in the database", func() bool {
			ours = slices.Collect(maps.Keys(w.waiting(t)))
			return len(ours) == atOnce
		})
		left := time.Now()
		leave()
		all.Wait()
		eventually(t, "their queries are gone", func() bool {
			now := w.waiting(t)
			return !slices.ContainsFunc(ours, func(pid int) bool { return now[pid] })
		})
		took := time.Since(left)
		longest = max(longest, took)
		if took <= 2*time.Second {
			gone += atOnce
		}
	}
	t.Logf("%d of %d queries were gone within 2 s of their callers' leaving, the last after %v", gone, callers, longest.Round(time.Millisecond))
	if gone != callers {
		t.Errorf("%d were not", callers-gone)
	}
}

// waiting are the server's backends that wait for a lock.
func (w *world) waiting(t *testing.T) map[int]bool {
	t.Helper()
	rows, err := w.sql.QueryContext(t.Context(), "SELECT pid FROM pg_stat_activity WHERE application_name = '"+served+"' AND wait_event_type = 'Lock'")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	pids := map[int]bool{}
	for rows.Next() {
		var pid int
		if err := rows.Scan(&pid); err != nil {
			t.Fatal(err)
		}
		pids[pid] = true
	}
	return pids
}

// ask reads or writes, through either door, and is not answered. Of five in a row each asks for something else: what is the same might wait as
// one.
func (w *world) ask(ctx context.Context, token string, n int) {
	c := newClient(w.balancer.Base(), token, patience)
	defer c.http.CloseIdleConnections()
	var r reply
	var err error
	switch n % 10 {
	case 2:
		r, err = c.graphql(ctx, `mutation($input: RequestImageInput!) { requestImage(input: $input) { version { id } } }`, map[string]any{"input": map[string]any{
			"name": "x", "instance": uuid.NewString(), "provider": 1, "visibility": "PRIVATE",
		}})
	case 7:
		r, err = c.do(ctx, http.MethodPost, "/image_requests", fmt.Sprintf(`{"name":"x","instance":%q,"provider":1,"description":"","software":"","exclude":"","tags":[],"vis":"private"}`, uuid.NewString()))
	case 1, 6:
		r, err = c.graphql(ctx, `{ providers { id } }`, nil)
	case 3, 8:
		r, err = c.graphql(ctx, `{ imageRequests(filter: {visibility: PUBLIC}) { totalCount } }`, nil)
	case 4, 9:
		r, err = c.graphql(ctx, `{ versions { totalCount } }`, nil)
	default:
		r, err = c.do(ctx, http.MethodGet, "/image_requests", "")
	}
	if err == nil {
		w.Errorf("request %d was answered %d %s", n, r.status, r.body)
	}
}
