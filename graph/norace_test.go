//go:build !race

package graph_test

const slower = 1
