package cache

import (
	"context"
	"sync"
	"time"
)

// ending is how a fill ended.
type ending uint8

const (
	running ending = iota
	whole          // verified and stored
	failed         // state.err says why
	passed         // the store failed: each reader downloads for itself
)

// state is what the readers of a fill need to know of it.
type state struct {
	size  int64 // of the whole blob; -1 while unknown
	shown int64 // bytes that may be read
	end   ending
	err   error    // where end is failed
	meta  BlobMeta // where end is whole
}

const (
	// wakeBytes keeps hundreds of readers from being woken for each packet;
	// what is less than that is announced wakeAfter later.
	wakeBytes = 64 << 10
	wakeAfter = 20 * time.Millisecond
)

// progress is a state that one goroutine changes and many wait for.
type progress struct {
	mu      sync.Mutex // guards what follows; never held during I/O
	state   state
	changed chan struct{} // closed when the readers are woken; nil while nobody waits
	told    int64         // bytes shown when they last were
	alarm   *time.Timer   // will wake them; nil if there is no need
}

// look returns the present state.
func (p *progress) look() state {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// await returns the state as soon as more than seen bytes are shown or the
// fill has ended. Its error is that of ctx.
func (p *progress) await(ctx context.Context, seen int64) (state, error) {
	for {
		p.mu.Lock()
		s := p.state
		if s.shown > seen || s.end != running {
			p.mu.Unlock()
			return s, nil
		}
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
}

// tell changes the state and wakes the readers who wait for that: at once if
// it is the first they hear of or much, soon if it is but a few more bytes.
func (p *progress) tell(change func(*state)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.state)
	switch more := p.state.shown - p.told; {
	case p.state.end != running, more >= wakeBytes, more > 0 && p.told == 0:
		p.wakeLocked()
	case more > 0 && p.alarm == nil:
		p.alarm = time.AfterFunc(wakeAfter, p.wake)
	}
}

func (p *progress) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakeLocked()
}

func (p *progress) wakeLocked() {
	p.told = p.state.shown
	if p.alarm != nil {
		p.alarm.Stop() // if it goes off all the same it does no harm
		p.alarm = nil
	}
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}
