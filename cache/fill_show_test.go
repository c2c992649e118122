package cache_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/cache"
)

func TestWhatAReaderSeesBeforeTheEnd(t *testing.T) {
	tests := []struct {
		name     string
		size     int
		unsized  bool
		come     int // bytes that have come so far
		shown    int // of these; -1: Get waits
		sizeSeen int64
	}{
		{"64 KB wait whole", 64 * kb, false, 64*kb - 1, -1, 0},
		{"even if all has come but the end", 64 * kb, false, 64 * kb, -1, 0},
		{"a bigger one waits for first bytes", 200 * kb, false, 64 * kb, -1, 0},
		{"then shows all but the last 64 KB", 200 * kb, false, 150 * kb, 86 * kb, 200 * kb},
		{"also when nothing is missing but the end", 200 * kb, false, 200 * kb, 136 * kb, 200 * kb},
		{"unknown size is held for its end", 2 << 20, true, 1<<20 - 1, -1, 0},
		{"and shown without a size from 1 MB on", 2 << 20, true, 1 << 20, 1<<20 - 64*kb, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
				src := &source{data: randomBytes(1, tt.size)}
				more := make(chan struct{})
				src.open = func(ctx context.Context, r request, _ int) (*cache.Stream, error) {
					s := src.stream(0, part(src.data[:tt.come]), gate(ctx, more), part(src.data[tt.come:]))
					if tt.unsized {
						s = unsized(s)
					}
					return s, nil
				}
				got := make(chan *cache.Blob, 1)
				go func() {
					blob, err := b.Get(context.Background(), blobKey, src)
					if err != nil {
						t.Errorf("Get: %v", err)
					}
					got <- blob
				}()
				synctest.Wait()
				if tt.shown < 0 {
					if len(got) > 0 {
						t.Error("Get returned")
					}
					close(more)
					wantAll(t, <-got, src.data)
					return
				}
				if len(got) == 0 {
					t.Error("Get did not return")
				}
				blob := <-got
				defer blob.Close()
				if size := blob.Size(); size != tt.sizeSeen {
					t.Errorf("Size() = %d, want %d", size, tt.sizeSeen)
				}
				reading := follow(blob)
				if n := len(reading.seen()); n != tt.shown {
					t.Errorf("%d bytes are shown, want %d", n, tt.shown)
				}
				close(more)
				if all, err := reading.rest(); err != nil || !bytes.Equal(all, src.data) {
					t.Errorf("read %d bytes in all, %v", len(all), err)
				}
				if size := blob.Size(); size != int64(tt.size) {
					t.Errorf("Size() of the whole = %d, want %d", size, tt.size)
				}
			})
		})
	}
}

// Clients give up on a connection that is silent for long: what trickles in
// must trickle out.
func TestASlowSourceIsShownAsItComes(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		src := &source{data: randomBytes(1, 120*kb)}
		drip := make(chan struct{})
		src.open = func(ctx context.Context, r request, _ int) (*cache.Stream, error) {
			parts := []io.Reader{part(src.data[:100*kb])}
			for at := 100 * kb; at < len(src.data); at += kb {
				parts = append(parts, gate(ctx, drip), part(src.data[at:at+kb]))
			}
			return src.stream(0, parts...), nil
		}
		blob := b.get(t, src)
		defer blob.Close()
		reading := follow(blob)
		for come := 101 * kb; come < len(src.data); come += kb {
			drip <- struct{}{}
			if n := len(reading.seen()); n != come-64*kb {
				t.Errorf("%d bytes are shown of %d", n, come)
			}
		}
		drip <- struct{}{}
		if all, err := reading.rest(); err != nil || !bytes.Equal(all, src.data) {
			t.Errorf("read %d bytes, %v", len(all), err)
		}
	})
}

func TestNothingIsShownBeforeItIsKnownWhatItMustBe(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		src := &source{data: randomBytes(1, 200*kb)}
		known := make(chan struct{})
		src.expect = func(ctx context.Context) (cache.Expectation, error) {
			<-known
			return src.expectation(), nil
		}
		got := make(chan *cache.Blob, 1)
		go func() {
			blob, err := b.Get(context.Background(), blobKey, src)
			if err != nil {
				t.Errorf("Get: %v", err)
			}
			got <- blob
		}()
		synctest.Wait()
		if len(got) > 0 {
			t.Error("Get returned")
		}
		if n := len(src.asked()); n != 1 {
			t.Errorf("meanwhile %d downloads were opened, want 1", n)
		}
		close(known)
		wantAll(t, <-got, src.data)
	})
}

// The guess and the expectation go on at the same time, and either may be the
// first to answer.
func TestTheGuessIsJudgedByTheExpectation(t *testing.T) {
	errExpect := errors.New("no such version")
	errGuess := errors.New("not found there")
	const elsewhere = "http://files.example/left-pad.tgz"
	tests := []struct {
		name     string
		location string
		expect   error
		guess    error
		want     error
		opened   []request
	}{
		{"right", "", nil, nil, nil, []request{{}}},
		{"elsewhere", elsewhere, nil, nil, nil, []request{{}, {Location: elsewhere}}},
		{"failed, and elsewhere", elsewhere, nil, errGuess, nil, []request{{}, {Location: elsewhere}}},
		{"failed", "", nil, errGuess, errGuess, []request{{}}},
		{"right, but not to be had", "", errExpect, nil, errExpect, []request{{}}},
		{"both failed", "", errExpect, errGuess, errExpect, []request{{}}},
	}
	for _, tt := range tests {
		for _, first := range []string{"expectation first", "guess first"} {
			t.Run(tt.name+", "+first, func(t *testing.T) {
				onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
					src := &source{data: randomBytes(1, 200*kb)}
					guessing := make(chan struct{})
					src.expect = func(context.Context) (cache.Expectation, error) {
						<-guessing
						if first == "guess first" {
							time.Sleep(time.Second)
						}
						e := src.expectation()
						e.Location = tt.location
						return e, tt.expect
					}
					src.open = func(ctx context.Context, r request, _ int) (*cache.Stream, error) {
						if r.Location == elsewhere {
							return src.whole(0), nil
						}
						close(guessing)
						if first == "expectation first" {
							select {
							case <-time.After(time.Second):
							case <-ctx.Done():
								return nil, ctx.Err()
							}
						}
						if tt.location != "" { // nothing of these may ever be seen
							return src.stream(0, part(flipped(src.data, 0))), tt.guess
						}
						return src.whole(0), tt.guess
					}
					blob, err := b.Get(t.Context(), blobKey, src)
					if !errors.Is(err, tt.want) {
						t.Fatalf("Get: %v, want %v", err, tt.want)
					}
					if err == nil {
						wantAll(t, blob, src.data)
						b.wantStored(t, src.data)
					}
					if err := b.Close(t.Context()); err != nil {
						t.Error(err)
					}
					if diff := cmp.Diff(tt.opened, src.asked()); diff != "" {
						t.Errorf("opened (-want +got):\n%s", diff)
					}
					if n := src.bodies.Load(); n != 0 {
						t.Errorf("%d bodies are still open", n)
					}
				})
			})
		}
	}
}
