//go:build race

package graph_test

// slower is how much longer all takes under the race detector.
const slower = 10
