package cache_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/cache"
)

func TestGetFillsOnceAndThenServesTheStore(t *testing.T) {
	for _, size := range []int{0, 1, 64 * kb, 64*kb + 1, 300 * kb} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
				src := &source{data: randomBytes(1, size)}
				cold := b.get(t, src)
				if cold.Hit() {
					t.Error("the first Get is a hit")
				}
				wantAll(t, cold, src.data)

				warm := b.get(t, nil)
				if !warm.Hit() {
					t.Error("the second Get is no hit")
				}
				if warm.Content() == nil {
					t.Error("a hit has no Content")
				}
				if err := warm.Wait(t.Context()); err != nil {
					t.Errorf("Wait on a hit: %v", err)
				}
				wantAll(t, warm, src.data)
				if n := src.expects.Load(); n != 1 {
					t.Errorf("Expect was called %d times", n)
				}
				if diff := cmp.Diff([]request{{}}, src.asked()); diff != "" {
					t.Errorf("opened (-want +got):\n%s", diff)
				}
				if n := src.bodies.Load(); n != 0 {
					t.Errorf("%d bodies are still open", n)
				}
			})
		})
	}
}

func TestOpenNeverFills(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		if _, err := b.Open(t.Context(), blobKey); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("Open of nothing: %v", err)
		}
		src := &source{data: randomBytes(1, 10)}
		b.get(t, src).Close()
		blob, err := b.Open(t.Context(), blobKey)
		if err != nil {
			t.Fatal(err)
		}
		wantAll(t, blob, src.data)
	})
}

func TestAWarmHitOpensOneFile(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		b.get(t, &source{data: randomBytes(1, 10)}).Close()
		before := b.store.opens.Load()
		b.get(t, nil).Close()
		if n := b.store.opens.Load() - before; n != 1 {
			t.Errorf("%d files were opened", n)
		}
	})
}

func TestFiveHundredReadersShareOneDownload(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		src := &source{data: randomBytes(1, 10<<20)}
		var readers sync.WaitGroup
		for i := range 500 {
			readers.Go(func() {
				blob, err := b.Get(t.Context(), blobKey, src)
				if err != nil {
					t.Errorf("Get: %v", err)
					return
				}
				defer blob.Close()
				if i%10 == 0 { // all of them would take half a minute with the race detector
					wantSame(t, blob, src.data)
					return
				}
				wantSame(t, io.LimitReader(blob, 100*kb), src.data[:100*kb])
				if err := blob.Wait(t.Context()); err != nil {
					t.Errorf("Wait: %v", err)
					return
				}
				at := i * 20 * kb
				wantSame(t, io.NewSectionReader(blob.Content(), int64(at), 40*kb), src.data[at:at+40*kb])
			})
		}
		readers.Wait()
		if n := src.expects.Load(); n != 1 {
			t.Errorf("Expect was called %d times", n)
		}
		if n := len(src.asked()); n != 1 {
			t.Errorf("Open was called %d times", n)
		}
	})
}

// wantSame reads r to its end, without holding it all, and wants just want.
func wantSame(t *testing.T, r io.Reader, want []byte) {
	t.Helper()
	buf := make([]byte, 32*kb)
	for at := 0; ; {
		n, err := r.Read(buf)
		if at+n > len(want) || !bytes.Equal(buf[:n], want[at:at+n]) {
			t.Errorf("wrong bytes after %d", at)
			return
		}
		if at += n; err != nil {
			if err != io.EOF || at != len(want) {
				t.Errorf("Read after %d of %d bytes: %v", at, len(want), err)
			}
			return
		}
	}
}

func TestAReaderThatHangsUpStopsNobody(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		src := &source{data: randomBytes(1, 300*kb)}
		more := make(chan struct{})
		src.open = func(ctx context.Context, r request, _ int) (*cache.Stream, error) {
			return src.stream(0, part(src.data[:100*kb]), gate(ctx, more), part(src.data[100*kb:])), nil
		}
		ctx, hangUp := context.WithCancel(t.Context())
		first, err := b.Get(ctx, blobKey, src)
		if err != nil {
			t.Fatal(err)
		}
		second := b.get(t, src)
		reading := follow(first)
		synctest.Wait()
		hangUp()
		if _, err := reading.rest(); !errors.Is(err, context.Canceled) {
			t.Errorf("Read after hanging up: %v", err)
		}
		first.Close()
		if err := first.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
		close(more)
		wantAll(t, second, src.data)
		b.wantStored(t, src.data)
	})
}

