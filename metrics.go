package main

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/imaging"
	"imagerequests/telemetry"
)

// metrics are what the service tells of itself; docs/operating.md says what each means and when to worry. They name doors,
// codes, statuses and providers, and never a user, a request or anything that was sent.
type metrics struct {
	telemetry.Metrics
	requests *telemetry.Counter
	took     *telemetry.Histogram
	refused  *telemetry.Counter
	expired  *telemetry.Counter
	failed   *telemetry.Counter
}

// took are the bounds of how long answers take: a list takes milliseconds, and a statement ends after 15 s.
var took = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

func newMetrics(store *db.Store, feed *db.Feed, cert *certificate) *metrics {
	m := &metrics{}
	m.requests = m.Counter("imagerequests_requests_total", "Requests answered, by door and HTTP status.", "door", "status")
	m.took = m.Histogram("imagerequests_request_seconds", "How long answers took, without sockets and streams.", took, "door")
	m.refused = m.Counter("imagerequests_graphql_errors_total", "Errors in GraphQL answers, whatever their HTTP status, by code.", "code")
	m.expired = m.Counter("imagerequests_leases_expired_total", "Versions that this copy took back because their worker gave no sign of life.")
	m.failed = m.Counter("imagerequests_background_failures_total", "What this copy does by the clock and could not do.", "task")
	m.Gauge("imagerequests_build_info", "Which program this is.", func(_ context.Context, emit telemetry.Emit) {
		emit(1, "version", release, "go", runtime.Version())
	})
	m.ofDatabase(store)
	m.Gauge("imagerequests_subscribers", "Subscriptions under way in this copy.", func(_ context.Context, emit telemetry.Emit) { emit(float64(feed.Subscribers())) })
	m.Gauge("imagerequests_feed_lag_seconds", "For how long this copy has not been able to read all events that there are; about 2 when all is well.",
		func(_ context.Context, emit telemetry.Emit) { emit(feed.Lag().Seconds()) })
	m.ofProcess()
	if cert != nil {
		m.Gauge("imagerequests_certificate_ends_seconds", "When the certificate in use expires, as Unix time.", func(_ context.Context, emit telemetry.Emit) {
			emit(float64(cert.ends().Unix()))
		})
	}
	return m
}

// How long a reading of the data is good for, so that asking often costs nothing, and how long it may take.
const (
	gaugesKept     = 5 * time.Second
	gaugesPatience = 2 * time.Second
)

// ofDatabase are the pool and what stands in the tables. Without the database only imagerequests_database_up is told, as 0.
func (m *metrics) ofDatabase(store *db.Store) {
	m.Gauge("imagerequests_pool_connections", "Connections to the database, by what they do.", func(_ context.Context, emit telemetry.Emit) {
		s := store.Pool()
		emit(float64(s.InUse), "state", "in_use")
		emit(float64(s.Idle), "state", "idle")
	})
	m.Gauge("imagerequests_pool_limit", "Connections that there are at most.", func(_ context.Context, emit telemetry.Emit) { emit(float64(store.Pool().MaxOpenConnections)) })
	m.Total("imagerequests_pool_waits_total", "How often somebody had to wait for a connection.", func(_ context.Context, emit telemetry.Emit) { emit(float64(store.Pool().WaitCount)) })
	m.Total("imagerequests_pool_wait_seconds_total", "How long they waited, all together.", func(_ context.Context, emit telemetry.Emit) { emit(store.Pool().WaitDuration.Seconds()) })
	m.Gauge("imagerequests_waiting", "Calls that wait for a turn at the database which they can share.", func(_ context.Context, emit telemetry.Emit) {
		for of, n := range store.Waiting() {
			emit(float64(n), "of", of)
		}
	})
	var mu sync.Mutex
	var last db.Gauges
	var lastErr error
	var at time.Time
	read := func(ctx context.Context) (db.Gauges, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(at) > gaugesKept {
			ctx, cancel := context.WithTimeout(ctx, gaugesPatience)
			defer cancel()
			last, lastErr = store.Gauges(ctx)
			at = time.Now()
		}
		return last, lastErr
	}
	gauge := func(name, help string, tell func(db.Gauges, telemetry.Emit)) {
		m.Gauge(name, help, func(ctx context.Context, emit telemetry.Emit) {
			if g, err := read(ctx); err == nil {
				tell(g, emit)
			}
		})
	}
	m.Gauge("imagerequests_database_up", "Whether the database answers.", func(ctx context.Context, emit telemetry.Emit) {
		if _, err := read(ctx); err != nil {
			emit(0)
			return
		}
		emit(1)
	})
	gauge("imagerequests_open_versions", "Versions that wait or are being imaged, by status and provider.", func(g db.Gauges, emit telemetry.Emit) {
		for _, o := range g.Open {
			emit(float64(o.Count), "status", string(o.Status), "provider", strconv.Itoa(o.Provider))
		}
	})
	gauge("imagerequests_oldest_open_version_seconds", "How long ago the oldest of them was asked for.", func(g db.Gauges, emit telemetry.Emit) {
		for _, o := range g.Open {
			emit(o.Oldest.Seconds(), "status", string(o.Status), "provider", strconv.Itoa(o.Provider))
		}
	})
	gauge("imagerequests_leases_overdue", "Leases that ran out and were not taken back yet.", func(g db.Gauges, emit telemetry.Emit) { emit(float64(g.Overdue)) })
	gauge("imagerequests_events_waiting_seconds", "For how long the oldest event has been kept from all subscribers by an older transaction somewhere on the database server.",
		func(g db.Gauges, emit telemetry.Emit) { emit(g.Waiting.Seconds()) })
}

