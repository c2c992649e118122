package upstream

import (
	"bufio"
	"bytes"
	"io"
	"net/http"

	"github.com/klauspost/compress/gzip"
)

// decoded undoes a Content-Encoding that was not asked for. Some servers label
// a tarball (tgz) with the gzip that is its own: then what is inside is no
// gzip stream, and the bytes are right as they are.
func decoded(resp *http.Response, tgz bool) (io.Reader, error) {
	switch resp.Header.Get("Content-Encoding") {
	case "", "identity":
		return resp.Body, nil
	case "gzip", "x-gzip":
	default:
		return nil, errEncoding
	}
	const peek = 4 << 10 // bytes: more than any gzip header in the wild
	buffered := bufio.NewReaderSize(resp.Body, peek)
	head, err := buffered.Peek(peek)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if tgz && !holdsGzip(head) {
		return buffered, nil
	}
	return gzip.NewReader(buffered)
}

// holdsGzip reports whether head is the beginning of a gzip stream that has a
// gzip stream in it.
func holdsGzip(head []byte) bool {
	zr, err := gzip.NewReader(bytes.NewReader(head))
	if err != nil {
		return false
	}
	var magic [2]byte
	_, err = io.ReadFull(zr, magic[:])
	return err == nil && magic == [2]byte{0x1f, 0x8b}
}

// readCloser reads from one and closes another.
type readCloser struct {
	io.Reader
	io.Closer
}
