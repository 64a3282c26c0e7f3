package plan_test

import (
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/graph/plan/plantest"
)

var (
	documents = flag.Int("plans.documents", 1000, "how many random documents TestPlans sends")
	drawnBy   = flag.Uint64("plans.seed", uint64(time.Now().UnixNano()), "seed that TestPlans draws them by: the same ones on as many processors")
)

var roots = plantest.Roots{
	"imageRequest":  {`(id: "813557f2-f808-11e3-8ef5-b2227cce2b54")`, `(id: $id)`},
	"imageRequests": {"", `(first: 3)`, `(first: $n, filter: {tags: "a", ended: null, startedFrom: "2026-01-02T03:04:05Z"}, orderBy: {field: NAME})`, `(filter: {startedFrom: "soon"})`},
	"version":       {`(id: "813557f2-f808-11e3-8ef5-b2227cce2b54")`, `(id: $id)`},
	"versions":      {"", `(last: $n, before: "x")`, `(filter: {status: [PENDING]}, orderBy: {field: STATUS, direction: ASC})`},
	"node":          {`(id: "00000000-f808-11e3-8ef5-b2227cce2b54")`, `(id: "01000000-f808-11e3-8ef5-b2227cce2b54")`, `(id: $id)`},
	"nodes":         {`(ids: [$id])`, `(ids: [])`},
}

var types = plantest.Types{"id": "ID!", "n": "Int"}

// both answers a document with plans and without: three times, so that a plan that is kept meets other variables and other
// rows. It tells whether the document is valid.
func (p *pair) both(t testing.TB, choose plantest.Choose, rnd random) bool {
	t.Helper()
	text := plantest.Document(schema, choose, roots, types)
	d := parse(text)
	if d == nil {
		return false
	}
	p.document = *d
	for range 3 {
		p.found = rnd.found()
		variables := map[string]any{"id": uuid.UUID{byte(rnd.IntN(3))}.String(), "n": []any{nil, 3, 1 << 40}[rnd.IntN(3)]}
		for _, name := range plantest.Conditions {
			variables[name] = rnd.IntN(2) == 0
		}
		data, problems := answer(t, p.with, variables)
		wantData, wantProblems := answer(t, p.wholly, variables)
		if data != wantData || !slices.Equal(problems, wantProblems) {
			t.Errorf("%s\n%v\nwith plans %s\n%v\nwithout    %s\n%v", text, variables, data, problems, wantData, wantProblems)
			return true
		}
	}
	return true
}

// FuzzPlans sends documents that are made of the bytes given.
func FuzzPlans(f *testing.F) {
	f.Add([]byte("a"), uint64(1))
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		choices := make([]byte, 200)
		for i := range choices {
			choices[i] = byte(rnd.Uint32())
		}
		f.Add(choices, seed)
	}
	f.Fuzz(func(t *testing.T, choices []byte, seed uint64) {
		choose := func(n int) int {
			if len(choices) == 0 {
				return 0
			}
			c := int(choices[0])
			choices = choices[1:]
			return c % n
		}
		newPair().both(t, choose, random{rand.New(rand.NewPCG(seed, 2))})
	})
}

// TestPlans sends random documents, each with three sets of variables over three worlds: no byte differs from what gqlgen
// answers, and most are planned. make plans sends a million.
func TestPlans(t *testing.T) {
	t.Parallel()
	workers := min(runtime.GOMAXPROCS(0), 2)
	t.Logf("seed %d", *drawnBy)
	var all struct {
		sync.Mutex
		valid, planned int
	}
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			var state [32]byte
			binary.LittleEndian.PutUint64(state[:], *drawnBy+uint64(worker))
			rnd := random{rand.New(rand.NewChaCha8(state))}
			p := newPair()
			valid := 0
			for valid < *documents/workers && !t.Failed() {
				if !p.both(t, rnd.IntN, rnd) {
					continue
				}
				if valid++; valid%50_000 == 0 {
					t.Logf("worker %d: %d documents", worker, valid)
				}
			}
			all.Lock()
			defer all.Unlock()
			all.valid, all.planned = all.valid+valid, all.planned+int(p.planned.Load())
		})
	}
	wg.Wait()
	t.Logf("%d documents, %d planned root fields", all.valid, all.planned)
	if all.planned < 2*all.valid {
		t.Errorf("of %d documents, answered three times each, only %d root fields were planned", all.valid, all.planned)
	}
}
