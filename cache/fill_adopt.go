package cache

import (
	"context"
	"crypto/sha512"
	"io"
)

// adopt makes a blob whole that lies in the store without a sidecar: a crash
// came between the two, or the sidecar was damaged. Where the source knows the
// hash, which it often does without asking upstream, the bytes need not come
// again.
func (f *fill) adopt(ctx context.Context) (meta BlobMeta, ok bool) {
	b := f.blobs
	if _, err := b.sidecars.read(ctx, f.key); err == nil {
		return BlobMeta{}, false // lookup has seen it, and found the bytes wrong or missing
	}
	o, err := b.store.Open(ctx, f.key)
	if err != nil {
		return BlobMeta{}, false
	}
	defer func() {
		if !ok {
			o.Close() // it was only read
		}
	}()
	expected, err := f.expect(ctx)
	if err != nil || expected.NewCheck == nil {
		return BlobMeta{}, false
	}
	sum, check := sha512.New(), expected.NewCheck()
	if _, err := io.CopyBuffer(io.MultiWriter(sum, check), untilDone{ctx, o}, hashBuffer(o.Size)); err != nil || check.Verify() != nil {
		return BlobMeta{}, false
	}
	meta = newBlobMeta(o.Size, sum.Sum(nil), expected.Label)
	if b.sidecars.put(ctx, f.key, meta) != nil {
		return BlobMeta{}, false
	}
	b.checks.Right(f.key, o.Rev)
	b.log.Info("a tarball is here whose description was lost", "key", f.key, "label", meta.Label)
	f.file, f.expected = o.Content, meta.expectation()
	return meta, true
}
