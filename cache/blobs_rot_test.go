package cache_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"larder/cache"
	"larder/metrics"
)

const (
	rottenKey = "00112233/rotten-4455"
	goneKey   = "00112233/gone-4455"
)

// raw returns what lies under key in the store.
func (b bench) raw(t *testing.T, key string) []byte {
	t.Helper()
	o, err := b.store.Store.Open(context.Background(), key)
	if err != nil {
		t.Errorf("%s: %v", key, err)
		return nil
	}
	defer o.Close()
	data, err := io.ReadAll(o)
	if err != nil {
		t.Error(err)
	}
	return data
}

// without fails if something lies under key.
func (b bench) without(t *testing.T, key string) {
	t.Helper()
	o, err := b.store.Store.Open(context.Background(), key)
	if err == nil {
		o.Close()
		t.Errorf("%s is there", key)
	} else if !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// restart is a new process on the same store.
func (b *bench) restart(t *testing.T, cfg cache.BlobsConfig) {
	t.Helper()
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg.Store = b.store
	b.Blobs = cache.NewBlobs(cfg)
	t.Cleanup(func() { b.Close(context.Background()) })
}

// counted fails unless the metric has this value.
func counted(t *testing.T, m *metrics.Metrics, line string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if !strings.Contains(w.Body.String(), "\nlarder_"+line+"\n") {
		t.Errorf("no metric %s", line)
	}
}

// rots are the ways in which a blob can change on disk.
var rots = map[string]func(data []byte) []byte{
	"first bit":  func(data []byte) []byte { return flipped(data, 0) },
	"middle bit": func(data []byte) []byte { return flipped(data, len(data)/2) },
	"last bit":   func(data []byte) []byte { return flipped(data, len(data)-1) },
	"zeroed":     func(data []byte) []byte { return make([]byte, len(data)) },
	"cut":        func(data []byte) []byte { return data[:len(data)-1] },
	"emptied":    func([]byte) []byte { return nil },
	"longer":     func(data []byte) []byte { return append(bytes.Clone(data), 'x') },
}

// Whatever the first reader after a start finds on disk, it reads the right
// bytes; the wrong ones are counted once and put aside.
func TestARottenBlobIsNeverRead(t *testing.T) {
	for name, rot := range rots {
		for _, size := range []int{10 * kb, 300 * kb} {
			t.Run(fmt.Sprintf("%s of %d KB", name, size/kb), func(t *testing.T) {
				onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
					src := &source{data: randomBytes(1, size)}
					wantAll(t, b.get(t, src), src.data)
					bad := rot(src.data)
					b.put(t, blobKey, bad)
					m := metrics.New("1", "a")
					b.restart(t, cache.BlobsConfig{Metrics: m})
					blob := b.get(t, src)
					if blob.Hit() {
						t.Error("rotten bytes are a hit")
					}
					wantAll(t, blob, src.data)
					b.wantStored(t, src.data)
					if got := b.raw(t, rottenKey); !bytes.Equal(got, bad) {
						t.Errorf("%d bytes were put aside that are not the %d rotten ones", len(got), len(bad))
					}
					counted(t, m, `rotten_files_total{store="cache",where="read"} 1`)
					counted(t, m, `integrity_failures_total 1`)
				})
			})
		}
	}
}

func TestRotIsNotServedWhileUpstreamIsAway(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		src := &source{data: randomBytes(1, 10*kb)}
		wantAll(t, b.get(t, src), src.data)
		b.put(t, blobKey, flipped(src.data, 77))
		b.restart(t, cache.BlobsConfig{})
		away := errors.New("upstream is away")
		gone := &source{
			data:   src.data,
			expect: func(context.Context) (cache.Expectation, error) { return cache.Expectation{}, away },
			open:   func(context.Context, request, int) (*cache.Stream, error) { return nil, errReset },
		}
		for range 2 {
			if _, err := b.Get(t.Context(), blobKey, gone); !errors.Is(err, away) {
				t.Errorf("Get: %v", err)
			}
		}
		wantAll(t, b.get(t, src), src.data)
	})
}

