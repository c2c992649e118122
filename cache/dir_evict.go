package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// evictTick is how often the volume's free space is looked at, and how long
	// a store that nothing can go from is left alone.
	evictTick = time.Second
	// maxBarren is how many looks in a row may find nothing that can go until
	// nothing can.
	maxBarren = 32
	// reportEvery is how often the log says at most what has gone, and
	// quietTime after how long without any it says that it begins.
	reportEvery = time.Minute
	quietTime   = 10 * time.Minute
	// alarmAfter is how long a store must have been full without anything that can
	// go until that is an alarm.
	alarmAfter = 30 * time.Second
	// recountEvery is how often a store from which nothing can go is counted
	// anew, at most: perhaps it is not as big as the ledger says.
	recountEvery = 10 * time.Minute
	// volumeEvery is how old what is known of the volume may be.
	volumeEvery = 100 * time.Millisecond
)

// evictor removes what has not been used for long while the store is too
// big or its volume too full. It is one goroutine's.
type evictor struct {
	dir *Dir
	sampler
	gone      usage     // since the last report
	reported  time.Time // when that was
	last      time.Time // when something went
	fullSince time.Time // when nothing could go any more; zero: something can
	alarmed   bool
	failed    time.Time // when the log was last told that the disk does not let go
	recounted time.Time
}

func newEvictor(d *Dir, random *rand.Rand) *evictor {
	return &evictor{dir: d, sampler: sampler{dir: d, rand: random}}
}

// run evicts until ctx is done.
func (e *evictor) run(ctx context.Context) {
	tick := time.NewTicker(evictTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.dir.measure()
		case <-e.dir.size.wake:
			if !e.fullSince.IsZero() {
				continue // the next tick tries again
			}
		case <-ctx.Done():
			return
		}
		if e.dir.size.pressed() {
			e.relieve(ctx)
		} else {
			e.settle(false)
		}
		e.report()
	}
}

// relieve evicts until there is room again, or nothing that can go.
func (e *evictor) relieve(ctx context.Context) {
	barren := 0
	for ctx.Err() == nil {
		excess, reason := e.dir.size.excess()
		if excess <= 0 {
			e.settle(false)
			return
		}
		gone, err := e.round(ctx, excess, reason)
		if err != nil && e.dir.now().Sub(e.failed) > reportEvery {
			e.failed = e.dir.now()
			e.dir.log.Warn("cannot make room in the cache", "dir", e.dir.objects, "error", err)
		}
		if gone.Files > 0 {
			e.note(gone, reason)
			barren = 0
			continue
		}
		if barren++; barren == maxBarren || err != nil {
			e.settle(e.dir.size.pressed())
			return
		}
	}
}

// round looks at some owners and removes the oldest groups known.
func (e *evictor) round(ctx context.Context, excess int64, reason string) (gone usage, err error) {
	seen, err := e.sample()
	if err != nil {
		return usage{}, err
	}
	for range seen/victimPart + 1 {
		g, err := e.oldest()
		if g == nil || err != nil {
			return gone, err
		}
		why := reason
		if g.orphan {
			why = "orphan"
		}
		removed, err := e.dir.removeGroup(ctx, g, why)
		gone = gone.plus(removed)
		if err != nil && !errors.Is(err, ErrPrecondition) {
			return gone, err
		}
		if gone.cost() >= excess {
			break
		}
	}
	e.dir.size.gone(gone.Blocks)
	return gone, nil
}

// note keeps what the reports need, and says that eviction begins.
func (e *evictor) note(gone usage, reason string) {
	now := e.dir.now()
	if now.Sub(e.last) > quietTime {
		e.dir.log.Info("the cache is full: what was not used for longest goes", "bound", reason)
		e.reported, e.gone = now, usage{}
	}
	e.last = now
	e.gone = e.gone.plus(gone)
}

// report says now and then what has gone.
func (e *evictor) report() {
	now := e.dir.now()
	if e.gone.Files > 0 && now.Sub(e.reported) >= reportEvery {
		e.dir.log.Info("evicted from the cache", "files", e.gone.Files, "bytes", e.gone.Bytes, "in", now.Sub(e.reported).Round(time.Second))
		e.gone, e.reported = usage{}, now
	}
}

// settle ends an attempt to make room: full says that it failed.
func (e *evictor) settle(full bool) {
	d := e.dir
	d.size.relieved(full)
	now := d.now()
	switch {
	case !full:
		e.fullSince = time.Time{}
	case e.fullSince.IsZero():
		e.fullSince = now
	}
	if full && now.Sub(e.recounted) > recountEvery {
		e.recounted = now
		select {
		case d.recount <- struct{}{}:
		default: // it will be
		}
	}
	alarm := full && now.Sub(e.fullSince) >= alarmAfter
	if alarm == e.alarmed {
		return
	}
	e.alarmed = alarm
	d.metrics.StoreFull(alarm)
	if !alarm {
		d.full.Store(nil)
		d.log.Info("the cache has room again")
		return
	}
	err := d.fullError()
	d.full.Store(&err)
	d.log.Warn(err.Error())
}

// fullError says what is wrong, for people.
func (d *Dir) fullError() error {
	d.size.mu.Lock()
	defer d.size.mu.Unlock()
	l := d.size
	if l.floor > 0 && l.free >= 0 && l.free < l.floor {
		return fmt.Errorf("the cache stores nothing: its volume has %d bytes free, less than the %d that are kept, and nothing is left that could go", l.free, l.floor)
	}
	return fmt.Errorf("the cache stores nothing more: it takes %d bytes of %d, and nothing is left that could go", l.held.cost(), l.max)
}

// Alarm returns what is wrong with the store's room, as a sentence for people; nil
// if nothing is.
func (d *Dir) Alarm() error {
	if err := d.full.Load(); err != nil {
		return *err
	}
	return nil
}

// measure finds out how much is free on the volume, if that matters and was not
// found out just now.
func (d *Dir) measure() {
	if d.size.minFree <= 0 {
		return
	}
	now := d.now().UnixNano()
	last := d.measuredAt.Load()
	// Where the clock was set back it is not known how old that is.
	if age := now - last; age >= 0 && age < int64(volumeEvery) || !d.measuredAt.CompareAndSwap(last, now) {
		return
	}
	v, err := d.volume(d.objects)
	if err != nil {
		d.log.Debug("the free space is not known", "dir", d.objects, "error", err)
		return
	}
	d.size.measured(v)
}

// bounded reports whether there is a bound that a new object could break.
func (d *Dir) bounded() bool { return d.size.max > 0 || d.size.minFree > 0 }

// evicts reports whether objects go by themselves.
func (d *Dir) evicts() bool { return d.bounded() || d.maxAge > 0 }
