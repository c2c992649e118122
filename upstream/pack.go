package upstream

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"

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

// readPacked reads a body under the limits and returns it packed with gzip,
// as it came where upstream packed it itself. n counts the bytes that came.
func readPacked(resp *http.Response, limit int64) (packed []byte, n int64, err error) {
	switch resp.Header.Get("Content-Encoding") {
	case "gzip", "x-gzip":
		packed, err = readAll(resp.Body, resp.ContentLength, maxPacked)
		return packed, int64(len(packed)), err
	case "", "identity":
	default:
		return nil, 0, errEncoding
	}
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, 0, err
	}
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
	if size, err = measure(packed, limit); err != nil {
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
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	d, err := b.acquire(ctx, size)
	if err != nil {
		return nil, err
	}
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

func measure(packed []byte, limit int64) (int64, error) {
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return 0, fmt.Errorf("gzip: %w", err)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(zr, limit+1))
	if err != nil {
		return 0, fmt.Errorf("gzip: %w", err)
	}
	return n, nil // over the limit: unpackSize says so
}
