package cache_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"larder/cache"
)

var (
	errReset = errors.New("connection reset")
	errDisk  = errors.New("input/output error")
	errHash  = errors.New("the hash is another one")
)

const (
	kb      = 1 << 10
	blobKey = "00112233/blob-4455"
)

// randomBytes returns n bytes that depend on seed alone.
func randomBytes(seed uint64, n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(data)
	return data
}

// flipped returns a copy of data with one bit changed at i.
func flipped(data []byte, i int) []byte {
	bad := bytes.Clone(data)
	bad[i] ^= 1
	return bad
}

// sumCheck is a Check for SHA-256.
type sumCheck struct {
	got  interface{ Sum([]byte) []byte }
	want []byte
	io.Writer
}

func newSumCheck(want []byte) func() cache.Check {
	sum := sha256.Sum256(want)
	return func() cache.Check {
		h := sha256.New()
		return &sumCheck{got: h, want: sum[:], Writer: h}
	}
}

func (c *sumCheck) Verify() error {
	if !bytes.Equal(c.got.Sum(nil), c.want) {
		return errHash
	}
	return nil
}

// request is what a source's Open was asked for.
type request struct {
	Location  string
	Offset    int64
	Validator string
}

// source is a scripted cache.Source for data. Without a script it expects the
// hash of data and gives data, with its size and the validator "v1".
type source struct {
	data   []byte
	expect func(ctx context.Context) (cache.Expectation, error)
	open   func(ctx context.Context, r request, n int) (*cache.Stream, error) // n counts from 1

	expects  atomic.Int32
	mu       sync.Mutex // guards requests
	requests []request
	bodies   atomic.Int32 // that are open
}

func (s *source) Expect(ctx context.Context) (cache.Expectation, error) {
	s.expects.Add(1)
	if s.expect != nil {
		return s.expect(ctx)
	}
	return s.expectation(), nil
}

func (s *source) expectation() cache.Expectation {
	return cache.Expectation{NewCheck: newSumCheck(s.data), Label: "left-pad/left-pad-1.0.0.tgz"}
}

func (s *source) Open(ctx context.Context, location string, offset int64, validator string) (*cache.Stream, error) {
	r := request{location, offset, validator}
	s.mu.Lock()
	s.requests = append(s.requests, r)
	n := len(s.requests)
	s.mu.Unlock()
	stream := s.whole(offset)
	if s.open != nil {
		var err error
		if stream, err = s.open(ctx, r, n); err != nil {
			return nil, err
		}
	}
	s.bodies.Add(1)
	stream.Body = &countedBody{ReadCloser: stream.Body, open: &s.bodies}
	return stream, nil
}

// whole is a stream of all the data from offset on.
func (s *source) whole(offset int64) *cache.Stream {
	return s.stream(offset, bytes.NewReader(s.data[offset:]))
}

// stream is a stream of the parts, which says that it is of all the data.
func (s *source) stream(offset int64, parts ...io.Reader) *cache.Stream {
	return &cache.Stream{Body: io.NopCloser(io.MultiReader(parts...)), Offset: offset, Size: int64(len(s.data)), Validator: "v1"}
}

func (s *source) asked() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]request(nil), s.requests...)
}

type countedBody struct {
	io.ReadCloser
	open *atomic.Int32
	once sync.Once
}

func (b *countedBody) Close() error {
	b.once.Do(func() { b.open.Add(-1) })
	return b.ReadCloser.Close()
}

// part is a reader of bytes, broken one that fails, gate one that is at its end
// when something comes from ch.
func part(p []byte) io.Reader { return bytes.NewReader(p) }

func broken() io.Reader { return iotest.ErrReader(errReset) }

type gateReader struct {
	ctx context.Context
	ch  <-chan struct{}
}

func gate(ctx context.Context, ch <-chan struct{}) io.Reader { return gateReader{ctx, ch} }

func (g gateReader) Read([]byte) (int, error) {
	select {
	case <-g.ch:
		return 0, io.EOF
	case <-g.ctx.Done():
		return 0, g.ctx.Err()
	}
}

// unsized hides the size of a stream.
func unsized(s *cache.Stream) *cache.Stream {
	s.Size = -1
	return s
}

// faultyStore is a Store whose disk fails on demand.
type faultyStore struct {
	cache.Store
	fault  string // "create", "follow", "write", "commit", "sidecar", "read" or "open"; "" for none
	after  int    // bytes of a blob that can be written, or read, before the fault
	opens  atomic.Int32
	broken atomic.Bool // while the fault holds
}

func (s *faultyStore) failing(op string) bool { return s.fault == op && s.broken.Load() }

func (s *faultyStore) Open(ctx context.Context, key string) (*cache.Object, error) {
	s.opens.Add(1)
	if s.failing("open") {
		return nil, errDisk
	}
	return s.Store.Open(ctx, key)
}

func (s *faultyStore) Create(ctx context.Context, key string) (cache.Writer, error) {
	if s.failing("create") || s.failing("sidecar") && key != blobKey {
		return nil, errDisk
	}
	w, err := s.Store.Create(ctx, key)
	return &faultyWriter{Writer: w, store: s}, err
}