func TestAFillGoesOnAfterItsOnlyCallerHungUp(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		src := &source{data: randomBytes(1, 10*kb)}
		more := make(chan struct{})
		src.open = func(ctx context.Context, r request, _ int) (*cache.Stream, error) {
			return src.stream(0, gate(ctx, more), part(src.data)), nil
		}
		ctx, hangUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, hangUp)
		if _, err := b.Get(ctx, blobKey, src); !errors.Is(err, context.Canceled) {
			t.Fatalf("Get after hanging up: %v", err)
		}
		close(more)
		synctest.Wait()
		b.wantStored(t, src.data)
	})
}

func TestWaitMakesContentOfAFill(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		src := &source{data: randomBytes(1, 200*kb)}
		more := make(chan struct{})
		src.open = func(ctx context.Context, r request, _ int) (*cache.Stream, error) {
			return src.stream(0, part(src.data[:150*kb]), gate(ctx, more), part(src.data[150*kb:])), nil
		}
		blob := b.get(t, src)
		if blob.Content() != nil || blob.Meta() != (cache.BlobMeta{}) {
			t.Error("a growing blob has Content or Meta")
		}
		ctx, hangUp := context.WithTimeout(t.Context(), time.Second)
		defer hangUp()
		if err := blob.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait for what does not come: %v", err)
		}
		close(more)
		if err := blob.Wait(t.Context()); err != nil {
			t.Fatalf("Wait: %v", err)
		}
		// Somebody may delete it as soon as it is there.
		if err := b.store.Delete(t.Context(), blobKey, cache.Precondition{}); err != nil {
			t.Fatal(err)
		}
		content := blob.Content()
		if content == nil {
			t.Fatal("no Content after Wait")
		}
		if _, err := content.Seek(-10, io.SeekEnd); err != nil {
			t.Fatal(err)
		}
		if end, err := io.ReadAll(content); err != nil || !bytes.Equal(end, src.data[200*kb-10:]) {
			t.Errorf("the end of the Content is %x, %v", end, err)
		}
		meta := blob.Meta()
		if meta.Size != 200*kb || meta.Label != "left-pad/left-pad-1.0.0.tgz" || !strings.HasPrefix(meta.ETag, `"`) {
			t.Errorf("Meta = %+v", meta)
		}
		wantAll(t, blob, src.data)
	})
}

func TestWrongBytesAreRememberedForAMinute(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		src := &source{data: randomBytes(1, 10*kb)}
		bad := &source{data: src.data}
		bad.open = func(context.Context, request, int) (*cache.Stream, error) {
			return bad.stream(0, part(flipped(src.data, 5))), nil
		}
		for range 6 { // npm asks six times
			_, err := b.Get(t.Context(), blobKey, bad)
			if !errors.Is(err, cache.ErrIntegrity) || !errors.Is(err, errHash) {
				t.Fatalf("Get of wrong bytes: %v", err)
			}
		}
		if n := len(bad.asked()); n != 5 { // by the first of them
			t.Errorf("the source was asked %d times", n)
		}
		b.wantStored(t, nil)
		time.Sleep(time.Minute)
		wantAll(t, b.get(t, src), src.data)
	})
}

// A proxy's bad moment must not cost an install: nobody is told of wrong bytes
// that can be fetched again, and nobody waits for a minute because of some that
// came once.
func TestWrongBytesAreFetchedAgain(t *testing.T) {
	tests := []struct {
		name  string
		size  int
		wrong int // times that the bytes are
		fails int // Gets or Reads that fail
		asked int // the source, in all
	}{
		{"small, once", 10 * kb, 1, 0, 2},
		{"small, four times", 10 * kb, 4, 0, 5},
		{"small, five times", 10 * kb, 5, 7, 5},
		{"big, which a reader has seen some of", 200 * kb, 1, 1, 2},
		{"big, five times", 200 * kb, 5, 1, 6}, // the second reader sees nothing unverified
		{"big, six times", 200 * kb, 6, 7, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
				src := &source{data: randomBytes(1, tt.size)}
				src.open = func(_ context.Context, _ request, n int) (*cache.Stream, error) {
					if n <= tt.wrong {
						return src.stream(0, part(flipped(src.data, 5))), nil
					}
					return src.whole(0), nil
				}
				fails := 0
				for range 7 {
					got, err := b.all(t, src)
					switch {
					case errors.Is(err, cache.ErrIntegrity):
						fails++
					case err != nil || !bytes.Equal(got, src.data):
						t.Fatalf("%d bytes, %v", len(got), err)
					}
				}
				if asked := len(src.asked()); fails != tt.fails || asked != tt.asked {
					t.Errorf("%d of 7 failed, want %d; the source was asked %d times, want %d", fails, tt.fails, asked, tt.asked)
				}
			})
		})
	}
}

