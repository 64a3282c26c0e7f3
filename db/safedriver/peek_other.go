//go:build !unix

package safedriver

import "net"

// silent cannot look without reading here.
func silent(net.Conn) bool { return true }
