//go:build race

package limits_test

// slower is how much longer all takes under the race detector.
const slower = 10
