// Package netguard keeps tests on this machine. A test that would reach for
// the network by mistake fails at once, instead of passing on one machine and
// flaking on the next.
package netguard

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"syscall"
)

// Guard lets http.DefaultTransport dial loopback addresses alone and takes DNS
// away from net.DefaultResolver, so that transports with dialers of their own
// find no names either; /etc/hosts and literal addresses still resolve. Call it
// first thing in a package's TestMain. There is no way back.
func Guard() {
	http.DefaultTransport = &http.Transport{DialContext: Dial}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: refuse}
}

// Dial is a DialContext for transports that a test builds: it connects to
// loopback addresses and refuses all others, whatever name led to them.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Control: func(_, resolved string, _ syscall.RawConn) error { return check(resolved) }}
	return d.DialContext(ctx, network, address)
}

// check is asked about each address after resolution, before the connection.
func check(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("netguard: %w", err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("netguard: a test may not dial %s", address)
	}
	return nil
}

func refuse(_ context.Context, _, server string) (net.Conn, error) {
	return nil, fmt.Errorf("netguard: a test may not ask the name server %s", server)
}
