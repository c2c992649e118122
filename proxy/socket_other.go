//go:build !linux

package proxy

import "net"

// boundUnsent is for Linux.
func boundUnsent(*net.TCPConn) {}
