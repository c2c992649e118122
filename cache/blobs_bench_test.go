package cache_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"larder/cache"
)

func benchmarkBlobs(b *testing.B) *cache.Blobs {
	dir, err := cache.OpenDir(cache.DirConfig{Path: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	blobs := cache.NewBlobs(cache.BlobsConfig{Store: dir})
	b.Cleanup(func() {
		if err := blobs.Close(context.Background()); err != nil {
			b.Error(err)
		}
		dir.Close()
	})
	return blobs
}

func readBlob(b *testing.B, blobs *cache.Blobs, key string, src cache.Source) {
	blob, err := blobs.Get(b.Context(), key, src)
	if err != nil {
		b.Fatal(err)
	}
	defer blob.Close()
	if _, err := io.Copy(io.Discard, blob); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkWarmGet(b *testing.B) {
	for _, size := range []int{10 * kb, 100 * kb} { // out of memory and from disk
		b.Run(fmt.Sprintf("%dKB", size/kb), func(b *testing.B) {
			blobs := benchmarkBlobs(b)
			for range 10 {
				readBlob(b, blobs, blobKey, &source{data: randomBytes(1, size)})
			}
			b.ReportAllocs()
			for b.Loop() {
				blob, err := blobs.Get(b.Context(), blobKey, nil)
				if err != nil {
					b.Fatal(err)
				}
				blob.Close()
			}
		})
	}
}

// BenchmarkColdRead is a fill and its first reader, with the hash that nearly all
// packages have.
func BenchmarkColdRead(b *testing.B) {
	for _, size := range []int{10 * kb, 1 << 20, 10 << 20} {
		b.Run(fmt.Sprintf("%dKB", size/kb), func(b *testing.B) {
			blobs := benchmarkBlobs(b)
			data := randomBytes(1, size)
			expect := func(context.Context) (cache.Expectation, error) {
				return cache.Expectation{NewCheck: newStrongCheck(data)}, nil
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				readBlob(b, blobs, fmt.Sprintf("%08x/blob", i), &source{data: data, expect: expect})
			}
		})
	}
}
