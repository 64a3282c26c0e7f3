//go:build !linux

package chaos

import "syscall"

func notOrphaned(*syscall.SysProcAttr) {}
