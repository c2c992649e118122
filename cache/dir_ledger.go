package cache

import (
	"strings"
	"sync"
	"sync/atomic"

	"larder/metrics"
)

const (
	// blockSize is what file systems round a file up to, in bytes.
	blockSize = 4 << 10
	// nameCost is a file's share, in bytes, in the directories of its owner and of
	// its twig, which are a block each and have two files at least, mostly.
	nameCost = 4 << 10
)

// usage is what files take.
type usage struct {
	Bytes  int64 `json:"bytes"` // in the files
	Files  int64 `json:"files"`
	Blocks int64 `json:"blocks"` // bytes in whole blocks
}

// usageOf returns what a file of so many bytes takes.
func usageOf(bytes int64) usage {
	return usage{bytes, 1, (bytes + blockSize - 1) / blockSize * blockSize}
}

// cost returns the bytes on disk, about, with the directories.
func (u usage) cost() int64 { return u.Blocks + u.Files*nameCost + min(u.Files, branches)*blockSize }

func (u usage) plus(v usage) usage {
	return usage{u.Bytes + v.Bytes, u.Files + v.Files, u.Blocks + v.Blocks}
}

func (u usage) minus(v usage) usage {
	return usage{u.Bytes - v.Bytes, u.Files - v.Files, u.Blocks - v.Blocks}
}

// ledger knows what a store holds, and for whom room is set aside (dir_room.go).
// It begins with what the last process left in writing; a census corrects it
// while it is in use. Where nothing is known yet, what the census has counted so
// far is taken for the whole: a lower bound.
type ledger struct {
	bounds
	metrics *metrics.Metrics
	wake    chan struct{} // gets an element when files should go
	writing atomic.Int64  // bytes that are written in temporary files under a reservation

	mu      sync.Mutex // guards what follows; never held during I/O
	held    usage
	known   bool           // whether held is all
	unsaved bool           // whether it has changed since it was put in writing
	pending map[string]int // changes that are being made, by owner
	count   *count         // the census that is under way, or nil
	room
}

// count is a census under way. It takes the owners in ascending order.
type count struct {
	sum   usage  // of the owners up to at, and of the changes to them since
	at    string // the owner that is being counted, or was last
	busy  bool   // whether it is being counted
	dirty bool   // whether it has changed meanwhile

	// Owners before end are listed already, or may be; who of them changed and
	// has not been counted may be in no listing.
	end  string
	late map[string]bool
}

func newLedger(b bounds, m *metrics.Metrics) *ledger {
	return &ledger{bounds: b, metrics: m, wake: make(chan struct{}, 1), room: room{free: -1}, pending: make(map[string]int)}
}

// know sets what the store holds.
func (l *ledger) know(u usage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.known = u, true
	l.changedLocked()
}

// changing says that files of owner are about to change. The caller calls done
// once, with what has changed. A census counts no owner meanwhile: it would not
// know whether it has seen the change.
func (l *ledger) changing(owner string) (done func(delta usage)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending[owner]++
	return func(delta usage) { l.change(owner, delta) }
}

func (l *ledger) change(owner string, delta usage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending[owner]--; l.pending[owner] == 0 {
		delete(l.pending, owner)
	}
	if c := l.count; c != nil {
		switch order := strings.Compare(owner, c.at); {
		case order == 0 && c.busy:
			c.dirty = true
		case order <= 0:
			c.sum = c.sum.plus(delta)
		case owner < c.end:
			c.late[owner] = true
		}
	}
	if l.known {
		l.held = l.held.plus(delta)
	}
	l.changedLocked()
}

// changedLocked does what a change makes necessary.
func (l *ledger) changedLocked() {
	if !l.known && l.count != nil {
		l.held = l.count.sum
	}
	l.unsaved = l.known
	if l.known {
		l.metrics.StoreSize(l.held.Bytes, l.held.Files)
	}
	l.metrics.StoreUsed(l.held.cost())
	l.settleLocked()
}

// begin begins a census.
func (l *ledger) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count = &count{late: make(map[string]bool)}
}

// listing says that the owners before end are about to be listed.
func (l *ledger) listing(end string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count.end = end
}

// counting returns which owner is being counted from now on: the one given, which
// is the next in the listing, or one before it that may have come or gone since.
func (l *ledger) counting(owner string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.count
	for late := range c.late {
		owner = min(owner, late)
	}
	for changing := range l.pending {
		if changing > c.at {
			owner = min(owner, changing)
		}
	}
	delete(c.late, owner)
	c.at, c.busy, c.dirty = owner, true, false
	return owner
}

// counted adds what was found of the owner that is being counted. It does not if
// that has changed meanwhile and must be counted again, unless this is enough.
func (l *ledger) counted(u usage, enough bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if (l.count.dirty || l.pending[l.count.at] > 0) && !enough {
		return false
	}
	l.count.busy = false
	l.count.sum = l.count.sum.plus(u)
	l.changedLocked()
	return true
}

// end ends a census; a whole one is what the store holds from now on. It returns by
// how much the ledger was wrong.
func (l *ledger) end(whole bool) (off usage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if whole {
		if l.known {
			off = l.count.sum.minus(l.held)
		}
		l.held, l.known = l.count.sum, true
	}
	l.count = nil
	l.changedLocked()
	return off
}

// toSave returns what is to be put in writing, if anything is.
func (l *ledger) toSave() (usage, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.unsaved
	l.unsaved = false
	return l.held, was
}

func (l *ledger) isKnown() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known
}
