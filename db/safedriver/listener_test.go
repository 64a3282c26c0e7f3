package safedriver

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/driver/pgdriver"
)

// The driver's listener works on a pool of ours, over verified TLS too.
func TestListener(t *testing.T) {
	t.Parallel()
	raw := "postgres://tester@127.0.0.1:" + server.port + "/postgres?sslmode=verify-full&sslrootcert=" + server.dir + "/root.crt"
	cfg, err := ParseURL(raw, nil)
	must(t, err)
	c, err := New(cfg)
	must(t, err)
	db := bun.NewDB(sql.OpenDB(c), pgdialect.New())
	t.Cleanup(func() { _ = db.Close() })

	listener := pgdriver.NewListener(db)
	defer listener.Close()
	must(t, listener.Listen(t.Context(), "news"))
	waitFor(t, "SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'LISTEN \"news\"' AND state = 'idle' AND application_name = 'imagerequests'")
	if _, err := db.ExecContext(t.Context(), "SELECT pg_notify(?, ?)", "news", "it works"); err != nil {
		t.Fatal(err)
	}
	if channel, payload, err := listener.ReceiveTimeout(t.Context(), 10*time.Second); channel != "news" || payload != "it works" {
		t.Error(channel, payload, err)
	}
}

// Bun's own transactions, savepoints among them, are no stranger's BEGIN.
func TestBunTransactions(t *testing.T) {
	t.Parallel()
	db, table := bun.NewDB(safe(t, config()), pgdialect.New()), newTable(t)
	outer, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelSerializable})
	must(t, err)
	inner, err := outer.BeginTx(t.Context(), nil)
	must(t, err)
	_, err = inner.ExecContext(t.Context(), "INSERT INTO "+table+" VALUES ('')")
	if SQLState(err) != "23514" || Constraint(err) != table+"_v" {
		t.Errorf("code %q, constraint %q: %v", SQLState(err), Constraint(err), err)
	}
	must(t, inner.Rollback())
	_, err = outer.ExecContext(t.Context(), "INSERT INTO "+table+" VALUES (?)", "x")
	must(t, err)
	must(t, outer.Commit())
	if n := count(t, table); n != 1 {
		t.Error("rows: ", n)
	}
	if _, err := db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelSnapshot}); err == nil {
		t.Error("an isolation level that Postgres does not have was taken")
	}
	if SQLState(sql.ErrNoRows)+Constraint(nil) != "" {
		t.Error("an error of somebody else has a code")
	}
}

// A listener of ours is told of each NOTIFY after Listen, ends with its context, and says so when the server cuts it off.
func TestListen(t *testing.T) {
	t.Parallel()
	c, err := New(config())
	must(t, err)
	db := safe(t, config())
	const others = "of others" // a name that must be quoted
	l, err := c.Listen(t.Context(), `"odd" channel`)
	must(t, err)
	defer func() { _ = l.Close() }()
	for range 3 {
		_, err := db.ExecContext(t.Context(), "SELECT pg_notify($1, 'x'), pg_notify($2, 'x')", others, `"odd" channel`)
		must(t, err)
		must(t, l.Wait(t.Context()))
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	early, err := c.Listen(t.Context(), "early")
	must(t, err)
	if err := early.Wait(gone); !errors.Is(err, context.Canceled) {
		t.Error("with a context that has ended before, it says ", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Wait(ctx) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error("cancelled, it says ", err)
	}
	if err := l.Wait(t.Context()); err == nil {
		t.Error("it goes on after its context has ended")
	}

	l, err = c.Listen(t.Context(), "cut")
	must(t, err)
	defer func() { _ = l.Close() }()
	_, err = db.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN "cut"'`)
	must(t, err)
	for err == nil { // why it is cut off, and then that it is
		err = l.Wait(t.Context())
	}

	if _, err := c.Listen(gone, "x"); !errors.Is(err, context.Canceled) {
		t.Error("begun with a context that has ended, it says ", err)
	}
}
