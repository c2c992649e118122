// Package faultstore is a cache.Store that fails as disks do, when a test says
// so: at an operation, at its Nth call, after so many bytes, or altogether. It
// passes cache/storetest while nothing is wrong with it.
package faultstore

import (
	"context"
	"slices"
	"sync"
	"syscall"
	"time"

	"larder/cache"
)

// Op is an operation of a store that can fail.
type Op string

// The operations.
const (
	Open       Op = "open"
	Read       Op = "read" // of an open object
	Create     Op = "create"
	Write      Op = "write"
	Follow     Op = "follow"
	FollowRead Op = "follow read" // of what is being written
	Flush      Op = "flush"
	Commit     Op = "commit"
	Delete     Op = "delete"
	Walk       Op = "walk"
)

// Ops returns all operations.
func Ops() []Op {
	return []Op{Open, Read, Create, Write, Follow, FollowRead, Flush, Commit, Delete, Walk}
}

// Writing returns those that fail where a disk is full or read-only.
func Writing() []Op { return []Op{Create, Write, Flush, Commit, Delete} }

// Opening returns those that fail where a process has too many files open.
func Opening() []Op { return []Op{Open, Create, Follow, Walk} }

// Store wraps a Store. Its methods may be called concurrently, and the faults
// changed meanwhile.
type Store struct {
	inner cache.Store

	mu    sync.Mutex // guards what follows
	fault func(op Op, key string) error
	space int64 // bytes that may still be written; negative: no bound
	pace  time.Duration
	count map[Op]int
}

// New returns a Store on inner with which nothing is wrong.
func New(inner cache.Store) *Store {
	return &Store{inner: inner, space: -1, count: make(map[Op]int)}
}

// When makes every operation fail for which fn returns an error, until it is
// called again, or Heal. fn is called with a lock held and may keep state.
func (s *Store) When(fn func(op Op, key string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fn
}

// Fail makes the operations, all of them where none is named, fail with err.
func (s *Store) Fail(err error, ops ...Op) {
	s.When(func(op Op, _ string) error {
		if len(ops) == 0 || slices.Contains(ops, op) {
			return err
		}
		return nil
	})
}

// FailNth makes the nth call of op from now on fail, counted from one, and
// all that follow.
func (s *Store) FailNth(op Op, n int, err error) {
	s.When(func(o Op, _ string) error {
		if o != op {
			return nil
		}
		if n--; n > 0 {
			return nil
		}
		return err
	})
}

// Fill leaves room for n more bytes: the Write that needs more takes what
// there is room for and fails with ENOSPC, and so do all that follow.
func (s *Store) Fill(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.space = n
}

// Slow makes every operation take that long.
func (s *Store) Slow(pace time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pace = pace
}

// Heal ends all faults.
func (s *Store) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.space, s.pace = nil, -1, 0
}

// Count returns how often op was called so far.
func (s *Store) Count(op Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[op]
}

// try is called before an operation, and returns its error.
func (s *Store) try(op Op, key string) error {
	s.mu.Lock()
	s.count[op]++
	pace := s.pace
	var err error
	if s.fault != nil {
		err = s.fault(op, key)
	}
	s.mu.Unlock()
	time.Sleep(pace)
	return err
}

// take returns how many of n bytes there is room for, and ENOSPC if that is
// not all.
func (s *Store) take(n int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.space < 0:
		return n, nil
	case s.space < int64(n):
		n, s.space = int(s.space), 0
		return n, syscall.ENOSPC
	}
	s.space -= int64(n)
	return n, nil
}

// Open implements cache.Store.
func (s *Store) Open(ctx context.Context, key string) (*cache.Object, error) {
	if err := s.try(Open, key); err != nil {
		return nil, err
	}
	o, err := s.inner.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	return &cache.Object{Content: &content{o.Content, s, key}, Info: o.Info}, nil
}

// Create implements cache.Store.
func (s *Store) Create(ctx context.Context, key string) (cache.Writer, error) {
	if err := s.try(Create, key); err != nil {
		return nil, err
	}
	w, err := s.inner.Create(ctx, key)
	if err != nil {
		return nil, err
	}
	return &writer{Writer: w, store: s, key: key}, nil
}

// Delete implements cache.Store.
func (s *Store) Delete(ctx context.Context, key string, p cache.Precondition) error {
	if err := s.try(Delete, key); err != nil {
		return err
	}
	return s.inner.Delete(ctx, key, p)
}

// Walk implements cache.Store.
func (s *Store) Walk(ctx context.Context, prefix string, fn func(cache.Info) error) error {
	if err := s.try(Walk, prefix); err != nil {
		return err
	}
	return s.inner.Walk(ctx, prefix, fn)
}
