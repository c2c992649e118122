package netguard

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports from which Port chooses. They lie below those that Linux (32768 on)
// and others (49152 on) give to who asks for any port and to outgoing
// connections, and above those that well-known servers use.
const (
	firstPort = 20_000
	lastPort  = 32_000
	portTries = 100
)

// Port returns a port of 127.0.0.1 that nobody listens on at the moment, for a
// server that must be found on it again after a restart: nobody is given it
// meanwhile who asks for any port. Another process may still choose the same,
// which the caller must be ready for.
func Port() (int, error) {
	var err error
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort)
		var ln net.Listener
		if ln, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, ln.Close()
		}
	}
	return 0, fmt.Errorf("netguard: no free port: %w", err)
}
