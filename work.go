package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"imagerequests/db"
	"imagerequests/imaging"
	"imagerequests/worker"
)

// work is the command that images. It may run beside serve, or on other machines over the same DATABASE_URL.
type work struct {
	database
	Provider int           `help:"The provider to work for." required:"" placeholder:"N"`
	User     string        `help:"The user name that the work is done as, in events." default:"worker" placeholder:"NAME"`
	Parallel int           `help:"How many versions to image at once." default:"1"`
	Lease    time.Duration `help:"After so long without a sign of life another worker takes over: 10s to 1h." default:"60s"`
	Poll     time.Duration `help:"How often to look for work while there is none." default:"2s"`

	Program string        `help:"The program that makes an image: it reads the job as JSON and writes progress and result as lines of JSON. docs/imaging.md has the details." xor:"imager" placeholder:"PATH"`
	Arg     []string      `help:"An argument of the program. May be given again." sep:"none" placeholder:"ARG"`
	Env     []string      `help:"A variable for the program, as NAME=value; it gets no others but PATH. May be given again." sep:"none" placeholder:"NAME=VALUE"`
	Timeout time.Duration `help:"How long the program may take for one image." default:"6h"`

	Simulate time.Duration `help:"Make no images, but pretend, taking so long for each: for trying things out." xor:"imager" placeholder:"DURATION"`
	Failures float64       `help:"With --simulate: how many of all runs fail, 0 to 1." default:"0"`
}

// Run works until the context ends.
func (w work) Run(ctx context.Context, c console) (err error) {
	if err := imaging.CheckUsername(w.User); err != nil {
		return fmt.Errorf("--user: %s", imaging.All(err)[0].Message)
	}
	imager, err := w.imager()
	if err != nil {
		return err
	}
	log := c.log(w.Verbose)
	store, closer, err := w.open(ctx, c, log, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	name, err := w.provider(ctx, store)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(c.out, "Imaging for provider %d, %s. Ctrl-C stops it.\n", w.Provider, name)
	return plain(worker.Run(ctx, worker.Options{
		Store: store, Actor: imaging.Actor{Username: w.User, Roles: []imaging.Role{imaging.Worker}, Providers: []int{w.Provider}},
		Provider: w.Provider, Imager: imager, Parallel: w.Parallel, LeaseSeconds: int(w.Lease.Seconds()), Poll: w.Poll, Log: log,
	}))
}

// provider is the name of the one to work for: there would never be work of one that is not there.
func (w work) provider(ctx context.Context, store *db.Store) (string, error) {
	all, err := store.Providers(ctx)
	if err != nil {
		return "", plain(err)
	}
	known := []string{}
	for _, p := range all {
		if p.ID == w.Provider {
			return p.Name, nil
		}
		known = append(known, fmt.Sprintf("%d (%s)", p.ID, p.Name))
	}
	if len(known) == 0 {
		return "", fmt.Errorf("--provider: there is no provider %d, nor any other; an admin adds one with the mutation saveProvider", w.Provider)
	}
	return "", fmt.Errorf("--provider: there is no provider %d; there are %s", w.Provider, strings.Join(known, ", "))
}

func (w work) imager() (worker.Imager, error) {
	switch {
	case !(w.Failures >= 0 && w.Failures <= 1): // what is not a number is no share either
		return nil, errors.New("--failures is a share, 0 to 1")
	case w.Simulate > 0:
		return worker.Simulated{Takes: w.Simulate, FailureRate: w.Failures}, nil
	case w.Program == "":
		return nil, errors.New("name the program that makes images with --program, or try --simulate 20s")
	}
	for _, variable := range w.Env {
		if name, _, ok := strings.Cut(variable, "="); !ok || name == "" {
			return nil, errors.New("--env takes NAME=value")
		}
	}
	info, err := os.Stat(w.Program)
	if err != nil {
		return nil, fmt.Errorf("--program: %w", err)
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return nil, fmt.Errorf("--program: %s cannot be run", w.Program)
	}
	return worker.Command{Program: w.Program, Args: w.Arg, Env: w.Env, Timeout: w.Timeout}, nil
}
