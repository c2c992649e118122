package cache

import (
	"context"
	"errors"
	"sync"
)

// A disk can give back other bytes than it was given, years later and without
// an error. So the first read of a file after a start checks it before a byte
// is sent; from then on this process believes it.

// maxChecks is how many files are hashed at once for their first readers. More
// would not be faster: a core hashes as much as a disk gives.
const maxChecks = 4

// errReplaced: the object has another revision than the one that was looked for.
var errReplaced = errors.New("cache: replaced meanwhile")

// Checks sees to it that each revision of a file is checked once, at its first
// read: of many who read it at that moment one checks for all, few files are
// checked at once, and which were right is remembered.
type Checks struct {
	seen   *checked
	places chan struct{} // holds an element for each check that runs
	ctx    context.Context
	cancel context.CancelFunc
	ended  sync.WaitGroup // the checks' goroutines

	mu      sync.Mutex        // guards what follows; never held while anything is read
	running map[string]*check // by key and revision
	closed  bool
}

// check is one check for all who wait for it.
type check struct {
	done chan struct{} // closed when err is set
	err  error
}

// NewChecks returns Checks that have seen nothing.
func NewChecks() *Checks {
	c := &Checks{seen: newChecked(), places: make(chan struct{}, maxChecks), running: make(map[string]*check)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Seen reports whether a revision was found right.
func (c *Checks) Seen(key, rev string) bool { return c.seen.has(key, rev) }

// Right remembers that a revision is right.
func (c *Checks) Right(key, rev string) { c.seen.add(key, rev) }

// Once returns nil if the revision rev of key has been found right, and else
// what fn finds. It runs in a goroutine whose context ends at Close: ctx bounds
// the caller's wait alone.
func (c *Checks) Once(ctx context.Context, key, rev string, fn func(context.Context) error) error {
	if c.Seen(key, rev) {
		return nil
	}
	id := key + "\x00" + rev
	c.mu.Lock()
	k, ok := c.running[id]
	if !ok && c.closed {
		c.mu.Unlock()
		return fn(ctx) // nobody waits for goroutines any more
	}
	if !ok {
		k = &check{done: make(chan struct{})}
		c.running[id] = k
		c.ended.Go(func() {
			k.err = c.run(fn)
			if k.err == nil {
				c.Right(key, rev)
			}
			c.mu.Lock()
			delete(c.running, id)
			c.mu.Unlock()
			close(k.done)
		})
	}
	c.mu.Unlock()
	select {
	case <-k.done:
		return k.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Checks) run(fn func(context.Context) error) (err error) {
	defer recovered(&err)
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-c.ctx.Done():
		return ErrClosed
	}
	return fn(c.ctx)
}

// Close waits for the checks that run until ctx is done; they are then ended, and
// it returns ctx.Err(). Who asks from now on checks for itself.
func (c *Checks) Close(ctx context.Context) (err error) {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		c.ended.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.cancel()
	<-ended
	return err
}
