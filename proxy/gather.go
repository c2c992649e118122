package proxy

import (
	"io"
	"net"
	"net/http"
	"sync"
)

// gathered is how much of a response a connection holds back to send it together
// with what follows: what net/http puts into one write, in bytes. It sends the
// header with the beginning of the body in one and the rest in another, each of
// which costs a fifth of a small response.
const gathered = 4 << 10

// heldBytes are lent to connections while they hold something back.
var heldBytes = sync.Pool{New: func() any { return new([gathered]byte) }}

// gather holds back what is written from now on, until that is more than
// gathered, or release.
func (c *clientConn) gather() { c.gathering = true }

// release ends gather, and sends what is held back.
func (c *clientConn) release() error {
	c.gathering = false
	_, err := c.send(nil)
	return err
}

// Write implements net.Conn. net/http writes from one goroutine at a time.
func (c *clientConn) Write(p []byte) (int, error) {
	if !c.gathering && c.held == 0 {
		return c.TCPConn.Write(p)
	}
	if c.gathering && c.held+len(p) <= gathered {
		if c.holds == nil {
			c.holds = heldBytes.Get().(*[gathered]byte)
		}
		c.held += copy(c.holds[c.held:], p)
		return len(p), nil
	}
	return c.send(p)
}

// ReadFrom implements io.ReaderFrom, by sendfile where src is a file.
func (c *clientConn) ReadFrom(src io.Reader) (int64, error) {
	if err := c.release(); err != nil {
		return 0, err
	}
	return c.TCPConn.ReadFrom(src)
}

// send writes what is held back and p, in one system call. It returns how much of
// p was written.
func (c *clientConn) send(p []byte) (int, error) {
	c.gathering = false
	if c.held == 0 {
		if len(p) == 0 {
			return 0, nil
		}
		return c.TCPConn.Write(p)
	}
	held := c.held
	c.pieces = [2][]byte{c.holds[:held], p}
	pieces := net.Buffers(c.pieces[:])
	n, err := pieces.WriteTo(c.TCPConn)
	c.pieces, c.held = [2][]byte{}, 0
	heldBytes.Put(c.holds)
	c.holds = nil
	return max(0, int(n)-held), err
}

// sendBody sends all of a body that is ready, whose header has not been sent. What of it
// lies in memory leaves with the header.
func (x *exchange) sendBody(body io.Reader) error {
	if x.conn == nil {
		_, err := io.Copy(x, body)
		return err
	}
	x.conn.gather()
	_, err := io.Copy(x, body)
	if x.conn.held > 0 {
		// net/http has the end in a buffer of its own.
		_ = http.NewResponseController(x.ResponseWriter).Flush() // the next line has the same error
	}
	if failed := x.conn.release(); err == nil {
		err = failed
	}
	return err
}
