//go:build !linux

package safedriver

import "syscall"

func dieWithParent(*syscall.SysProcAttr) {}
