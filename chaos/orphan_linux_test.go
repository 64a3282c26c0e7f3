package chaos

import "syscall"

// notOrphaned has the process end with the thread that starts it.
func notOrphaned(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
