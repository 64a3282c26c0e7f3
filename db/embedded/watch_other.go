//go:build unix && !linux

package embedded

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// adoptedEvery is how often we look whether an adopted server still runs.
const adoptedEvery = time.Second

// dieWithParent does nothing: these systems have no such signal, see watchOver.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}

// watchOver starts a helper that stops the server when this process is gone.
func watchOver(pm *postmaster) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	return watchWith(program, pm)
}

// runsIn says whether process pid is a server whose data is folder, by its command line.
func runsIn(pid int, folder string) bool {
	if pid <= 1 || syscall.Kill(pid, 0) != nil {
		return false
	}
	out, err := exec.Command("/bin/ps", "-ww", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(out), "-D "+folder+" ")
}
