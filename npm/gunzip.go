package npm

import (
	"bufio"
	"io"

	"github.com/klauspost/compress/gzip"
)

// gunzipWindow is how much packed data is read at once, in bytes.
const gunzipWindow = 32 << 10

// gunzip unpacks gzip as Node's zlib does: members that follow each other are
// one text, a zero byte where a member should begin ends it, and anything else
// there is an error. What npm could not unpack must not be published.
type gunzip struct {
	src   *bufio.Reader
	z     gzip.Reader
	size  int64 // bytes that have come out
	limit int64 // of size
	err   error // why there is nothing more
}

// newGunzip returns a gunzip that gives out limit bytes at most.
func newGunzip(r io.Reader, limit int64) *gunzip {
	g := &gunzip{src: bufio.NewReaderSize(r, gunzipWindow), limit: limit}
	g.err = g.begin()
	return g
}

func (g *gunzip) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.z.Read(p)
	if g.size += int64(n); g.size > g.limit {
		err = badTarball("the tarball unpacks to more than %d bytes", g.limit)
	} else if err == io.EOF {
		err = g.next()
	}
	g.err = err
	return n, err
}

// begin begins a member.
func (g *gunzip) begin() error {
	err := g.z.Reset(g.src)
	g.z.Multistream(false)
	return err
}

// next begins the next member; io.EOF: there is none.
func (g *gunzip) next() error {
	first, err := g.src.Peek(1)
	if err != nil {
		return err
	}
	if first[0] == 0 { // padding
		return io.EOF
	}
	return g.begin()
}
