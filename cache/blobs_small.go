package cache

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
)

const (
	// smallBlob is the size in bytes up to which a whole blob is read when it is
	// opened: one read costs less than to send a file, the response can leave in one
	// piece, and a disk that fails is found out before anything is sent.
	smallBlob = 64 << 10
	// maxSmallReads is how many of them are held in memory at once. Their clients
	// may be slow; beyond that, files are sent as they are.
	maxSmallReads = 1024
)

// smallReads lends memory for small blobs.
type smallReads struct {
	lent    atomic.Int64
	buffers sync.Pool // of *smallContent
}

// smallContent is a small blob that has been read.
type smallContent struct {
	bytes.Reader
	lender *smallReads // nil once closed
	buffer [smallBlob]byte
}

// read returns the bytes of o, which is closed then. It is nil, and o as it
// was, if o is not small, or no memory is left for it.
func (s *smallReads) read(o *Object) (*smallContent, error) {
	if o.Size > smallBlob {
		return nil, nil
	}
	if s.lent.Add(1) > maxSmallReads {
		s.lent.Add(-1)
		return nil, nil
	}
	c, ok := s.buffers.Get().(*smallContent)
	if !ok {
		c = new(smallContent)
	}
	c.lender = s
	data := c.buffer[:o.Size]
	if n, err := o.ReadAt(data, 0); n < len(data) {
		c.Close() // it was never used
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	c.Reset(data)
	o.Close() // it was only read
	return c, nil
}

// Close gives the memory back.
func (c *smallContent) Close() error {
	if s := c.lender; s != nil {
		c.lender = nil
		c.Reset(nil)
		s.buffers.Put(c)
		s.lent.Add(-1)
	}
	return nil
}
