package cache

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// The kinds that stand in a key in place of "blob" when its bytes must not be
// served: a listing of an owner's "blob-" files is what may be.
const (
	Rotten = "rotten" // they are not what they were
	Gone   = "gone"   // upstream has taken them back
)

// asideTries is how often a blob is put aside anew because a fill has replaced
// it meanwhile.
const asideTries = 3

// Quarantine moves the blob under key away, to the same owner and the kind that
// why is. Rotten bytes are deleted where they cannot be copied; of a blob that
// is Gone the sidecar goes along, and if there is no room for the copy both
// stay and the error says so. A missing blob is fs.ErrNotExist.
//
// Whoever has the blob open reads on. A fill that ends after Quarantine brings
// a Gone blob back: keeping new ones away is the caller's to do, before.
func (b *Blobs) Quarantine(ctx context.Context, key, why string) error {
	err := b.quarantine(ctx, key, why)
	if err != nil {
		return fmt.Errorf("cache.Quarantine %s: %w", key, err)
	}
	return nil
}

func (b *Blobs) quarantine(ctx context.Context, key, why string) error {
	b.sidecars.forget(key)
	if why == Rotten {
		return b.putAside(ctx, key, "", why)
	}
	aside, err := asideKey(key, why)
	if err != nil {
		return err
	}
	// First the sidecar: bytes without one could not be restored.
	sidecar := b.copyTo(ctx, key+sidecarSuffix, "", aside+sidecarSuffix)
	if sidecar != nil && !errors.Is(sidecar, fs.ErrNotExist) {
		return sidecar
	}
	for range asideTries {
		if err = b.putAside(ctx, key, "", why); !errors.Is(err, ErrPrecondition) {
			break
		}
	}
	if err != nil {
		return err
	}
	err = b.remove(ctx, key+sidecarSuffix)
	b.sidecars.forget(key)
	return err
}

// putAside moves the bytes under key, if they still have revision rev ("": any).
func (b *Blobs) putAside(ctx context.Context, key, rev, why string) error {
	aside, err := asideKey(key, why)
	if err != nil {
		return err
	}
	if rev == "" {
		o, err := b.store.Open(ctx, key)
		if err != nil {
			return err
		}
		rev = o.Rev
		o.Close() // it was only looked at
	}
	switch err := b.copyTo(ctx, key, rev, aside); {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrPrecondition):
		return err
	case err != nil && why != Rotten:
		return err
	case err != nil:
		b.log.Warn("rotten bytes are deleted: they cannot be copied", "key", key, "error", err)
	}
	return b.store.Delete(ctx, key, IfRev(rev))
}

// copyTo copies the object under from, if it still has revision rev ("": any).
func (b *Blobs) copyTo(ctx context.Context, from, rev, to string) error {
	o, err := b.store.Open(ctx, from)
	if err != nil {
		return err
	}
	defer o.Close() // it was only read
	if rev != "" && o.Rev != rev {
		return ErrPrecondition
	}
	w, err := b.store.Create(ctx, to)
	if err != nil {
		return err
	}
	defer w.Abort() // after a Commit it does nothing
	if _, err := io.CopyBuffer(plainWriter{w}, untilDone{ctx, o}, hashBuffer(o.Size)); err != nil {
		return err
	}
	_, err = w.Commit(Precondition{})
	return err
}

// plainWriter hides what else a Writer can do.
type plainWriter struct{ io.Writer }

// Restore brings back the blob under key that was quarantined as Gone, if its
// bytes are still right: if they are not they are deleted, and the error is
// ErrIntegrity. It replaces what was filled under key meanwhile. A blob that is
// not in quarantine is fs.ErrNotExist.
func (b *Blobs) Restore(ctx context.Context, key string) error {
	if err := b.restore(ctx, key); err != nil {
		return fmt.Errorf("cache.Restore %s: %w", key, err)
	}
	return nil
}

func (b *Blobs) restore(ctx context.Context, key string) error {
	aside, err := asideKey(key, Gone)
	if err != nil {
		return err
	}
	meta, err := b.sidecars.read(ctx, aside)
	if err != nil {
		return err
	}
	o, err := b.store.Open(ctx, aside)
	if err != nil {
		return err
	}
	defer o.Close() // it was only read
	rev, err := b.copyChecked(ctx, o, key, meta)
	if errors.Is(err, ErrIntegrity) {
		b.metrics.IntegrityFailure()
		b.metrics.Rotten("cache", onRead)
		b.log.Warn("a blob in quarantine has rotted on disk", "key", aside, "label", meta.Label, "error", err)
		return errors.Join(err, b.remove(ctx, aside), b.remove(ctx, aside+sidecarSuffix))
	}
	if err != nil {
		return err
	}
	if err := b.sidecars.put(ctx, key, meta); err != nil {
		return errors.Join(err, b.store.Delete(ctx, key, IfRev(rev)))
	}
	b.checks.Right(key, rev)
	return errors.Join(b.remove(ctx, aside), b.remove(ctx, aside+sidecarSuffix))
}

// copyChecked copies o to key if its bytes are what meta says.
func (b *Blobs) copyChecked(ctx context.Context, o *Object, key string, meta BlobMeta) (rev string, err error) {
	w, err := b.store.Create(ctx, key)
	if err != nil {
		return "", err
	}
	defer w.Abort() // after a Commit it does nothing
	h := sha512.New()
	if _, err := io.CopyBuffer(io.MultiWriter(h, w), untilDone{ctx, o}, hashBuffer(o.Size)); err != nil {
		return "", err
	}
	if got := base64.StdEncoding.EncodeToString(h.Sum(nil)); got != meta.SHA512 {
		return "", fmt.Errorf("%w: the sha512 is %s and was %s", ErrIntegrity, got, meta.SHA512)
	}
	return w.Commit(Precondition{})
}

// remove deletes an object. One that is not there is as good as deleted.
func (b *Blobs) remove(ctx context.Context, key string) error {
	err := b.store.Delete(ctx, key, Precondition{})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// asideKey returns where the blob under key lies in quarantine.
func asideKey(key, why string) (string, error) {
	if why != Rotten && why != Gone {
		return "", fmt.Errorf("cache: no quarantine %q", why)
	}
	owner, hash, ok := strings.Cut(key, "/blob-")
	if !ok {
		return "", fmt.Errorf("%w: %.200q is no blob's", ErrKey, key)
	}
	return owner + "/" + why + "-" + hash, nil
}