// Where the documents are gone that told the hash, the sidecar still knows it.
func TestARottenBlobIsFetchedByItsOldHash(t *testing.T) {
	noDocument := errors.New("no such version")
	tests := map[string]struct {
		expectation cache.Expectation
		unknown     error
		served      func(data []byte) []byte
		want        error
	}{
		"document gone, right bytes": {unknown: noDocument, served: bytes.Clone},
		"document gone, wrong bytes": {unknown: noDocument, served: func(d []byte) []byte { return flipped(d, 5) }, want: cache.ErrIntegrity},
		"no hash, right bytes":       {served: bytes.Clone},
		"no hash, wrong bytes":       {served: func(d []byte) []byte { return flipped(d, 5) }, want: cache.ErrIntegrity},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
				data := gzipped(t, 10*kb)
				wantAll(t, b.get(t, &source{data: data}), data)
				b.put(t, blobKey, flipped(data, 77))
				b.restart(t, cache.BlobsConfig{})
				src := &source{
					data:   tt.served(data),
					expect: func(context.Context) (cache.Expectation, error) { return tt.expectation, tt.unknown },
				}
				if tt.want == nil {
					wantAll(t, b.get(t, src), data)
					return
				}
				if _, err := b.Get(t.Context(), blobKey, src); !errors.Is(err, tt.want) {
					t.Errorf("other bytes than before: %v", err)
				}
			})
		})
	}
}

// A blob whose sidecar is lost is still there, if the source knows its hash: it
// is not downloaded again, and needs no upstream.
func TestABlobWithoutASidecarIsAdopted(t *testing.T) {
	tests := map[string]struct {
		damage func(b bench, t *testing.T, data []byte)
		want   error
	}{
		"lost":            {func(b bench, t *testing.T, _ []byte) { b.delete(t, blobKey+".meta") }, nil},
		"damaged":         {func(b bench, t *testing.T, _ []byte) { b.put(t, blobKey+".meta", []byte("x")) }, nil},
		"and other bytes": {func(b bench, t *testing.T, d []byte) { b.delete(t, blobKey+".meta"); b.put(t, blobKey, flipped(d, 3)) }, errReset},
		"and no bytes":    {func(b bench, t *testing.T, _ []byte) { b.delete(t, blobKey+".meta"); b.delete(t, blobKey) }, errReset},
		"right, with rot": {func(b bench, t *testing.T, d []byte) { b.put(t, blobKey, flipped(d, 3)) }, errReset},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
				src := &source{data: randomBytes(1, 300*kb)}
				wantAll(t, b.get(t, src), src.data)
				tt.damage(b, t, src.data)
				b.restart(t, cache.BlobsConfig{})
				away := &source{data: src.data, open: func(context.Context, request, int) (*cache.Stream, error) { return nil, errReset }}
				blob, err := b.Get(t.Context(), blobKey, away)
				if !errors.Is(err, tt.want) {
					t.Fatalf("Get: %v, want %v", err, tt.want)
				}
				if n := away.expects.Load(); n != 1 {
					t.Errorf("the source was asked %d times", n)
				}
				if tt.want == nil {
					wantAll(t, blob, src.data)
					b.wantStored(t, src.data)
				}
			})
		})
	}
}

// A source that panics while a blob is adopted ends the fill, not the process.
func TestAPanicDuringAnAdoption(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		src := &source{data: randomBytes(1, kb)}
		wantAll(t, b.get(t, src), src.data)
		b.delete(t, blobKey+".meta")
		b.restart(t, cache.BlobsConfig{})
		src.expect = func(context.Context) (cache.Expectation, error) {
			return cache.Expectation{NewCheck: func() cache.Check { panic("no such hash") }}, nil
		}
		if _, err := b.Get(t.Context(), blobKey, src); err == nil || !strings.Contains(err.Error(), "no such hash") {
			t.Errorf("Get: %v", err)
		}
	})
}

