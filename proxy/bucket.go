package proxy

import (
	"net/netip"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// What one client may force to be revalidated upstream. The burst is one
// install of a large application with --prefer-online; beyond it a client gets
// what is fresh by our own clock, like everybody else.
const (
	forcedBurst   = 500    // revalidations
	forcedRate    = 5      // revalidations per second
	forcedClients = 10_000 // clients remembered, the least recent forgotten
	ipv6Site      = 64     // bits: a client has its whole network, so they share a bucket
)

// buckets holds a token bucket per client address.
type buckets struct {
	clients *lru.Cache[netip.Prefix, *rate.Limiter]
}

func newBuckets() (*buckets, error) {
	clients, err := lru.New[netip.Prefix, *rate.Limiter](forcedClients)
	return &buckets{clients}, err
}

// allow takes a token of the client's bucket, if there is one.
func (b *buckets) allow(client netip.Addr) bool {
	bits := client.BitLen()
	if client.Is6() {
		bits = ipv6Site
	}
	key, err := client.Prefix(bits)
	if err != nil {
		key = netip.Prefix{} // without an address: they share one bucket
	}
	limiter, ok := b.clients.Get(key)
	if !ok {
		fresh := rate.NewLimiter(forcedRate, forcedBurst)
		if raced, found, _ := b.clients.PeekOrAdd(key, fresh); found {
			fresh = raced
		}
		limiter = fresh
	}
	return limiter.Allow()
}
