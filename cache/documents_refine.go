package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"
)

// Documents are packed fast while somebody waits for them. Those that turn out
// to be asked for often are packed again, better, when nobody does.
const (
	hotAfter    = 16              // answers after which a document is hot
	quiet       = 5 * time.Second // without a Lookup or a render before one is packed again
	quietWithin = time.Minute     // that is waited for at most: who is never idle gains most
	maxHot      = 64              // documents that wait for it
	leastGain   = 50              // less than one byte in so many is not worth writing
)

// hotDocument waits to be packed again.
type hotDocument struct {
	key   DocumentKey
	f     *finished
	since time.Time
}

// used counts a Lookup that found f.
func (d *Documents) used(key DocumentKey, f *finished) {
	if !d.asked.Load() { // so that most only read it
		d.asked.Store(true)
	}
	if f.header.Refined || f.uses.Load() >= hotAfter || f.uses.Add(1) != hotAfter {
		return
	}
	select {
	case d.hot <- hotDocument{key, f, time.Now()}:
	default:
		f.uses.Store(0)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed && !d.refining {
		d.refining = true
		d.renders.Go(d.refineAll)
	}
}

// refineAll packs the hot documents again, one after the other, and ends when
// there are no more.
func (d *Documents) refineAll() {
	for {
		d.mu.Lock()
		if len(d.hot) == 0 {
			d.refining = false
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		h := <-d.hot // nobody else takes them
		if !d.awaitQuiet(h.since) {
			return // closed
		}
		if err := d.refine(d.closing, h.key, h.f); err != nil && d.closing.Err() == nil {
			d.log.Warn("a finished document cannot be packed again", "slot", h.key.Slot, "error", err)
		}
	}
}

// awaitQuiet waits until nobody has asked for anything for a while, not longer
// than until quietWithin after since. It returns false when d is closed.
func (d *Documents) awaitQuiet(since time.Time) bool {
	pause := time.NewTicker(quiet)
	defer pause.Stop()
	for {
		d.asked.Store(false)
		select {
		case <-d.closing.Done():
			return false
		case <-pause.C:
		}
		if time.Since(since) >= quietWithin {
			return true
		}
		d.mu.Lock()
		idle := d.rendering == 0
		d.mu.Unlock()
		if idle && !d.asked.Load() {
			return true
		}
	}
}

// refine packs f again, unless key has another document by now, and puts the
// result in its place. The ETag is of the identity bytes and stays.
func (d *Documents) refine(ctx context.Context, key DocumentKey, f *finished) error {
	packed, err := d.packedBytes(ctx, key, f)
	if packed == nil {
		return err
	}
	release, err := d.pack.turns.Take(ctx, f.header.Identity)
	if err != nil {
		return err
	}
	better, err := d.pack.refine(packed, f.header.Identity)
	release()
	if err != nil || len(better) > len(packed)-len(packed)/leastGain {
		return err
	}
	header := f.header
	header.Packed, header.Sum, header.Refined = int64(len(better)), crc(better), true
	n := &finished{header: header, packed: better}
	if f.rev != "" {
		if n.rev, n.offset = d.save(ctx, key, header, better, IfRev(f.rev)); n.rev == "" {
			return nil // which has been logged, if it is an error
		}
	}
	if len(better) > smallDocument {
		n.packed = nil
	}
	d.memory(key).replace(key, f, n)
	d.metrics.Refined()
	return nil
}

// packedBytes returns the gzip bytes of f, nil where they are not there any more.
func (d *Documents) packedBytes(ctx context.Context, key DocumentKey, f *finished) ([]byte, error) {
	if f.packed != nil || f.rev == "" {
		return f.packed, nil
	}
	o, err := d.store.Open(ctx, key.object())
	if err != nil {
		return nil, err
	}
	defer o.Close() // it was only read
	if o.Rev != f.rev {
		return nil, nil
	}
	packed := make([]byte, f.header.Packed)
	_, err = io.ReadFull(io.NewSectionReader(o, f.offset, f.header.Packed), packed)
	return packed, err
}

// refine returns the size bytes that packed holds, packed better.
func (p *packer) refine(packed []byte, size int64) ([]byte, error) {
	src, err := p.gunzip(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	defer src.Close() // it was only read
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, refineLevel)
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(zip, src)
	if err == nil && n != size {
		err = fmt.Errorf("%w: %d bytes, not %d", errDamaged, n, size)
	}
	if err := errors.Join(err, zip.Close()); err != nil {
		return nil, err
	}
	return bytes.Clone(out.Bytes()), nil
}
