package telemetry

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func told(t testing.TB, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if got := w.Header().Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" || w.Code != 200 {
		t.Errorf("%d %s", w.Code, got)
	}
	return w.Body.String()
}

// What is told is the text format, to the byte.
func TestFormat(t *testing.T) {
	t.Parallel()
	var m Metrics
	c := m.Counter("c_total", "With a \\ and\na line.", "door", "status")
	m.Counter("none_total", "Nothing yet.")
	h := m.Histogram("h_seconds", "Took.", []float64{.5, 1}, "door")
	m.Gauge("g", "Now.", func(_ context.Context, emit Emit) { emit(1.5, "x", "a\"b\\c\nd"); emit(0) })
	m.Total("t_total", "Elsewhere.", func(_ context.Context, emit Emit) { emit(1e9) })
	c.Add(2, "rest", "200")
	c.Add(1, "graphql", "200")
	c.Add(1, "rest", "200")
	for _, d := range []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond, 3 * time.Second} {
		h.Observe(d, "rest")
	}
	const want = `# HELP c_total With a \\ and\na line.
# TYPE c_total counter
c_total{door="graphql",status="200"} 1
c_total{door="rest",status="200"} 3
# HELP none_total Nothing yet.
# TYPE none_total counter
none_total 0
# HELP h_seconds Took.
# TYPE h_seconds histogram
h_seconds_bucket{door="rest",le="0.5"} 2
h_seconds_bucket{door="rest",le="1"} 3
h_seconds_bucket{door="rest",le="+Inf"} 4
h_seconds_sum{door="rest"} 4.35
h_seconds_count{door="rest"} 4
# HELP g Now.
# TYPE g gauge
g{x="a\"b\\c\nd"} 1.5
g 0
# HELP t_total Elsewhere.
# TYPE t_total counter
t_total 1e+09
`
	if diff := cmp.Diff(want, told(t, &m)); diff != "" {
		t.Error(diff)
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/metrics", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", w.Code, w.Header())
	}
}

// Many count at once while others ask, nothing is lost, and labels that go wild take no memory without end.
func TestCountedAtOnce(t *testing.T) {
	t.Parallel()
	var m Metrics
	c := m.Counter("c_total", "Counts.", "n")
	h := m.Histogram("h_seconds", "Took.", []float64{1}, "n")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := range 2000 {
				c.Add(1, "same")
				c.Add(1, strings.Repeat("x", n))
				h.Observe(time.Second, "same")
				if n%500 == 0 {
					told(t, &m)
				}
			}
		})
	}
	all.Wait()
	text := told(t, &m)
	if !strings.Contains(text, `c_total{n="same"} 16000`) || !strings.Contains(text, `h_seconds_count{n="same"} 16000`) {
		t.Error("counts were lost")
	}
	if n := len(regexp.MustCompile(`(?m)^c_total\{`).FindAllString(text, -1)); n > most {
		t.Errorf("%d series", n)
	}
}
