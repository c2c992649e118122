package cache

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
)

// Bounds on big documents that lie in no file, because the disk has failed or
// because they are volatile: each of their readers holds one in memory for as
// long as its client takes.
const (
	looseBytes  = 128 << 20        // of all of them together, packed; one that is bigger takes all
	looseQueue  = 16               // readers who wait for room, each with a document of its own
	loosePeriod = 30 * time.Second // that one waits
)

// looseRoom is that room.
type looseRoom struct {
	bytes *semaphore.Weighted
	queue *semaphore.Weighted
}

func newLooseRoom() looseRoom {
	return looseRoom{semaphore.NewWeighted(looseBytes), semaphore.NewWeighted(looseQueue)}
}

// hold takes room for n bytes. ErrBusy: there is none, and too many wait for it.
func (l looseRoom) hold(ctx context.Context, n int64) (release func(), err error) {
	n = min(n, looseBytes)
	release = func() { l.bytes.Release(n) }
	if l.bytes.TryAcquire(n) {
		return release, nil
	}
	if !l.queue.TryAcquire(1) {
		return nil, ErrBusy
	}
	defer l.queue.Release(1)
	ctx, cancel := context.WithTimeout(ctx, loosePeriod)
	defer cancel()
	if l.bytes.Acquire(ctx, n) != nil {
		return nil, ErrBusy
	}
	return release, nil
}
