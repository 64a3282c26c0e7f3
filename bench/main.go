// Command bench measures the service against what people would write otherwise: a bare Go handler over pgx, and Postgres
// alone. docs/performance.md has the method and the figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"imagerequests/db/embedded"
)

func main() {
	if embedded.Watcher(os.Args[1:]) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are what a run measures, and how long.
type settings struct {
	sizes, clients []int
	only           *regexp.Regexp
	onlyRatios     bool // measure only what ratios are made of
	round          time.Duration
	rounds         int
	keep           string // folder of a cluster that is kept
	throwaway      bool   // a cluster that is not durable, for tests
	program        string // a built server

	check, record, write string // files
}

func flags(args []string, stderr io.Writer) (*settings, error) {
	s := &settings{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	sizes := f.String("sizes", "1000,100000,1000000", "how many image requests the databases hold")
	clients := f.String("clients", "1,16,64", "how many clients ask at once")
	only := f.String("only", "", "regular expression of the pieces of work that are measured")
	f.BoolVar(&s.onlyRatios, "ratios", false, "measure only what the ratios are made of")
	f.DurationVar(&s.round, "round", 400*time.Millisecond, "how long a round takes")
	f.IntVar(&s.rounds, "rounds", 3, "how many rounds there are; their median counts")
	f.StringVar(&s.keep, "keep", "", "folder in which loaded databases are kept for the next run")
	f.StringVar(&s.program, "server", "", "a server that was built already")
	f.StringVar(&s.check, "check", "", "fail if a ratio is worse than in this file by more than a fifth")
	f.StringVar(&s.record, "record", "", "write the ratios to this file")
	f.StringVar(&s.write, "write", "", "write the figures into this Markdown file, too, between its marks")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	var err error
	if s.only, err = regexp.Compile(*only); err != nil {
		return nil, fmt.Errorf("--only: %w", err)
	}
	if s.sizes, err = numbers(*sizes); err != nil {
		return nil, fmt.Errorf("--sizes: %w", err)
	}
	if s.clients, err = numbers(*clients); err != nil {
		return nil, fmt.Errorf("--clients: %w", err)
	}
	if s.rounds < 1 || s.round <= 0 {
		return nil, errors.New("--round and --rounds are more than nothing")
	}
	return s, nil
}

func numbers(text string) (list []int, err error) {
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no number from 1", part)
		}
		list = append(list, n)
	}
	slices.Sort(list)
	return list, nil
}

// run measures, prints the figures as Markdown, and returns when all that it started has ended.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	if len(args) > 0 && args[0] == "bare" {
		return serveBare(ctx, stdout)
	}
	s, err := flags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	b, err := start(ctx, s, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.measure(ctx, b.cells(), s.rounds); err != nil {
		return err
	}
	if err := b.weigh(ctx); err != nil {
		return err
	}
	report := b.report()
	if _, err := io.WriteString(stdout, report); err != nil {
		return err
	}
	if s.write != "" {
		if err := writeInto(s.write, report); err != nil {
			return err
		}
	}
	if s.check != "" {
		longer := func(cells []cell) error { return b.measure(ctx, cells, 4*s.rounds) }
		if err := b.compare(s.check, stdout, longer); err != nil {
			return err
		}
	}
	if s.record != "" {
		return b.save(s.record)
	}
	return nil
}
