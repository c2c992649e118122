package cache

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"larder/metrics"
)

// slot is a place for one document at a time.
type slot struct{ owner, name string }

// keptOverhead is what a document in memory is taken to cost beside its
// encodings, in bytes.
const keptOverhead = 1 << 10

// documentMemory keeps the most recently used documents, up to a number of bytes.
type documentMemory struct {
	max   int64
	total *memoryTotal

	mu    sync.Mutex // guards what follows; never held while anything is made or read
	lru   *simplelru.LRU[slot, *keptDocument]
	bytes int64
}

type keptDocument struct {
	*finished
	id   string // that the document was asked for by
	cost int64
}

// memoryTotal reports the sum of several memories.
type memoryTotal struct {
	bytes   atomic.Int64
	metrics *metrics.Metrics
}

func (t *memoryTotal) add(bytes int64) { t.metrics.DocumentMemory(t.bytes.Add(bytes)) }

func newDocumentMemory(max int64, total *memoryTotal) *documentMemory {
	// The bound is in bytes; the number of entries follows from their overhead.
	lru, err := simplelru.NewLRU[slot, *keptDocument](math.MaxInt, nil)
	if err != nil {
		panic(err) // for a size below 1 only
	}
	return &documentMemory{max: max, total: total, lru: lru}
}

// get returns the document under key, if it is the one with key's ID.
func (m *documentMemory) get(key DocumentKey) (*finished, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.lru.Get(key.slot())
	if !ok || k.id != key.ID {
		return nil, false
	}
	return k.finished, true
}

// add puts f in key's slot.
func (m *documentMemory) add(key DocumentKey, f *finished) {
	k := &keptDocument{f, key.ID, keptOverhead + int64(len(f.packed))}
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.bytes
	if old, ok := m.lru.Peek(key.slot()); ok {
		m.bytes -= old.cost
	}
	m.lru.Add(key.slot(), k)
	m.bytes += k.cost
	m.shrink()
	m.total.add(m.bytes - before)
}

// replace puts better in the place of f, if that is still here.
func (m *documentMemory) replace(key DocumentKey, f, better *finished) {
	m.mu.Lock()
	k, ok := m.lru.Peek(key.slot())
	m.mu.Unlock()
	if ok && k.finished == f {
		m.add(key, better)
	}
}

// grow notes that f, if it is still here, has become bigger.
func (m *documentMemory) grow(key DocumentKey, f *finished, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.lru.Peek(key.slot())
	if !ok || k.finished != f {
		return
	}
	before := m.bytes
	k.cost += bytes
	m.bytes += bytes
	m.shrink()
	m.total.add(m.bytes - before)
}

// shrink drops the least recently used documents over the bound. It is called
// with mu held.
func (m *documentMemory) shrink() {
	for m.bytes > m.max {
		_, k, ok := m.lru.RemoveOldest()
		if !ok {
			return
		}
		m.bytes -= k.cost
	}
}
