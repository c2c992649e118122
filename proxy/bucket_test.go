package proxy

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuckets[netip.Prefix](forcedRate, forcedBurst)
		greedy, modest := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		taken := 0
		for range 2 * forcedBurst {
			if b.allow(site(greedy)) {
				taken++
			}
		}
		if taken != forcedBurst {
			t.Errorf("%d tokens at once, want %d", taken, forcedBurst)
		}
		if !b.allow(site(modest)) {
			t.Error("another client has no token")
		}
		time.Sleep(time.Second)
		taken = 0
		for range forcedBurst {
			if b.allow(site(greedy)) {
				taken++
			}
		}
		if taken != forcedRate {
			t.Errorf("%d tokens after a second, want %d", taken, forcedRate)
		}
	})
}

func TestBucketsOfANetwork(t *testing.T) {
	b := newBuckets[netip.Prefix](forcedRate, forcedBurst)
	for range forcedBurst {
		b.allow(site(netip.MustParseAddr("2001:db8::1")))
	}
	if b.allow(site(netip.MustParseAddr("2001:db8::2"))) {
		t.Error("a neighbour in the same IPv6 network has a bucket of its own")
	}
	if !b.allow(site(netip.MustParseAddr("2001:db8:0:1::1"))) {
		t.Error("another IPv6 network has none")
	}
	if !b.allow(site(netip.Addr{})) {
		t.Error("a client without an address has none")
	}
}
