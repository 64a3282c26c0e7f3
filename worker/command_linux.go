package worker

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// dieWithServer asks for the program's death when the thread that starts it ends.
func dieWithServer(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// signal sends s to each process of the group, and tells whether there was one.
func (g group) signal(s syscall.Signal) (any bool) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return false
	}
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err == nil && pid != os.Getpid() && g.signalOne(pid, folder, s) {
			any = true
		}
	}
	return any
}

// signalOne takes hold of the process before it looks, so that the signal reaches the one that was looked at, even if
// that ends and another takes its number.
func (g group) signalOne(pid int, folder string, s syscall.Signal) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }()
	if !g.has(folder) {
		return false
	}
	return p.Signal(s) == nil
}

// has tells whether the process runs and belongs to the group. One that has ended and was not waited for does not run.
func (g group) has(folder string) bool {
	stat, err := os.ReadFile(filepath.Join(folder, "stat"))
	if err != nil {
		return false
	}
	// number (name) state parent group …, and the name may hold anything
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 3 || fields[0] == "Z" || fields[0] == "X" {
		return false
	}
	if fields[2] == strconv.Itoa(g.id) {
		return true
	}
	environment, err := os.ReadFile(filepath.Join(folder, "environ"))
	return err == nil && bytes.Contains(append([]byte{0}, environment...), []byte("\x00"+g.mark+"\x00"))
}
