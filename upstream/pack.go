package upstream

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/klauspost/compress/gzip"
)

const (
	maxPacked   = 128 << 20 // bytes of a packed document
	maxUnpacked = 512 << 20 // bytes of an unpacked one
	maxSmall    = 16 << 20  // bytes of what is not a packument, unpacked
	// maxRatio is above what DEFLATE can pack at best (1032 to 1): a size that
	// claims more is a lie, found out before memory is set aside for it.
	maxRatio   = 1100
	gzipFooter = 8 // bytes: CRC-32 and ISIZE
)

var (
	errTooLarge = errors.New("the document is too large")
	errEncoding = errors.New("its content encoding was not asked for")
)

// gzips are the tools of gzip. They are big, a writer takes a megabyte where
// most documents are a few kilobytes, and are used again. The zero value is ready.
type gzips struct {
	writers sync.Pool // of *gzip.Writer, of the fastest level
	readers sync.Pool // of *unpacker
}

func (g *gzips) writer(out io.Writer) (*gzip.Writer, error) {
	if zw, ok := g.writers.Get().(*gzip.Writer); ok {
		zw.Reset(out)
		return zw, nil
	}
	return gzip.NewWriterLevel(out, gzip.BestSpeed)
}

// unpacker reads what a gzip body holds.
type unpacker struct {
	gzip.Reader
	packed bytes.Reader
}

// reader returns an unpacker of packed, for g.done.
func (g *gzips) reader(packed []byte) (*unpacker, error) {
	u, ok := g.readers.Get().(*unpacker)
	if !ok {
		u = new(unpacker)
	}
	u.packed.Reset(packed)
	if err := u.Reset(&u.packed); err != nil {
		g.done(u)
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return u, nil
}

func (g *gzips) done(u *unpacker) {
	u.packed.Reset(nil) // or the pool would keep the bytes
	g.readers.Put(u)
}

// readPacked reads a body under the limits and returns it packed with gzip,
// as it came where upstream packed it itself. n counts the bytes that came.
func (g *gzips) readPacked(resp *http.Response, limit int64) (packed []byte, n int64, err error) {
	switch resp.Header.Get("Content-Encoding") {
	case "gzip", "x-gzip":
		packed, err = readAll(resp.Body, resp.ContentLength, maxPacked)
		return packed, int64(len(packed)), err
	case "", "identity":
	default:
		return nil, 0, errEncoding
	}
	var out bytes.Buffer
	zw, err := g.writer(&out)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		zw.Reset(nil) // or the pool would keep out
		g.writers.Put(zw)
	}()
	n, err = io.Copy(zw, io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, n, err
	case n > limit || out.Len() > maxPacked:
		return nil, n, errTooLarge
	}
	if err := zw.Close(); err != nil {
		return nil, n, err
	}
	return out.Bytes(), n, nil
}

// readAll reads r to its end; size is its expected length or -1.
func readAll(r io.Reader, size, limit int64) ([]byte, error) {
	if size > limit {
		return nil, errTooLarge
	}
	var buf bytes.Buffer
	if size > 0 {
		buf.Grow(int(size) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = errTooLarge
	}
	return buf.Bytes(), err
}

// unpack unpacks a gzip body into one buffer of the right size, under the
// budget, and verifies its checksum. The caller releases the document. An
// error other than ctx's is about the bytes.
func (b *budget) unpack(ctx context.Context, packed []byte, limit int64) (*document, error) {
	size, err := claimedSize(packed)
	if err != nil {
		return nil, err
	}
	d, err := b.unpackSize(ctx, packed, size, limit)
	if !errors.Is(err, errSize) {
		return d, err
	}
	// Several gzip members in a row are one valid body, whose last member alone
	// has its size at the end: measure, then unpack.
	if size, err = b.gzips.measure(packed, limit); err != nil {
		return nil, err
	}
	return b.unpackSize(ctx, packed, size, limit)
}

// errSize is unpackSize's when the bytes are not as many as was claimed.
var errSize = errors.New("its gzip stream is not of the size that it claims")

func (b *budget) unpackSize(ctx context.Context, packed []byte, size, limit int64) (*document, error) {
	if size > limit {
		return nil, errTooLarge
	}
	zr, err := b.gzips.reader(packed)
	if err != nil {
		return nil, err
	}
	defer b.gzips.done(zr)
	d, err := b.acquire(ctx, size)
	if err != nil {
		return nil, err
	}
	turn, err := b.turns.Take(ctx, size)
	if err != nil {
		d.release()
		return nil, err
	}
	defer turn()
	d.bytes = make([]byte, size)
	if _, err = io.ReadFull(zr, d.bytes); err == nil {
		var beyond [1]byte
		_, err = io.ReadFull(zr, beyond[:]) // its EOF comes after the checksum is verified
	}
	switch {
	case err == io.EOF:
		return d, nil
	case err == nil:
		err = errSize
	}
	d.release()
	return nil, fmt.Errorf("gzip: %w", err)
}

// claimedSize reads the size of the unpacked bytes off the end of a gzip body.
func claimedSize(packed []byte) (int64, error) {
	if len(packed) < gzipFooter {
		return 0, fmt.Errorf("gzip: %w", io.ErrUnexpectedEOF)
	}
	size := int64(binary.LittleEndian.Uint32(packed[len(packed)-4:]))
	if size > maxRatio*int64(len(packed)) {
		return 0, fmt.Errorf("gzip: %w", errSize)
	}
	return size, nil
}

func (g *gzips) measure(packed []byte, limit int64) (int64, error) {
	zr, err := g.reader(packed)
	if err != nil {
		return 0, err
	}
	defer g.done(zr)
	n, err := io.Copy(io.Discard, io.LimitReader(zr, limit+1))
	if err != nil {
		return 0, fmt.Errorf("gzip: %w", err)
	}
	return n, nil // over the limit: unpackSize says so
}
