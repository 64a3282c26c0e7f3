package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// cell is one thing that is measured.
type cell struct {
	size    int
	work    string
	way     string
	clients int
}

// sample is what one round has shown. Times are in seconds; processor time is for each answer.
type sample struct {
	Answers   float64 `json:"answers"`
	PerSecond float64 `json:"perSecond"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99,omitempty"`
	Server    float64 `json:"server"`
	Postgres  float64 `json:"postgres"`
}

func total(s sample) float64      { return s.Server + s.Postgres }
func server(s sample) float64     { return s.Server }
func throughput(s sample) float64 { return s.PerSecond }
func latency(s sample) float64    { return s.P50 }

// tooSlow is how long an answer may take that many are asked for at once: two processors would work on them for minutes.
const tooSlow = 100 * time.Millisecond

func (s *stage) slow(work, way string) bool {
	return work != create && s.took[cell{size: s.size, work: work, way: way}] > tooSlow
}

// cells are what the settings want measured.
func (b *bench) cells() (all []cell) {
	needed := map[cell]bool{}
	for _, r := range b.ratios() {
		needed[r.over.cell], needed[r.under.cell] = true, true
	}
	for _, clients := range b.clients {
		for _, s := range b.stages {
			for _, w := range s.all {
				for _, way := range ways {
					c := cell{s.size, w.name, way, clients}
					if !w.done(way) || clients > 1 && s.slow(w.name, way) || b.onlyRatios && !needed[c] {
						continue
					}
					all = append(all, c)
				}
			}
		}
	}
	return all
}

// measure takes so many samples of each, all of them in turn, so that whatever else the machine does meets them alike.
func (b *bench) measure(ctx context.Context, cells []cell, rounds int) error {
	began := time.Now()
	for _, clients := range b.clients {
		now := slices.DeleteFunc(slices.Clone(cells), func(c cell) bool { return c.clients != clients })
		for round := range rounds {
			_, _ = fmt.Fprintf(b.log, "%v: %d clients, round %d of %d of %d measurements\n", time.Since(began).Round(time.Second), clients, round+1, rounds, len(now))
			for _, c := range now {
				s, err := b.sample(ctx, c)
				if err != nil {
					return fmt.Errorf("%s of %d, %s, %d clients: %w", c.work, c.size, c.way, c.clients, err)
				}
				b.samples[c] = append(b.samples[c], s)
			}
		}
	}
	return nil
}

func (b *bench) sample(ctx context.Context, c cell) (sample, error) {
	s := b.stages[slices.IndexFunc(b.stages, func(s *stage) bool { return s.size == c.size })]
	w := s.all[slices.IndexFunc(s.all, func(w *work) bool { return w.name == c.work })]
	if c.way == alone {
		return b.steady(ctx, s, w, c.clients)
	}
	p, postmaster := s.process(c.way), b.cluster.pg.Pid()
	var used [2]time.Duration
	latencies, took, err := load(ctx, p.address, w.asks[c.way], s.known, c.clients, b.round, func(measured func() error) error {
		before, err := bothCPU(p.cmd.Process.Pid, postmaster)
		if err != nil {
			return err
		}
		if err := measured(); err != nil {
			return err
		}
		after, err := bothCPU(p.cmd.Process.Pid, postmaster)
		used = [2]time.Duration{after[0] - before[0], after[1] - before[1]}
		return err
	})
	if err != nil {
		return sample{}, err
	}
	n := len(latencies)
	answers := float64(n)
	return sample{
		Answers: answers, PerSecond: answers / took.Seconds(), P50: latencies[n/2].Seconds(), P99: latencies[n*99/100].Seconds(),
		Server: used[0].Seconds() / answers, Postgres: used[1].Seconds() / answers,
	}, nil
}

func bothCPU(server, postmaster int) (both [2]time.Duration, err error) {
	if both[0], err = cpu(server, false); err != nil {
		return both, err
	}
	both[1], err = postgresCPU(postmaster)
	return both, err
}

// median is the middle of a quantity over the rounds of a cell; false if there were none.
func (b *bench) median(c cell, of func(sample) float64) (float64, bool) {
	var all []float64
	for _, s := range b.samples[c] {
		all = append(all, of(s))
	}
	return middle(all)
}

// quotient is the middle of what two quantities were to each other round by round: a machine that is slower for a while is so for
// both. False if they were not measured in the same rounds.
func (b *bench) quotient(over, under quantity) (float64, bool) {
	up, down := b.samples[over.cell], b.samples[under.cell]
	if len(up) != len(down) {
		return 0, false
	}
	var all []float64
	for i := range up {
		if by := under.of(down[i]); by > 0 { // the system tells processor time in steps
			all = append(all, over.of(up[i])/by)
		}
	}
	return middle(all)
}

func middle(all []float64) (float64, bool) {
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2, true
}

// weigh measures what there is one of: how much memory a server had at most under the load, and how long it takes to start
// on the largest database.
func (b *bench) weigh(ctx context.Context) error {
	for _, s := range b.stages {
		n, err := mostMemory(s.server.cmd.Process.Pid)
		if err != nil {
			return err
		}
		b.memory = max(b.memory, float64(n)/(1<<20))
	}
	var starts []float64
	for range 5 {
		p, took, err := b.serve(ctx, b.stages[len(b.stages)-1].database)
		if err != nil {
			return err
		}
		if err := p.stop(); err != nil {
			return err
		}
		starts = append(starts, float64(took.Milliseconds()))
	}
	slices.Sort(starts)
	b.starts = starts[len(starts)/2]
	return nil
}
