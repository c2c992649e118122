package hosted

import (
	"context"
	"sync"
)

// nameLocks are locks by package, its name or its owner. Writes to one package take turns within
// this process, so that 32 publishers of one package do not make each other
// begin anew 32 times. They are there for that alone: what keeps an update
// from being lost is the precondition of each commit, which holds between
// processes, too.
type nameLocks struct {
	mu   sync.Mutex // guards held, and users of each lock in it
	held map[string]*nameLock
}

type nameLock struct {
	turn  chan struct{} // full while somebody has the lock
	users int           // who have it or wait for it
}

func newNameLocks() *nameLocks { return &nameLocks{held: make(map[string]*nameLock)} }

// lock waits for name's lock, as long as ctx lasts. Unlike a mutex that guards
// memory, it is meant to be held during I/O on that package.
func (l *nameLocks) lock(ctx context.Context, name string) (unlock func(), err error) {
	l.mu.Lock()
	k, ok := l.held[name]
	if !ok {
		k = &nameLock{turn: make(chan struct{}, 1)}
		l.held[name] = k
	}
	k.users++
	l.mu.Unlock()

	select {
	case k.turn <- struct{}{}:
		return func() { <-k.turn; l.leave(name, k) }, nil
	case <-ctx.Done():
		l.leave(name, k)
		return nil, ctx.Err()
	}
}

func (l *nameLocks) leave(name string, k *nameLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(l.held, name)
	}
}