// all is what a client gets that asks for the blob once.
func (b bench) all(t *testing.T, src cache.Source) ([]byte, error) {
	blob, err := b.Get(t.Context(), blobKey, src)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	return io.ReadAll(blob)
}

func TestRightBytesEndTheMemoryOfWrongOnes(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		src := &source{data: randomBytes(1, 200*kb)}
		src.open = func(_ context.Context, _ request, n int) (*cache.Stream, error) {
			if n%5 != 0 {
				return src.stream(0, part(flipped(src.data, 5))), nil
			}
			return src.whole(0), nil
		}
		// Whoever comes after wrong bytes that were shown sees nothing before it
		// is verified, and is spared all but the fifth; once that was right,
		// the next is shown some again.
		for n := 1; n <= 4; n++ {
			if _, err := b.all(t, src); (err == nil) != (n%2 == 0) {
				t.Errorf("Get %d: %v", n, err)
			}
			if err := b.store.Delete(t.Context(), blobKey, cache.Precondition{}); (err == nil) != (n%2 == 0) {
				t.Errorf("Delete %d: %v", n, err)
			}
		}
	})
}

func TestSlowKeysDelayNoOtherWhileThereArePlaces(t *testing.T) {
	const places = 4
	onStores(t, cache.BlobsConfig{MaxFills: places}, func(t *testing.T, b bench) {
		release := make(chan struct{})
		var slow sync.WaitGroup
		hang := func(key string) {
			src := &source{data: randomBytes(1, 10)}
			src.open = func(ctx context.Context, r request, _ int) (*cache.Stream, error) {
				return src.stream(0, gate(ctx, release), part(src.data)), nil
			}
			slow.Go(func() {
				blob, err := b.patient(t, key, src)
				if err != nil {
					t.Errorf("slow Get: %v", err)
					return
				}
				wantAll(t, blob, src.data)
			})
		}
		for i := range places - 1 {
			hang("00112233/slow-" + strconv.Itoa(i))
		}
		synctest.Wait()
		started := time.Now()
		src := &source{data: randomBytes(2, 10)}
		wantAll(t, b.get(t, src), src.data)
		if d := time.Since(started); d != 0 {
			t.Errorf("waited %v beside %d slow keys", d, places-1)
		}

		hang("00112233/slow-last")
		synctest.Wait()
		_, err := b.patient(t, "00112233/no-place", src)
		if !errors.Is(err, cache.ErrBusy) {
			t.Errorf("Get without a place: %v", err)
		}
		if d := time.Since(started); d != time.Minute {
			t.Errorf("gave up after %v", d)
		}
		close(release)
		slow.Wait()
	})
}

// patient is Get for a client that asks again as long as it is told to.
func (b bench) patient(t *testing.T, key string, src cache.Source) (*cache.Blob, error) {
	for {
		blob, err := b.Get(t.Context(), key, src)
		if !errors.Is(err, cache.ErrSlow) {
			return blob, err
		}
	}
}

// Strangers who ask for much and hang up at once leave fills that wait for a
// place: there is a bound to that.
func TestTheQueueForPlacesIsBounded(t *testing.T) {
	onStores(t, cache.BlobsConfig{MaxFills: 1}, func(t *testing.T, b bench) {
		src := &source{expect: func(ctx context.Context) (cache.Expectation, error) {
			<-ctx.Done()
			return cache.Expectation{}, ctx.Err()
		}}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		const bound = 16384
		for i := range bound {
			if _, err := b.Get(gone, "00112233/"+strconv.Itoa(i), src); !errors.Is(err, context.Canceled) {
				t.Fatalf("Get number %d: %v", i, err)
			}
		}
		if _, err := b.Get(t.Context(), blobKey, src); !errors.Is(err, cache.ErrBusy) {
			t.Errorf("Get beyond the bound: %v", err)
		}
		if err := b.Close(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("Close: %v", err)
		}
	})
}

// lateStore says that it lacks what was put there while it looked.
type lateStore struct {
	cache.Store
	looked    atomic.Bool
	meanwhile func()
}

func (s *lateStore) Open(ctx context.Context, key string) (*cache.Object, error) {
	obj, err := s.Store.Open(ctx, key)
	if err != nil && !s.looked.Swap(true) {
		s.meanwhile()
	}
	return obj, err
}

