package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
)

const (
	marker      = "IMAGEREQUESTS_RUN" // a variable by which the processes of one run are known
	grace       = 5 * time.Second     // from SIGTERM to SIGKILL
	drain       = time.Second         // for what the pipes still hold when all processes have ended
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
// It runs as the server's user, in the server's folder, and in a process group of its own. When it is to stop, or has
// ended, all that is left of the group gets SIGTERM and, 5 s later, SIGKILL. On Linux so do processes that have left the
// group, found by the variable IMAGEREQUESTS_RUN in their environment. What has left the group and cleared its environment
// or changed its user is not found, nor, on other systems, what has left the group. If the server itself is killed, Linux
// kills the program, but not what it has started.
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
	exit := r.run(ctx, stop, c.command(), input)
	if parent.Err() != nil && (exit != nil || r.said.alias == "") {
		return Result{}, context.Cause(parent)
	}
	return r.outcome(exit, context.Cause(ctx))
}

// command is the program, not yet started, with a mark of its own.
func (c Command) command() *exec.Cmd {
	cmd := exec.Command(c.Program, c.Args...) //nolint:gosec,noctx // the operator's own program; ended by its group, not by a context
	searched := os.Getenv("PATH")
	if searched == "" {
		searched = defaultPath
	}
	cmd.Env = slices.Concat([]string{"PATH=" + searched}, c.Env, []string{marker + "=" + uuid.NewString()})
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithServer(cmd.SysProcAttr)
	return cmd
}

// run is one run of a program: what it said.
type run struct {
	said   speech
	errors tail // the end of its standard error
}

// run returns when all processes of the program have ended, with how it ended: nil if with exit status 0.
func (r *run) run(ctx context.Context, stop context.CancelCauseFunc, cmd *exec.Cmd, input []byte) error {
	pipes, err := connect(cmd)
	if err != nil {
		return &notStarted{err}
	}
	defer pipes.close()
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		// Linux kills the program when this thread ends, so it must stay
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	err = <-started
	pipes.closeTheirs()
	if err != nil {
		return &notStarted{err}
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
	group := group{id: cmd.Process.Pid, mark: cmd.Env[len(cmd.Env)-1]}
	var exit error
	select {
	case exit = <-ended:
		group.end()
	case <-ctx.Done():
		group.end()
		exit = <-ended
	}
	pipes.expire(drain) // should a process that was not found hold them
	talking.Wait()
	return exit
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

// group is the processes of a run: its process group, and what else bears its mark.
type group struct {
	id   int
	mark string // NAME=value
}

// end ends all that is left of the group, and waits until it has ended. It looks three times at least, a millisecond
// apart: a process can be missed while it becomes another.
func (g group) end() {
	g.signal(syscall.SIGTERM)
	// one that stands still cannot obey
	g.signal(syscall.SIGCONT)
	for _, s := range []syscall.Signal{0, syscall.SIGKILL} { // 0 only looks
		left, look := true, time.Millisecond
		for deadline := time.Now().Add(grace); left && time.Now().Before(deadline); look = min(2*look, grace/50) {
			wait(nil, look)
			left = g.signal(s)
		}
	}
}
