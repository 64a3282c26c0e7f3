package worker

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// executable is what this process runs, even if another file has its name by now, or none.
func executable() (string, error) { return "/proc/self/exe", nil }

// adopt makes this process the parent of each descendant whose own parent ends, so that none can leave it.
func adopt() error {
	const setChildSubreaper = 36
	if _, _, err := syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0); err != 0 {
		return os.NewSyscallError("prctl", err)
	}
	return nil
}

// dieWithSupervisor asks for the program's death when the thread that starts it ends.
func dieWithSupervisor(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// left tells whether any of the family is left. As orphans become children, there is none when there is no child.
func (f *family) left() bool { return f.reap() }

// signal sends signals to all that descend from this process, but perhaps those that are born or orphaned meanwhile. It
// takes hold of all before the first can end and leave its children to another.
func (f *family) signal(signals ...syscall.Signal) {
	children := map[int][]int{}
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		if pid, err := strconv.Atoi(filepath.Base(folder)); err == nil {
			parent := parentOf(pid)
			children[parent] = append(children[parent], pid)
		}
	}
	var held []*os.Process
	for met := []int{os.Getpid()}; len(met) > 0; met = met[1:] {
		for _, pid := range children[met[0]] {
			// looked at again when held, lest another have taken its number
			if p, err := os.FindProcess(pid); err == nil && parentOf(pid) == met[0] {
				met, held = append(met, pid), append(held, p)
			}
		}
	}
	for _, p := range held {
		for _, s := range signals {
			_ = p.Signal(s)
		}
		_ = p.Release()
	}
}

// parentOf is the number of the process's parent; 0 if it has none or is gone.
func parentOf(pid int) int {
	stat, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	// number (name) state parent …, and the name may hold anything
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}
