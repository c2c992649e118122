package cache

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

// passage is one reader's own download, for when the store has failed the
// fill: the cache is optional, the install is not. It is verified like a fill,
// and shows as little before that.
type passage struct {
	blobs *Blobs
	key   string
	d     *download
	buf   []byte // holds heldBack bytes and one chunk
	r, w  int    // buf[r:w] has come and is not handed out yet
	end   error  // nil while bytes come; io.EOF when all have, and are right
}

// newPassage downloads the blob of f once more and throws away the first had
// bytes: the reader got them from the fill, and they must be the same. size is
// what the reader was told. It returns when it has something to show.
func newPassage(ctx context.Context, f *fill, size, had int64) (*passage, error) {
	p := &passage{
		blobs: f.blobs,
		key:   f.key,
		d:     newDownload(f.src, f.expected, size, f.resumed),
		buf:   make([]byte, heldBack+chunk),
	}
	if err := p.start(ctx, f, had); err != nil {
		p.close()
		f.blobs.judge(f.key, wrongTries, err)
		return nil, err
	}
	return p, nil
}

func (p *passage) start(ctx context.Context, f *fill, had int64) (err error) {
	defer recovered(&err)
	s, err := open(ctx, f.src, f.expected.Location, 0, "")
	if err != nil {
		return err
	}
	if err := p.d.attach(s); err != nil {
		return err
	}
	if err := p.skip(ctx, f.file, had); err != nil {
		return err
	}
	return p.prime(ctx)
}

// skip reads the first n bytes, which must be those of file.
func (p *passage) skip(ctx context.Context, file io.ReaderAt, n int64) error {
	was := make([]byte, chunk)
	for at := int64(0); at < n; at = p.d.offset {
		k, err := p.d.next(ctx, p.buf[:min(chunk, n-at)])
		if err == io.EOF {
			return fmt.Errorf("%w: it has %d bytes now", ErrChanged, p.d.size)
		}
		if err != nil {
			return err
		}
		if got, err := file.ReadAt(was[:k], at); got < k {
			return fmt.Errorf("cache: comparing with what was shown: %w", err)
		}
		if !bytes.Equal(was[:k], p.buf[:k]) {
			return fmt.Errorf("%w: other bytes before %d", ErrChanged, n)
		}
	}
	return nil
}

// prime reads until there is something to show, and returns the error, if any,
// that the download ended with.
func (p *passage) prime(ctx context.Context) error {
	for p.end == nil && p.w-p.r <= heldBack {
		if len(p.buf)-p.w < chunk {
			p.w = copy(p.buf, p.buf[p.r:p.w])
			p.r = 0
		}
		n, err := p.d.next(ctx, p.buf[p.w:])
		p.w += n
		p.end = err
	}
	if p.end == io.EOF {
		return nil
	}
	return p.end
}

// read is Blob.Read.
func (p *passage) read(ctx context.Context, dst []byte) (n int, err error) {
	defer recovered(&err)
	known := p.end
	if err := p.prime(ctx); err != nil {
		if known == nil {
			p.blobs.judge(p.key, wrongTries, err)
		}
		return 0, err
	}
	may := p.w - p.r
	if p.end == nil {
		may -= heldBack
	}
	if may == 0 {
		return 0, io.EOF
	}
	n = copy(dst, p.buf[p.r:p.r+may])
	p.r += n
	return n, nil
}

func (p *passage) close() { p.d.close() }
