package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"larder/cache"
)

// grouped is a source of one upstream, which hangs until its context ends
// where it has no data.
type grouped struct {
	group string
	data  []byte
}

func (s *grouped) Group() string { return s.group }

func (s *grouped) Expect(ctx context.Context) (cache.Expectation, error) {
	if s.data == nil {
		<-ctx.Done()
		return cache.Expectation{}, ctx.Err()
	}
	return cache.Expectation{NewCheck: newSumCheck(s.data)}, nil
}

func (s *grouped) Open(ctx context.Context, location string, offset int64, validator string) (*cache.Stream, error) {
	if s.data == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return (&source{data: s.data}).Open(ctx, location, offset, validator)
}

// TestHangingGroupsLeavePlaces: upstreams that hang, however much is asked of
// them, do not hold up the downloads of another.
func TestHangingGroupsLeavePlaces(t *testing.T) {
	for hanging := 1; hanging <= 3; hanging++ {
		t.Run(fmt.Sprint(hanging), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				blobs := cache.NewBlobs(cache.BlobsConfig{Store: cache.NewMem(), MaxFills: 32})
				ctx, cancel := context.WithCancel(t.Context())
				var all sync.WaitGroup
				for h := range hanging {
					for i := range 100 {
						all.Go(func() {
							_, err := blobs.Get(ctx, fmt.Sprintf("00112233/blob-%02x%02x", h, i), &grouped{group: fmt.Sprint("hangs ", h)})
							if err == nil {
								t.Error("a hanging download was served")
							}
						})
					}
				}
				synctest.Wait() // all that get a place have it
				started := time.Now()
				for i := range 10 {
					blob, err := blobs.Get(t.Context(), fmt.Sprintf("00112233/blob-ff%02x", i), &grouped{group: "answers", data: randomBytes(1, 10)})
					if err != nil {
						t.Fatal(err)
					}
					blob.Close()
				}
				if waited := time.Since(started); waited != 0 {
					t.Errorf("waited for %s", waited)
				}
				cancel()
				all.Wait()
				ended, cancel := context.WithCancel(context.Background())
				cancel()
				if err := blobs.Close(ended); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		})
	}
}

// TestSlowBeginning: who waits for a download that does not begin is told so
// before clients give up, while it goes on for whoever comes next.
func TestSlowBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blobs := cache.NewBlobs(cache.BlobsConfig{Store: cache.NewMem()})
		slow := &late{grouped{data: randomBytes(1, 10)}, 40 * time.Second}
		started := time.Now()
		_, err := blobs.Get(t.Context(), blobKey, slow)
		if waited := time.Since(started); !errors.Is(err, cache.ErrSlow) || waited >= 30*time.Second {
			t.Fatalf("after %s: %v", waited, err)
		}
		blob, err := blobs.Get(t.Context(), blobKey, slow)
		if waited := time.Since(started); err != nil || waited != slow.wait {
			t.Fatalf("the second time, after %s: %v", waited, err)
		}
		blob.Close()
		if err := blobs.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// late is a source that takes its time.
type late struct {
	grouped
	wait time.Duration
}

func (s *late) Expect(ctx context.Context) (cache.Expectation, error) {
	time.Sleep(s.wait)
	return s.grouped.Expect(ctx)
}
