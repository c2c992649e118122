package hosted

import (
	"context"
	"errors"
	"io"
	"sync"

	"larder/cache"
)

var errBroken = errors.New("input/output error")

// brittle is a store whose operations fail when told to.
type brittle struct {
	cache.Store
	mu     sync.Mutex // guards what follows
	broken func(op, key string) error
	calls  map[string]int // by op
}

func newBrittle(s cache.Store) *brittle { return &brittle{Store: s, calls: make(map[string]int)} }

// breaks makes operations fail with what fn returns; fn may be nil. op is
// "open", "read", "create", "write", "flush", "commit", "walk" or "delete".
func (s *brittle) breaks(fn func(op, key string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = fn
}

func (s *brittle) try(op, key string) error {
	s.mu.Lock()
	s.calls[op]++
	broken := s.broken
	s.mu.Unlock()
	if broken == nil {
		return nil
	}
	return broken(op, key)
}

// called returns how often op was tried, and begins anew.
func (s *brittle) called(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.calls[op]
	s.calls[op] = 0
	return n
}

func (s *brittle) Open(ctx context.Context, key string) (*cache.Object, error) {
	if err := s.try("open", key); err != nil {
		return nil, err
	}
	o, err := s.Store.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	o.Content = brittleContent{o.Content, s, key}
	return o, nil
}

func (s *brittle) Create(ctx context.Context, key string) (cache.Writer, error) {
	if err := s.try("create", key); err != nil {
		return nil, err
	}
	w, err := s.Store.Create(ctx, key)
	return &brittleWriter{w, s, key}, err
}

func (s *brittle) Delete(ctx context.Context, key string, p cache.Precondition) error {
	if err := s.try("delete", key); err != nil {
		return err
	}
	return s.Store.Delete(ctx, key, p)
}

func (s *brittle) Walk(ctx context.Context, prefix string, fn func(cache.Info) error) error {
	if err := s.try("walk", prefix); err != nil {
		return err
	}
	return s.Store.Walk(ctx, prefix, fn)
}

type brittleContent struct {
	cache.Content
	store *brittle
	key   string
}

func (c brittleContent) Read(p []byte) (int, error) {
	if err := c.store.try("read", c.key); err != nil {
		return 0, err
	}
	return c.Content.Read(p)
}

var _ io.Reader = brittleContent{}

type brittleWriter struct {
	cache.Writer
	store *brittle
	key   string
}

func (w *brittleWriter) Write(p []byte) (int, error) {
	if err := w.store.try("write", w.key); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

func (w *brittleWriter) Retarget(key string) error {
	w.key = key
	return w.Writer.(cache.Retargeter).Retarget(key)
}

func (w *brittleWriter) Flush() error {
	if err := w.store.try("flush", w.key); err != nil {
		return err
	}
	return flush(w.Writer)
}

func (w *brittleWriter) Commit(p cache.Precondition) (string, error) {
	if err := w.store.try("commit", w.key); err != nil {
		return "", errors.Join(err, w.Abort())
	}
	return w.Writer.Commit(p)
}
