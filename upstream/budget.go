package upstream

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"larder/cache"
)

const (
	// DocumentMemory is the default of Config.Memory, in bytes.
	DocumentMemory = 96 << 20
	// asideShare is what comes on top of it for small documents, one byte in so
	// many, and smallShare is how small those are.
	asideShare = 8
	smallShare = 64
	// parkFor is how long a document that was just fetched is kept unpacked
	// for whoever renders it first.
	parkFor = 2 * time.Second
)

// document is the identity bytes of a document with their share of a budget.
// It has one owner at a time, who must release it.
type document struct {
	bytes []byte
	from  *semaphore.Weighted // of a budget
	share int64
	timer *time.Timer // while it is parked
}

// release gives the share back, once.
func (d *document) release() {
	if d == nil {
		return
	}
	share := d.share
	d.bytes, d.share = nil, 0
	d.from.Release(share)
}

// budget bounds the bytes of unpacked documents in memory.
//
// Nobody may wait for a share while holding one. A fetched document is
// therefore not handed to a caller who may never come for it: it is parked,
// and a parked document gives way to anyone who waits.
//
// Big documents may be waited for for long. A small one that would have to queue
// up behind them has its share from aside.
type budget struct {
	capacity int64 // bytes
	shares   *semaphore.Weighted
	aside    *semaphore.Weighted
	gzips    gzips
	turns    *cache.Turns // for big documents

	mu      sync.Mutex             // guards parked and waiting
	parked  map[*document]struct{} // owned by the budget
	waiting int                    // in acquire, for shares
}

func newBudget(capacity int64) *budget {
	return &budget{
		capacity: capacity,
		shares:   semaphore.NewWeighted(capacity),
		aside:    semaphore.NewWeighted(capacity / asideShare),
		parked:   make(map[*document]struct{}),
	}
}

// acquire waits for a share of n bytes, or of the whole budget if that is less.
func (b *budget) acquire(ctx context.Context, n int64) (*document, error) {
	d := &document{from: b.shares, share: min(n, b.capacity)}
	if b.shares.TryAcquire(d.share) {
		return d, nil
	}
	if n <= b.capacity/smallShare {
		d.from = b.aside
		if !b.aside.TryAcquire(n) {
			b.empty()
			if err := b.aside.Acquire(ctx, n); err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	b.wait(1)
	defer b.wait(-1)
	b.empty()
	if err := b.shares.Acquire(ctx, d.share); err != nil {
		return nil, err
	}
	return d, nil
}

func (b *budget) wait(n int) {
	b.mu.Lock()
	b.waiting += n
	b.mu.Unlock()
}

// park takes ownership of d until take, for parkFor at most.
func (b *budget) park(d *document) {
	if d == nil {
		return
	}
	b.mu.Lock()
	parked := b.waiting == 0 || d.from == b.aside // which those who wait have no use for
	if parked {
		b.parked[d] = struct{}{}
		d.timer = time.AfterFunc(parkFor, func() {
			if b.take(d) {
				d.release()
			}
		})
	}
	b.mu.Unlock()
	if !parked {
		d.release()
	}
}

// take makes the caller the owner of d, if it is still parked.
func (b *budget) take(d *document) bool {
	if d == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.parked[d]; !ok {
		return false
	}
	delete(b.parked, d)
	d.timer.Stop()
	return true
}

// empty releases all that is parked.
func (b *budget) empty() {
	b.mu.Lock()
	parked := b.parked
	b.parked = make(map[*document]struct{})
	b.mu.Unlock()
	for d := range parked {
		d.timer.Stop()
		d.release()
	}
}
