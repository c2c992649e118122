package cache

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// maxUnpacked bounds, in bytes, what a tarball without a known hash may unpack
// to: unpacking costs processor time, and nothing real comes near it.
const maxUnpacked = 32 << 30

var errUnpacked = errors.New("unpacks to more than 32 GB")

// gzipCheck is the Check for bytes whose hash nobody knows: they must be gzip
// with right checksums. Bytes after the last member are ignored, as gzip(1)
// ignores them.
type gzipCheck struct {
	in     *io.PipeWriter
	result chan error // gets one value, when the goroutine ends
	err    error      // the result, once ended
	ended  bool
}

// newGzipCheck returns a gzipCheck; the caller calls stop.
func newGzipCheck() *gzipCheck {
	out, in := io.Pipe()
	c := &gzipCheck{in: in, result: make(chan error, 1)}
	go func() {
		err := unpack(out)
		if err == nil {
			_, err = io.Copy(io.Discard, out)
		}
		out.CloseWithError(err)
		c.result <- err
	}()
	return c
}

// Write never fails: what is wrong with the bytes is for Verify to tell.
func (c *gzipCheck) Write(p []byte) (int, error) {
	_, _ = c.in.Write(p) // it fails when the bytes are known to be wrong
	return len(p), nil
}

func (c *gzipCheck) Verify() error {
	c.end(nil)
	return c.err
}

// stop ends the check; after Verify it does nothing.
func (c *gzipCheck) stop() { c.end(io.ErrUnexpectedEOF) }

func (c *gzipCheck) end(cause error) {
	if !c.ended {
		c.ended = true
		c.in.CloseWithError(cause) // nil means EOF
		c.err = <-c.result
	}
}

// unpack reads all gzip members of r and returns what is wrong with them.
func unpack(r io.Reader) error {
	in := bufio.NewReader(r)
	zr, err := gzip.NewReader(in)
	if err != nil {
		return fmt.Errorf("not gzip: %w", err)
	}
	for left := int64(maxUnpacked); ; {
		zr.Multistream(false)
		n, err := io.Copy(io.Discard, io.LimitReader(zr, left))
		if left -= n; err == nil && left == 0 {
			err = errUnpacked
		}
		if err != nil {
			return fmt.Errorf("damaged gzip: %w", err)
		}
		magic, err := in.Peek(2)
		if err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
			if err := zr.Reset(in); err != nil {
				return fmt.Errorf("damaged gzip: %w", err)
			}
			continue
		}
		if err == io.EOF {
			err = nil
		}
		return err
	}
}
