package plan_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"imagerequests/graph/plan"
)

// TestPlansGoWithTheirDocument shows that a plan is made once for a document, and forgotten with it.
func TestPlansGoWithTheirDocument(t *testing.T) {
	t.Parallel()
	p := newPair()
	p.found = random{rand.New(rand.NewPCG(1, 1))}.found()
	for i := range 50 {
		p.document = *parse(fmt.Sprintf(`{ imageRequests { nodes { x%d: name } } nodes(ids: []) { id } }`, i))
		for range 3 {
			answer(t, p.with, nil)
		}
	}
	if _, steps := p.plans.Kept(); steps > 50*20 {
		t.Errorf("%d steps for 50 documents: plans are made more than once", steps)
	}
	p.document = document{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		runtime.GC()
		fields, steps := p.plans.Kept()
		if fields == 0 && steps == 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d fields and %d steps are kept of documents that are forgotten", fields, steps)
		case <-time.After(time.Millisecond):
		}
	}
}

// TestVariantsAreBounded shows that the plans of a document with many conditions do not fill the memory, and are right.
func TestVariantsAreBounded(t *testing.T) {
	t.Parallel()
	p := newPair()
	p.found = random{rand.New(rand.NewPCG(2, 2))}.found()
	p.document = *parse(`query($a: Boolean!, $b: Boolean!, $c: Boolean!, $d: Boolean = true) {
		imageRequests { ...F @skip(if: $a) nodes { id @include(if: $b) name @skip(if: $d) } }
	} fragment F on ImageRequestConnection { edges { cursor @include(if: $c) node { id } } }`)
	for i := range 16 {
		variables := map[string]any{"a": i&1 > 0, "b": i&2 > 0, "c": i&4 > 0, "d": i&8 > 0}
		if got, want := first(answer(t, p.with, variables)), first(answer(t, p.wholly, variables)); got != want {
			t.Errorf("%v: %s, want %s", variables, got, want)
		}
	}
	if fields, steps := p.plans.Kept(); fields != 1 || steps > plan.MostVariants*10 {
		t.Errorf("%d fields with %d steps are kept", fields, steps)
	}
}

// TestConditionThatIsNull shows that a request whose condition is in error leaves no plan to those that come after it.
func TestConditionThatIsNull(t *testing.T) {
	t.Parallel()
	p := newPair()
	p.found = random{rand.New(rand.NewPCG(4, 4))}.found()
	p.document = *parse(`query($d: Boolean = true) { imageRequests { nodes { id name @skip(if: $d) } } }`)
	for i, d := range []any{nil, true, false, nil} {
		variables := map[string]any{"d": d}
		before := p.planned.Load()
		if got, want := first(answer(t, p.with, variables)), first(answer(t, p.wholly, variables)); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
		if planned := p.planned.Load() > before; planned != (d != nil) {
			t.Errorf("request %d, with %v: planned is %v", i, d, planned)
		}
	}
}

// TestOneVariantForAll shows that requests that come at once do not use up a document's plans.
func TestOneVariantForAll(t *testing.T) {
	t.Parallel()
	p := newPair()
	p.found = random{rand.New(rand.NewPCG(5, 5))}.found()
	const documents = 200
	texts := make([]document, documents) // they stay, and so do their plans
	for i := range documents {
		texts[i] = *parse(fmt.Sprintf(`query($a: Boolean!) { imageRequests { nodes { x%d: id name @skip(if: $a) } } }`, i))
		p.document = texts[i]
		var all sync.WaitGroup
		begin := make(chan struct{})
		for range 2 * plan.MostVariants {
			all.Go(func() {
				<-begin
				answer(t, p.with, map[string]any{"a": true})
			})
		}
		close(begin)
		all.Wait()
	}
	_, many := p.plans.Kept()
	alone := newPair()
	alone.found, alone.document = p.found, texts[0]
	answer(t, alone.with, map[string]any{"a": true})
	if _, one := alone.plans.Kept(); one == 0 || many != documents*one {
		t.Errorf("%d steps are kept for %d documents, and %d for one of them", many, documents, one)
	}
	runtime.KeepAlive(texts)
}

func first(data string, _ []string) string { return data }

// TestLongPlansAreNone shows that fragments cannot make a short document a plan without end.
func TestLongPlansAreNone(t *testing.T) {
	t.Parallel()
	p := newPair()
	p.found = random{rand.New(rand.NewPCG(3, 3))}.found()
	var text strings.Builder
	text.WriteString("{ imageRequest(id: \"813557f2-f808-11e3-8ef5-b2227cce2b54\") { ...F0 } }")
	const levels = 5
	for i := range levels {
		fmt.Fprintf(&text, " fragment F%d on ImageRequest { a: versions { imageRequest { ...F%d } } b: versions { imageRequest { ...F%d } } c: versions { imageRequest { ...F%d } } }", i, i+1, i+1, i+1)
	}
	fmt.Fprintf(&text, " fragment F%d on ImageRequest { id }", levels)
	p.document = *parse(text.String())
	p.found.requests = nil
	answer(t, p.with, nil)
	if p.planned.Load() != 0 {
		t.Error("it was planned")
	}
	if _, steps := p.plans.Kept(); steps > plan.MostSteps {
		t.Errorf("%d steps are kept", steps)
	}
}
