package proxy

import (
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// What one client may force to be revalidated upstream. The burst is one
// install of a large application with --prefer-online; beyond it a client gets
// what is fresh by our own clock, like everybody else.
const (
	forcedBurst = 500 // revalidations
	forcedRate  = 5   // revalidations per second
	ipv6Site    = 64  // bits: a client has its whole network, so they share a bucket
)

// How many refusals and failures of one kind the journal takes from one
// caller; nobody in particular is one, whatever the address. A refusal costs
// nothing, so that a flood of them would rotate away within minutes what
// somebody did before. Those left out are in the access log.
const (
	refusalBurst = 200
	refusalEvery = 10 * time.Second // from then on
)

// refusalKind is who is refused what: a flood of one kind hides no other.
type refusalKind struct{ actor, action string }

// maxBuckets is how many keys have a bucket; the least recent is forgotten.
const maxBuckets = 10_000

// buckets holds a token bucket per key.
type buckets[K comparable] struct {
	held  *lru.Cache[K, *rate.Limiter]
	limit rate.Limit
	burst int
}

func newBuckets[K comparable](limit rate.Limit, burst int) *buckets[K] {
	held, err := lru.New[K, *rate.Limiter](maxBuckets)
	if err != nil {
		panic(err) // for a size below 1 only
	}
	return &buckets[K]{held, limit, burst}
}

// allow takes a token of key's bucket, if there is one.
func (b *buckets[K]) allow(key K) bool {
	limiter, ok := b.held.Get(key)
	if !ok {
		fresh := rate.NewLimiter(b.limit, b.burst)
		if raced, found, _ := b.held.PeekOrAdd(key, fresh); found {
			fresh = raced
		}
		limiter = fresh
	}
	return limiter.Allow()
}

// site returns the network that has a bucket for all its addresses. What has no
// address shares one.
func site(client netip.Addr) netip.Prefix {
	bits := client.BitLen()
	if client.Is6() {
		bits = ipv6Site
	}
	p, err := client.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
