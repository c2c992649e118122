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

// A disk can give back other bytes than it was given, years later and without
// an error. So the first read of a blob after a start hashes it before a byte
// is sent; from then on this process believes it.

// maxHashing is how many blobs are hashed at once for their first readers.
// More would not be faster: a core hashes as much as a disk gives.
const maxHashing = 4

// Where rot was found, for the metrics.
const (
	onRead = "read"
)

// errRotten: the bytes under a key are not those that were put there.
var errRotten = errors.New("cache: rotten bytes")

// errReplaced: the object has another revision than the one that was looked for.
var errReplaced = errors.New("cache: replaced meanwhile")

// hashing is the hashing of one revision of a blob for all its first readers.
type hashing struct {
	done chan struct{} // closed when err is set
	err  error
}

// vouch returns nil if the blob is what meta says, of its size and of its hash,
// if the latter is known or else found out now. Of many first readers one
// hashes. ctx bounds the caller's wait and not the hashing. The errors are
// errRotten, where the bytes have been put aside already; errReplaced; and those
// of the store.
func (b *Blobs) vouch(ctx context.Context, blob Info, meta BlobMeta) error {
	if blob.Size == meta.Size && b.checked.has(blob.Key, blob.Rev) {
		return nil
	}
	if bad, ok := b.known.Get(blob.Key); ok && bad == blob.Rev {
		return errRotten
	}
	id := blob.Key + "\x00" + blob.Rev
	b.mu.Lock()
	h, ok := b.hashings[id]
	if !ok && b.closed {
		b.mu.Unlock()
		return b.examine(ctx, blob.Key, blob.Rev, meta) // nobody waits for goroutines any more
	}
	if !ok {
		h = &hashing{done: make(chan struct{})}
		b.hashings[id] = h
		b.fills.Go(func() { b.hash(h, blob, meta) })
	}
	b.mu.Unlock()
	select {
	case <-h.done:
		return h.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hash is the goroutine of a hashing. It ends early at Close.
func (b *Blobs) hash(h *hashing, blob Info, meta BlobMeta) {
	h.err = func() (err error) {
		defer recovered(&err)
		select {
		case b.hashers <- struct{}{}:
			defer func() { <-b.hashers }()
		case <-b.hashCtx.Done():
			return ErrClosed
		}
		return b.examine(b.hashCtx, blob.Key, blob.Rev, meta)
	}()
	b.mu.Lock()
	delete(b.hashings, blob.Key+"\x00"+blob.Rev)
	b.mu.Unlock()
	close(h.done)
}

// examine reads the blob under key, and puts aside what is not what meta says.
func (b *Blobs) examine(ctx context.Context, key, rev string, meta BlobMeta) error {
	o, err := b.store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer o.Close() // it was only read
	if o.Rev != rev {
		return errReplaced
	}
	err = sameAs(ctx, o, meta)
	switch {
	case err == nil:
		b.checked.add(key, rev)
	case errors.Is(err, errRotten):
		b.rotten(ctx, key, rev, meta, onRead, err)
	}
	return err
}

// sameAs reads all of o, and returns errRotten unless it is what meta says.
func sameAs(ctx context.Context, o *Object, meta BlobMeta) error {
	if o.Size != meta.Size {
		return fmt.Errorf("%w: there are %d of %d", errRotten, o.Size, meta.Size)
	}
	h := sha512.New()
	if _, err := io.CopyBuffer(h, untilDone{ctx, o}, make([]byte, hashChunk)); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(h.Sum(nil)); got != meta.SHA512 {
		return fmt.Errorf("%w: their sha512 is %s and was %s", errRotten, got, meta.SHA512)
	}
	return nil
}

// hashChunk is how much is read at once for hashing, in bytes.
const hashChunk = 128 << 10

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
