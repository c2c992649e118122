package hosted

import (
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"larder/metrics"
)

const (
	// maxMemory bounds the parsed documents in memory, in bytes as stored.
	maxMemory = 64 << 20
	// packageOverhead is what a package in memory is taken to cost beside the
	// bytes of its document.
	packageOverhead = 1 << 10
)

// memory keeps the most recently used packages, up to a number of bytes.
type memory struct {
	max     int64
	metrics *metrics.Metrics

	mu    sync.Mutex // guards what follows
	lru   *simplelru.LRU[string, *Package]
	bytes int64
}

func newMemory(max int64, m *metrics.Metrics) *memory {
	// The bound is in bytes; the number of entries follows from their overhead.
	lru, err := simplelru.NewLRU[string, *Package](math.MaxInt, nil)
	if err != nil {
		panic(err) // for a size below 1 only
	}
	return &memory{max: max, metrics: m, lru: lru}
}

// get returns the package, if it is the one with that revision of the store.
func (m *memory) get(name, storeRev string) (*Package, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.lru.Get(name)
	if !ok || k.storeRev != storeRev {
		return nil, false
	}
	return k, true
}

// last returns what was kept last of a package, whatever the store has now.
func (m *memory) last(name string) (*Package, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lru.Get(name)
}

// add keeps k in place of what is kept of the same name. Where that is newer,
// because a reader was overtaken by a writer, the next get sorts it out.
func (m *memory) add(k *Package) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(k.Name())
	m.lru.Add(k.Name(), k)
	m.bytes += k.cost()
	for m.bytes > m.max {
		_, old, ok := m.lru.RemoveOldest()
		if !ok {
			break
		}
		m.bytes -= old.cost()
	}
	m.metrics.HostedMemory(m.bytes)
}

// remove forgets a name.
func (m *memory) remove(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(name)
	m.metrics.HostedMemory(m.bytes)
}

// drop is called with mu held.
func (m *memory) drop(name string) {
	if old, ok := m.lru.Peek(name); ok {
		m.lru.Remove(name)
		m.bytes -= old.cost()
	}
}
