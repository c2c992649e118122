package cache

import (
	"bytes"
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"larder/metrics"
)

// Stater is what a Store implements if it can describe an object for less than
// it costs to open it.
type Stater interface {
	// Stat describes the object under key, which counts as used. Its errors are
	// those of Open.
	Stat(ctx context.Context, key string) (Info, error)
}

const (
	defaultBlobMemory = 16 << 20 // bytes
	// heldOverhead is what a blob in memory is taken to cost beside its bytes.
	heldOverhead = 1 << 10
	// holdEvery is how many small blobs are read from disk for one that is taken
	// into memory: what is hot is there soon, and an install of more packages than
	// fit does not copy each of them to throw out another.
	holdEvery = 8
)

// blobMemory keeps hot small blobs. The disk says for each hit whether they are
// what it has: what was replaced, taken away or evicted there is nothing here.
type blobMemory struct {
	max     int64
	store   Stater // nil: nothing is kept
	metrics *metrics.Metrics
	reads   atomic.Uint64 // small blobs that were read from disk

	mu    sync.Mutex // guards what follows; never held during I/O
	lru   *simplelru.LRU[string, *heldBlob]
	bytes int64
}

// heldBlob is a blob in memory.
type heldBlob struct {
	rev  string
	meta BlobMeta
	data []byte
}

func (h *heldBlob) cost() int64 { return heldOverhead + int64(len(h.data)) }

func newBlobMemory(max int64, store Store, m *metrics.Metrics) *blobMemory {
	// The bound is in bytes; the number of entries follows from their overhead.
	lru, err := simplelru.NewLRU[string, *heldBlob](math.MaxInt, nil)
	if err != nil {
		panic(err) // for a size below 1 only
	}
	stater, _ := store.(Stater)
	return &blobMemory{max: max, store: stater, metrics: m, lru: lru}
}

// get returns the blob under key, if the store has that revision of it.
func (m *blobMemory) get(ctx context.Context, key string) (Content, BlobMeta, bool) {
	m.mu.Lock()
	h, ok := m.lru.Get(key)
	m.mu.Unlock()
	if !ok {
		return nil, BlobMeta{}, false
	}
	info, err := m.store.Stat(ctx, key)
	if err != nil || info.Rev != h.rev {
		m.drop(key, h)
		return nil, BlobMeta{}, false
	}
	content := new(heldContent)
	content.Reset(h.data)
	return content, h.meta, true
}

// offer takes one in holdEvery of the blobs that it is offered, which were read
// from disk and checked.
func (m *blobMemory) offer(o Info, meta BlobMeta, data []byte) {
	if m.store == nil || m.reads.Add(1)%holdEvery != 0 {
		return
	}
	h := &heldBlob{o.Rev, meta, bytes.Clone(data)}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.lru.Peek(o.Key); ok {
		m.bytes -= old.cost()
	}
	m.lru.Add(o.Key, h)
	m.bytes += h.cost()
	for m.bytes > m.max {
		_, old, ok := m.lru.RemoveOldest()
		if !ok {
			break
		}
		m.bytes -= old.cost()
	}
	m.metrics.TarballMemory(m.bytes)
}

// drop forgets h, unless another is in its place by now.
func (m *blobMemory) drop(key string, h *heldBlob) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now, ok := m.lru.Peek(key); ok && now == h {
		m.lru.Remove(key)
		m.bytes -= h.cost()
		m.metrics.TarballMemory(m.bytes)
	}
}

// heldContent is one reader's view of a blob in memory.
type heldContent struct{ bytes.Reader }

func (*heldContent) Close() error { return nil }
