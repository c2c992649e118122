package netguard

import (
	"net"
	"strconv"
	"testing"
)

// TestPort: a port can be listened on, again and again, and is not one that
// somebody who asks for any port is given.
func TestPort(t *testing.T) {
	port, err := Port()
	if err != nil {
		t.Fatal(err)
	}
	if port < firstPort || port >= lastPort {
		t.Errorf("port %d", port)
	}
	for range 2 {
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
	}
	any, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer any.Close()
	if given := any.Addr().(*net.TCPAddr).Port; given >= firstPort && given < lastPort {
		t.Errorf("a server that asks for any port is given %d", given)
	}
}
