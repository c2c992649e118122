package cache

import (
	"context"
	"io"
	"math"
)

// Blob is one reader's view of a blob. It is used by one goroutine.
type Blob struct {
	hit     bool
	content Content // of a whole blob, once asked for
	meta    BlobMeta

	// Of a blob that was not in the store:
	ctx  context.Context // of Get: a Blob lives within the request that asked for it
	fill *fill
	pos  int64    // bytes read from the fill
	pass *passage // not nil once the store has failed

	closed bool
}

// Hit reports whether the blob was whole in the store when Get was called.
func (b *Blob) Hit() bool { return b.hit }

// Passed reports whether the store has failed, so that this reader has, or
// will have, a download of its own.
func (b *Blob) Passed() bool {
	return !b.hit && (b.pass != nil || b.fill.look().end == passed)
}

// Size returns the blob's size in bytes, -1 while it is unknown.
func (b *Blob) Size() int64 {
	switch {
	case b.hit:
		return b.meta.Size
	case b.pass != nil:
		return b.pass.d.size
	}
	return b.fill.look().size
}

// Wait blocks until the blob is whole and verified (nil) or its fill has
// failed. Range requests, HEAD and HTTP/1.0 need it. If it returns
// ErrNotStored the store has failed: there will be no Content, but Read gives
// the blob from the first byte to the last (or on from where it was).
func (b *Blob) Wait(ctx context.Context) error {
	if b.hit {
		return nil
	}
	s, err := b.fill.await(ctx, math.MaxInt64)
	switch {
	case err != nil:
		return err
	case s.end == failed:
		return s.err
	case s.end == passed, b.pass != nil: // the latter: this reader could not read the file
		return ErrNotStored
	}
	return nil
}

// Content returns the stored bytes, or nil while the blob is still being
// filled, or where they cannot be read: then Read is the way. It has an offset of its own, apart from
// Read's, unless the blob was a Hit. It stays owned by the Blob.
func (b *Blob) Content() Content {
	if b.content == nil && b.pass == nil {
		if s := b.fill.look(); s.end == whole && readable(b.fill.file, s.size) == nil {
			b.content = section{io.NewSectionReader(b.fill.file, 0, s.size)}
		}
	}
	return b.content
}

// section is the Content of a blob that was filled just now: the file that its
// readers share, which stays readable whatever happens to the key.
type section struct{ *io.SectionReader }

// Close does nothing: the file is closed by the last who holds the fill.
func (section) Close() error { return nil }

// Meta describes a whole blob; it is zero before that.
func (b *Blob) Meta() BlobMeta {
	if b.hit {
		return b.meta
	}
	return b.fill.look().meta
}

// begin waits until the fill has something to show.
func (b *Blob) begin(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, beginWait)
	defer cancel()
	s, err := b.fill.await(waiting, 0)
	switch {
	case err != nil && ctx.Err() == nil:
		return ErrSlow
	case err != nil:
		return err
	case s.end == failed:
		return s.err
	case s.end == passed:
		return b.passThrough()
	}
	return nil
}

// Read follows the growing blob up to what may be shown: all that is written
// less the last 64 KB, and those when the hash is right. At the end of a whole
// blob it returns io.EOF; if the fill fails, its error: the caller must then
// break the connection, never end the response. If the store fails Read goes
// on with a download of this reader's own.
func (b *Blob) Read(p []byte) (int, error) {
	switch {
	case b.hit:
		return b.content.Read(p)
	case b.pass != nil:
		return b.pass.read(b.ctx, p)
	case len(p) == 0:
		return 0, nil
	}
	s, err := b.fill.await(b.ctx, b.pos)
	if err != nil {
		return 0, err
	}
	if s.shown > b.pos {
		n, _ := b.fill.file.ReadAt(p[:min(int64(len(p)), s.shown-b.pos)], b.pos)
		if n > 0 {
			b.pos += int64(n)
			return n, nil
		}
		s.end = passed // the bytes were written, and cannot be read
	}
	switch s.end {
	case failed:
		return 0, s.err
	case passed:
		if err := b.passThrough(); err != nil {
			return 0, err
		}
		return b.pass.read(b.ctx, p)
	}
	return 0, io.EOF
}

// passThrough goes on without the store.
func (b *Blob) passThrough() (err error) {
	b.pass, err = newPassage(b.ctx, b.fill, b.fill.look().size, b.pos)
	return err
}

// Close releases the reader. It never stops the fill.
func (b *Blob) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	if b.hit {
		return b.content.Close()
	}
	if b.pass != nil {
		b.pass.close()
	}
	b.fill.release()
	return nil
}
