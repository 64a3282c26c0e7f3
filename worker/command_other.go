//go:build unix && !linux

package worker

import "syscall"

// dieWithServer does nothing: these systems have no such signal.
func dieWithServer(*syscall.SysProcAttr) {}

// signal sends s to the process group, and tells whether there was one.
func (g group) signal(s syscall.Signal) bool { return syscall.Kill(-g.id, s) == nil }
