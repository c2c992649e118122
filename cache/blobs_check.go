package cache

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// What found rot, for the metrics.
const (
	onRead   = "read"
	onScrub  = "scrub"
	onVerify = "verify"
)

// errRotten: the bytes under a key are not those that were put there.
var errRotten = errors.New("cache: rotten bytes")

// vouch returns nil if the blob is what meta says, of its size and of its hash,
// if the latter is known or else found out now. The errors are errRotten, where
// the bytes have been put aside already; errReplaced; and those of the store.
func (b *Blobs) vouch(ctx context.Context, blob Info, meta BlobMeta) error {
	if blob.Size == meta.Size && b.checks.Seen(blob.Key, blob.Rev) {
		return nil
	}
	if bad, ok := b.known.Get(blob.Key); ok && bad == blob.Rev {
		return errRotten
	}
	return b.checks.Once(ctx, blob.Key, blob.Rev, func(ctx context.Context) error {
		return b.examine(ctx, b.store, blob.Key, blob.Rev, meta, onRead)
	})
}

// examine reads the blob under key, by way of reads, and puts aside what is not
// what meta says.
func (b *Blobs) examine(ctx context.Context, reads Store, key, rev string, meta BlobMeta, where string) error {
	o, err := reads.Open(ctx, key)
	if err != nil {
		return err
	}
	defer o.Close() // it was only read
	if o.Rev != rev {
		return errReplaced
	}
	err = sameAs(ctx, o, meta)
	if errors.Is(err, errRotten) {
		b.rotten(ctx, key, rev, meta, where, err)
	}
	return err
}

// sameAs reads all of o, and returns errRotten unless it is what meta says.
func sameAs(ctx context.Context, o *Object, meta BlobMeta) error {
	if o.Size != meta.Size {
		return fmt.Errorf("%w: there are %d of %d", errRotten, o.Size, meta.Size)
	}
	h := sha512.New()
	if _, err := io.CopyBuffer(h, untilDone{ctx, o}, hashBuffer(o.Size)); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(h.Sum(nil)); got != meta.SHA512 {
		return fmt.Errorf("%w: their sha512 is %s and was %s", errRotten, got, meta.SHA512)
	}
	return nil
}

// hashChunk is how much is read at once for hashing, in bytes, at most.
const hashChunk = 128 << 10

// hashBuffer returns room to read an object of that size through. Most are
// small, and a scrub of a million takes that much memory a million times.
func hashBuffer(size int64) []byte {
	return make([]byte, min(size, hashChunk-1)+1) // the one more is for the end, and an empty one
}

// untilDone reads from r until ctx is done.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// rotten counts and logs a blob whose bytes are wrong, and takes them away from
// under its key. Its sidecar stays: it says what the bytes must be that come in
// their place. Where they cannot be taken away they are never sent all the same.
func (b *Blobs) rotten(ctx context.Context, key, rev string, meta BlobMeta, where string, cause error) {
	b.metrics.IntegrityFailure()
	b.metrics.Rotten("cache", where)
	b.log.Warn("a blob has rotted on disk: fetching it again", "key", key, "label", meta.Label, "found_by", where, "error", cause)
	b.sidecars.forget(key)
	// Whoever hangs up now must not leave it half done.
	err := b.putAside(context.WithoutCancel(ctx), key, rev, Rotten)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrPrecondition) {
		b.known.Add(key, rev)
		b.log.Warn("a rotten blob cannot be taken away", "key", key, "label", meta.Label, "error", err)
	}
}
