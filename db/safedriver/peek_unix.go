//go:build unix

package safedriver

import (
	"errors"
	"net"
	"syscall"
)

// silent reports whether the other side is still there and has sent nothing.
func silent(nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return true
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var peek error
	err = rc.Control(func(fd uintptr) { // not Read, for which a deadline that has passed would answer
		var b [1]byte
		_, _, peek = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err == nil && (errors.Is(peek, syscall.EAGAIN) || errors.Is(peek, syscall.EWOULDBLOCK))
}
