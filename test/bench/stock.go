package main

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"larder/cache"
	"larder/npm"
)

// stockVersions is how many tarballs each package of a stock has. Each of them
// is two files of the cache: the tarball, and what is known of it.
const (
	stockVersions = 10
	stockFiles    = 2 * stockVersions
)

// stock is a cache that holds many small tarballs, in as many files as are
// wanted. They are made without a server, by the package that reads them.
type stock struct{ packages int }

// newStock returns the stock that takes about that many files.
func newStock(files int) stock { return stock{packages: max(1, files/stockFiles)} }

func (s stock) files() int { return s.packages * stockFiles }

func (s stock) tarballs() int { return s.packages * stockVersions }

// path returns where the n-th tarball is asked for, without the leading slash.
func (s stock) path(n int) string {
	name, version := s.at(n)
	return name + "/-/" + npm.TarballFile(name, version)
}

// at returns the package and the version of the n-th tarball. Those that follow
// each other are of different packages.
func (s stock) at(n int) (name, version string) {
	return fmt.Sprintf("stock-%d", n%s.packages), fmt.Sprintf("1.%d.0", n/s.packages)
}

// body returns the bytes of the n-th tarball, some hundreds: nobody but a client
// would unpack them.
func (s stock) body(n int) []byte {
	name, version := s.at(n)
	return bytes.Repeat([]byte(name+"@"+version+"\n"), 20)
}

// storePath is where the cache of a data directory is, and scrubCursor where it
// is written how far the scrub of it has come.
func storePath(data string) string           { return filepath.Join(data, "cache", "v1") }
func (stock) scrubCursor(data string) string { return filepath.Join(storePath(data), "scrub") }

// fill makes all of it in Larder's data directory, where no server runs, as what
// the upstream of that name sent. The scrub counts as done, as it is for most of
// the day.
func (s stock) fill(ctx context.Context, data, upstream string) error {
	store, err := cache.OpenDir(cache.DirConfig{Path: storePath(data)})
	if err != nil {
		return err
	}
	blobs := cache.NewBlobs(cache.BlobsConfig{Store: store})
	err = errors.Join(s.putAll(ctx, blobs, upstream), blobs.Close(ctx), store.Close())
	if err != nil {
		return err
	}
	return cache.NewPass(cache.PassConfig{Store: cache.NewMem(), Cursor: s.scrubCursor(data), Pace: cache.NewPace(0), Name: "cache"}).Run(ctx)
}

func (s stock) putAll(ctx context.Context, blobs *cache.Blobs, upstream string) error {
	work, ctx := errgroup.WithContext(ctx)
	workers := 4 * runtime.GOMAXPROCS(0)
	for w := range workers {
		work.Go(func() error {
			for n := w; n < s.tarballs(); n += workers {
				if err := s.put(ctx, blobs, upstream, n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return work.Wait()
}

func (s stock) put(ctx context.Context, blobs *cache.Blobs, upstream string, n int) error {
	name, version := s.at(n)
	file := npm.TarballFile(name, version)
	blob, err := blobs.Get(ctx, cache.FileKey(cache.OwnerKey(upstream, name), "blob", file), ready{s.body(n), name + "/" + file})
	if err != nil {
		return err
	}
	defer blob.Close()
	return blob.Wait(ctx)
}

// ready is the source of a blob whose bytes are there.
type ready struct {
	bytes []byte
	label string
}

func (r ready) Expect(context.Context) (cache.Expectation, error) {
	sum := sha512.Sum512(r.bytes)
	return cache.Expectation{Label: r.label, NewCheck: func() cache.Check { return &sameHash{sha512.New(), sum} }}, nil
}

func (r ready) Open(context.Context, string, int64, string) (*cache.Stream, error) {
	return &cache.Stream{Body: io.NopCloser(bytes.NewReader(r.bytes)), Size: int64(len(r.bytes))}, nil
}

// sameHash checks for bytes whose hash is known.
type sameHash struct {
	hash.Hash
	want [sha512.Size]byte
}

func (h *sameHash) Verify() error {
	if got := h.Sum(nil); !bytes.Equal(got, h.want[:]) {
		return fmt.Errorf("their sha512 is %s", base64.StdEncoding.EncodeToString(got))
	}
	return nil
}