func TestAFillThatEndedMeanwhileIsNotRepeated(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		src := &source{data: randomBytes(1, 300*kb)}
		late := &lateStore{Store: b.store}
		b.Blobs = cache.NewBlobs(cache.BlobsConfig{Store: late})
		defer b.Close(context.Background())
		late.meanwhile = func() { wantAll(t, b.get(t, src), src.data) }
		wantAll(t, b.get(t, src), src.data)
		if n := len(src.asked()); n != 1 {
			t.Errorf("there were %d downloads", n)
		}
	})
}

func TestClose(t *testing.T) {
	t.Run("waits for fills and refuses new ones", func(t *testing.T) {
		onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
			src := &source{data: randomBytes(1, 10*kb)}
			more := make(chan struct{})
			src.open = func(ctx context.Context, r request, _ int) (*cache.Stream, error) {
				return src.stream(0, gate(ctx, more), part(src.data)), nil
			}
			got := make(chan *cache.Blob)
			go func() {
				blob, err := b.Get(context.Background(), blobKey, src)
				if err != nil {
					t.Errorf("Get: %v", err)
				}
				got <- blob
			}()
			synctest.Wait()
			closed := make(chan error)
			go func() { closed <- b.Close(context.Background()) }()
			synctest.Wait()
			if _, err := b.Get(t.Context(), "00112233/other", src); !errors.Is(err, cache.ErrClosed) {
				t.Errorf("Get after Close: %v", err)
			}
			select {
			case err := <-closed:
				t.Fatalf("Close did not wait: %v", err)
			default:
			}
			close(more)
			wantAll(t, <-got, src.data)
			if err := <-closed; err != nil {
				t.Errorf("Close: %v", err)
			}
			wantAll(t, b.get(t, nil), src.data) // hits are served on
		})
	})
	t.Run("aborts what does not end", func(t *testing.T) {
		for _, hangs := range []string{"expect", "open", "body", "place"} {
			t.Run(hangs, func(t *testing.T) {
				onStores(t, cache.BlobsConfig{MaxFills: 1}, func(t *testing.T, b bench) {
					src := &source{data: randomBytes(1, 200*kb)}
					never := make(chan struct{})
					src.expect = func(ctx context.Context) (cache.Expectation, error) {
						if hangs == "expect" {
							<-ctx.Done()
						}
						return src.expectation(), ctx.Err()
					}
					src.open = func(ctx context.Context, r request, _ int) (*cache.Stream, error) {
						if hangs == "open" {
							<-ctx.Done()
							return nil, ctx.Err()
						}
						return src.stream(0, part(src.data[:150*kb]), gate(ctx, never)), nil
					}
					keys := []string{blobKey}
					if hangs == "place" {
						keys = append(keys, "00112233/second")
					}
					var readers sync.WaitGroup
					for _, key := range keys {
						readers.Go(func() {
							blob, err := b.Get(context.Background(), key, src)
							if err == nil {
								_, err = io.Copy(io.Discard, blob)
								blob.Close()
							}
							if !errors.Is(err, cache.ErrClosed) {
								t.Errorf("the reader got %v", err)
							}
						})
						synctest.Wait()
					}
					ctx, cancel := context.WithTimeout(context.Background(), time.Second)
					defer cancel()
					if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("Close: %v", err)
					}
					readers.Wait()
					b.wantStored(t, nil)
					if n := src.bodies.Load(); n != 0 {
						t.Errorf("%d bodies are still open", n)
					}
				})
			})
		}
	})
}

func TestAPanicOfTheSourceIsAnErrorForAll(t *testing.T) {
	tests := map[string]func(src *source){
		"Expect": func(src *source) {
			src.expect = func(context.Context) (cache.Expectation, error) { panic("boom") }
		},
		"Open": func(src *source) {
			src.open = func(context.Context, request, int) (*cache.Stream, error) { panic("boom") }
		},
		"Body": func(src *source) {
			src.open = func(context.Context, request, int) (*cache.Stream, error) {
				return src.stream(0, panicReader{}), nil
			}
		},
		"NewCheck": func(src *source) {
			src.expect = func(context.Context) (cache.Expectation, error) {
				return cache.Expectation{NewCheck: func() cache.Check { panic("boom") }}, nil
			}
		},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
				src := &source{data: randomBytes(1, 10)}
				spoil(src)
				var readers sync.WaitGroup
				for range 3 {
					readers.Go(func() {
						_, err := b.Get(t.Context(), blobKey, src)
						if err == nil || !strings.Contains(err.Error(), "boom") {
							t.Errorf("Get: %v", err)
						}
					})
				}
				readers.Wait()
				if n := src.bodies.Load(); n != 0 {
					t.Errorf("%d bodies are still open", n)
				}
				good := &source{data: src.data}
				wantAll(t, b.get(t, good), good.data)
			})
		})
	}
}

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("boom") }
