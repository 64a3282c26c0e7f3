package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	neturl "net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/graph"
	"imagerequests/graph/limits"
	"imagerequests/graph/transport"
	"imagerequests/imaging"
	"imagerequests/rest"
	"imagerequests/web"
	"imagerequests/worker"
)

// serve is the command that answers requests.
type serve struct {
	database
	Listen       string         `help:"Address and port to listen on, by default ${default}." default:"127.0.0.1:8080" setting:"IMAGEREQUESTS_LISTEN" placeholder:"HOST:PORT"`
	Demo         bool           `help:"Load demonstration data and accept the demonstration tokens. Only on a loopback address."`
	DemoImaging  time.Duration  `help:"With --demo: how long its pretending worker takes for an image." default:"20s" placeholder:"DURATION"`
	DemoFailures float64        `help:"With --demo: how many of its worker's runs fail, 0 to 1." default:"0.1"`
	Prefix       string         `help:"Path in front of /image_requests, such as /api/v1." setting:"IMAGEREQUESTS_PREFIX" placeholder:"PATH"`
	BaseURL      string         `help:"How clients reach this service, for links in REST answers, such as https://images.example.org." setting:"IMAGEREQUESTS_BASE_URL" placeholder:"URL"`
	Host         []string       `help:"Host name that links may be made from when there is no base URL; loopback names always may. May be given again." setting:"IMAGEREQUESTS_HOSTS" placeholder:"NAME"`
	TrustedProxy []netip.Prefix `help:"Network of proxies whose forwarded headers are believed, such as 10.0.0.0/8. May be given again." setting:"IMAGEREQUESTS_TRUSTED_PROXIES" placeholder:"CIDR"`
	Origin       []string       `help:"Origin of web pages that may use the service from a browser, such as https://portal.example.org. May be given again." setting:"IMAGEREQUESTS_ORIGINS" placeholder:"URL"`
	Rate         float64        `help:"Requests a second for each user or address, a GraphQL operation of up to 200 points being one; 0: no limit." default:"100" setting:"IMAGEREQUESTS_RATE"`
	Burst        int            `help:"Requests that each user or address may send at once." default:"500" setting:"IMAGEREQUESTS_BURST"`
	AtOnce       int            `help:"Operations carried out at once; eight times as many wait for their turn, and all beyond are told to come again; 0: no limit." default:"32" setting:"IMAGEREQUESTS_AT_ONCE"`
	Drain        time.Duration  `help:"How long an orderly stop goes on answering after /readyz says no: longer than a load balancer in front takes to notice." default:"0s" setting:"IMAGEREQUESTS_DRAIN" placeholder:"DURATION"`

	NoIntrospection bool   `help:"Do not tell GraphQL clients the schema; the playground will know no names." setting:"IMAGEREQUESTS_NO_INTROSPECTION"`
	TLSCert         string `name:"tls-cert" help:"File with the certificate, and those between it and its authority, to serve TLS with; read anew when it changes." setting:"IMAGEREQUESTS_TLS_CERT" placeholder:"FILE"`
	TLSKey          string `name:"tls-key" help:"File with the key of --tls-cert, which others may not read." setting:"IMAGEREQUESTS_TLS_KEY" placeholder:"FILE"`
	Metrics         string `help:"Address and port to tell metrics at, at /metrics, to whoever can connect there; without it admins alone can read them, at /metrics of the service." setting:"IMAGEREQUESTS_METRICS" placeholder:"HOST:PORT"`

	counts *metrics

	TrustedDocuments string `help:"File with the only GraphQL documents that are carried out: a JSON object of documents by their ids, as the tools of clients write it." setting:"IMAGEREQUESTS_TRUSTED_DOCUMENTS" placeholder:"FILE"`
}

// Time limits of the HTTP server, and how long an orderly stop waits for what is under way.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 20 * time.Second                              // of a whole request, also of a body that nobody wants
	writeTimeout   = readTimeout + auth.AnswerTime + headerTimeout // enough to say that the database says nothing
	idleTimeout    = 2 * time.Minute
	drainPatience  = 25 * time.Second // longer than a body may take
	readyTime      = 2 * time.Second  // for the database to say that it is there
	keysInterval   = time.Hour
	leasesInterval = time.Second
	chore          = 10 * time.Second // for what is done by the clock; what is left is for the next time
	lastUses       = 2 * time.Second
)

// slack is what the heap may grow by, in bytes, before it is cleaned, besides as much as is live, unless GOGC or GOMEMLIMIT say
// otherwise: ours is small, and would be cleaned thirty times a second (docs/performance.md).
const slack = 16 << 20

