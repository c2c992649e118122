package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Document is a finished document, opened by one reader. Its readers must be
// closed, or not used any more, when it is closed.
type Document struct {
	*finished
	ctx       context.Context // of Lookup or Make: a Document lives within the request that asked for it
	docs      *Documents
	key       DocumentKey
	object    *Object // of a big document: its open file
	plainFile *Object // its unpacked file, once opened
	release   func()  // of one that lies in memory for this reader: gives the room back; else nil
}

// ETag is weak, with its quotes: a hash of the identity bytes, the same for
// every encoding (nginx drops strong ones when it packs).
func (d *Document) ETag() string { return d.header.ETag }

// Open returns the bytes in an encoding ("gzip", "zstd" or "identity") and
// their length, -1 where it is not known beforehand. gzip lies ready; the
// others are made on demand and kept while hot. What it returns for a big
// document on disk sends the *os.File itself in its WriteTo, which io.Copy
// calls, so that it goes out by sendfile. ErrBusy: too many big documents are
// being packed with zstd at the moment, of which each takes megabytes for as long
// as its client takes; the other encodings are always there. The caller closes
// it; one reader of a Document can be open at a time.
func (d *Document) Open(encoding string) (io.ReadCloser, int64, error) {
	switch encoding {
	case "gzip":
		r, err := d.gzip()
		return r, d.header.Packed, err
	case "identity":
		if d.packed == nil || d.header.Identity > smallDocument {
			if r, ok, err := d.unpacked(); ok || err != nil {
				return r, d.header.Identity, err
			}
			r, err := d.unpack()
			return r, d.header.Identity, err
		}
		return d.whole(&d.identity, d.unpack)
	case "zstd":
		if d.packed == nil || len(d.packed) > smallDocument {
			r, err := d.repackOnTheWay()
			return r, -1, err
		}
		return d.whole(&d.zstd, d.repack)
	}
	return nil, 0, fmt.Errorf("cache: no encoding %q", encoding)
}

// Length returns the length in bytes in an encoding, -1 where it is not known
// without making it.
func (d *Document) Length(encoding string) int64 {
	switch encoding {
	case "gzip":
		return d.header.Packed
	case "identity":
		return d.header.Identity
	case "zstd":
		return d.zstd.length()
	}
	return -1
}

// Close releases the document.
func (d *Document) Close() error {
	if d.release != nil {
		d.release()
		d.release = nil
	}
	var err error
	for _, o := range []*Object{d.object, d.plainFile} {
		if o != nil {
			err = errors.Join(err, o.Close())
		}
	}
	return err
}

// gzip returns the packed bytes.
func (d *Document) gzip() (io.ReadCloser, error) {
	if d.packed != nil {
		return bytesReader{bytes.NewReader(d.packed)}, nil
	}
	return readFrom(d.object, d.finished)
}

// unpacked returns the identity bytes out of a file of their own, if there is one.
func (d *Document) unpacked() (r io.ReadCloser, ok bool, err error) {
	o, f, ok := d.docs.openPlain(d.ctx, d.key, d.finished)
	if !ok {
		return nil, false, nil
	}
	if d.plainFile != nil {
		d.plainFile.Close() // it was only read
	}
	d.plainFile = o
	r, err = readFrom(o, f)
	return r, true, err
}

// readFrom returns what follows the header in f's file.
func readFrom(o *Object, f *finished) (io.ReadCloser, error) {
	if _, err := o.Seek(f.offset, io.SeekStart); err != nil {
		return nil, err
	}
	return fileReader{&io.LimitedReader{R: o.Content, N: f.header.Packed}}, nil
}

// unpack returns the identity bytes, unpacking them as they are read.
func (d *Document) unpack() (io.ReadCloser, error) {
	src, err := d.gzip()
	if err != nil {
		return nil, err
	}
	return d.docs.pack.gunzip(src)
}

// repack returns the bytes in zstd, packing them as they are read.
func (d *Document) repack() (io.ReadCloser, error) {
	src, err := d.unpack()
	if err != nil {
		return nil, err
	}
	return d.docs.pack.zstd(src)
}

// repackOnTheWay is repack with a place among those that go on for as long as
// their clients take.
func (d *Document) repackOnTheWay() (io.ReadCloser, error) {
	select {
	case d.docs.pack.repacks <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	r, err := d.repack()
	if err != nil {
		<-d.docs.pack.repacks
		return nil, err
	}
	return &placedReader{r, d.docs.pack.repacks}, nil
}

// placedReader gives a place back when it is closed.
type placedReader struct {
	io.ReadCloser
	places chan struct{} // nil once closed
}

func (r *placedReader) Close() error {
	if r.places != nil {
		<-r.places
		r.places = nil
	}
	return r.ReadCloser.Close()
}

// whole returns all bytes of an encoding out of kept, where they are put if
// need be.
func (d *Document) whole(kept *once, open func() (io.ReadCloser, error)) (io.ReadCloser, int64, error) {
	data, err := kept.get(func() ([]byte, error) {
		r, err := open()
		if err != nil {
			return nil, err
		}
		defer r.Close() // it was only read
		var buf bytes.Buffer
		_, err = buf.ReadFrom(r)
		return bytes.Clone(buf.Bytes()), err
	}, func(bytes int) { d.docs.memory(d.key).grow(d.key, d.finished, int64(bytes)) })
	if err != nil {
		return nil, 0, err
	}
	return bytesReader{bytes.NewReader(data)}, int64(len(data)), nil
}

// bytesReader reads from memory; its WriteTo is one Write.
type bytesReader struct{ *bytes.Reader }

func (bytesReader) Close() error { return nil }

// fileReader reads part of a file. The Document closes the file.
type fileReader struct{ limited *io.LimitedReader }

func (r fileReader) Read(p []byte) (int, error) { return r.limited.Read(p) }

// WriteTo implements io.WriterTo: net/http sends an *os.File by sendfile only
// if it sees nothing but an io.LimitedReader around it.
func (r fileReader) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, r.limited) }

func (fileReader) Close() error { return nil }
