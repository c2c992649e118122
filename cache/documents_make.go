package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"
)

// renderTimeout bounds one render, with the waiting for its turn.
const renderTimeout = time.Minute

// maxRenders bounds the renders that run or wait for their turn. Who has asked
// may have hung up, and asked under another name of this server's.
const maxRenders = 16384

// Make returns the document under key, rendering it if need be: once, however
// many ask, detached from their contexts. render writes the identity bytes;
// they are hashed and packed as they come and never held whole. Its error, or
// its panic as an error, is everybody's, and nothing is kept of it. If storing
// the document fails it is served from memory all the same. The caller closes
// the Document.
func (d *Documents) Make(ctx context.Context, key DocumentKey, render func(ctx context.Context, w io.Writer) error) (*Document, error) {
	if doc, ok := d.Lookup(ctx, key); ok {
		return doc, nil
	}
	done := d.flights.DoChan(key.flight(), func() (any, error) { return d.fly(ctx, key, render) })
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-done:
		if result.Err != nil {
			return nil, result.Err
		}
		return d.opened(ctx, key, result.Val.(*rendered))
	}
}

// rendered is what a flight hands to all who wait for it.
type rendered struct {
	*finished
	packed []byte // even if the memory does not keep them
}

// opened returns a reader's view of what a flight brought. A big document is
// read from its file, so that slow readers do not hold it in memory, unless a
// newer one has taken the file's place meanwhile, or there is no file.
func (d *Documents) opened(ctx context.Context, key DocumentKey, r *rendered) (*Document, error) {
	if r.finished.packed != nil {
		return d.document(ctx, key, r.finished, nil), nil
	}
	if r.rev != "" {
		if o, err := d.store.Open(ctx, key.object()); err == nil {
			if o.Rev == r.rev {
				return d.document(ctx, key, r.finished, o), nil
			}
			o.Close() // it was not even read
		}
	}
	release, err := d.loose.hold(ctx, int64(len(r.packed)))
	if err != nil {
		return nil, err
	}
	doc := d.document(ctx, key, &finished{header: r.header, packed: r.packed}, nil)
	doc.release = release
	return doc, nil
}

// fly is the one flight of a key. It is detached from the context of whoever
// came first, whose values it keeps.
func (d *Documents) fly(ctx context.Context, key DocumentKey, render func(context.Context, io.Writer) error) (r *rendered, err error) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil, ErrClosed
	}
	if d.rendering >= maxRenders {
		d.mu.Unlock()
		return nil, ErrBusy
	}
	d.rendering++
	d.renders.Add(1)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.rendering--
		d.mu.Unlock()
		d.renders.Done()
	}()
	defer func() {
		// singleflight would let a panic end the process.
		if p := recover(); p != nil {
			r, err = nil, fmt.Errorf("cache: panic while rendering: %v\n%s", p, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renderTimeout)
	defer cancel()
	defer context.AfterFunc(d.closing, cancel)()

	if r, ok := d.landed(ctx, key); ok {
		return r, nil
	}
	if key.Volatile {
		select {
		case d.volatileTurn <- struct{}{}:
			defer func() { <-d.volatileTurn }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	start := time.Now()
	header, packed, err := d.pack.render(ctx, key.ID, render)
	if err != nil {
		return nil, err
	}
	d.metrics.Rendered(header.Identity, time.Since(start))
	f := &finished{header: header, packed: packed}
	if !key.Volatile {
		f.rev, f.offset = d.save(ctx, key, header, packed, Precondition{})
	}
	if len(packed) > smallDocument {
		f.packed = nil
	}
	if f.packed != nil || f.rev != "" {
		d.memory(key).add(key, f)
	}
	return &rendered{f, packed}, nil
}

// landed returns what another flight of key brought after this one's caller
// had looked, and before this one began.
func (d *Documents) landed(ctx context.Context, key DocumentKey) (*rendered, bool) {
	doc, ok := d.Lookup(ctx, key)
	if !ok {
		return nil, false
	}
	defer doc.Close() // it was only read
	if doc.packed != nil {
		return &rendered{doc.finished, doc.packed}, true
	}
	src, err := doc.gzip()
	if err != nil {
		return nil, false
	}
	packed, err := io.ReadAll(src)
	return &rendered{doc.finished, packed}, err == nil
}

// save writes a document to the store if p holds, and returns the object's
// revision, "" if it was not written, and where in it the packed bytes begin. A
// store that fails costs the next process a render, nobody an answer.
func (d *Documents) save(ctx context.Context, key DocumentKey, header documentHeader, packed []byte, p Precondition) (rev string, offset int64) {
	front := header.encode()
	w, err := d.store.Create(ctx, key.object())
	if err == nil {
		_, err = w.Write(front)
		if err == nil {
			_, err = w.Write(packed)
		}
		if err == nil {
			rev, err = w.Commit(p)
		} else {
			err = errors.Join(err, w.Abort())
		}
	}
	if errors.Is(err, ErrPrecondition) {
		return "", 0 // a newer one is there
	}
	if err != nil {
		d.log.Log(ctx, levelOf(err), "a finished document is not kept on disk", "slot", key.Slot, "error", err)
		return "", 0
	}
	return rev, int64(len(front))
}
