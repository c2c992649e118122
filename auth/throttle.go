package auth

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// How many attempts to sign in may fail, and how long until one more may. The
// right password costs nothing.
var (
	userLimit         = limit{burst: 10, refill: time.Minute}
	addressLimit      = limit{burst: 30, refill: 10 * time.Second}
	registrationLimit = limit{burst: 100, refill: 36 * time.Second} // accounts made from one address
)

// maxBuckets bounds each of throttle's maps, at some 200 bytes a bucket. Who
// wants a bucket forgotten has to make as many attempts as that.
const maxBuckets = 32_768

// limit is a leaky bucket's size, and the time in which one attempt leaks out.
type limit struct {
	burst  float64
	refill time.Duration
}

// bucket is how full it was, and when.
type bucket struct {
	level float64
	at    time.Time
}

// levelAt returns how full the bucket is now.
func (b bucket) levelAt(now time.Time, l limit) float64 {
	// A clock that was set back must not fill a bucket.
	leaked := max(now.Sub(b.at), 0).Seconds() / l.refill.Seconds()
	return max(b.level-leaked, 0)
}

// buckets are one bucket for each of a bounded number of keys; those that were
// asked about last are kept.
type buckets[K comparable] struct {
	limit limit
	held  *simplelru.LRU[K, bucket]
}

func newBuckets[K comparable](l limit) buckets[K] {
	held, err := simplelru.NewLRU[K, bucket](maxBuckets, nil)
	if err != nil {
		panic(err) // the size is not positive: a defect
	}
	return buckets[K]{l, held}
}

// add pours attempts into key's bucket, or takes them out.
func (b buckets[K]) add(key K, attempts float64, now time.Time) {
	held, _ := b.held.Get(key)
	b.held.Add(key, bucket{max(held.levelAt(now, b.limit)+attempts, 0), now})
}

// wait returns how long until an attempt more fits into key's bucket.
func (b buckets[K]) wait(key K, now time.Time) time.Duration {
	held, _ := b.held.Get(key)
	over := held.levelAt(now, b.limit) + 1 - b.limit.burst
	if over <= 0 {
		return 0
	}
	return time.Duration(over * float64(b.limit.refill))
}

// pair is a user at an address where that user has signed in before.
type pair struct {
	user string
	at   netip.Prefix
}

// throttle slows down who guesses passwords: per user, wherever the guesses
// come from, and per address, whoever they are about. So that nobody can lock
// a user out by guessing, an address where the user has signed in before has a
// bucket of its own for that user, which stands in for the other two.
type throttle struct {
	now func() time.Time

	mu            sync.Mutex // guards what follows
	users         buckets[string]
	addresses     buckets[netip.Prefix]
	known         buckets[pair]
	registrations buckets[netip.Prefix]
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{
		now:           now,
		users:         newBuckets[string](userLimit),
		addresses:     newBuckets[netip.Prefix](addressLimit),
		known:         newBuckets[pair](userLimit),
		registrations: newBuckets[netip.Prefix](registrationLimit),
	}
}

// attempt is one try to sign in as user from an address.
type attempt struct {
	*throttle
	pair
}

func (t *throttle) attempt(user string, from netip.Addr) attempt {
	if len(user) > maxUserName {
		user = "" // nobody has such a name; the address is counted
	}
	return attempt{t, pair{user, network(from)}}
}

// wait returns how long the attempt has to wait, 0 if it may be made.
func (a attempt) wait() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.waitLocked(a.familiar())
}

// begin counts the attempt as failed, before it is made, so that a thousand at
// once are not all let through before the first one has failed. undo takes it
// back. An attempt that has to wait is not counted.
func (a attempt) begin() (undo func(), wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	familiar := a.familiar()
	if wait := a.waitLocked(familiar); wait > 0 {
		return nil, wait
	}
	a.count(familiar, 1)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.count(familiar, -1)
	}, 0
}

// succeeded remembers the address as one of the user's.
func (a attempt) succeeded() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.familiar() {
		a.known.held.Add(a.pair, bucket{})
	}
}

// isFamiliar is familiar for who does not hold the lock.
func (a attempt) isFamiliar() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.familiar()
}

// familiar reports whether the user has signed in from this address before.
func (a attempt) familiar() bool {
	_, ok := a.known.held.Get(a.pair) // and keeps it, as the most recent
	return ok
}

func (a attempt) waitLocked(familiar bool) time.Duration {
	now := a.now()
	if familiar {
		return a.known.wait(a.pair, now)
	}
	return max(a.users.wait(a.user, now), a.addresses.wait(a.at, now))
}

func (a attempt) count(familiar bool, attempts float64) {
	now := a.now()
	if familiar {
		a.known.add(a.pair, attempts, now)
		return
	}
	a.users.add(a.user, attempts, now)
	a.addresses.add(a.at, attempts, now)
}

// register counts an account that is made from an address, if it may be.
func (t *throttle) register(from netip.Addr) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, now := network(from), t.now()
	if wait := t.registrations.wait(at, now); wait > 0 {
		return wait
	}
	t.registrations.add(at, 1, now)
	return 0
}

// network returns what counts as one address: all of an IPv6 /64, since that
// is what a single customer gets.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // an address that is not known: all of those are one
	}
	return p
}