// ofProcess is what the runtime and, where it can, the system know of the process.
func (m *metrics) ofProcess() {
	begun := time.Now()
	m.Gauge("process_start_time_seconds", "When the process started, as Unix time.", func(_ context.Context, emit telemetry.Emit) { emit(float64(begun.UnixMilli()) / 1000) })
	m.Gauge("go_goroutines", "Goroutines.", func(_ context.Context, emit telemetry.Emit) { emit(float64(runtime.NumGoroutine())) })
	m.Gauge("go_memstats_heap_alloc_bytes", "Memory in use on the heap; unless GOGC or GOMEMLIMIT is set, with 16 MiB of slack that is never touched.", func(_ context.Context, emit telemetry.Emit) {
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		emit(float64(s.HeapAlloc))
	})
	m.Gauge("process_resident_memory_bytes", "Memory that the system has given; on Linux only.", func(_ context.Context, emit telemetry.Emit) {
		text, err := os.ReadFile("/proc/self/statm")
		if fields := strings.Fields(string(text)); err == nil && len(fields) > 1 {
			pages, _ := strconv.Atoi(fields[1])
			emit(float64(pages * os.Getpagesize()))
		}
	})
	m.Gauge("process_open_fds", "Open files and sockets; on Linux only.", func(_ context.Context, emit telemetry.Emit) {
		if open, err := os.ReadDir("/proc/self/fd"); err == nil {
			emit(float64(len(open) - 1)) // without the one that this takes
		}
	})
}

// task counts what is done by the clock and has failed.
func (m *metrics) task(ctx context.Context, name string, err error) {
	if err != nil && ctx.Err() == nil {
		m.failed.Add(1, name)
	}
}

// told counts the errors of GraphQL answers.
func (m *metrics) told(code imaging.Code) { m.refused.Add(1, string(code)) }

// doors are what requests are counted by. Paths are not: callers make them up.
func (r router) door(path string) string {
	switch {
	case path == "/graphql":
		return "graphql"
	case path == r.restPath || strings.HasPrefix(path, r.restPath+"/"):
		return "rest"
	case path == "/playground" || strings.HasPrefix(path, "/playground/"):
		return "playground"
	case path == "/healthz" || path == "/readyz":
		return "health"
	default:
		return "other"
	}
}

// counted counts requests and the time their answers take.
func (m *metrics) counted(r router) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		begun, seen := time.Now(), &seenStatus{ResponseWriter: w}
		door := r.door(q.URL.Path)
		defer func() { // also when a handler breaks off
			m.requests.Add(1, door, strconv.Itoa(seen.code()))
			if !seen.long() {
				m.took.Observe(time.Since(begun), door)
			}
		}()
		r.ServeHTTP(seen, q)
	})
}

// seenStatus notes what status an answer has.
type seenStatus struct {
	http.ResponseWriter
	status int
}

// Unwrap lets http.ResponseController through to what is below.
func (s *seenStatus) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *seenStatus) WriteHeader(status int) {
	if s.status == 0 || s.status < 200 { // an informational one is not the last
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Hijack is the beginning of a socket.
func (s *seenStatus) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	s.status = http.StatusSwitchingProtocols
	return http.NewResponseController(s.ResponseWriter).Hijack()
}

func (s *seenStatus) code() int {
	if s.status == 0 {
		return http.StatusOK
	}
	return s.status
}

// long tells whether it was a socket or a stream, which last as long as their clients like.
func (s *seenStatus) long() bool {
	return s.status == http.StatusSwitchingProtocols || strings.HasPrefix(s.Header().Get("Content-Type"), "text/event-stream")
}

// forAdmins tells the metrics to admins alone: /metrics where everybody can reach it. UNAUTHENTICATED, FORBIDDEN, LIMITED,
// UNAVAILABLE; without the database nobody can sign in, so --metrics is what a monitoring system should ask.
func (m *metrics) forAdmins(a *auth.Authenticator, throttle *auth.Throttle) http.Handler {
	statuses := map[imaging.Code]int{
		imaging.Unauthenticated: http.StatusUnauthorized, imaging.Limited: http.StatusTooManyRequests, imaging.Unavailable: http.StatusServiceUnavailable,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		actor, _, err := throttle.Admit(a, r)
		switch {
		case err != nil || !actor.SignedIn():
			status := statuses[imaging.CodeOf(err)]
			if status == 0 {
				status = http.StatusUnauthorized
			}
			if status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", "Token")
			}
			text(w, status, "Metrics are for admins: sign in with a token.")
		case !actor.IsAdmin():
			text(w, http.StatusForbidden, "Metrics are for admins.")
		default:
			m.ServeHTTP(w, r)
		}
	})
}

// listen serves the metrics alone, to whoever can connect, until stop is called.
func (m *metrics) listen(address string) (stop func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", m)
	server := &http.Server{Handler: guarded(mux, false), ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 16 << 10}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	return func() {
		_ = server.Close()
		serving.Wait()
	}, nil
}
