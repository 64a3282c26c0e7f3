package safedriver

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"imagerequests/chaos"
)

// TestConnectionsThatDiedWithoutAWord: the server's words do not arrive any more on any connection of a pool. Only the first user
// pays for it.
func TestConnectionsThatDiedWithoutAWord(t *testing.T) {
	t.Parallel()
	const connections = 8
	cfg := tcpConfig()
	p, err := chaos.NewProxy("tcp", cfg.Addr)
	must(t, err)
	t.Cleanup(p.Close)
	cfg.Addr = p.Addr()
	db := safe(t, cfg)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	var all []*sql.Conn
	for range connections {
		c, err := db.Conn(t.Context())
		must(t, err)
		all = append(all, c)
	}
	for _, c := range all {
		must(t, c.Close())
	}
	if muted := p.Mute(chaos.Any); muted != connections {
		t.Fatalf("%d connections are muted", muted)
	}
	ask := func(d time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		return db.QueryRowContext(ctx, "SELECT 1").Scan(new(int))
	}
	if err := ask(longSilence); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the first one is answered %v", err)
	}
	for range connections {
		if err := ask(30 * time.Second); err != nil {
			t.Error(err)
		}
	}
}
