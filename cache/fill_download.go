package cache

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"time"
)

const (
	// maxBreaks is how often a download may break before it is given up. A
	// break does not count if enoughProgress bytes came since the last one.
	maxBreaks      = 5
	enoughProgress = 64 << 10
	// Before it is taken up again there is a random pause, of up to minPause
	// the first time and twice as much each further time.
	minPause = 100 * time.Millisecond
	// maxSilence is how long no byte may have come when a download breaks: it
	// is then given up, whatever tries are left. Most clients have given up
	// themselves after 60 s, and what they say of it is worse.
	maxSilence = 45 * time.Second
	// maxBlob bounds a blob, in bytes: an upstream that never ends must not
	// fill the disk. The biggest real tarballs have a tenth of it.
	maxBlob = 8 << 30
)

// download gives the bytes of a blob from the first to the last, each once,
// however often the connection breaks on the way, and ends well only if they
// are the expected ones: no path on which bytes travel can forget the check.
// It is used by one goroutine, which calls close.
type download struct {
	src       Source
	location  string
	resumed   func(at int64, cause error) // called when a broken download goes on
	check     Check
	stopCheck func()

	stream    *Stream // nil from a break until it is taken up again
	pending   error   // came with bytes that have been given out
	validator string
	size      int64     // of the whole blob; -1 while unknown
	offset    int64     // bytes given out
	sum       hash.Hash // of them, SHA-512; nil where check is a Summer that has it
	breaks    int       // that count
	brokeAt   int64     // offset of the last break
	movedAt   time.Time // when the last bytes came; at first, when it began
}

// newDownload returns a download of size bytes, -1 if that is not known; the
// caller attaches a stream.
func newDownload(src Source, e Expectation, size int64, resumed func(at int64, cause error)) *download {
	d := &download{src: src, location: e.Location, size: size, resumed: resumed, stopCheck: func() {}, movedAt: time.Now()}
	if e.NewCheck != nil {
		d.check = e.NewCheck()
	} else {
		c := newGzipCheck()
		d.check, d.stopCheck = c, c.stop
	}
	if s, ok := d.check.(Summer); !ok || s.SHA512() == nil {
		d.sum = sha512.New()
	}
	return d
}

// sha512 returns the hash of the bytes given out: for the sidecar, and to know
// them again.
func (d *download) sha512() []byte {
	if d.sum != nil {
		return d.sum.Sum(nil)
	}
	return d.check.(Summer).SHA512()
}

// attach goes on with s, which begins at the offset or at zero, and owns it.
func (d *download) attach(s *Stream) error {
	size := max(s.Size, -1)
	switch {
	case s.Offset != 0 && s.Offset != d.offset:
		s.Body.Close() // nothing of it is wanted
		return fmt.Errorf("%w: it resumed at byte %d instead of %d", ErrChanged, s.Offset, d.offset)
	case size >= 0 && (d.size >= 0 && size != d.size || size < d.offset):
		s.Body.Close() // nothing of it is wanted
		return fmt.Errorf("%w: it has %d bytes now", ErrChanged, size)
	case size >= 0:
		d.size = size
	}
	if s.Validator != "" || s.Offset == 0 {
		d.validator = s.Validator
	}
	d.stream, d.pending = s, nil
	return nil
}

// next reads some bytes into p. It returns io.EOF after the last one, when all
// have been verified, ErrIntegrity if they are wrong, ErrTruncated or
// ErrChanged if they cannot be had, and never bytes with an error.
func (d *download) next(ctx context.Context, p []byte) (int, error) {
	for {
		n, err := 0, d.pending
		if err == nil {
			n, err = d.stream.Body.Read(p)
		}
		if n > 0 {
			d.pending = err
			return d.take(p[:n])
		}
		switch {
		case err == nil:
			continue
		case d.offset == d.size, d.size < 0 && err == io.EOF:
			return 0, d.finish()
		}
		if err := d.resume(ctx, err); err != nil {
			return 0, err
		}
	}
}

// take accounts for bytes that have come.
func (d *download) take(p []byte) (int, error) {
	limit := int64(maxBlob)
	if d.size >= 0 {
		limit = min(limit, d.size)
	}
	if int64(len(p)) > limit-d.offset {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrIntegrity, limit)
	}
	if d.sum != nil {
		d.sum.Write(p) // never fails
	}
	d.check.Write(p) // Verify tells
	d.offset += int64(len(p))
	d.movedAt = time.Now()
	return len(p), nil
}

// finish returns io.EOF if the bytes were the right ones.
func (d *download) finish() error {
	d.size = d.offset
	if err := d.check.Verify(); err != nil {
		return fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	return io.EOF
}

// resume takes the download up again after it broke.
func (d *download) resume(ctx context.Context, cause error) error {
	if d.offset-d.brokeAt >= enoughProgress {
		d.breaks = 0
	}
	d.brokeAt = d.offset
	for {
		d.drop()
		if cause == io.EOF {
			cause = io.ErrUnexpectedEOF
		}
		if d.breaks++; d.breaks > maxBreaks || time.Since(d.movedAt) > maxSilence {
			return fmt.Errorf("%w at byte %d: %w", ErrTruncated, d.offset, cause)
		}
		if err := pause(ctx, minPause<<(d.breaks-1)); err != nil {
			return err
		}
		err := d.reopen(ctx)
		switch {
		case err == nil:
			d.resumed(d.offset, cause)
			return nil
		case errors.Is(err, ErrChanged):
			return err
		}
		cause = err
	}
}

// pause waits for a random time of up to limit.
func pause(ctx context.Context, limit time.Duration) error {
	t := time.NewTimer(rand.N(limit))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// reopen opens the source where the download broke. If the source can only
// begin again, the bytes given out already are read once more, and must be the
// same.
func (d *download) reopen(ctx context.Context) error {
	offset := d.offset
	if d.validator == "" {
		offset = 0
	}
	s, err := open(ctx, d.src, d.location, offset, d.validator)
	if err != nil {
		return err
	}
	if err := d.attach(s); err != nil {
		return err
	}
	if s.Offset == d.offset {
		return nil
	}
	again := sha512.New()
	if _, err := io.CopyN(again, s.Body, d.offset); err != nil {
		return err
	}
	if !bytes.Equal(again.Sum(nil), d.sha512()) {
		return fmt.Errorf("%w: other bytes before %d", ErrChanged, d.offset)
	}
	return nil
}

// drop closes the stream, if there is one.
func (d *download) drop() {
	if d.stream != nil {
		d.stream.Body.Close() // only read, and perhaps broken
		d.stream = nil
	}
}

// close ends the download; it may be called more than once.
func (d *download) close() {
	d.drop()
	d.stopCheck()
}
