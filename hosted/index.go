package hosted

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"larder/cache"
	"larder/npm"
)

// index knows all packages in memory. It is made by a walk over the documents
// when it is first asked for, and from then on each write of this process puts
// its package in before the write returns. What other processes write it learns
// at the next start.
type index struct {
	store cache.Store
	log   *slog.Logger

	ctx      context.Context // of builds; ends at close
	stop     context.CancelFunc
	finished sync.WaitGroup // is waited for until a build has ended

	mu      sync.Mutex // guards what follows; never held while anything is read
	built   bool
	entries []*entry        // once built; sorted by name; replaced, never changed
	unread  map[string]bool // keys of documents that are not among them
	build   *build          // the one that is running, nil where none is
}

// build is one walk over all documents.
type build struct {
	done    chan struct{}
	err     error // after done
	entries map[string]*entry
	written map[string]bool // keys of documents written meanwhile: a write knows better than the walk
	unread  map[string]bool // keys of documents that could not be read
}

func newIndex(store cache.Store, log *slog.Logger) *index {
	ctx, stop := context.WithCancel(context.Background())
	return &index{store: store, log: log, ctx: ctx, stop: stop}
}

func (x *index) close() {
	x.stop()
	x.finished.Wait()
}

// all returns the entries of all packages, sorted by name. Those whose
// documents cannot be read are missing; complete tells. While it waits for the
// first build, ctx may end.
func (x *index) all(ctx context.Context) (entries []*entry, complete bool, err error) {
	x.mu.Lock()
	if x.built {
		defer x.mu.Unlock()
		return x.entries, len(x.unread) == 0, nil
	}
	b := x.beginLocked()
	x.mu.Unlock()
	if b == nil {
		return nil, false, errClosed()
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	if b.err != nil {
		return nil, false, b.err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.entries, len(x.unread) == 0, nil
}

// begin sees to it that the index is built.
func (x *index) begin() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.built {
		x.beginLocked()
	}
}

// beginLocked returns the running build, or begins one; nil after close. It is
// called with mu held, while nothing is built.
func (x *index) beginLocked() *build {
	if x.build == nil && x.ctx.Err() == nil {
		b := &build{
			done: make(chan struct{}), entries: make(map[string]*entry),
			written: make(map[string]bool), unread: make(map[string]bool),
		}
		x.build = b
		x.finished.Go(func() { x.run(b) })
	}
	return x.build
}

// lacks reports whether it is known that there is no package of that name.
func (x *index) lacks(name string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.built || x.unread[documentKey(name)] {
		return false
	}
	_, found := x.find(name)
	return !found
}

// find is called with mu held.
func (x *index) find(name string) (at int, found bool) {
	return slices.BinarySearchFunc(x.entries, name, func(e *entry, name string) int { return strings.Compare(e.name, name) })
}

// doubt notes that a write of name failed, and that the disk does not say what
// became of it.
func (x *index) doubt(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.build != nil:
		x.build.written[documentKey(name)] = true
		x.build.unread[documentKey(name)] = true
	case x.built:
		x.unread[documentKey(name)] = true
	}
}

func errClosed() error {
	return &npm.Error{Kind: npm.Unavailable, Msg: "the server is shutting down"}
}

// run is the goroutine of a build.
func (x *index) run(b *build) {
	err := x.store.Walk(x.ctx, "", func(o cache.Info) error {
		if strings.HasSuffix(o.Key, documentFile) {
			x.read(b, o.Key)
		}
		return nil
	})
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.ctx.Err() != nil:
		b.err = errClosed()
	case err != nil:
		b.err = readFault(err)
	default:
		x.entries, x.unread, x.built = slices.SortedFunc(maps.Values(b.entries), byName), b.unread, true
	}
	x.build = nil
	close(b.done)
}

// read adds the package of one document to a build. One that cannot be read
// must not take the others along.
func (x *index) read(b *build, key string) {
	e, err := x.readEntry(key)
	if errors.Is(err, fs.ErrNotExist) {
		return // it went since the walk saw it
	}
	if err != nil {
		x.log.Error("a hosted package cannot be read", "key", key, "error", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case b.written[key]:
	case err != nil:
		b.unread[key] = true
	default:
		b.entries[e.name] = e
	}
}

func (x *index) readEntry(key string) (*entry, error) {
	o, err := x.store.Open(x.ctx, key)
	if err != nil {
		return nil, err
	}
	defer o.Close() // it was only read
	d, _, err := readDocument(o)
	if err != nil {
		return nil, err
	}
	return newEntry(d), nil
}

// put makes the index follow a write. It is called in the order in which the
// documents of one package changed.
func (x *index) put(d *document) { x.set(d.Name, func() *entry { return newEntry(d) }) }

// remove takes a name out of the index.
func (x *index) remove(name string) { x.set(name, func() *entry { return nil }) }

func (x *index) set(name string, e func() *entry) {
	x.mu.Lock()
	idle := !x.built && x.build == nil
	x.mu.Unlock()
	if idle {
		return // a build that begins later reads what was written
	}
	made := e()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.build != nil {
		x.build.written[documentKey(name)] = true
		delete(x.build.unread, documentKey(name))
		if made != nil {
			x.build.entries[name] = made
		} else {
			delete(x.build.entries, name)
		}
		return
	}
	if !x.built {
		return // the build has failed meanwhile
	}
	delete(x.unread, documentKey(name))
	i, found := x.find(name)
	// Whoever searches at this moment keeps the old slice.
	before, after := x.entries[:i], x.entries[i:]
	if found {
		after = after[1:]
	}
	if made != nil {
		x.entries = slices.Concat(before, []*entry{made}, after)
	} else {
		x.entries = slices.Concat(before, after)
	}
}

func byName(a, b *entry) int { return strings.Compare(a.name, b.name) }
