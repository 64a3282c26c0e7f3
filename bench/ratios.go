package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
)

// quantity is a number of a cell's samples.
type quantity struct {
	cell
	of func(sample) float64
}

// ratio is what the project has promised about two quantities.
type ratio struct {
	name        string
	over, under quantity
	target      float64
	atLeast     bool
}

// crowd is with how many clients processor time is compared.
const crowd = 16

// ratios are the promises. Where one side is too slow to be asked for by many, both are compared with one client.
func (b *bench) ratios() []ratio {
	fewest, most := slices.Min(b.sizes), slices.Max(b.sizes)
	at := func(size int, work, way string, clients int, of func(sample) float64) quantity {
		return quantity{cell{size, work, way, clients}, of}
	}
	cpu := func(work, way string) quantity { return at(most, work, way, crowd, total) }
	all := []ratio{
		{"one by id over GraphQL: processor time, by that of bare pgx", cpu(oneByID, graphQL), cpu(oneByID, agg), 1.1, false},
		{"one by id over REST: processor time, by that of bare pgx", cpu(oneByID, rest), cpu(oneByID, agg), 1.1, false},
		{"list of 20 over GraphQL: processor time, by that of bare pgx", cpu(listOf20, graphQL), cpu(listOf20, agg), 1.3, false},
		{"list of 100 over GraphQL: processor time, by that of Postgres alone", cpu(listOf100, graphQL), cpu(listOf100, alone), 2, false},
		{"list of 100 over GraphQL, each time another one: processor time, by that of Postgres alone", cpu(otherLists, graphQL), cpu(otherLists, alone), 2, false},
		{"list of 100 over GraphQL: the server's, by that of encoding/json", at(most, listOf100, graphQL, crowd, server), at(most, listOf100, structs, crowd, server), 1, false},
		{"page 25,000 by cursor: processor time, by that of the first", cpu(pageByCursor, graphQL), cpu(listOf20, graphQL), 1.2, false},
		{"a page by cursor at most rows: processor time, by that at fewest", cpu(pageByCursor, graphQL), at(fewest, pageByCursor, graphQL, crowd, total), 1.3, false},
		{"list of 20 with its exact count: processor time, by that without", cpu(listWithCount, graphQL), cpu(listOf20, graphQL), 2, false},
		{"page 25,000 by number over REST: processor time, by that of the first", cpu(pageByNumber, rest), cpu(listWithCount, rest), 10, false},
		{"creates over GraphQL, 64 clients: throughput, by that of bare pgx", at(most, create, graphQL, 64, throughput), at(most, create, single, 64, throughput), 1.3, true},
		{"creates over GraphQL, one client: latency, by that of bare pgx", at(most, create, graphQL, 1, latency), at(most, create, single, 1, latency), 1.2, false},
	}
	s := b.stages[slices.IndexFunc(b.stages, func(s *stage) bool { return s.size == most })]
	for i := range all {
		r := &all[i]
		if s.slow(r.over.work, r.over.way) || s.slow(r.under.work, r.under.way) {
			r.over.clients, r.under.clients = 1, 1
		}
	}
	return all
}

// figure is a number that was promised, and what it is.
type figure struct {
	name, unit    string
	value, target float64
	atLeast       bool
	cells         []cell // that it comes from
}

// met tells whether the promise is kept.
func (f figure) met() bool {
	if f.atLeast {
		return f.value >= f.target
	}
	return f.value <= f.target
}

// worse tells whether it is worse than it was by more than a fifth.
func (f figure) worse(was float64) bool {
	if f.atLeast {
		return f.value < was/1.2
	}
	return f.value > was*1.2
}

// figures are those of the promises that were measured.
func (b *bench) figures() (all []figure) {
	for _, r := range b.ratios() {
		if value, ok := b.quotient(r.over, r.under); ok {
			all = append(all, figure{r.name, "×", value, r.target, r.atLeast, []cell{r.over.cell, r.under.cell}})
		}
	}
	return append(all,
		figure{memory, " MiB", b.memory, 64, false, nil},
		figure{starting, " ms", b.starts, 300, false, nil})
}

const (
	memory   = "resident memory under load, at most"
	starting = "start on the largest database, until ready"
)

// recorded is what a run was and what it has shown.
type recorded struct {
	Sizes  []int              `json:"sizes"`
	Ratios map[string]float64 `json:"ratios"`
}

func (b *bench) save(file string) error {
	r := recorded{b.sizes, map[string]float64{}}
	for _, f := range b.figures() {
		if f.name != starting { // which says more of the machine than of us
			r.Ratios[f.name] = float64(int(f.value*1000)) / 1000
		}
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644) //nolint:gosec // it is for everybody
}

// compare fails if a ratio is worse than what was recorded by more than a fifth, and still is when again has measured what it
// is made of.
func (b *bench) compare(file string, out io.Writer, again func([]cell) error) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var was recorded
	if err := json.Unmarshal(text, &was); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if !slices.Equal(was.Sizes, b.sizes) {
		return fmt.Errorf("%s was recorded with %v image requests, this run has %v", file, was.Sizes, b.sizes)
	}
	var doubtful []cell
	there := map[string]figure{}
	for _, f := range b.figures() {
		there[f.name] = f
		if before, ok := was.Ratios[f.name]; ok && f.worse(before) {
			_, _ = fmt.Fprintf(out, "\n%s: %.2f, recorded is %.2f. Measured again, longer:\n", f.name, f.value, before)
			for _, c := range f.cells {
				if !slices.Contains(doubtful, c) {
					doubtful = append(doubtful, c)
				}
			}
		}
	}
	for _, c := range doubtful {
		delete(b.samples, c)
	}
	if err := again(doubtful); err != nil {
		return err
	}
	for _, f := range b.figures() {
		if !slices.ContainsFunc(f.cells, func(c cell) bool { return !slices.Contains(doubtful, c) }) {
			there[f.name] = f // of both in the same rounds
		}
	}
	worse := 0
	for _, name := range slices.Sorted(maps.Keys(was.Ratios)) {
		f, ok := there[name]
		switch {
		case !ok:
			_, _ = fmt.Fprintf(out, "not measured: %s\n", name)
		case f.worse(was.Ratios[name]):
			_, _ = fmt.Fprintf(out, "worse by more than a fifth: %s: %.2f, recorded is %.2f\n", name, f.value, was.Ratios[name])
		default:
			continue
		}
		worse++
	}
	if worse > 0 {
		return fmt.Errorf("%d of %d recorded ratios are worse", worse, len(was.Ratios))
	}
	_, _ = fmt.Fprintf(out, "\nNone of the %d recorded ratios is worse by more than a fifth.\n", len(was.Ratios))
	return nil
}
