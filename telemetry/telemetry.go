// Package telemetry tells a monitoring system how the service is, in the text format of Prometheus. It is small because
// its needs are: counters, histograms, and values that are read when somebody asks.
package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Metrics are all that is told. The zero Metrics is ready, and safe for concurrent use once everything is registered.
type Metrics struct{ families []family }

// family is all values of one name.
type family interface {
	write(ctx context.Context, b *bytes.Buffer)
}

// head is what a family begins with.
type head struct{ name, kind, help string }

func (h head) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", h.name, strings.NewReplacer("\\", `\\`, "\n", `\n`).Replace(h.help), h.name, h.kind)
}

// sample writes one line. Labels are names and values in turn.
func sample(b *bytes.Buffer, name string, value float64, labels ...string) {
	b.WriteString(name)
	if len(labels) > 0 {
		pairs := make([]string, 0, len(labels)/2)
		for i := 0; i < len(labels); i += 2 {
			pairs = append(pairs, labels[i]+`="`+escape.Replace(labels[i+1])+`"`)
		}
		b.WriteString("{" + strings.Join(pairs, ",") + "}")
	}
	b.WriteString(" " + strconv.FormatFloat(value, 'g', -1, 64) + "\n")
}

var escape = strings.NewReplacer("\\", `\\`, "\n", `\n`, `"`, `\"`)

// series are the values of a family by those of its labels.
type series[T any] struct {
	head
	labels []string
	mu     sync.Mutex
	values map[string]*T
}

// most is how many series a family has at most: labels come from the program, not from callers, so this is a safety net.
const most = 1000

// at is the value of these labels, which the caller has locked.
func (s *series[T]) at(values []string) *T {
	key := strings.Join(values, "\x00")
	v := s.values[key]
	if v == nil {
		if v = new(T); len(s.values) >= most {
			return v
		}
		s.values[key] = v
	}
	return v
}

// each goes through the values in the order of their labels, given as names and values in turn.
func (s *series[T]) each(f func(labels []string, v *T)) {
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		var labels []string
		for i, value := range strings.Split(key, "\x00") {
			if i < len(s.labels) {
				labels = append(labels, s.labels[i], value)
			}
		}
		f(labels, s.values[key])
	}
}

// Counter only grows.
type Counter struct{ series[float64] }

// Counter registers one. Each call of Add gives as many values as there are labels.
func (m *Metrics) Counter(name, help string, labels ...string) *Counter {
	c := &Counter{series[float64]{head: head{name, "counter", help}, labels: labels, values: map[string]*float64{}}}
	if len(labels) == 0 {
		c.at(nil) // it is 0 before anything happens
	}
	m.families = append(m.families, c)
	return c
}

// Add counts n more.
func (c *Counter) Add(n int, values ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*c.at(values) += float64(n)
}

func (c *Counter) write(_ context.Context, b *bytes.Buffer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head.write(b)
	c.each(func(labels []string, v *float64) { sample(b, c.name, *v, labels...) })
}

// Histogram tells how long things take.
type Histogram struct {
	series[buckets]
	bounds []float64 // seconds
}

type buckets struct {
	counts []uint64 // of those up to each bound, and above all
	sum    float64
}

// Histogram registers one with buckets up to these bounds, in seconds.
func (m *Metrics) Histogram(name, help string, bounds []float64, labels ...string) *Histogram {
	h := &Histogram{series[buckets]{head: head{name, "histogram", help}, labels: labels, values: map[string]*buckets{}}, bounds}
	m.families = append(m.families, h)
	return h
}

// Observe counts one that took so long.
func (h *Histogram) Observe(d time.Duration, values ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.at(values)
	if v.counts == nil {
		v.counts = make([]uint64, len(h.bounds)+1)
	}
	i, _ := slices.BinarySearch(h.bounds, d.Seconds())
	v.counts[i]++
	v.sum += d.Seconds()
}

func (h *Histogram) write(_ context.Context, b *bytes.Buffer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head.write(b)
	h.each(func(labels []string, v *buckets) {
		n := uint64(0)
		for i, count := range v.counts {
			n += count
			bound := "+Inf"
			if i < len(h.bounds) {
				bound = strconv.FormatFloat(h.bounds[i], 'g', -1, 64)
			}
			sample(b, h.name+"_bucket", float64(n), append(slices.Clone(labels), "le", bound)...)
		}
		sample(b, h.name+"_sum", v.sum, labels...)
		sample(b, h.name+"_count", float64(n), labels...)
	})
}

// Emit tells one value. Labels are names and values in turn.
type Emit func(value float64, labels ...string)

// reading is a family that is read when somebody asks.
type reading struct {
	head
	read func(context.Context, Emit)
}

// Gauge registers values that go up and down, read when they are asked for.
func (m *Metrics) Gauge(name, help string, read func(context.Context, Emit)) {
	m.families = append(m.families, reading{head{name, "gauge", help}, read})
}

// Total registers values that only grow and are counted elsewhere.
func (m *Metrics) Total(name, help string, read func(context.Context, Emit)) {
	m.families = append(m.families, reading{head{name, "counter", help}, read})
}

func (r reading) write(ctx context.Context, b *bytes.Buffer) {
	r.head.write(b)
	r.read(ctx, func(value float64, labels ...string) { sample(b, r.name, value, labels...) })
}

// ServeHTTP tells everything.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	var b bytes.Buffer
	for _, f := range m.families {
		f.write(r.Context(), &b)
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
}
