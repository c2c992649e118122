package cache

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Mem is a Store in memory, without a bound on its size: for tests, and for
// what need not outlive the process.
type Mem struct {
	mu      sync.Mutex // guards what follows
	objects map[string]memObject
	commits uint64 // so far; the number of a commit is its revision
}

type memObject struct {
	info Info
	data []byte // never changed
}

// NewMem returns an empty Mem.
func NewMem() *Mem { return &Mem{objects: make(map[string]memObject)} }

// Open implements Store.
func (m *Mem) Open(_ context.Context, key string) (*Object, error) {
	if _, _, err := splitKey(key); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: key, Err: fs.ErrNotExist}
	}
	return &Object{Content: memContent{bytes.NewReader(o.data)}, Info: o.info}, nil
}

type memContent struct{ *bytes.Reader }

func (memContent) Close() error { return nil }

// Create implements Store.
func (m *Mem) Create(_ context.Context, key string) (Writer, error) {
	if _, _, err := splitKey(key); err != nil {
		return nil, err
	}
	return &memWriter{mem: m, key: key}, nil
}

// Delete implements Store.
func (m *Mem) Delete(_ context.Context, key string, p Precondition) error {
	if _, _, err := splitKey(key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return &fs.PathError{Op: "delete", Path: key, Err: fs.ErrNotExist}
	}
	if err := p.check(true, o.info.Rev); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	delete(m.objects, key)
	return nil
}

// Walk implements Store.
func (m *Mem) Walk(ctx context.Context, prefix string, fn func(Info) error) error {
	if _, err := splitPrefix(prefix); err != nil {
		return err
	}
	m.mu.Lock()
	objects := maps.Clone(m.objects) // fn may call m
	m.mu.Unlock()
	for key, o := range objects {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(o.info); err != nil {
			return err
		}
	}
	return nil
}

// memWriter is a Writer of a Mem.
type memWriter struct {
	mem *Mem
	key string

	mu    sync.Mutex // guards what follows
	data  []byte     // only ever appended to, so that followers may keep slices of it
	ended bool
}

func (w *memWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return 0, fs.ErrClosed
	}
	w.data = append(w.data, p...)
	return len(p), nil
}

func (w *memWriter) Commit(p Precondition) (string, error) {
	w.mu.Lock()
	ended := w.ended
	w.ended = true
	data := w.data
	w.mu.Unlock()
	if ended {
		return "", fs.ErrClosed
	}
	m := w.mem
	m.mu.Lock()
	defer m.mu.Unlock()
	old, exists := m.objects[w.key]
	if err := p.check(exists, old.info.Rev); err != nil {
		return "", fmt.Errorf("commit %s: %w", w.key, err)
	}
	m.commits++
	rev := strconv.FormatUint(m.commits, 36)
	m.objects[w.key] = memObject{
		info: Info{Key: w.key, Size: int64(len(data)), ModTime: time.Now(), Rev: rev},
		data: data,
	}
	return rev, nil
}

func (w *memWriter) Abort() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	return nil
}

// Retarget implements Retargeter.
func (w *memWriter) Retarget(key string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return fs.ErrClosed
	}
	if _, _, err := splitKey(key); err != nil {
		return err
	}
	w.key = key
	return nil
}

// Follow implements Follower.
func (w *memWriter) Follow() (FollowReader, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return nil, fs.ErrClosed
	}
	return memFollower{w}, nil
}

type memFollower struct{ w *memWriter }

func (f memFollower) ReadAt(p []byte, off int64) (int, error) {
	f.w.mu.Lock()
	data := f.w.data
	f.w.mu.Unlock()
	return bytes.NewReader(data).ReadAt(p, off)
}

func (memFollower) Close() error { return nil }
