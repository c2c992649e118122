package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
)

// A finished document lies in one object: its header as a sealed line of JSON,
// then the gzip bytes, which are sent as they lie.
const documentSeal = "document-1"

// maxDocumentHeader bounds the sealed header, in bytes.
const maxDocumentHeader = 1 << 10

// documentHeader describes a finished document.
type documentHeader struct {
	ID       string `json:"id"`                // hash of DocumentKey.ID
	ETag     string `json:"etag"`              // see Document.ETag
	Identity int64  `json:"identity"`          // bytes, unpacked
	Packed   int64  `json:"packed"`            // bytes, as gzip
	Sum      uint32 `json:"crc32c"`            // of the gzip bytes
	Refined  bool   `json:"refined,omitempty"` // see documents_refine.go
}

func (h documentHeader) encode() []byte {
	text, err := json.Marshal(h)
	if err != nil {
		panic(err) // strings and numbers
	}
	return seal(documentSeal, append(text, '\n'))
}

// parseDocumentHeader parses the header of an object of size bytes that begins
// with data, and returns where the gzip bytes begin.
func parseDocumentHeader(data []byte, size int64) (h documentHeader, offset int64, err error) {
	text, rest, err := unseal(documentSeal, data)
	if err != nil {
		return documentHeader{}, 0, err
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return documentHeader{}, 0, fmt.Errorf("%w: %w", errDamaged, err)
	}
	offset = int64(len(data) - len(rest))
	if h.Identity < 0 || h.Packed < 0 || h.Packed != size-offset {
		return documentHeader{}, 0, fmt.Errorf("%w: %d bytes, not %d", errDamaged, size-offset, h.Packed)
	}
	return h, offset, nil
}

// load opens key's document in the store. A small one is read into memory; a
// big one is left open as an Object, and read once to check it, unless it is
// the file that is known to be good. A damaged one is deleted.
func (d *Documents) load(ctx context.Context, key DocumentKey, known *finished) (*Object, *finished, bool) {
	return d.loadObject(ctx, key, key.object(), known)
}

// loadObject is load for either of a document's objects.
func (d *Documents) loadObject(ctx context.Context, key DocumentKey, object string, known *finished) (*Object, *finished, bool) {
	o, err := d.store.Open(ctx, object)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.log.Warn("cannot read a finished document", "slot", key.Slot, "error", err)
		}
		return nil, nil, false
	}
	if known != nil && known.rev == o.Rev {
		return o, known, true
	}
	f, err := readDocument(o, key.ID)
	if err == nil && f != nil && f.packed == nil {
		return o, f, true
	}
	o.Close() // it was only read
	switch {
	case errors.Is(err, errDamaged) || errors.Is(err, errSeal):
		d.metrics.IntegrityFailure()
		d.metrics.Rotten("cache", onRead)
		d.log.Warn("a finished document was damaged on disk and is made anew", "slot", key.Slot, "error", err)
		if err := d.store.Delete(ctx, object, IfRev(o.Rev)); err != nil && !errors.Is(err, ErrPrecondition) && !errors.Is(err, fs.ErrNotExist) {
			d.log.Warn("cannot delete a damaged document", "slot", key.Slot, "error", err)
		}
	case err != nil:
		d.log.Warn("cannot read a finished document", "slot", key.Slot, "error", err)
	}
	return nil, f, err == nil && f != nil
}

// readDocument reads and checks a document. It returns nil if it is not the
// one with that ID.
func readDocument(o *Object, id string) (*finished, error) {
	h, offset, err := readDocumentHeader(o)
	if err != nil {
		return nil, err
	}
	if h.ID != hexHash(id) {
		return nil, nil
	}
	f := &finished{header: h, offset: offset, rev: o.Rev}
	section := io.NewSectionReader(o, offset, h.Packed)
	if h.Packed > smallDocument {
		return f, checkPacked(section, h)
	}
	f.packed = make([]byte, h.Packed)
	if _, err := io.ReadFull(section, f.packed); err != nil {
		return nil, err
	}
	if crc(f.packed) != h.Sum {
		return nil, errDamaged
	}
	return f, nil
}

func readDocumentHeader(o *Object) (h documentHeader, offset int64, err error) {
	front := make([]byte, min(o.Size, maxDocumentHeader))
	if _, err := o.ReadAt(front, 0); err != nil && err != io.EOF {
		return documentHeader{}, 0, err
	}
	return parseDocumentHeader(front, o.Size)
}

// checkDocument reads a document to its end and returns what is wrong with it.
func checkDocument(o *Object) error {
	h, offset, err := readDocumentHeader(o)
	if err != nil {
		return err
	}
	return checkPacked(io.NewSectionReader(o, offset, h.Packed), h)
}

func checkPacked(r io.Reader, h documentHeader) error {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if _, err := io.Copy(sum, r); err != nil {
		return err
	}
	if sum.Sum32() != h.Sum {
		return errDamaged
	}
	return nil
}
