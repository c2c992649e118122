package cache

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"sync"
)

// A big document that is asked for unpacked again and again lies on disk that way,
// too, and is sent by sendfile: to unpack some megabytes costs thirty times as much
// as to send them. It has a header like the packed one, and lies beside it under
// the same hash, so that they are evicted together.

const (
	// plainAfter is at which request for it that a document is unpacked on disk.
	plainAfter = 2
	// maxPlains is how many documents are unpacked on disk at once.
	maxPlains = 1
)

// plainObject returns the key of the document's object as it is unpacked.
func (k DocumentKey) plainObject() string { return FileKey(k.Owner, "plain", k.Slot) }

// plain is what is known of a document's unpacked file.
type plain struct {
	mu     sync.Mutex // guards what follows; never held during I/O
	known  *finished  // of the file that was found right; nil: none was
	asked  int        // for the document unpacked, without there being a file
	making bool
}

// openPlain opens the unpacked file of a big document. Where there is none, and the
// document was asked for before, one is made for later requests.
func (d *Documents) openPlain(ctx context.Context, key DocumentKey, f *finished) (*Object, *finished, bool) {
	if key.Volatile {
		return nil, nil, false
	}
	f.plain.mu.Lock()
	known, untried := f.plain.known, f.plain.asked == 0
	f.plain.mu.Unlock()
	if known != nil || untried {
		if o, found, ok := d.loadObject(ctx, key, key.plainObject(), known); ok && o != nil {
			f.plain.mu.Lock()
			f.plain.known = found
			f.plain.mu.Unlock()
			return o, found, true
		}
	}
	f.plain.mu.Lock()
	f.plain.known = nil
	f.plain.asked++
	begin := f.plain.asked >= plainAfter && !f.plain.making
	if begin {
		select {
		case d.plains <- struct{}{}:
			f.plain.making = true
		default:
			begin = false
		}
	}
	f.plain.mu.Unlock()
	if begin && !d.goOnce(func() { d.makePlain(key, f) }) {
		<-d.plains
	}
	return nil, nil, false
}

// goOnce runs fn in a goroutine that Close waits for. false: Close has been called.
func (d *Documents) goOnce(fn func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.renders.Go(fn)
	return true
}

// makePlain unpacks f on disk. If that fails the next who asks tries again.
func (d *Documents) makePlain(key DocumentKey, f *finished) {
	ctx, cancel := context.WithTimeout(d.closing, renderTimeout)
	defer cancel()
	made, err := d.writePlain(ctx, key, f)
	gone := errors.Is(err, fs.ErrNotExist) || errors.Is(err, errReplaced) // the packed one, meanwhile
	if err != nil && ctx.Err() == nil && !gone {
		d.log.Log(ctx, levelOf(err), "a document is not kept unpacked on disk", "slot", key.Slot, "error", err)
	}
	f.plain.mu.Lock()
	f.plain.known, f.plain.making = made, false
	f.plain.mu.Unlock()
	<-d.plains
}

// writePlain writes the unpacked file of f.
func (d *Documents) writePlain(ctx context.Context, key DocumentKey, f *finished) (made *finished, err error) {
	defer recovered(&err)
	// Twice, since the header has the checksum of what follows it.
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if err := d.unpackTo(ctx, key, f, sum); err != nil {
		return nil, err
	}
	header := documentHeader{
		ID: f.header.ID, ETag: f.header.ETag,
		Identity: f.header.Identity, Packed: f.header.Identity, Sum: sum.Sum32(),
	}
	front := header.encode()
	w, err := d.store.Create(ctx, key.plainObject())
	if err != nil {
		return nil, err
	}
	defer w.Abort() // after a Commit it does nothing
	if _, err := w.Write(front); err != nil {
		return nil, err
	}
	if err := d.unpackTo(ctx, key, f, w); err != nil {
		return nil, err
	}
	rev, err := w.Commit(Precondition{})
	if err != nil {
		return nil, err
	}
	return &finished{header: header, offset: int64(len(front)), rev: rev}, nil
}

// unpackTo writes the identity bytes of f to w.
func (d *Documents) unpackTo(ctx context.Context, key DocumentKey, f *finished, w io.Writer) error {
	var o *Object
	if f.packed == nil {
		var err error
		if o, err = d.store.Open(ctx, key.object()); err != nil {
			return err
		}
		if o.Rev != f.rev {
			o.Close() // it was not even read
			return errReplaced
		}
	}
	doc := d.document(ctx, key, f, o)
	defer doc.Close() // it was only read
	r, err := doc.unpack()
	if err != nil {
		return err
	}
	defer r.Close() // it was only read
	n, err := io.Copy(w, untilDone{ctx, r})
	if err == nil && n != f.header.Identity {
		err = errDamaged
	}
	return err
}
