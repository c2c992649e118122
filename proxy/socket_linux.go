package proxy

import (
	"net"

	"golang.org/x/sys/unix"
)

// unsentBytes is how much of a response the kernel holds for a client that does
// not take it, beside what is on its way to it. By default that grows to 4 MB, so
// that a few hundred clients that stop reading would pin gigabytes.
const unsentBytes = 256 << 10

// boundUnsent sets that for a connection. A kernel that refuses is one without
// the bound.
func boundUnsent(conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes)
	})
}
