package embedded

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

// adoptedEvery is how often we look whether an adopted server still runs.
const adoptedEvery = 100 * time.Millisecond

// dieWithParent asks for a signal to the child when the thread that starts it ends.
func dieWithParent(attr *syscall.SysProcAttr, s syscall.Signal) { attr.Pdeathsig = s }

// watchOver: the kernel does it here. An adopted server is left behind once more if
// this process is killed, and taken over once more.
func watchOver(*postmaster) error { return nil }

// runsIn says whether process pid runs and works in folder, as a server does in its
// data. A dead one that nobody has waited for works nowhere.
func runsIn(pid int, folder string) bool {
	if pid <= 1 {
		return false
	}
	wd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	return err == nil && wd == folder
}
