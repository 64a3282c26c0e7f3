package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

const (
	watcherArg  = "__watch-postgres"
	watcherMark = "IMAGEREQUESTS_WATCHER" // set for a watcher, lest it become a second service
)

// Watcher is the first thing main calls, with os.Args[1:]. Where the system cannot
// tell a child of its parent's death, Start runs the program once more as a
// helper; in that one Watcher does the work and returns true, and main must end.
// Otherwise it returns false at once.
func Watcher(args []string) bool {
	if len(args) != 2 || args[0] != watcherArg {
		return false
	}
	pid, err := strconv.Atoi(args[1])
	if err != nil || pid <= 1 {
		return true
	}
	// one byte says that the server has ended and its number may be another's;
	// the end without a byte, that the parent is gone
	n, err := os.NewFile(3, "parent").Read(make([]byte, 1))
	if n == 0 && err != nil {
		_ = syscall.Kill(pid, syscall.SIGINT)
	}
	return true
}

// watchWith starts a helper that stops the server when this process is gone: the
// kernel closes our end of a pipe however we die.
func watchWith(program string, pm *postmaster) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command(program, watcherArg, strconv.Itoa(pm.pid))
	cmd.Env = append(os.Environ(), watcherMark+"=1")
	cmd.ExtraFiles = []*os.File{r}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // out of reach of a Ctrl-C
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("watcher: %w", err), r.Close(), w.Close())
	}
	_ = r.Close()
	go func() {
		<-pm.gone
		_, _ = w.Write([]byte{0})
		_ = w.Close()
		_ = cmd.Wait()
	}()
	return nil
}
