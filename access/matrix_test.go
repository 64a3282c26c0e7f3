package access_test

import (
	"flag"
	"sync/atomic"
	"testing"
)

// Of the run that looks for mutants (mutants_test.go): the first cell that is wrong is enough.
var first = flag.Bool("access.first", false, "end at the first cell that is wrong")

// full looks at every cell. Without it, those are passed over that can hardly differ from others: rows in all states for tokens
// that are refused before anything is read, and ends yet to come where nothing asks for an end.
var full = flag.Bool("access.full", false, "look at every cell")

func passedOver(a actor, p place, aboutEnds bool) bool {
	return !*full && (a.refused() && p.status != "IMAGING" || !aboutEnds && (p.state == "ended" || p.state == "to be retired"))
}

var (
	all  atomic.Int64 // cells of all tests
	over atomic.Bool  // no more of them are looked at
)

// run looks at cells, several at once, and tells how many there were.
func run(t *testing.T, cells []func()) {
	t.Helper()
	sideBySide(cells, func(cell func()) {
		if !over.Load() {
			cell()
		}
	})
	counted(t, len(cells))
}

func counted(t *testing.T, n int) {
	t.Helper()
	t.Logf("%d cells, %d in all so far", n, all.Add(int64(n)))
}

// fail tells that a cell is wrong.
func fail(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Errorf(format, args...)
	if *first {
		over.Store(true)
	}
}
