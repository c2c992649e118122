package upstream

import (
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"larder/npm"
)

// Bounds of what is remembered of documents for the tarballs in them, of one
// registry.
const (
	distMemory = 16 << 20 // bytes: enough for the packages of a big project
	distShare  = 6        // one byte at most in so many of Config.Memory
)

// dists remembers what the tarballs of the documents that came last must be.
// Whoever installs a package asks for its document and soon after for a tarball,
// and to look that up in the document, it would have to be unpacked once more.
type dists struct {
	max int // bytes

	mu    sync.Mutex // guards what follows
	lru   *simplelru.LRU[string, *npm.Dists]
	bytes int
}

func newDists(max int) *dists {
	// The bound is in bytes, and nothing takes none.
	lru, err := simplelru.NewLRU[string, *npm.Dists](math.MaxInt, nil)
	if err != nil {
		panic(err) // for a size below 1 only
	}
	return &dists{max: max, lru: lru}
}

// add remembers d, nil for what is no packument, in place of what was known of
// name.
func (m *dists) add(name string, d *npm.Dists) {
	if d == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.lru.Peek(name); ok {
		m.bytes -= old.Size()
	}
	m.lru.Add(name, d)
	m.bytes += d.Size()
	for m.bytes > m.max {
		_, old, ok := m.lru.RemoveOldest()
		if !ok {
			return
		}
		m.bytes -= old.Size()
	}
}

// find returns the dist of a tarball of name, if it is remembered.
func (m *dists) find(name, file string) (npm.Dist, bool) {
	m.mu.Lock()
	d, ok := m.lru.Get(name)
	m.mu.Unlock()
	if !ok {
		return npm.Dist{}, false
	}
	return d.Find(file)
}
