package cache_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"

	"larder/cache"
)

// The cache is optional, the install is not.
func TestReadersGoOnWithoutTheStore(t *testing.T) {
	faults := []struct {
		fault string
		after int
	}{
		{"create", 0}, {"follow", 0}, {"write", 0}, {"write", 150 * kb}, {"commit", 0}, {"sidecar", 0},
	}
	for _, fault := range faults {
		for _, size := range []int{0, 64 * kb, 65 * kb, 300 * kb, 1100 * kb} {
			for _, sized := range []string{"known size", "unknown size"} {
				if fault.after >= size && fault.after > 0 {
					continue
				}
				name := fault.fault + " after " + strconv.Itoa(fault.after) + " of " + strconv.Itoa(size) + ", " + sized
				t.Run(name, func(t *testing.T) {
					onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
						b.store.fault, b.store.after = fault.fault, fault.after
						src := &source{data: randomBytes(1, size)}
						src.open = func(_ context.Context, r request, _ int) (*cache.Stream, error) {
							if sized == "unknown size" {
								return unsized(src.whole(r.Offset)), nil
							}
							return src.whole(r.Offset), nil
						}
						var readers sync.WaitGroup
						for range 3 {
							readers.Go(func() {
								blob, err := b.Get(t.Context(), blobKey, src)
								if err != nil {
									t.Errorf("Get: %v", err)
									return
								}
								if err := blob.Wait(t.Context()); !errors.Is(err, cache.ErrNotStored) {
									t.Errorf("Wait: %v", err)
								}
								if blob.Content() != nil || !blob.Passed() {
									t.Errorf("there is Content, or Passed is %t", blob.Passed())
								}
								wantAll(t, blob, src.data)
							})
						}
						readers.Wait()
						b.wantStored(t, nil)
						if n := src.bodies.Load(); n != 0 {
							t.Errorf("%d bodies are still open", n)
						}

						b.store.broken.Store(false)
						wantAll(t, b.get(t, src), src.data)
						b.wantStored(t, src.data)
					})
				})
			}
		}
	}
}

func TestAReaderWhoseDescriptorFailsGoesOn(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		b.store.fault = "read"
		src := &source{data: randomBytes(1, 300*kb)}
		blob := b.get(t, src)
		if err := blob.Wait(t.Context()); err != nil {
			t.Errorf("Wait: %v", err)
		}
		wantAll(t, blob, src.data)
		b.wantStored(t, src.data)
	})
}

func TestAStoreThatCannotBeReadIsPassedBy(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		b.store.fault = "open"
		src := &source{data: randomBytes(1, 300*kb)}
		wantAll(t, b.get(t, src), src.data)
		wantAll(t, b.get(t, src), src.data)
		if _, err := b.Open(t.Context(), blobKey); !errors.Is(err, errDisk) {
			t.Errorf("Open: %v", err)
		}
	})
}

// What the second download brings is checked like the first, and must be the
// same as what the reader has from that.
func TestPassingThroughShowsNoWrongBytes(t *testing.T) {
	data := randomBytes(1, 300*kb)
	tests := []struct {
		name   string
		after  int // bytes written when the disk failed
		second func(src *source) *cache.Stream
		want   error
		shown  int
	}{
		{"wrong from the start", 0, func(src *source) *cache.Stream {
			return src.stream(0, part(flipped(data, 0)))
		}, cache.ErrIntegrity, 236 * kb},
		{"wrong at the end", 0, func(src *source) *cache.Stream {
			return src.stream(0, part(flipped(data, 300*kb-1)))
		}, cache.ErrIntegrity, 236 * kb},
		{"not what was shown", 160 * kb, func(src *source) *cache.Stream {
			return src.stream(0, part(flipped(data, 5)))
		}, cache.ErrChanged, 96 * kb},
		{"of another size", 160 * kb, func(src *source) *cache.Stream {
			s := src.whole(0)
			s.Size = 301 * kb
			return s
		}, cache.ErrChanged, 96 * kb},
		{"shorter than what was shown", 160 * kb, func(src *source) *cache.Stream {
			return unsized(src.stream(0, part(data[:50*kb])))
		}, cache.ErrTruncated, 96 * kb},
		{"longer than announced", 160 * kb, func(src *source) *cache.Stream {
			return unsized(src.stream(0, part(data), part([]byte("x"))))
		}, cache.ErrIntegrity, 300*kb - 64*kb},
		{"panics", 160 * kb, func(src *source) *cache.Stream {
			return src.stream(0, part(data[:200*kb]), panicReader{})
		}, nil, 136 * kb},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
				b.store.fault, b.store.after = "write", tt.after
				src := &source{data: data}
				more := make(chan struct{})
				src.open = func(ctx context.Context, r request, n int) (*cache.Stream, error) {
					if n == 1 {
						return src.stream(0, part(data[:tt.after]), gate(ctx, more), part(data[tt.after:])), nil
					}
					return tt.second(src), nil
				}
				if tt.after == 0 {
					close(more)
				}
				blob, err := b.Get(t.Context(), blobKey, src)
				var got []byte
				if err == nil {
					reading := follow(blob)
					if tt.after > 0 {
						if n := len(reading.seen()); n != tt.after-64*kb {
							t.Errorf("%d bytes are shown from the file", n)
						}
						close(more)
					}
					got, err = reading.rest()
					blob.Close()
				}
				if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
					t.Errorf("the reader got %v, want %v", err, tt.want)
				}
				if len(got) > tt.shown {
					t.Errorf("%d bytes were shown, want at most %d", len(got), tt.shown)
				}
				b.wantStored(t, nil)
				if n := src.bodies.Load(); n != 0 {
					t.Errorf("%d bodies are still open", n)
				}
				if errors.Is(tt.want, cache.ErrIntegrity) {
					asked := len(src.asked())
					if _, err := b.Get(t.Context(), blobKey, src); !errors.Is(err, cache.ErrIntegrity) || len(src.asked()) != asked {
						t.Errorf("it is not remembered: %v", err)
					}
				}
			})
		})
	}
}

func TestPassingThroughResumes(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		b.store.fault = "create"
		src := &source{data: randomBytes(1, 300*kb)}
		src.open = func(_ context.Context, r request, n int) (*cache.Stream, error) {
			if n == 2 {
				return src.stream(0, part(src.data[:200*kb]), broken()), nil
			}
			return src.whole(r.Offset), nil
		}
		wantAll(t, b.get(t, src), src.data)
	})
}

func TestAReaderThatHangsUpEndsItsPassage(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		b.store.fault = "create"
		src := &source{data: randomBytes(1, 300*kb)}
		src.open = func(ctx context.Context, r request, n int) (*cache.Stream, error) {
			return src.stream(0, part(src.data[:200*kb]), gate(ctx, make(chan struct{})), part(src.data[200*kb:])), nil
		}
		ctx, hangUp := context.WithCancel(t.Context())
		blob, err := b.Get(ctx, blobKey, src)
		if err != nil {
			t.Fatal(err)
		}
		reading := follow(blob)
		if n := len(reading.seen()); n != 136*kb {
			t.Errorf("%d bytes are shown", n)
		}
		hangUp()
		if _, err := reading.rest(); !errors.Is(err, context.Canceled) {
			t.Errorf("Read after hanging up: %v", err)
		}
		blob.Close()
		if n := src.bodies.Load(); n != 0 {
			t.Errorf("%d bodies are still open", n)
		}
	})
}
