//go:build generate

// Package main pins the tools that the build runs, by importing them, and carries every line for go generate.
package main

import (
	_ "github.com/99designs/gqlgen"
	_ "honnef.co/go/tools/cmd/staticcheck"
)

//go:generate go run github.com/99designs/gqlgen generate
