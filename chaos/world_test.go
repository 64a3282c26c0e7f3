package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	neturl "net/url"
	"syscall"
	"testing"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/db/embedded"
	"imagerequests/imaging"
)

// world is a durable Postgres, a proxy to it, the servers over that, and a balancer before them. What the test itself asks
// the database goes past the proxy.
type world struct {
	testing.TB
	cluster  *embedded.Cluster
	log      *record // of the cluster's supervision
	store    *db.Store
	sql      *sql.DB
	proxy    *Proxy
	balancer *Balancer
	env      []string
	args     []string
	servers  []*server
}

// setup is what a test may want otherwise.
type setup struct {
	dir     string // of the cluster
	copies  int
	ready   bool     // the balancer looks at /readyz
	args    []string // of the servers
	options string   // of their sessions, as -c name=value
}

// served is the name of the servers' sessions.
const served = "served"

var admin = imaging.Actor{Username: "admin", Roles: []imaging.Role{imaging.Admin}}

// newWorld has its servers not started yet.
func newWorld(t testing.TB, s setup) *world {
	t.Helper()
	w := &world{TB: t, log: &record{}, args: append([]string{"serve", "--listen=127.0.0.1:0", "--rate=0"}, s.args...)}
	if s.dir == "" {
		s.dir = folder(t)
	}
	var err error
	log := slog.New(slog.NewTextHandler(w.log, nil))
	if w.cluster, err = embedded.Start(t.Context(), embedded.Options{Dir: s.dir, MaxConnections: 40, Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.cluster.Stop(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(tail(w.log.String()))
		}
	})
	cfg := w.cluster.Config("postgres")
	w.store, w.sql = dbtest.Open(t, cfg), dbtest.SQL(t, cfg)
	if w.proxy, err = NewProxy(cfg.Network, cfg.Addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.proxy.Close)
	query := "sslmode=disable&application_name=" + served
	if s.options != "" {
		query += "&options=" + neturl.PathEscape(s.options)
	}
	w.env = []string{fmt.Sprintf("DATABASE_URL=postgres://%s:%s@%s/%s?%s", cfg.User, neturl.PathEscape(cfg.Password), w.proxy.Addr(), cfg.Database, query)}
	if w.balancer, err = NewBalancer(max(1, s.copies), s.ready); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.balancer.Close)
	w.servers = make([]*server, max(1, s.copies))
	return w
}

// populate has a schema, and two providers, of which 2 approves by itself.
func (w *world) populate() {
	w.Helper()
	if _, err := w.store.Migrate(w.Context()); err != nil {
		w.Fatal(err)
	}
	for id, auto := range map[int]bool{1: false, 2: true} {
		if _, err := w.store.SaveProvider(w.Context(), admin, imaging.SaveProviderInput{ID: id, Name: new(fmt.Sprint("provider ", id)), AutoApprove: &auto}); err != nil {
			w.Fatal(err)
		}
	}
}

// token makes one for a user, as soon as the database lets it.
func (w *world) token(user string, roles ...imaging.Role) (secret string) {
	w.Helper()
	eventually(w, "a token is made for "+user, func() bool {
		var err error
		secret, _, err = w.store.CreateToken(w.Context(), admin, imaging.Token{Username: user, Roles: roles})
		return err == nil
	})
	return secret
}

// start brings a server up, and tells the balancer.
func (w *world) start(i int) *server {
	w.Helper()
	w.servers[i] = launch(w.TB, w.env, w.args...)
	w.balancer.Set(i, w.servers[i].serves(w.TB))
	return w.servers[i]
}

func (w *world) startAll() {
	w.Helper()
	for i := range w.servers {
		w.start(i)
	}
}

// postmaster sends the database server a signal.
func (w *world) postmaster(s syscall.Signal) (pid int) {
	w.Helper()
	eventually(w, "the database server takes a signal", func() bool {
		pid = w.cluster.Pid()
		return pid > 1 && syscall.Kill(pid, s) == nil
	})
	return pid
}

// another waits until another database server runs.
func (w *world) another(than int) {
	w.Helper()
	eventually(w, "another database server runs", func() bool { now := w.cluster.Pid(); return now != 0 && now != than })
}

// query is one number that the database tells; ok is false while it does not.
func (w *world) query(text string, args ...any) (n int, ok bool) {
	return n, w.sql.QueryRowContext(w.Context(), text, args...).Scan(&n) == nil
}

// execute changes something behind the service's back, as soon as the database lets it; done twice, it must do no harm.
func (w *world) execute(text string, args ...any) {
	w.Helper()
	eventually(w, "the database does "+text, func() bool {
		_, err := w.sql.ExecContext(w.Context(), text, args...)
		return err == nil
	})
}

// direct is the address of a server past the balancer, for crowds: each connection through that takes two more.
func (w *world) direct() string { return "http://" + w.servers[0].address() }
