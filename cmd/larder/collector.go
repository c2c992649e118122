package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Go's collector runs whenever the heap has grown by as much as was alive. What
// is alive in Larder is often no more than 6 MB, so that under load the
// collector would run ten times a second, for 10 % of all CPU (3 % with what
// follows). A percentage that suits so small a heap (GOGC=500) would let one that
// holds big documents grow to gigabytes. So while the collector runs often, it is shown a block of
// ballast that counts as alive, and is no memory since nobody ever touches it.
const (
	maxBallast    = 32 << 20    // bytes
	ballastShare  = 16          // of the memory limit it is at most one part in so many
	collectorTick = time.Second // how often its runs are counted
	oftenCycles   = 3           // runs in one tick that are often
	quietTicks    = 10          // ticks with not one run, all together, that are quiet
)

// paceCollector does that until ctx is done. size is in bytes.
func paceCollector(ctx context.Context, size int64) {
	tick := time.NewTicker(collectorTick)
	defer tick.Stop()
	p := pacer{size: size, release: debug.FreeOSMemory, last: collections()}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.tick(collections())
		}
	}
}

// pacer holds the ballast.
type pacer struct {
	size    int64
	release func() // gives memory back to the system

	ballast []byte
	last    uint64 // runs of the collector at the last tick
	quiet   int    // ticks since one with a run
}

// tick is called with the number of runs since the process began.
func (p *pacer) tick(runs uint64) {
	since := runs - p.last
	p.last = runs
	if since > 0 {
		p.quiet = 0
	} else {
		p.quiet++
	}
	switch {
	case p.ballast == nil && since >= oftenCycles:
		p.ballast = make([]byte, p.size)
	case p.ballast != nil && p.quiet >= quietTicks:
		// The load is over, and nobody would collect what it has left for two minutes.
		p.ballast = nil
		p.release() // a run of its own, which is no load
	}
	runtime.KeepAlive(p.ballast)
}

// collections returns how often the collector has run.
func collections() uint64 {
	sample := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
