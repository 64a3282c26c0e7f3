package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	drain       = time.Second // for what the pipes still hold when all processes have ended
	longRun     = 6 * time.Hour
	defaultPath = "/usr/local/bin:/usr/bin:/bin"
)

// Command is an Imager that runs a program of the operator's, once for each job.
//
// The program reads the Job as JSON from its standard input and writes lines of JSON to its standard output, as it goes
// on: {"stage":"copy","percent":40,"excluded":["/root/.ssh"]}, each of the three at will; and at last either
// {"alias":"the provider's image id"}, with "excluded" if it likes, or
// {"error":{"code":"NO_SPACE","message":"for the owner","detail":"for staff","retryable":true}}. What follows is not read.
// Any other line, one above 64 KiB, or more than 16 MiB in all is a failure and ends it. Only with an alias and exit status 0
// is there an image. The end of what it wrote to standard error becomes the detail of a failure.
//
// It runs as the server's user, in the server's folder, and in a process group of its own, as the child of a Supervisor.
// When it is to stop, or has ended, or the server has been killed, all that is left of it gets SIGTERM and, 5 s later,
// SIGKILL: on Linux whatever descends from it, however it has cut its ties; on other systems its process group. Image
// returns when that is done.
//
// What may be left: a process of a user whom the server may not signal, one that the kernel does not end within a minute,
// and what another service, such as a container daemon, runs for the program. A program that kills its supervisor with
// SIGKILL is killed itself, on Linux, but what it has started is left.
type Command struct {
	Program string
	Args    []string
	Env     []string      // what it gets beside PATH, as NAME=value; nothing else of the server's environment reaches it
	Timeout time.Duration // of a run; 0 means 6 h
}

// Image runs the program.
func (c Command) Image(ctx context.Context, job Job, report func(Report)) (Result, error) {
	input, err := json.Marshal(job)
	if err != nil {
		return Result{}, fmt.Errorf("say the job in JSON: %w", err)
	}
	limit := c.Timeout
	if limit <= 0 {
		limit = longRun
	}
	parent := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &Failure{
		Code: "IMAGER_TIMEOUT", Message: fmt.Sprintf("The imager took longer than %s and was stopped.", limit), Retryable: true,
	})
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	r := &run{said: speech{report: report}}
	exit := r.run(ctx, stop, c, input)
	if parent.Err() != nil && (exit != nil || r.said.alias == "") {
		return Result{}, context.Cause(parent)
	}
	return r.outcome(exit, context.Cause(ctx))
}

// command is the program's supervisor, not yet started.
func (c Command) command(ctx context.Context) (*exec.Cmd, error) {
	ours, err := executable()
	if err != nil {
		return nil, err
	}
	searched := os.Getenv("PATH")
	if searched == "" {
		searched = defaultPath
	}
	cmd := exec.CommandContext(ctx, ours)
	cmd.Args = slices.Concat([]string{os.Args[0], superviseArg, c.Program}, c.Args)
	cmd.Env = append([]string{"PATH=" + searched}, c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // out of reach of a Ctrl-C
	return cmd, nil
}

// run is one run of a program: what it said.
type run struct {
	said   speech
	errors tail // the end of its standard error
}

// run returns when all processes of the program have ended, with how it ended: nil if with exit status 0.
func (r *run) run(ctx context.Context, stop context.CancelCauseFunc, c Command, input []byte) error {
	cmd, err := c.command(ctx)
	if err != nil {
		return &notStarted{err}
	}
	pipes, err := connect(cmd)
	if err != nil {
		return &notStarted{err}
	}
	defer pipes.close()
	cmd.Cancel = func() error {
		_ = cmd.Process.Signal(syscall.SIGCONT) // should the program have stopped its supervisor
		return pipes.orders.Close()
	}
	cmd.WaitDelay = grace + 2*death // then the supervisor is killed
	err = cmd.Start()
	pipes.closeTheirs()
	if err != nil && errors.Is(err, ctx.Err()) { // it was too late to start anything
		return err
	}
	if err != nil {
		return &notStarted{fmt.Errorf("its supervisor: %w", err)}
	}
	var talking sync.WaitGroup
	talking.Go(func() { _, _ = pipes.in.Write(input); _ = pipes.in.Close() })
	talking.Go(func() { _, _ = io.Copy(&r.errors, pipes.err) })
	talking.Go(func() {
		if err := r.said.listen(pipes.out); err != nil {
			stop(err)
		}
		_, _ = io.Copy(io.Discard, pipes.out)
	})
	word, _ := io.ReadAll(pipes.report) // an error is no word
	_ = cmd.Wait()
	pipes.expire(drain) // should a process that was not found hold them
	talking.Wait()
	return ended(string(word))
}

// ended is how the program ended, by its supervisor's last word; a supervisor that was killed has none.
func ended(word string) error {
	reason, not := strings.CutPrefix(word, noStart)
	switch {
	case not:
		return &notStarted{errors.New(reason)}
	case word == "exit status 0":
		return nil
	case word == "":
		return errors.New("its supervisor")
	}
	return errors.New(word)
}

type notStarted struct{ error }

// outcome is the result or failure that the program's end means. stopped is why it was stopped, nil if it was not.
func (r *run) outcome(exit, stopped error) (Result, error) {
	detail := r.errors.String()
	var why *Failure
	var none *notStarted
	switch {
	case errors.As(exit, &none):
		return Result{}, &Failure{Code: "IMAGER_NOT_STARTED", Message: "The imager could not be started.", Detail: none.Error(), Retryable: true}
	case exit == nil && r.said.alias != "":
		return Result{Alias: r.said.alias, Excluded: r.said.excluded}, nil
	case r.said.failure != nil:
		why = r.said.failure
	case errors.As(stopped, &why):
	case exit != nil:
		why = &Failure{Code: "IMAGER_EXIT", Message: fmt.Sprintf("The imager ended with %s.", exit), Retryable: true}
	default:
		why = &Failure{Code: "IMAGER_NO_RESULT", Message: "The imager ended without naming an image."}
	}
	if r.said.alias != "" {
		detail = fmt.Sprintf("it had named the image %q\n%s", r.said.alias, detail)
	}
	f := *why
	if f.Detail != "" && detail != "" {
		f.Detail += "\n"
	}
	f.Detail += detail
	return Result{}, &f
}
