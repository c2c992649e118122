package proxy

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"larder/cache"
)

// fullDisk is a store that takes no tarball.
type fullDisk struct{ cache.Store }

func (s fullDisk) Create(ctx context.Context, key string) (cache.Writer, error) {
	if strings.Contains(key, "/blob-") {
		return nil, syscall.ENOSPC
	}
	return s.Store.Create(ctx, key)
}

// TestAFullDiskBreaksNoInstall: the tarball passes through, whole, whatever
// part of it was asked for, and says that it was not kept.
func TestAFullDiskBreaksNoInstall(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Blobs = cache.NewBlobs(cache.BlobsConfig{Store: fullDisk{cache.NewMem()}})
	})
	whole := noise(300_000)
	w.up.publish("lodash", "1.0.0", whole)
	for _, header := range [][]string{nil, {"Range", "bytes=0-9"}} {
		r := w.get("/lodash/-/lodash-1.0.0.tgz", header...).want(t, 200)
		r.wantHeader(t, "X-Larder-Cache", "bypass")
		if string(r.body) != string(whole) {
			t.Errorf("%v: %d bytes, and not the right ones", header, len(r.body))
		}
	}
}