type faultyWriter struct {
	cache.Writer
	store   *faultyStore
	written int
}

func (w *faultyWriter) Write(p []byte) (int, error) {
	if w.store.failing("write") && w.written+len(p) > w.store.after {
		return 0, errDisk
	}
	w.written += len(p)
	return w.Writer.Write(p)
}

func (w *faultyWriter) Commit(p cache.Precondition) (string, error) {
	if w.store.failing("commit") {
		return "", errors.Join(errDisk, w.Abort())
	}
	return w.Writer.Commit(p)
}

func (w *faultyWriter) Follow() (cache.FollowReader, error) {
	if w.store.failing("follow") {
		return nil, errDisk
	}
	f, err := w.Writer.(cache.Follower).Follow()
	return faultyFile{f, w.store}, err
}

type faultyFile struct {
	cache.FollowReader
	store *faultyStore
}

func (f faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if f.store.failing("read") && off >= int64(f.store.after) {
		return 0, errDisk
	}
	return f.FollowReader.ReadAt(p, off)
}

// bench is a Blobs under test with its store.
type bench struct {
	*cache.Blobs
	store *faultyStore
}

// onStores runs test with a Blobs on Mem and on Dir, in a bubble where time is
// faked and a goroutine that outlives the test is an error. No file is left
// open, no temporary one is left behind.
func onStores(t *testing.T, cfg cache.BlobsConfig, test func(t *testing.T, b bench)) {
	t.Helper()
	run := func(t *testing.T, store cache.Store) {
		b := bench{store: &faultyStore{Store: store}}
		b.store.broken.Store(true)
		cfg := cfg
		cfg.Store = b.store
		b.Blobs = cache.NewBlobs(cfg)
		test(t, b)
		if err := b.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	t.Run("mem", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { run(t, cache.NewMem()) })
	})
	t.Run("dir", func(t *testing.T) {
		before := openFiles(t)
		path := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			dir, err := cache.OpenDir(cache.DirConfig{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			defer dir.Close()
			run(t, dir)
		})
		if after := openFiles(t); after > before {
			t.Errorf("%d files are open that were not before", after-before)
		}
		if left, err := os.ReadDir(path + "/tmp"); err != nil || len(left) > 0 {
			t.Errorf("temporary files left: %v, %v", left, err)
		}
	})
}

func openFiles(t *testing.T) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("descriptors are counted in /proc")
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// get is Get, which must succeed.
func (b bench) get(t *testing.T, src cache.Source) *cache.Blob {
	t.Helper()
	blob, err := b.Get(t.Context(), blobKey, src)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return blob
}

// wantAll reads blob to its end and closes it: it must give just want.
func wantAll(t *testing.T, blob *cache.Blob, want []byte) {
	t.Helper()
	defer blob.Close()
	if size := blob.Size(); size >= 0 && size != int64(len(want)) {
		t.Errorf("Size() = %d, want %d or -1", size, len(want))
	}
	got, err := io.ReadAll(blob)
	if err != nil {
		t.Errorf("Read after %d of %d bytes: %v", len(got), len(want), err)
	} else if !bytes.Equal(got, want) {
		t.Errorf("read %d bytes that are not the expected %d", len(got), len(want))
	}
}

// wantStored checks that the store has want under the key, or nothing if nil.
func (b bench) wantStored(t *testing.T, want []byte) {
	t.Helper()
	if want == nil {
		err := b.store.Store.Walk(context.Background(), "", func(i cache.Info) error {
			return fmt.Errorf("%s with %d bytes", i.Key, i.Size)
		})
		if err != nil {
			t.Errorf("something was stored: %v", err)
		}
		return
	}
	blob, err := b.Open(context.Background(), blobKey)
	if err != nil {
		t.Errorf("Open: %v", err)
		return
	}
	wantAll(t, blob, want)
}

// following reads a blob to its end in a goroutine of its own.
type following struct {
	mu   sync.Mutex // guards all
	all  bytes.Buffer
	end  error // once done is closed
	done chan struct{}
}

func follow(blob *cache.Blob) *following {
	f := &following{done: make(chan struct{})}
	go func() {
		defer close(f.done)
		buf := make([]byte, 7*kb)
		for {
			n, err := blob.Read(buf)
			f.mu.Lock()
			f.all.Write(buf[:n])
			f.mu.Unlock()
			if err != nil {
				f.end = err
				return
			}
		}
	}()
	return f
}

// seen returns what has been read when nothing happens in the bubble any more.
func (f *following) seen() []byte {
	time.Sleep(time.Second)
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return bytes.Clone(f.all.Bytes())
}

// rest waits for the end and returns all that was read; the error is nil if
// the end was io.EOF.
func (f *following) rest() ([]byte, error) {
	<-f.done
	if f.end == io.EOF {
		return f.all.Bytes(), nil
	}
	return f.all.Bytes(), fmt.Errorf("after %d bytes: %w", f.all.Len(), f.end)
}
