package cache_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"testing"

	"larder/cache"
)

func (b bench) put(t *testing.T, key string, data []byte) {
	t.Helper()
	w, err := b.store.Store.Create(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(cache.Precondition{}); err != nil {
		t.Fatal(err)
	}
}

func (b bench) delete(t *testing.T, key string) {
	t.Helper()
	if err := b.store.Delete(context.Background(), key, cache.Precondition{}); err != nil {
		t.Fatal(err)
	}
}

// What a crash, a disk or a person did to a stored blob makes it a miss, which
// is filled again; with the description still in memory, and after a restart.
func TestADamagedBlobIsFetchedAgain(t *testing.T) {
	const sidecar = blobKey + ".meta"
	tests := map[string]func(t *testing.T, b bench, data []byte){
		"blob deleted": func(t *testing.T, b bench, _ []byte) { b.delete(t, blobKey) },
		"both deleted": func(t *testing.T, b bench, _ []byte) { b.delete(t, blobKey); b.delete(t, sidecar) },
		"blob cut":     func(t *testing.T, b bench, data []byte) { b.put(t, blobKey, data[:100]) },
		"blob emptied": func(t *testing.T, b bench, _ []byte) { b.put(t, blobKey, nil) },
		"blob longer":  func(t *testing.T, b bench, data []byte) { b.put(t, blobKey, append(data[:len(data):len(data)], 'x')) },
	}
	onDiskAlone := map[string]func(t *testing.T, b bench, data []byte){
		"no sidecar":      func(t *testing.T, b bench, _ []byte) { b.delete(t, sidecar) },
		"sidecar emptied": func(t *testing.T, b bench, _ []byte) { b.put(t, sidecar, nil) },
		"sidecar garbage": func(t *testing.T, b bench, _ []byte) { b.put(t, sidecar, []byte(`{"size":"many"}`)) },
		"sidecar huge":    func(t *testing.T, b bench, _ []byte) { b.put(t, sidecar, make([]byte, 1<<20)) },
	}
	try := func(name string, damage func(t *testing.T, b bench, data []byte), restart bool) {
		t.Run(name, func(t *testing.T) {
			onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
				src := &source{data: randomBytes(1, 10*kb)}
				b.get(t, src).Close()
				damage(t, b, src.data)
				if restart {
					if err := b.Close(t.Context()); err != nil {
						t.Fatal(err)
					}
					b.Blobs = cache.NewBlobs(cache.BlobsConfig{Store: b.store})
					defer b.Close(context.Background())
				}
				if _, err := b.Open(t.Context(), blobKey); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("Open of a damaged blob: %v", err)
				}
				blob := b.get(t, src)
				if blob.Hit() {
					t.Error("a damaged blob is a hit")
				}
				wantAll(t, blob, src.data)
				b.wantStored(t, src.data)
			})
		})
	}
	for name, damage := range tests {
		try(name, damage, false)
		try(name+", restarted", damage, true)
	}
	for name, damage := range onDiskAlone {
		try(name+", restarted", damage, true)
	}
}

func TestABlobOutlivesARestart(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		src := &source{data: randomBytes(1, 100*kb)}
		cold := b.get(t, src)
		if err := cold.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		meta := cold.Meta()
		cold.Close()

		again := cache.NewBlobs(cache.BlobsConfig{Store: b.store})
		defer again.Close(context.Background())
		warm, err := again.Get(t.Context(), blobKey, nil)
		if err != nil {
			t.Fatal(err)
		}
		if warm.Meta() != meta {
			t.Errorf("Meta is %+v after a restart, was %+v", warm.Meta(), meta)
		}
		wantAll(t, warm, src.data)
	})
}

func TestAnOpenBlobStaysReadableWhenItIsDeleted(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		src := &source{data: randomBytes(1, 300*kb)}
		for range 2 { // first a reader of the fill, then a hit
			blob := b.get(t, src)
			if err := blob.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(blob, make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			b.delete(t, blobKey)
			if rest, err := io.ReadAll(blob); err != nil || len(rest) != 300*kb-10 {
				t.Errorf("after the deletion %d bytes came, %v", len(rest), err)
			}
			blob.Close()
			b.get(t, src).Close()
			b.get(t, src).Close()
		}
	})
}
