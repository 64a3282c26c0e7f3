package main

import (
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"imagerequests/imaging"
)

// TestMain lets the test's program be the bare handler, too, as the benchmark's is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "bare" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestBench runs all of it, small: the start compares the answers of all doors and of what they are compared with.
func TestBench(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := flags([]string{"-sizes=1000", "-clients=1,3", "-rounds=1", "-round=10ms"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s.throwaway = true
	b, err := start(ctx, s, testWriter{t})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}()
	b.searchTexts(t)
	cells := slices.DeleteFunc(b.cells(), func(c cell) bool { return c.way == alone && c.work != listOf100 }) // each takes a second at least
	if want := 50; len(cells) < want {
		t.Errorf("there are only %d things to measure, want %d", len(cells), want)
	}
	if err := b.measure(ctx, cells, 1); err != nil {
		t.Fatal(err)
	}
	if err := b.weigh(ctx); err != nil {
		t.Fatal(err)
	}
	for _, c := range cells {
		one := b.samples[c][0]
		if one.Answers < 1 || one.PerSecond <= 0 || one.P50 <= 0 {
			t.Errorf("%+v: %+v", c, one)
		}
	}
	if b.memory < 10 || b.starts < 1 {
		t.Errorf("a server has %g MiB and starts within %g ms", b.memory, b.starts)
	}
	report := b.report()
	for _, w := range b.stages[0].all {
		for way := range w.asks {
			if line := "| " + w.name + " | " + way + " |"; !strings.Contains(report, line) {
				t.Errorf("the report has no line %q", line)
			}
		}
	}
}

// searchTexts are as the service itself would have stored them.
func (b *bench) searchTexts(t *testing.T) {
	t.Helper()
	conn, err := b.cluster.connect(t.Context(), b.stages[0].database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), "SELECT name, description, tags, search_text FROM image_requests")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		r := &imaging.ImageRequest{Versions: []*imaging.Version{{}}}
		var text string
		if err := rows.Scan(&r.Name, &r.Description, &r.Tags, &text); err != nil {
			t.Fatal(err)
		}
		if r.Settle(); text != r.SearchText {
			t.Fatalf("got %q, want %q", text, r.SearchText)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(string(b))
	return len(b), nil
}

// A ratio that is worse than recorded is told; one that is as good as it was is not.
func TestCompare(t *testing.T) {
	t.Parallel()
	cheap, dear := cell{100, listOf20, graphQL, crowd}, cell{100, pageByCursor, graphQL, crowd}
	for _, test := range []struct {
		name     string
		now, was float64
		ok       bool
	}{{"as it was", 2, 2, true}, {"better", 1, 2, true}, {"a little worse", 2.3, 2, true}, {"worse", 2.5, 2, false}} {
		b := &bench{settings: &settings{sizes: []int{100}, rounds: 1}, log: io.Discard, stages: []*stage{{size: 100}}}
		samples := map[cell][]sample{cheap: {{Server: 1}}, dear: {{Server: 0.5, Postgres: test.now - 0.5}}}
		b.samples = maps.Clone(samples)
		file := filepath.Join(t.TempDir(), "recorded.json")
		text, err := json.Marshal(recorded{b.sizes, map[string]float64{b.figures()[0].name: test.was}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var measured []cell
		again := func(cells []cell) error {
			measured = cells
			for _, c := range cells {
				b.samples[c] = samples[c]
			}
			return nil
		}
		if err := b.compare(file, io.Discard, again); (err == nil) != test.ok || (len(measured) == 0) != test.ok {
			t.Errorf("%s: %v, %d things were measured again", test.name, err, len(measured))
		}
	}
}

// A cell's figure is its median.
func TestMedian(t *testing.T) {
	t.Parallel()
	c := cell{size: 1}
	b := &bench{samples: map[cell][]sample{c: {{P50: 9}, {P50: 1}, {P50: 2}}}}
	if got, ok := b.median(c, latency); got != 2 || !ok {
		t.Errorf("got %g, %v", got, ok)
	}
	if _, ok := b.median(cell{}, latency); ok {
		t.Error("there is a median of nothing")
	}
}

// Of two cells round is compared with round; of others there is no telling.
func TestQuotient(t *testing.T) {
	t.Parallel()
	over, under := cell{size: 1}, cell{size: 2}
	b := &bench{samples: map[cell][]sample{over: {{P50: 9}, {P50: 1}, {P50: 7}, {P50: 4}}, under: {{P50: 3}, {P50: 1}, {P50: 0}, {P50: 2}}}}
	if got, ok := b.quotient(quantity{over, latency}, quantity{under, latency}); got != 2 || !ok {
		t.Errorf("got %g, %v", got, ok)
	}
	if _, ok := b.quotient(quantity{over, latency}, quantity{cell{}, latency}); ok {
		t.Error("there is a quotient of something and nothing")
	}
}

// A process's own time and that of its ended children are what the system says.
func TestProcessorTime(t *testing.T) {
	t.Parallel()
	for began, n := time.Now(), 0; time.Since(began) < 100*time.Millisecond; n++ { // it takes some
		_ = n
	}
	own, err := cpu(os.Getpid(), false)
	if err != nil || own <= 0 {
		t.Errorf("this process has used %v, %v", own, err)
	}
	if all, err := postgresCPU(os.Getpid()); err != nil || all < own {
		t.Errorf("with its children it has used %v, %v", all, err)
	}
	if n, err := mostMemory(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("it has %d bytes, %v", n, err)
	}
}
