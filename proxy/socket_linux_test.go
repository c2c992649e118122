package proxy

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKernelHoldsLittle: what the kernel keeps for a client that does not read
// is bounded for every connection that is accepted.
func TestKernelHoldsLittle(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := NewConnections(ConnectionsConfig{Max: 4}).Listen(inner)
	defer l.Close()
	client, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*clientConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	if cerr := raw.Control(func(fd uintptr) {
		got, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
	}); cerr != nil {
		t.Fatal(cerr)
	}
	if err != nil || got != unsentBytes {
		t.Errorf("the kernel holds up to %d bytes: %v", got, err)
	}
}
