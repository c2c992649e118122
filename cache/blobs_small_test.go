package cache

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// countedContent is an object's bytes that know whether they are open.
type countedContent struct {
	*bytes.Reader
	closed bool
}

func (c *countedContent) Close() error {
	c.closed = true
	return nil
}

func smallObject(data []byte, size int64) (*Object, *countedContent) {
	c := &countedContent{Reader: bytes.NewReader(data)}
	return &Object{Content: c, Info: Info{Size: size}}, c
}

func TestSmallBlobsAreRead(t *testing.T) {
	for _, size := range []int{0, 1, smallBlob} {
		var s smallReads
		data := bytes.Repeat([]byte("x"), size)
		o, file := smallObject(data, int64(size))
		content, err := s.read(o)
		if err != nil || content == nil || !file.closed {
			t.Fatalf("%d bytes: content %v, closed %t, error %v; want them read and the file closed", size, content, file.closed, err)
		}
		if got, err := io.ReadAll(content); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: got %d, error %v", size, len(got), err)
		}
		if s.lent.Load() != 1 {
			t.Errorf("%d bytes: %d buffers are lent, want 1", size, s.lent.Load())
		}
		content.Close()
		content.Close() // as Blob.Close may be called twice
		if s.lent.Load() != 0 {
			t.Errorf("%d bytes: %d buffers are lent after Close, want none", size, s.lent.Load())
		}
	}
}

func TestOtherBlobsStayFiles(t *testing.T) {
	var s smallReads
	o, file := smallObject(make([]byte, smallBlob+1), smallBlob+1)
	if content, err := s.read(o); content != nil || err != nil || file.closed {
		t.Errorf("a big one: content %v, closed %t, error %v; want it left alone", content, file.closed, err)
	}
	s.lent.Store(maxSmallReads)
	o, file = smallObject([]byte("x"), 1)
	if content, err := s.read(o); content != nil || err != nil || file.closed {
		t.Errorf("without memory: content %v, closed %t, error %v; want it left alone", content, file.closed, err)
	}
	if s.lent.Load() != maxSmallReads {
		t.Errorf("%d buffers are lent, want %d", s.lent.Load(), maxSmallReads)
	}
}

// TestShrunkSmallBlobs: what a file lost since it was looked at is missed before
// anything of it is sent.
func TestShrunkSmallBlobs(t *testing.T) {
	var s smallReads
	o, _ := smallObject([]byte("half"), 8)
	if content, err := s.read(o); content != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("content %v, error %v, want %v", content, err, io.ErrUnexpectedEOF)
	}
	if s.lent.Load() != 0 {
		t.Errorf("%d buffers are lent, want none", s.lent.Load())
	}
}
