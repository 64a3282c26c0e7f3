package worker

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

const (
	superviseArg = "--supervise-imager"   // makes our executable the supervisor of what follows
	noStart      = "not started: "        // before the reason, in a supervisor's last word
	grace        = 5 * time.Second        // from SIGTERM to SIGKILL
	death        = time.Minute            // for the kernel to end what got SIGKILL
	look         = 100 * time.Millisecond // at what may have ended unheard
)

// Supervisor is among the first things main calls, with os.Args[1:]. Command runs each program under a supervisor, which
// is this executable, started once more; in that one Supervisor does the work and returns true, and main must end.
// Otherwise it returns false at once.
//
// The supervisor starts the program, and ends when it and all that descends from it have ended. Its orders come from
// descriptor 3, and there is but one: the end of that pipe, because Command wants the run stopped or the server is gone,
// however it went. Its last word, how the program ended, goes to descriptor 4. It has a process group of its own, so that the
// program may end its own group without it.
func Supervisor(args []string) bool {
	if len(args) < 2 || args[0] != superviseArg {
		return false
	}
	orders, report := os.NewFile(3, "orders"), os.NewFile(4, "report")
	syscall.CloseOnExec(3) // they are not for the program
	syscall.CloseOnExec(4)
	stopped := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, orders)
		close(stopped)
	}()
	f := family{woken: make(chan os.Signal, 1)}
	// no signal ends it, and any may tell of a child's end; were they ignored, the program would ignore them, too
	signal.Notify(f.woken)
	if err := f.start(args[1:]); err != nil {
		_, _ = fmt.Fprint(report, noStart, err)
		return true
	}
	for f.left(); f.exit == "" && !over(stopped); f.left() {
		select {
		case <-f.woken:
		case <-stopped:
		}
	}
	f.end()
	_, _ = fmt.Fprint(report, f.exit)
	return true
}

// family is a program and what descends from it.
type family struct {
	program int            // its process, which leads a process group
	exit    string         // how it ended
	woken   chan os.Signal // filled when a child may have ended
}

// start starts the program with all that the supervisor was given, but in a process group of its own.
func (f *family) start(args []string) error {
	runtime.LockOSThread() // Linux kills the program when this thread ends
	if err := adopt(); err != nil {
		return err
	}
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // the operator's own program; ended with its family, not by a context
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithSupervisor(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		return err
	}
	f.program = cmd.Process.Pid
	return nil
}

// end ends all that is left.
func (f *family) end() {
	// one that stands still cannot obey
	f.signal(syscall.SIGTERM, syscall.SIGCONT)
	for deadline := time.Now().Add(grace); f.left() && time.Now().Before(deadline); {
		wait(f.woken, look)
	}
	// more than once, for what was being born meanwhile
	for deadline := time.Now().Add(death); f.left() && time.Now().Before(deadline); {
		f.signal(syscall.SIGKILL)
		wait(f.woken, look)
	}
}

// reap takes leave of all children that have ended, and tells whether there are others.
func (f *family) reap() bool {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR: //nolint:errorlint // it is this very value
		case err != nil:
			return false
		case pid == 0:
			return true
		case pid == f.program && f.exit == "": // its number may be another's by now
			f.exit = describe(status)
		}
	}
}

// describe says it in the words of os/exec.
func describe(status syscall.WaitStatus) string {
	switch {
	case !status.Signaled():
		return fmt.Sprint("exit status ", status.ExitStatus())
	case status.CoreDump():
		return fmt.Sprintf("signal: %s (core dumped)", status.Signal())
	}
	return fmt.Sprintf("signal: %s", status.Signal())
}