func gzipped(t *testing.T, n int) []byte {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	if _, err := zip.Write(randomBytes(1, n)); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// Any one byte of a sidecar may change: the blob is then read right.
func TestADamagedSidecarIsNotBelieved(t *testing.T) {
	src := &source{data: randomBytes(1, kb)}
	store := &faultyStore{Store: cache.NewMem()}
	b := bench{store: store, Blobs: cache.NewBlobs(cache.BlobsConfig{Store: store})}
	wantAll(t, b.get(t, src), src.data)
	good := b.raw(t, blobKey+".meta")
	for i := range good {
		for _, bit := range []byte{1, 4, 0x20, 0x80} {
			bad := bytes.Clone(good)
			bad[i] ^= bit
			b.put(t, blobKey+".meta", bad)
			b.restart(t, cache.BlobsConfig{})
			blob := b.get(t, src)
			if blob.Hit() {
				t.Errorf("a sidecar is believed with another byte %d: %q", i, bad)
			}
			wantAll(t, blob, src.data)
		}
	}
}

// busyStore counts the bytes read of blobs, and lets reads wait.
type busyStore struct {
	cache.Store
	read    atomic.Int64
	reading atomic.Int64  // now
	most    atomic.Int64  // at once
	hold    chan struct{} // closed: nothing waits
}

func (s *busyStore) Open(ctx context.Context, key string) (*cache.Object, error) {
	o, err := s.Store.Open(ctx, key)
	if err == nil && strings.Contains(key, "/blob-") && !strings.HasSuffix(key, ".meta") {
		o.Content = &busyContent{Content: o.Content, store: s}
	}
	return o, err
}

type busyContent struct {
	cache.Content
	store *busyStore
}

func (c *busyContent) Read(p []byte) (int, error) {
	now := c.store.reading.Add(1)
	defer c.store.reading.Add(-1)
	for {
		most := c.store.most.Load()
		if now <= most || c.store.most.CompareAndSwap(most, now) {
			break
		}
	}
	<-c.store.hold
	n, err := c.Content.Read(p)
	c.store.read.Add(int64(n))
	return n, err
}

// filled returns a store with n blobs of size bytes, and a Blobs that has not
// looked at them; the keys are those of blobAt.
func filled(t *testing.T, n, size int) (*busyStore, *cache.Blobs) {
	t.Helper()
	store := &busyStore{Store: cache.NewMem(), hold: make(chan struct{})}
	first := cache.NewBlobs(cache.BlobsConfig{Store: store.Store})
	for i := range n {
		blob, err := first.Get(t.Context(), blobAt(i), &source{data: randomBytes(uint64(i), size)})
		if err != nil {
			t.Fatal(err)
		}
		wantAll(t, blob, randomBytes(uint64(i), size))
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store, cache.NewBlobs(cache.BlobsConfig{Store: store})
}

func blobAt(i int) string { return fmt.Sprintf("%08x/blob-4455", i) }

func TestManyFirstReadersHashOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, readers = 300 * kb, 50
		store, blobs := filled(t, 1, size)
		defer blobs.Close(context.Background())
		var wg sync.WaitGroup
		for range readers {
			wg.Go(func() {
				blob, err := blobs.Open(t.Context(), blobAt(0))
				if err != nil {
					t.Error(err)
					return
				}
				blob.Close()
			})
		}
		synctest.Wait()
		close(store.hold)
		wg.Wait()
		if read := store.read.Load(); read != size {
			t.Errorf("%d readers of %d bytes hashed %d", readers, size, read)
		}
		blob, err := blobs.Open(t.Context(), blobAt(0))
		if err != nil {
			t.Fatal(err)
		}
		blob.Close()
		if read := store.read.Load(); read != size {
			t.Errorf("it was hashed again: %d bytes read", read)
		}
	})
}

func TestFirstReadersHashFewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const blobsThere, bound = 40, 4
		store, blobs := filled(t, blobsThere, kb)
		defer blobs.Close(context.Background())
		var wg sync.WaitGroup
		for i := range blobsThere {
			wg.Go(func() {
				blob, err := blobs.Open(t.Context(), blobAt(i))
				if err != nil {
					t.Error(err)
					return
				}
				blob.Close()
			})
		}
		synctest.Wait()
		close(store.hold)
		wg.Wait()
		if most := store.most.Load(); most != bound {
			t.Errorf("%d blobs were hashed at once, want %d", most, bound)
		}
	})
}

// Whoever hangs up does not wait for a hash, and does not spoil it for others.
func TestAFirstReaderMayHangUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, blobs := filled(t, 1, 300*kb)
		defer blobs.Close(context.Background())
		ctx, hangUp := context.WithCancel(t.Context())
		left, stayed := make(chan error), make(chan error)
		open := func(ctx context.Context, end chan error) {
			blob, err := blobs.Open(ctx, blobAt(0))
			if err == nil {
				blob.Close()
			}
			end <- err
		}
		go open(ctx, left)
		synctest.Wait()
		go open(t.Context(), stayed)
		synctest.Wait()
		hangUp()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who hung up got %v", err)
		}
		close(store.hold)
		if err := <-stayed; err != nil {
			t.Errorf("who stayed got %v", err)
		}
	})
}

// A client that hangs up is no failure of the disk, and needs no download.
func TestWhoHangsUpStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := filled(t, 1, 300*kb)
		var log bytes.Buffer
		blobs := cache.NewBlobs(cache.BlobsConfig{Store: store, Log: slog.New(slog.NewTextHandler(&log, nil))})
		defer blobs.Close(context.Background())
		defer close(store.hold)
		ctx, hangUp := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := blobs.Get(ctx, blobAt(0), &source{data: randomBytes(0, 300*kb)})
			left <- err
		}()
		synctest.Wait()
		hangUp()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("it got %v", err)
		}
		if log.Len() > 0 {
			t.Errorf("the log says %s", log.String())
		}
	})
}

func TestCloseEndsAHashing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, blobs := filled(t, 1, 1<<20)
		end := make(chan error)
		go func() {
			blob, err := blobs.Open(t.Context(), blobAt(0))
			if err == nil {
				blob.Close()
			}
			end <- err
		}()
		synctest.Wait()
		closed, cut := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- blobs.Close(closed) }()
		synctest.Wait()
		cut()
		synctest.Wait()
		close(store.hold) // the read that is under way ends, no other begins
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Close: %v", err)
		}
		if err := <-end; err == nil {
			t.Error("the reader got a blob that was not hashed to its end")
		}
		if read := store.read.Load(); read == 1<<20 {
			t.Error("it was hashed to its end")
		}
	})
}

// A disk that can neither keep nor delete: what is rotten is never sent, and
// not hashed again for each who asks.
func TestRotThatCannotBeTakenAway(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		src := &source{data: randomBytes(1, 10*kb)}
		wantAll(t, b.get(t, src), src.data)
		b.put(t, blobKey, flipped(src.data, 9))
		stuck := &stuckStore{Store: b.store.Store}
		m := metrics.New("1", "a")
		blobs := cache.NewBlobs(cache.BlobsConfig{Store: stuck, Metrics: m})
		defer blobs.Close(context.Background())
		for range 3 {
			blob, err := blobs.Get(t.Context(), blobKey, src)
			if err != nil {
				t.Fatal(err)
			}
			wantAll(t, blob, src.data)
		}
		counted(t, m, `rotten_files_total{store="cache",where="read"} 1`)
	})
}

// stuckStore is a Store that can be read only.
type stuckStore struct{ cache.Store }

func (stuckStore) Create(context.Context, string) (cache.Writer, error) { return nil, errDisk }

func (stuckStore) Delete(context.Context, string, cache.Precondition) error { return errDisk }
