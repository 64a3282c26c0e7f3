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
	ask := func(ctx context.Context, query string) error {
		return db.QueryRowContext(ctx, query).Scan(new(string))
	}
	// it gives up when it has waited so long since it was heard: a deadline would begin before the question is asked, and end too
	// early by that
	first, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	heard := p.HoldOn("SELECT 'first'")
	go func() {
		select {
		case <-heard:
			time.AfterFunc(longSilence, giveUp)
		case <-first.Done():
		}
	}()
	if err := ask(first, "SELECT 'first'"); !errors.Is(err, context.Canceled) {
		t.Errorf("the first one is answered %v", err)
	}
	for range connections {
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second) // shorter than it takes to be told that there is no answer
		if err := ask(ctx, "SELECT 'later'"); err != nil {
			t.Error(err)
		}
		cancel()
	}
}
