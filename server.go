// Command imagerequests is the service with which a cloud's users ask for a running instance to be made into a machine
// image. README.md says how to start it; imagerequests --help lists every setting.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"imagerequests/db/embedded"
	"imagerequests/worker"
)

func main() {
	// this process may only be there to stop Postgres when its parent dies, or to run an operator's program
	if embedded.Watcher(os.Args[1:]) || worker.Supervisor(os.Args[1:]) {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		<-signals
		fmt.Fprintln(os.Stderr, "imagerequests: a second signal: ending at once")
		os.Exit(1)
	}()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "imagerequests:", err)
		os.Exit(1)
	}
}

// commands are what the program can do. A setting comes from its flag or else from the environment variable named in its
// setting tag.
type commands struct {
	Serve   serve      `cmd:"" help:"Answer requests until stopped by a signal."`
	Work    work       `cmd:"" help:"Make images: take approved versions of a provider and run a program for each."`
	Migrate migrate    `cmd:"" help:"Bring the database's schema up to date and end. Serve does so, too."`
	Backup  backup     `cmd:"" help:"Write all data into a file, while the service runs or not."`
	Restore restore    `cmd:"" help:"Load a backup into a new database, or check one."`
	Token   tokenCmd   `cmd:"" help:"Make, list and revoke the tokens that callers sign in with."`
	Version versionCmd `cmd:"" help:"Print the version of this program."`
}

// run does what the arguments say and returns when all that it started has ended.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	var c commands
	exit := errors.New("help was printed")
	parser, err := kong.New(&c,
		kong.Name("imagerequests"),
		kong.Description("Requests for machine images of running instances: GraphQL, and the REST interface it succeeds."),
		kong.UsageOnError(),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { panic(exit) }), // kong prints help from within its parser and then wants to be gone
		kong.Resolvers(environment(getenv)),
		kong.ValueFormatter(nameSetting),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(console{out: stdout, err: stderr, getenv: getenv}),
	)
	if err != nil {
		return err
	}
	command, err := parse(parser, args, exit)
	if errors.Is(err, exit) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w (imagerequests --help explains every command and setting)", err)
	}
	return command.Run()
}

func parse(parser *kong.Kong, args []string, exit error) (command *kong.Context, err error) {
	defer func() {
		if caught := recover(); caught == exit { //nolint:errorlint // it is this very value
			err = exit
		} else if caught != nil {
			panic(caught)
		}
	}()
	return parser.Parse(args)
}

// console is where commands print, and the environment they run in.
type console struct {
	out, err io.Writer
	getenv   func(string) string
}

func (c console) log(verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level}))
}

// environment gives a flag that was not named the value of its setting.
func environment(getenv func(string) string) kong.Resolver {
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if name := flag.Tag.Get("setting"); name != "" {
			if value := getenv(name); value != "" {
				return value, nil
			}
		}
		return nil, nil //nolint:nilnil // not set here
	})
}

// nameSetting adds the environment variable to a flag's help.
func nameSetting(v *kong.Value) string {
	help := kong.DefaultHelpValueFormatter(v)
	if name := v.Tag.Get("setting"); name != "" {
		return strings.TrimSpace(help) + " ($" + name + ")"
	}
	return help
}

type versionCmd struct{}

func (versionCmd) Run(c console) error {
	_, err := fmt.Fprintln(c.out, "imagerequests", version())
	return err
}

// release is set by the linker.
var release = "unreleased"

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return release
	}
	return release + " " + info.GoVersion
}
