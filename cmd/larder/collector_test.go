package main

import (
	"runtime"
	"testing"
)

func TestBallastIsHeldUnderLoadAlone(t *testing.T) {
	released := 0
	p := pacer{size: 1 << 20, release: func() { released++ }, last: 100}
	runs := uint64(100)
	tick := func(more uint64) {
		runs += more
		p.tick(runs)
	}
	tick(oftenCycles - 1)
	if p.ballast != nil {
		t.Fatal("one run now and then is no load")
	}
	tick(oftenCycles)
	if len(p.ballast) != 1<<20 {
		t.Fatalf("under load there are %d bytes of ballast", len(p.ballast))
	}
	for range 3 {
		for range quietTicks - 1 {
			tick(0)
		}
		tick(1) // a run in time is load enough
	}
	if p.ballast == nil || released > 0 {
		t.Fatal("the load was taken for over")
	}
	for range 3 * quietTicks {
		tick(0)
	}
	if p.ballast != nil || released != 1 {
		t.Errorf("after the load there are %d bytes of ballast, and memory was released %d times", len(p.ballast), released)
	}
	tick(oftenCycles)
	if p.ballast == nil {
		t.Error("the next load is not noticed")
	}
}

func TestCollectionsAreCounted(t *testing.T) {
	before := collections()
	runtime.GC()
	if after := collections(); after <= before {
		t.Errorf("after one run more there are %d, before it %d", after, before)
	}
}
