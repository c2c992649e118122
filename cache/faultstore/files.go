package faultstore

import (
	"errors"
	"sync"

	"larder/cache"
)

// content is an open object whose reads may fail.
type content struct {
	cache.Content
	store *Store
	key   string
}

func (c *content) Read(p []byte) (int, error) {
	if err := c.store.try(Read, c.key); err != nil {
		return 0, err
	}
	return c.Content.Read(p)
}

func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if err := c.store.try(Read, c.key); err != nil {
		return 0, err
	}
	return c.Content.ReadAt(p, off)
}

// writer is a write that may fail.
type writer struct {
	cache.Writer
	store  *Store
	mu     sync.Mutex // guards what follows: a Flush may run beside Commit's caller
	key    string
	broken error // of a Write or a Flush: what a Writer says from then on
}

func (w *writer) fail(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = err
	return err
}

// try is Store.try for a writer that may be broken already.
func (w *writer) try(op Op) error {
	w.mu.Lock()
	key, broken := w.key, w.broken
	w.mu.Unlock()
	if broken != nil {
		return broken
	}
	return w.store.try(op, key)
}

func (w *writer) Write(p []byte) (int, error) {
	if err := w.try(Write); err != nil {
		return 0, w.fail(err)
	}
	room, full := w.store.take(len(p))
	n, err := w.Writer.Write(p[:room])
	if err == nil {
		err = full
	}
	if err != nil {
		return n, w.fail(err)
	}
	return n, nil
}

// Follow implements cache.Follower.
func (w *writer) Follow() (cache.FollowReader, error) {
	if err := w.try(Follow); err != nil {
		return nil, err
	}
	follower, ok := w.Writer.(cache.Follower)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	r, err := follower.Follow()
	if err != nil {
		return nil, err
	}
	return &followReader{r, w.store, w.key}, nil
}

// Flush implements cache.Flusher.
func (w *writer) Flush() error {
	if err := w.try(Flush); err != nil {
		return w.fail(err)
	}
	if f, ok := w.Writer.(cache.Flusher); ok {
		return f.Flush()
	}
	return nil
}

// Retarget implements cache.Retargeter.
func (w *writer) Retarget(key string) error {
	r, ok := w.Writer.(cache.Retargeter)
	if !ok {
		return errors.ErrUnsupported
	}
	if err := r.Retarget(key); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.key = key
	return nil
}

// Commit leaves nothing behind where it fails, as its contract says.
func (w *writer) Commit(p cache.Precondition) (string, error) {
	if err := w.try(Commit); err != nil {
		return "", errors.Join(err, w.Writer.Abort())
	}
	return w.Writer.Commit(p)
}

type followReader struct {
	cache.FollowReader
	store *Store
	key   string
}

func (r *followReader) ReadAt(p []byte, off int64) (int, error) {
	if err := r.store.try(FollowRead, r.key); err != nil {
		return 0, err
	}
	return r.FollowReader.ReadAt(p, off)
}
