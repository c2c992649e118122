package faultstore_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"larder/cache"
	"larder/cache/faultstore"
	"larder/cache/storetest"
)

func TestHealthyStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) cache.Store { return faultstore.New(cache.NewMem()) })
	storetest.Run(t, func(t *testing.T) cache.Store {
		dir, err := cache.OpenDir(cache.DirConfig{Path: t.TempDir(), Durable: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { dir.Close() })
		return faultstore.New(dir)
	})
}

const key = "0123456789abcdef/blob-1"

// use does everything once that can be done, and returns the first error, and
// where it came.
func use(s *faultstore.Store) (faultstore.Op, error) {
	ctx := context.Background()
	w, err := s.Create(ctx, key)
	if err != nil {
		return faultstore.Create, err
	}
	defer w.Abort()
	r, err := w.(cache.Follower).Follow()
	if err != nil {
		return faultstore.Follow, err
	}
	defer r.Close()
	if _, err := io.WriteString(w, "some bytes"); err != nil {
		return faultstore.Write, err
	}
	if _, err := r.ReadAt(make([]byte, 4), 0); err != nil {
		return faultstore.FollowRead, err
	}
	if err := w.(cache.Flusher).Flush(); err != nil {
		return faultstore.Flush, err
	}
	if _, err := w.Commit(cache.Precondition{}); err != nil {
		return faultstore.Commit, err
	}
	o, err := s.Open(ctx, key)
	if err != nil {
		return faultstore.Open, err
	}
	defer o.Close()
	if _, err := io.ReadFull(o, make([]byte, 10)); err != nil {
		return faultstore.Read, err
	}
	if err := s.Walk(ctx, "", func(cache.Info) error { return nil }); err != nil {
		return faultstore.Walk, err
	}
	if err := s.Delete(ctx, key, cache.Precondition{}); err != nil {
		return faultstore.Delete, err
	}
	return "", nil
}

func TestEachOperationFailsAndHeals(t *testing.T) {
	for _, op := range faultstore.Ops() {
		t.Run(string(op), func(t *testing.T) {
			s := faultstore.New(cache.NewMem())
			s.Fail(syscall.EIO, op)
			if at, err := use(s); at != op || !errors.Is(err, syscall.EIO) {
				t.Errorf("%q failed with %v", at, err)
			}
			s.FailNth(op, 2, syscall.EROFS)
			if _, err := use(s); err != nil {
				t.Errorf("the first call: %v", err)
			}
			if at, err := use(s); at != op || !errors.Is(err, syscall.EROFS) {
				t.Errorf("the second call: %q failed with %v", at, err)
			}
			s.Heal()
			if _, err := use(s); err != nil {
				t.Errorf("after Heal: %v", err)
			}
			if n := s.Count(op); n != 4 {
				t.Errorf("it was called %d times", n)
			}
		})
	}
}

func TestFullStoreWritesShort(t *testing.T) {
	s := faultstore.New(cache.NewMem())
	s.Fill(15)
	if at, err := use(s); err != nil {
		t.Fatalf("%q: %v", at, err)
	}
	w, err := s.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.WriteString(w, "some bytes"); n != 5 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%d bytes were taken: %v", n, err)
	}
	if _, err := w.Commit(cache.Precondition{}); !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "closed") {
		t.Errorf("a short write is committed: %v", err)
	}
}
