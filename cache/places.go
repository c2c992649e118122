package cache

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Grouped is a Source that says which others it shares its fate with: those of
// one upstream. Where the downloads of one group hang, they must not take all
// places from the others.
type Grouped interface {
	Group() string // of few values
}

// groupOf returns "" for a source that belongs to no group.
func groupOf(src Source) string {
	if g, ok := src.(Grouped); ok {
		return g.Group()
	}
	return ""
}

// places are the fills that may run at once. A group gets another place while
// more are free than it has: alone it stops at half of all, and whoever comes
// next finds half of what is left, however many groups hang.
type places struct {
	patience time.Duration // of a wait

	mu      sync.Mutex // guards what follows; never held during I/O
	free    int
	used    map[string]int             // by group
	waiting map[string][]chan struct{} // by group, first come first; closed when the place is given
}

func newPlaces(n int, patience time.Duration) *places {
	return &places{patience: patience, free: n, used: make(map[string]int), waiting: make(map[string][]chan struct{})}
}

// get waits for a place. The error is ErrBusy or ctx's cause.
func (p *places) get(ctx context.Context, group string) (release func(), err error) {
	release = func() { p.put(group) }
	turn := p.ask(group)
	if turn == nil {
		return release, nil
	}
	patience := time.NewTimer(p.patience)
	defer patience.Stop()
	select {
	case <-turn:
		return release, nil
	case <-patience.C:
		err = ErrBusy
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if !p.withdraw(group, turn) {
		return release, nil // it was given at the last moment
	}
	return nil, err
}

// ask takes a place, or returns what is closed when there is one.
func (p *places) ask(group string) (turn chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting[group]) == 0 && p.mayLocked(group) {
		p.takeLocked(group)
		return nil
	}
	turn = make(chan struct{})
	p.waiting[group] = append(p.waiting[group], turn)
	return turn
}

// withdraw leaves the queue; false: the place was given already.
func (p *places) withdraw(group string, turn chan struct{}) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.waiting[group], turn)
	if i < 0 {
		return false
	}
	p.setWaitingLocked(group, slices.Delete(p.waiting[group], i, i+1))
	return true
}

// put gives a place back, and on to whoever may have it.
func (p *places) put(group string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	if p.used[group]--; p.used[group] == 0 {
		delete(p.used, group)
	}
	for group, queue := range p.waiting { // in no order, which is fair enough
		for len(queue) > 0 && p.mayLocked(group) {
			p.takeLocked(group)
			close(queue[0])
			queue = queue[1:]
		}
		p.setWaitingLocked(group, queue)
	}
}

func (p *places) mayLocked(group string) bool {
	if group == "" || p.used[group] == 0 {
		return p.free > 0
	}
	return p.used[group] < p.free
}

func (p *places) takeLocked(group string) {
	p.free--
	p.used[group]++
}

func (p *places) setWaitingLocked(group string, queue []chan struct{}) {
	if len(queue) == 0 {
		delete(p.waiting, group)
		return
	}
	p.waiting[group] = queue
}
