package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"imagerequests/chaos"
	"imagerequests/db"
	"imagerequests/db/dbtest"
)

// TestDrain: who is to stop says at once that it is not ready, and goes on answering for as long as it was told, each connection
// once; what its worker holds is given back by then. A second signal ends it at once.
func TestDrain(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	p := startServer(t, dir, "--demo", "--demo-imaging=1h", "--drain=1h")
	pool := behind(t, dir)
	held := func() (n int) {
		if err := pool.QueryRow("SELECT count(*) FROM versions WHERE status = 'IMAGING' AND lease_holder = 'worker'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "the worker of the demonstration has something to do", func() bool { return held() > 0 })
	socket := connect(t, p.base, "demo-username")
	p.signal(syscall.SIGTERM)
	eventually(t, "the server is no longer ready", func() bool { return !ready(t, p.base) })
	for _, path := range []string{"/image_requests", "/graphql?query={providers{id}}"} {
		a, err := browser.Get(p.base + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if a.StatusCode != http.StatusOK || !a.Close {
			t.Errorf("while it drains %s answers %s, and closes the connection: %v", path, a.Status, a.Close)
		}
	}
	socket.viewer(t)
	eventually(t, "the worker has given back what it held", func() bool { return held() == 0 })
	p.signal(syscall.SIGTERM)
	p.endsAtOnce(t)
}

// TestTooMuchAtOnce: while one operation waits for a lock and eight for their turn, all others are told to come again, through
// both doors and for all they want. When it can go on it does.
func TestTooMuchAtOnce(t *testing.T) {
	t.Parallel()
	d := openDoors(t)
	handler, err := (serve{Demo: true, AtOnce: 1}).handler(d.store, db.NewFeed(d.store), slog.New(slog.DiscardHandler), &d.stopping)
	if err != nil {
		t.Fatal(err)
	}
	d.handler = handler
	tx, err := d.sql.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "SET LOCAL idle_in_transaction_session_timeout = 0; LOCK TABLE image_requests IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	const waiting, more = 8, 12
	began := time.Now()
	replies := make(chan reply, 1+waiting+more)
	send := func(n int) {
		switch n % 3 {
		case 0:
			replies <- d.send("GET", "/image_requests", "", d.as("owner"))
		case 1:
			replies <- d.send("POST", "/graphql", `{"query":"{ imageRequests { totalCount } }"}`, d.as("owner"), "Content-Type: application/json")
		case 2:
			replies <- d.send("POST", "/image_requests", `{}`, d.as("owner"), "Content-Type: application/json")
		}
	}
	go send(0)
	eventually(t, "one waits for the lock", func() (waits bool) {
		err := d.sql.QueryRow("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))").Scan(&waits)
		return err == nil && waits
	})
	for n := range waiting + more {
		go send(n)
	}
	for range more {
		if r := <-replies; r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") != "1" {
			t.Errorf("one too many is answered %d %v %s", r.status, r.header, r.body)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	for range 1 + waiting {
		r := <-replies
		late := r.status == http.StatusServiceUnavailable && time.Since(began) > 5*time.Second // which is how long who waits does
		if r.status != http.StatusOK && r.status != http.StatusBadRequest && !late {           // {} is no request for an image
			t.Errorf("whose turn it is is answered %d %s", r.status, r.body)
		}
	}
}

// TestReadyInTime: a database that does not say anything is not there, and whoever asks learns so soon.
func TestReadyInTime(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	p, err := chaos.NewProxy(cfg.Network, cfg.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	cfg.Network, cfg.Addr = "tcp", p.Addr()
	handler := readiness(dbtest.Open(t, cfg), new(atomic.Bool))
	ask := func() int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/readyz", nil))
		return w.Code
	}
	if status := ask(); status != http.StatusOK {
		t.Errorf("it answers %d", status)
	}
	heal := p.Hole()
	began := time.Now()
	if status := ask(); status != http.StatusServiceUnavailable || time.Since(began) > 4*readyTime {
		t.Errorf("without a word of the database it answers %d after %v", status, time.Since(began))
	}
	heal()
	if status := ask(); status != http.StatusOK {
		t.Errorf("then it answers %d", status)
	}
}
