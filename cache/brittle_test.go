package cache

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
)

var errBroken = errors.New("input/output error")

// brittleStore is a Mem whose operations fail when told to.
type brittleStore struct {
	*Mem
	mu     sync.Mutex // guards what follows
	broken func(op, key string) bool
	count  map[string]int // operations so far, "create KIND" and the like
}

func newBrittleStore() *brittleStore {
	return &brittleStore{Mem: NewMem(), count: make(map[string]int)}
}

// breaks makes operations fail for which fn, which may be nil, returns true: op is "open",
// "create", "write", "commit" or "delete".
func (s *brittleStore) breaks(fn func(op, key string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = fn
}

func (s *brittleStore) try(op, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[op+" "+kindOf(key)]++
	if s.broken != nil && s.broken(op, key) {
		return errBroken
	}
	return nil
}

// counted returns the number of operations, and begins anew.
func (s *brittleStore) counted(opAndKind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.count[opAndKind]
	delete(s.count, opAndKind)
	return n
}

func (s *brittleStore) Open(ctx context.Context, key string) (*Object, error) {
	if err := s.try("open", key); err != nil {
		return nil, err
	}
	return s.Mem.Open(ctx, key)
}

func (s *brittleStore) Create(ctx context.Context, key string) (Writer, error) {
	if err := s.try("create", key); err != nil {
		return nil, err
	}
	w, err := s.Mem.Create(ctx, key)
	return &brittleWriter{w, s, key}, err
}

func (s *brittleStore) Delete(ctx context.Context, key string, p Precondition) error {
	if err := s.try("delete", key); err != nil {
		return err
	}
	return s.Mem.Delete(ctx, key, p)
}

type brittleWriter struct {
	Writer
	store *brittleStore
	key   string
}

func (w *brittleWriter) Write(p []byte) (int, error) {
	if err := w.store.try("write", w.key); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

func (w *brittleWriter) Commit(p Precondition) (string, error) {
	if err := w.store.try("commit", w.key); err != nil {
		return "", errors.Join(err, w.Abort())
	}
	return w.Writer.Commit(p)
}

// kindOf returns the kind that FileKey put into a key.
func kindOf(key string) string {
	_, file, _ := strings.Cut(key, "/")
	kind, _, _ := strings.Cut(file, "-")
	return kind
}

// storedKinds lists what a store holds, as the kinds of its keys in order.
func storedKinds(t *testing.T, s Store) string {
	t.Helper()
	var kinds []string
	err := s.Walk(t.Context(), "", func(i Info) error {
		kinds = append(kinds, kindOf(i.Key))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(kinds)
	return strings.Join(kinds, " ")
}

// rewrite replaces the bytes of every object of a kind. What change returns nil
// for is deleted.
func rewrite(t *testing.T, s Store, kind string, change func(data []byte) []byte) {
	t.Helper()
	changed := 0
	err := s.Walk(t.Context(), "", func(i Info) error {
		if kindOf(i.Key) != kind {
			return nil
		}
		changed++
		o, err := s.Open(t.Context(), i.Key)
		if err != nil {
			return err
		}
		defer o.Close()
		data, err := io.ReadAll(o)
		if err != nil {
			return err
		}
		if data = change(data); data == nil {
			return s.Delete(t.Context(), i.Key, Precondition{})
		}
		w, err := s.Create(t.Context(), i.Key)
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		_, err = w.Commit(Precondition{})
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if changed == 0 {
		t.Fatalf("there is no %s to change", kind)
	}
}

// damages are what may become of bytes on disk.
func damages() map[string]func(data []byte) []byte {
	return map[string]func(data []byte) []byte{
		"emptied":                     func([]byte) []byte { return []byte{} },
		"truncated":                   func(data []byte) []byte { return data[:len(data)-1] },
		"cut early":                   func(data []byte) []byte { return data[:len(data)/8] },
		"longer":                      func(data []byte) []byte { return append(data, 'x') },
		"zeroed":                      func(data []byte) []byte { return make([]byte, len(data)) },
		"a bit flipped at the start":  func(data []byte) []byte { data[0] ^= 1; return data },
		"a bit flipped in the middle": func(data []byte) []byte { data[len(data)/2] ^= 4; return data },
		"a bit flipped at the end":    func(data []byte) []byte { data[len(data)-1] ^= 128; return data },
	}
}
