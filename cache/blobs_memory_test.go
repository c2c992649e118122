package cache

import (
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"
	"testing"
)

// countingDir counts what costs a hit system calls.
type countingDir struct {
	*Dir
	opens, stats atomic.Int64
}

func (d *countingDir) Open(ctx context.Context, key string) (*Object, error) {
	d.opens.Add(1)
	return d.Dir.Open(ctx, key)
}

func (d *countingDir) Stat(ctx context.Context, key string) (Info, error) {
	d.stats.Add(1)
	return d.Dir.Stat(ctx, key)
}

// memoryWorld is blobs on disk with a memory.
type memoryWorld struct {
	*Blobs
	t   *testing.T
	dir *countingDir
}

func newMemoryWorld(t *testing.T, memory int64) *memoryWorld {
	dir, err := OpenDir(DirConfig{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	w := &memoryWorld{t: t, dir: &countingDir{Dir: dir}}
	w.Blobs = NewBlobs(BlobsConfig{Store: w.dir, Memory: memory})
	t.Cleanup(func() {
		if err := errors.Join(w.Blobs.Close(context.Background()), dir.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// put stores a blob as a fill does.
func (w *memoryWorld) put(key, data string) {
	w.t.Helper()
	out, err := w.dir.Create(w.t.Context(), key)
	if err == nil {
		_, err = io.WriteString(out, data)
	}
	if err == nil {
		_, err = out.Commit(Precondition{})
	}
	if err == nil {
		sum := sha512.Sum512([]byte(data))
		err = w.sidecars.put(w.t.Context(), key, newBlobMeta(int64(len(data)), sum[:], "a blob"))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// read returns a blob and the number of files that were opened for it.
func (w *memoryWorld) read(key string) (data string, opens int64, err error) {
	w.t.Helper()
	before := w.dir.opens.Load()
	blob, err := w.Open(w.t.Context(), key)
	if err != nil {
		return "", 0, err
	}
	defer blob.Close()
	if int64(len(blob.Meta().ETag)) == 0 {
		w.t.Error("it has no description")
	}
	all, err := io.ReadAll(blob)
	return string(all), w.dir.opens.Load() - before, err
}

// heat reads a blob until it lies in memory.
func (w *memoryWorld) heat(key, want string) {
	w.t.Helper()
	for range holdEvery {
		if got, _, err := w.read(key); err != nil || got != want {
			w.t.Fatalf("%q, error %v, want %q", got, err, want)
		}
	}
}

const heldKey = "0123456789abcdef/blob-1"

// TestOpensOfAHit: a hit on disk opens one file, a hit in memory none.
func TestOpensOfAHit(t *testing.T) {
	w := newMemoryWorld(t, 0)
	w.put(heldKey, "bytes")
	if _, _, err := w.read(heldKey); err != nil { // which also checks it
		t.Fatal(err)
	}
	if _, opens, err := w.read(heldKey); opens != 1 || err != nil {
		t.Errorf("a hit on disk opened %d files, error %v, want 1", opens, err)
	}
	w.heat(heldKey, "bytes")
	stats := w.dir.stats.Load()
	if got, opens, err := w.read(heldKey); got != "bytes" || opens != 0 || err != nil || w.dir.stats.Load()-stats != 1 {
		t.Errorf("a hit in memory: %q, %d files opened and %d looked at, error %v; want 0 and 1", got, opens, w.dir.stats.Load()-stats, err)
	}
}

// TestMemoryFollowsTheDisk: what lies in memory is served only while it lies on
// disk, too.
func TestMemoryFollowsTheDisk(t *testing.T) {
	w := newMemoryWorld(t, 0)
	w.put(heldKey, "old")
	w.heat(heldKey, "old")
	w.put(heldKey, "new")
	if got, _, err := w.read(heldKey); got != "new" || err != nil {
		t.Errorf("after it was replaced: %q, error %v", got, err)
	}
	w.heat(heldKey, "new")
	if err := w.dir.Delete(t.Context(), heldKey, Precondition{}); err != nil {
		t.Fatal(err)
	}
	if got, _, err := w.read(heldKey); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after it was deleted: %q, error %v", got, err)
	}
	if w.memory.bytes != 0 || w.memory.lru.Len() != 0 {
		t.Errorf("%d bytes of %d blobs are left in memory", w.memory.bytes, w.memory.lru.Len())
	}
}

func TestBlobMemoryStaysWithinItsBound(t *testing.T) {
	const most = 4 * (heldOverhead + 100)
	w := newMemoryWorld(t, most)
	data := string(randomLetters(100))
	for i := range 20 {
		key := fmt.Sprintf("0123456789abcdef/blob-%d", i)
		w.put(key, data)
		w.heat(key, data)
		if w.memory.bytes > most {
			t.Fatalf("%d bytes are held, at most %d may be", w.memory.bytes, most)
		}
	}
	if got := w.memory.lru.Len(); got != 4 {
		t.Errorf("%d blobs are held, want 4", got)
	}
	big := string(randomLetters(smallBlob + 1))
	w.put(heldKey, big)
	w.heat(heldKey, big)
	if _, ok := w.memory.lru.Peek(heldKey); ok {
		t.Error("a big blob is held in memory")
	}
}

func randomLetters(n int) []byte { return letters(n, 26) }
