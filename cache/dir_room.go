package cache

import (
	"fmt"
	"slices"
)

const (
	// Files go when less than a 64th of the bound is left, until a 32nd is: most
	// reservations then fit at once. What is written without one may go a
	// 64th over the bound, while files are going already.
	highPart  = 64
	lowPart   = 32
	slackPart = 64

	// maxAskedPart is the part of the bound, one in so many bytes, up to which room is made
	// for what was refused without a reservation, so that it fits the next time.
	maxAskedPart = 2
)

// bounds are the bounds of a store, in bytes; 0: none.
type bounds struct {
	max     int64 // that it takes
	minFree int64 // that its volume keeps free
}

// room is the part of a ledger that is about what may still come.
type room struct {
	reserved int64 // bytes
	waiting  []*claim
	asked    int64 // the most that was refused lately, in bytes
	floor    int64 // bytes that the volume is to keep free
	free     int64 // bytes that it has, as far as is known; -1: nothing is
	full     bool  // files should go, and none can
}

// claim is a reservation that waits for room.
type claim struct {
	cost    int64
	settled chan error // gets the decision
}

// reserve sets cost bytes aside, or returns a claim that waits.
func (l *ledger) reserve(cost int64) (*claim, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.fitsLocked(cost, 0):
		l.reserved += cost
		l.settleLocked()
		return nil, nil
	case l.beyondLocked(cost):
		return nil, fmt.Errorf("%w: %d bytes are more than could be had", ErrNoRoom, cost)
	case l.full && l.hopelessLocked(cost):
		l.wakeLocked()
		return nil, fmt.Errorf("%w: nothing can go", ErrNoRoom)
	}
	c := &claim{cost: cost, settled: make(chan error, 1)}
	l.waiting = append(l.waiting, c)
	l.wakeLocked()
	return c, nil
}

// abandon takes back a claim that nobody waits for any more. It reports whether
// it was granted meanwhile, so that it must be released.
func (l *ledger) abandon(c *claim) (granted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting, c); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		return false
	}
	return <-c.settled == nil
}

// release gives a reservation back.
func (l *ledger) release(cost int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reserved -= cost
	l.settleLocked()
}

// admit reserves cost bytes for what is there already and needs only its name: at
// once or not at all.
func (l *ledger) admit(cost int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fitsLocked(cost, l.max/slackPart) {
		l.reserved += cost
		l.settleLocked()
		return nil
	}
	if l.max == 0 || cost < l.max/maxAskedPart {
		l.asked = max(l.asked, cost)
	}
	l.wakeLocked()
	l.metrics.StoreRefused()
	return fmt.Errorf("%w for %d bytes", ErrNoRoom, cost)
}

// fitsLocked reports whether cost bytes more are within the bounds.
func (l *ledger) fitsLocked(cost, slack int64) bool {
	if l.max > 0 && l.held.cost()+l.reserved+cost > l.max+slack {
		return false
	}
	return l.floor == 0 || l.free < 0 || l.free-l.unwrittenLocked()-cost >= l.floor
}

// beyondLocked reports whether cost bytes would not fit even if all that is held
// went: then nothing should go for them.
func (l *ledger) beyondLocked(cost int64) bool {
	if l.max > 0 && cost > l.max-l.max/lowPart {
		return true
	}
	return l.floor > 0 && l.free >= 0 && l.known && l.free+l.held.cost()-cost < l.floor
}

// hopelessLocked reports whether cost bytes more do not fit even when all that is
// reserved is given back.
func (l *ledger) hopelessLocked(cost int64) bool {
	return l.max > 0 && l.held.cost()+cost > l.max || l.floor > 0 && l.free >= 0 && l.free-cost < l.floor
}

// unwrittenLocked returns the bytes that are reserved and not yet taken from the volume.
func (l *ledger) unwrittenLocked() int64 { return max(0, l.reserved-l.writing.Load()) }

// wantedLocked returns the bytes that room should be made for, as far as that
// can help.
func (l *ledger) wantedLocked() int64 {
	wanted := l.asked
	for _, c := range l.waiting {
		wanted += c.cost
	}
	if l.max > 0 {
		wanted = min(wanted, max(0, l.max-l.max/lowPart-l.reserved))
	}
	return wanted
}

// settleLocked grants the claims that fit, and wakes the evictor if files should go.
func (l *ledger) settleLocked() {
	l.waiting = slices.DeleteFunc(l.waiting, func(c *claim) bool {
		if !l.fitsLocked(c.cost, 0) {
			return false
		}
		l.reserved += c.cost
		c.settled <- nil
		return true
	})
	l.metrics.StoreReserved(l.reserved)
	if l.pressedLocked() {
		l.wakeLocked()
	}
}

func (l *ledger) wakeLocked() {
	select {
	case l.wake <- struct{}{}:
	default: // it is awake already
	}
}

// pressedLocked reports whether files should begin to go.
func (l *ledger) pressedLocked() bool {
	wanted := l.wantedLocked()
	if l.max > 0 && l.held.cost()+l.reserved+wanted > l.max-l.max/highPart {
		return true
	}
	return l.floor > 0 && l.free >= 0 && l.free-l.unwrittenLocked()-wanted < l.floor
}

// pressed is pressedLocked for who does not hold the lock.
func (l *ledger) pressed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pressedLocked()
}

// excess returns how many bytes should go once files go at all, and which bound
// demands it, in the metrics' word.
func (l *ledger) excess() (bytes int64, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted := l.wantedLocked()
	if l.max > 0 {
		bytes, reason = l.held.cost()+l.reserved+wanted-(l.max-l.max/lowPart), "size"
	}
	if l.floor > 0 && l.free >= 0 {
		short := l.floor + l.floor/lowPart + l.unwrittenLocked() + wanted - l.free
		if short > max(bytes, 0) {
			bytes, reason = short, "free"
		}
	}
	return bytes, reason
}

// volume is the file system that a store lies on, in bytes.
type volume struct{ total, free int64 }

// minFreePart bounds the free space that is kept: one in so many bytes of the
// volume. A small volume would have no room for a cache otherwise.
const minFreePart = 10

// measured takes note of what the volume is found to be.
func (l *ledger) measured(v volume) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.floor = min(l.minFree, v.total/minFreePart)
	l.free = v.free
	l.metrics.StoreFree(v.free)
	l.settleLocked()
}

// gone takes note that the evictor has given bytes back to the volume. Some file
// systems say so only later.
func (l *ledger) gone(bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free >= 0 {
		l.free += bytes
	}
	l.settleLocked()
}

// relieved ends an attempt to make room. Where nothing more can go, those who
// still wait wait in vain.
func (l *ledger) relieved(full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = full
	l.asked = 0
	if !full {
		return
	}
	l.waiting = slices.DeleteFunc(l.waiting, func(c *claim) bool {
		if !l.hopelessLocked(c.cost) {
			return false
		}
		c.settled <- fmt.Errorf("%w: nothing can go", ErrNoRoom)
		return true
	})
}
