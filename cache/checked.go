package cache

import (
	"hash/maphash"
	"sync/atomic"
)

const (
	// checkedBits is the size of a checked, in bits: 2 MB of memory.
	checkedBits = 1 << 24
	// maxChecked is after how many additions a checked begins anew. At that
	// many, one revision in twenty that was not checked counts as checked.
	maxChecked = 1 << 21
)

// checked remembers which revisions of which keys this process has seen whole
// and right: a Bloom filter with two probes, of fixed size and without a lock,
// so that a warm hit pays some nanoseconds for it and a million blobs no memory.
//
// A collision makes a blob count as checked that was not: its bytes are sent
// unverified, as they would be on any read but the first, and what is wrong
// with them is left to the scrub and to the client's own check. With a hundred
// thousand blobs that happens to one in seven thousand, with a million to one
// in eighty; and only to rotten ones does it matter.
type checked struct {
	seed  maphash.Seed
	words []atomic.Uint64
	added atomic.Uint64
}

func newChecked() *checked {
	return &checked{seed: maphash.MakeSeed(), words: make([]atomic.Uint64, checkedBits/64)}
}

// probes returns the numbers of the two bits of a revision.
func (c *checked) probes(key, rev string) (a, b uint64) {
	var h maphash.Hash
	h.SetSeed(c.seed)
	h.WriteString(key)
	h.WriteByte(0) // stands in no key
	h.WriteString(rev)
	sum := h.Sum64()
	return sum % checkedBits, sum >> 32 % checkedBits
}

func (c *checked) has(key, rev string) bool {
	a, b := c.probes(key, rev)
	return c.words[a/64].Load()&(1<<(a%64)) != 0 && c.words[b/64].Load()&(1<<(b%64)) != 0
}

// add remembers a revision. What is forgotten when the filter begins anew is
// only checked again, and so is what is added in that moment.
func (c *checked) add(key, rev string) {
	if c.has(key, rev) {
		return // the scrub comes by again and again
	}
	if c.added.Add(1)%maxChecked == 0 {
		for i := range c.words {
			c.words[i].Store(0)
		}
	}
	a, b := c.probes(key, rev)
	c.words[a/64].Or(1 << (a % 64))
	c.words[b/64].Or(1 << (b % 64))
}