// demoTokens are accepted by a demonstration, and never stored.
var demoTokens = map[string]imaging.Actor{
	"demo-username": {Username: "username", Roles: []imaging.Role{imaging.Requester}},
	"demo-reviewer": {Username: "reviewer", Roles: []imaging.Role{imaging.Reviewer}},
	"demo-worker":   {Username: "worker", Roles: []imaging.Role{imaging.Worker}},
	"demo-admin":    {Username: "admin", Roles: []imaging.Role{imaging.Admin}},
}

// Run serves until the context ends, then stops in order: it is no longer ready, and tells clients so while it drains; takes no
// more connections, ends sockets and streams with a hint to come again, and lets what is under way come to its end; and only
// then ends what it does besides, the pool, and its private Postgres. Workers in this process give back at once what they hold.
func (s serve) Run(ctx context.Context, c console) (err error) {
	log := c.log(s.Verbose)
	if err := s.check(); err != nil {
		return err
	}
	if c.getenv("GOGC") == "" && c.getenv("GOMEMLIMIT") == "" {
		defer runtime.KeepAlive(make([]byte, slack)) // counted as live, but nobody touches it: it takes no memory
	}
	listener, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen where --listen says: %w", err)
	}
	defer func() { _ = listener.Close() }()
	cert, err := s.certificate(log)
	if err != nil {
		return err
	}
	store, closer, err := s.open(ctx, c, log, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	if knows, err := store.KnowsLetters(ctx); err != nil {
		return err
	} else if !knows {
		log.Warn("the database knows no letters but ASCII's, so searches for words in others read all rows: " +
			"make a database with TEMPLATE template0 LC_CTYPE 'C.UTF-8', or another locale of UTF-8, and restore a dump of this one into it")
	}
	if s.Demo {
		if err := store.LoadDemo(ctx); err != nil {
			return fmt.Errorf("load the demonstration data: %w", err)
		}
	}
	var stopping atomic.Bool
	feed := db.NewFeed(store)
	s.counts = newMetrics(store, feed, cert)
	handler, err := s.handler(store, feed, log, &stopping)
	if err != nil {
		return err
	}
	streams := transport.NewStreams()
	server := &http.Server{
		Handler: lastAnswers(handler, &stopping), BaseContext: streams.Base, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(streams.Stop) // when nobody can connect any more: who is told goes to another copy, or waits for the next start
	served := make(chan error, 1)
	if s.Metrics != "" {
		stop, err := s.counts.listen(s.Metrics)
		if err != nil {
			return fmt.Errorf("cannot listen where --metrics says: %w", err)
		}
		defer stop()
	}
	if cert != nil {
		server.TLSConfig = cert.config()
		go func() { served <- server.ServeTLS(listener, "", "") }()
	} else {
		go func() { served <- server.Serve(listener) }()
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	working, rest := context.WithCancel(ctx)
	besides := s.besides(life, working, store, feed, log)
	defer besides.Wait()
	defer end()
	defer rest()
	s.greet(c, listener.Addr().String())
	select {
	case err = <-served:
	case <-ctx.Done():
		log.Info("stopping")
		stopping.Store(true)
		select { // others may yet send requests here
		case err = <-served:
		case <-time.After(s.Drain):
		}
		patience, cancel := context.WithTimeout(context.Background(), drainPatience)
		defer cancel()
		if cut := errors.Join(server.Shutdown(patience), streams.Wait(patience)); cut != nil {
			err = errors.Join(fmt.Errorf("some requests were cut off: %w", cut), server.Close())
		}
	}
	return err
}

// lastAnswers has each connection end with the next answer once the service is stopping: http.Server.Shutdown ends those that
// are idle, and one on which a request is just arriving looks idle.
func lastAnswers(next http.Handler, stopping *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stopping.Load() && r.Header.Get("Upgrade") == "" {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// besides starts what the service does besides answering requests, until the context ends: subscribers are fed, leases that
// ran out are taken back, old keys are forgotten. A demonstration has a worker that pretends, until working ends.
func (s serve) besides(ctx, working context.Context, store *db.Store, feed *db.Feed, log *slog.Logger) *sync.WaitGroup {
	var running sync.WaitGroup
	running.Go(func() { note(ctx, log, "subscribers are told of events", 0, feed.Run(ctx)) })
	running.Go(func() {
		every(ctx, keysInterval, func() {
			ctx, cancel := context.WithTimeout(ctx, chore)
			defer cancel()
			n, err := store.ForgetKeys(ctx)
			s.counts.task(ctx, "forget_keys", err)
			note(ctx, log, "old idempotency keys were deleted", int(n), err)
		})
	})
	running.Go(func() {
		every(ctx, db.UsesInterval, func() {
			err := store.NoteUses(ctx)
			s.counts.task(ctx, "note_uses", err)
			note(ctx, log, "the last use of tokens is written down", 0, err)
		})
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastUses)
		defer cancel()
		_ = store.NoteUses(last) // those of the last minute; if they are lost, the last use is a minute off
	})
	running.Go(func() {
		every(ctx, leasesInterval, func() {
			ctx, cancel := context.WithTimeout(ctx, chore)
			defer cancel()
			n, err := store.ExpireLeases(ctx)
			s.counts.expired.Add(n)
			s.counts.task(ctx, "expire_leases", err)
			note(ctx, log, "versions whose worker was lost went back to the queue", n, err)
		})
	})
	if s.Demo {
		running.Go(func() {
			err := worker.Run(working, worker.Options{
				Store: store, Actor: demoTokens["demo-worker"], Provider: 1, Imager: worker.Simulated{Takes: s.DemoImaging, FailureRate: s.DemoFailures},
				Parallel: 2, LeaseSeconds: 60, Poll: time.Second, Log: log,
			})
			note(working, log, "the pretending worker has ended", 0, err)
		})
	}
	return &running
}

// every does something now and at each tick until the context ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// note logs what was done by the clock, if anything was.
func note(ctx context.Context, log *slog.Logger, what string, n int, err error) {
	switch {
	case err != nil && ctx.Err() == nil:
		log.Warn("could not be done: "+what, "error", err)
	case n > 0:
		log.Info(what, "count", n)
	}
}

// check refuses settings that would be unsafe.
func (s serve) check() error {
	host, _, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return fmt.Errorf("--listen %q is not HOST:PORT: %w", s.Listen, err)
	}
	if s.Demo && !loopback(host) {
		return fmt.Errorf("--demo accepts tokens that everybody knows, so it listens on a loopback address only, not on %q", host)
	}
	if !(s.DemoFailures >= 0 && s.DemoFailures <= 1) || s.DemoImaging < 0 {
		return errors.New("--demo-failures is a share, 0 to 1, and --demo-imaging a time from 0s")
	}
	if s.Demo && (len(s.Host) > 0 || len(s.TrustedProxy) > 0) {
		return errors.New("--demo accepts tokens that everybody knows, so it is not published: --host and --trusted-proxy do not go with it")
	}
	if !(s.Rate >= 0 && s.Rate <= math.MaxInt32) || s.Rate > 0 && s.Burst < 1 { // what is not a number is no rate either
		return errors.New("--rate is a number from 0, and --burst from 1")
	}
	if s.AtOnce < 0 || s.Drain < 0 {
		return errors.New("--at-once is a number, and --drain a time, from 0")
	}
	if s.Metrics != "" {
		if _, _, err := net.SplitHostPort(s.Metrics); err != nil {
			return fmt.Errorf("--metrics %q is not HOST:PORT: %w", s.Metrics, err)
		}
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	if _, err := s.trusted(); err != nil {
		return err
	}
	_, err = rest.OpenAPI(s.rest()) // to no other end than that it checks the options
	return err
}

// certificate is what TLS is served with; nil without --tls-cert.
func (s serve) certificate(log *slog.Logger) (*certificate, error) {
	if s.TLSCert == "" {
		return nil, nil //nolint:nilnil // it is served without
	}
	return loadCertificate(s.TLSCert, s.TLSKey, log)
}

// trusted are the documents of --trusted-documents; nil without it.
func (s serve) trusted() (*limits.Documents, error) {
	if s.TrustedDocuments == "" {
		return nil, nil //nolint:nilnil // any document may be carried out
	}
	file, err := os.ReadFile(s.TrustedDocuments)
	if err != nil {
		return nil, fmt.Errorf("--trusted-documents: %w", err)
	}
	documents, err := graph.Trust(file, s.NoIntrospection)
	if err != nil {
		return nil, fmt.Errorf("--trusted-documents: %s: %w", s.TrustedDocuments, err)
	}
	return documents, nil
}

// rest is how the settings shape the REST interface.
func (s serve) rest() rest.Options {
	return rest.Options{Prefix: s.Prefix, BaseURL: s.BaseURL, Hosts: s.Host, TrustedProxies: s.TrustedProxy, Origins: s.Origin}
}

// pages are the origins of pages that may use GraphQL from a browser: those named, and the service's own, which a proxy may
// reach by another name.
func (s serve) pages() []string {
	if u, err := neturl.Parse(s.BaseURL); err == nil && u.Host != "" {
		return append([]string{u.Scheme + "://" + u.Host}, s.Origin...)
	}
	return s.Origin
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// handler is every path of the service.
func (s serve) handler(store *db.Store, feed *db.Feed, log *slog.Logger, stopping *atomic.Bool) (http.Handler, error) {
	var known map[string]imaging.Actor
	playground := web.Options{}
	if s.Demo {
		known = demoTokens
		playground.Token = "demo-username"
		for _, name := range []string{"username", "reviewer", "worker", "admin"} {
			playground.Users = append(playground.Users, web.User{Name: name, Token: "demo-" + name})
		}
	}
	authenticator := auth.New(store, known)
	throttle, turns := auth.NewThrottle(s.Rate, s.Burst, s.TrustedProxy), auth.NewTurns(s.AtOnce)
	options := s.rest()
	options.Store, options.Auth, options.Throttle, options.Turns, options.Log = store, authenticator, throttle, turns, log
	shim, err := rest.New(options)
	if err != nil {
		return nil, err
	}
	document, err := rest.OpenAPI(options)
	if err != nil {
		return nil, err
	}
	play, err := web.Playground(playground)
	if err != nil {
		return nil, err
	}
	trusted, err := s.trusted()
	if err != nil {
		return nil, err
	}
	origins, err := transport.NewOrigins(s.pages()...)
	if err != nil {
		return nil, err
	}
	counts := s.counts
	if counts == nil {
		counts = newMetrics(store, feed, nil)
	}
	r := router{
		graphql: graph.New(graph.Options{
			Store: store, Feed: feed, Auth: authenticator, Throttle: throttle, Turns: turns, Log: log, Origins: origins, NoIntrospection: s.NoIntrospection, Trusted: trusted,
			Refused: counts.told,
		}),
		rest: shim, openapi: document, playground: play, ready: readiness(store, stopping), metrics: counts.forAdmins(authenticator, throttle), restPath: s.Prefix + "/image_requests",
	}
	all := counts.counted(r)
	if s.Demo {
		all = onlyLoopback(all)
	}
	return auth.Identify(guarded(all, s.Demo)), nil
}

// onlyLoopback refuses requests that name another host than this machine's own: a page elsewhere whose name was made to lead
// here must not be able to use the tokens that everybody knows.
func onlyLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !loopback(strings.Trim(host, "[]")) {
			text(w, http.StatusMisdirectedRequest, "This is a demonstration: it answers to localhost alone.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// router sends each path to its handler. It never redirects: clients of the REST interface do not follow.
type router struct {
	graphql, rest, openapi, playground, ready, metrics http.Handler
	restPath                                           string
}

func (r router) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	path := q.URL.Path
	switch {
	case path == "/graphql":
		r.graphql.ServeHTTP(w, q)
	case path == r.restPath || strings.HasPrefix(path, r.restPath+"/"):
		r.rest.ServeHTTP(w, q)
	case path == "/openapi.json":
		r.openapi.ServeHTTP(w, q)
	case path == "/playground" || strings.HasPrefix(path, "/playground/"):
		r.playground.ServeHTTP(w, q)
	case path == "/healthz":
		text(w, http.StatusOK, "ok")
	case path == "/readyz":
		r.ready.ServeHTTP(w, q)
	case path == "/metrics":
		r.metrics.ServeHTTP(w, q)
	case path == "/":
		text(w, http.StatusOK, "Image Requests\n\n/graphql         GraphQL\n/playground      try GraphQL here\n"+r.restPath+"  REST\n/openapi.json    the REST interface described")
	default:
		text(w, http.StatusNotFound, "There is nothing here. The service answers at /graphql, /playground, "+r.restPath+" and /openapi.json.")
	}
}

// readiness tells whether requests will be answered: 503 while stopping or without the database.
func readiness(store *db.Store, stopping *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stopping.Load() {
			text(w, http.StatusServiceUnavailable, "stopping")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), readyTime)
		defer cancel()
		if err := store.Ready(ctx); err != nil {
			text(w, http.StatusServiceUnavailable, "the database does not answer")
			return
		}
		text(w, http.StatusOK, "ready")
	})
}

func text(w http.ResponseWriter, status int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, s)
}

// greet says where the service is to be found.
func (s serve) greet(c console, address string) {
	base := "http://" + address
	if s.TLSCert != "" {
		base = "https://" + address
	}
	_, _ = fmt.Fprintf(c.out, "Image Requests is ready.\n\n  GraphQL     %s/graphql\n  Playground  %s/playground\n  REST        %s%s/image_requests\n  OpenAPI     %s/openapi.json\n",
		base, base, base, s.Prefix, base)
	if s.Demo {
		_, _ = fmt.Fprintf(c.out, "\nThis is a demonstration: anybody on this machine may sign in with the tokens\n  demo-username  demo-reviewer  demo-worker  demo-admin\n\nTry  curl %s%s/image_requests/%s\n", base, s.Prefix, db.DemoRequest)
	}
	_, _ = fmt.Fprintln(c.out, "\nCtrl-C stops it.")
}
