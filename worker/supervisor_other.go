//go:build unix && !linux

package worker

import (
	"os"
	"syscall"
)

func executable() (string, error) { return os.Executable() }

// adopt does nothing: orphans go to another on these systems.
func adopt() error { return nil }

// dieWithSupervisor does nothing: these systems have no such signal.
func dieWithSupervisor(*syscall.SysProcAttr) {}

// left tells whether any of the process group is left.
func (f *family) left() bool {
	f.reap()
	return syscall.Kill(-f.program, 0) == nil
}

// signal sends signals to the process group.
func (f *family) signal(signals ...syscall.Signal) {
	for _, s := range signals {
		_ = syscall.Kill(-f.program, s)
	}
}
