package auth

import (
	"net/netip"
	"testing"
	"time"
)

// fail makes n attempts that fail and returns how many were let through.
func fail(a attempt, n int) (let int) {
	for range n {
		if _, wait := a.begin(); wait == 0 {
			let++
		}
	}
	return let
}

func TestThrottlePerUser(t *testing.T) {
	c := newClock()
	th := newThrottle(c.now)
	// Each guess from another network, so that no address is at its bound.
	let := 0
	for i := range 50 {
		let += fail(th.attempt("alice", netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})), 1)
	}
	if let != 10 {
		t.Errorf("%d guesses at one user were let through, want 10", let)
	}
	if wait := th.attempt("alice", there).wait(); wait != time.Minute {
		t.Errorf("the next may be made in %v, want a minute", wait)
	}
	if wait := th.attempt("bob", there).wait(); wait != 0 {
		t.Errorf("another user has to wait %v", wait)
	}
	c.advance(time.Minute)
	if let := fail(th.attempt("alice", there), 5); let != 1 {
		t.Errorf("after a minute %d guesses were let through, want 1", let)
	}
	c.advance(24 * time.Hour)
	if let := fail(th.attempt("alice", there), 50); let != 10 {
		t.Errorf("after a day %d guesses were let through, want 10", let)
	}
}

func TestThrottlePerAddress(t *testing.T) {
	c := newClock()
	th := newThrottle(c.now)
	let := 0
	for i := range 100 {
		let += fail(th.attempt("user"+string(rune('A'+i)), here), 1)
	}
	if let != 30 {
		t.Errorf("%d guesses from one address were let through, want 30", let)
	}
	if wait := th.attempt("somebody", there).wait(); wait != 0 {
		t.Errorf("another address has to wait %v", wait)
	}
	c.advance(-time.Hour) // a clock that is set back neither helps nor harms
	if wait := th.attempt("somebody", here).wait(); wait != 10*time.Second {
		t.Errorf("with the clock set back the wait is %v, want 10 s", wait)
	}
}

func TestThrottleCannotLockOut(t *testing.T) {
	c := newClock()
	th := newThrottle(c.now)
	th.attempt("alice", here).succeeded()
	for i := range 100 {
		fail(th.attempt("alice", netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})), 1)
	}
	if wait := th.attempt("alice", here).wait(); wait != 0 {
		t.Errorf("alice has to wait %v where she has signed in before", wait)
	}
	if wait := th.attempt("alice", there).wait(); wait == 0 {
		t.Error("a guess from a new address is let through")
	}
	// Whoever sits at alice's address can guess no faster than elsewhere, and
	// not reset the count by signing in as somebody else.
	let := 0
	for range 50 {
		let += fail(th.attempt("alice", here), 1)
		th.attempt("mallory", here).succeeded()
	}
	if let != 10 {
		t.Errorf("%d guesses at alice were let through at her address, want 10", let)
	}
}

func TestThrottleUndo(t *testing.T) {
	c := newClock()
	th := newThrottle(c.now)
	for range 200 {
		undo, wait := th.attempt("alice", here).begin()
		if wait > 0 {
			t.Fatalf("sign-ins that do not fail have to wait %v", wait)
		}
		undo()
	}
	// What was counted before the address was known is not taken out of the
	// bucket that it got since.
	undo, _ := th.attempt("alice", here).begin()
	th.attempt("alice", here).succeeded()
	fail(th.attempt("alice", here), 10)
	undo()
	if wait := th.attempt("alice", here).wait(); wait == 0 {
		t.Error("an undo of one bucket emptied another")
	}
}

func TestThrottleRegistrations(t *testing.T) {
	c := newClock()
	th := newThrottle(c.now)
	made := 0
	for range 150 {
		if th.register(here) == 0 {
			made++
		}
	}
	if made != 100 || th.register(there) != 0 {
		t.Errorf("%d accounts were made from one address, want 100; another one waits %v", made, th.register(there))
	}
}

func TestThrottleIsBounded(t *testing.T) {
	c := newClock()
	th := newThrottle(c.now)
	for i := range maxBuckets + 100 {
		th.attempt("alice", netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})).succeeded()
		fail(th.attempt("u"+string(rune(i)), netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), 1)
	}
	if k, u, a := th.known.held.Len(), th.users.held.Len(), th.addresses.held.Len(); k > maxBuckets || u > maxBuckets || a > maxBuckets {
		t.Errorf("%d, %d and %d buckets, want %d at most", k, u, a, maxBuckets)
	}
}

func TestNetwork(t *testing.T) {
	tests := []struct{ addr, want string }{
		{"192.0.2.1", "192.0.2.1/32"},
		{"::ffff:192.0.2.1", "192.0.2.1/32"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"fe80::1%eth0", "fe80::/64"},
		{"::1", "::/64"},
	}
	for _, tt := range tests {
		if got := network(netip.MustParseAddr(tt.addr)).String(); got != tt.want {
			t.Errorf("network(%s) = %s, want %s", tt.addr, got, tt.want)
		}
	}
	if got := network(netip.Addr{}); got.IsValid() {
		t.Errorf("network of no address = %s", got)
	}
}
