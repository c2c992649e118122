package hosted

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"time"

	"larder/cache"
	"larder/npm"
)

const (
	// maxTries is how often an edit is made anew because another process
	// changed the document meanwhile.
	maxTries = 12
	// The wait before a further try is a random part of a time that doubles
	// from firstPause to lastPause.
	firstPause = 4 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// draft is what an edit works on.
type draft struct {
	*document
	rev    string       // the document's revision so far; "" where it is new
	now    stamp        // the time of the change
	blob   func() error // makes what the document newly names durable; may be nil
	gone   []string     // keys of blobs that nobody may get any more
	number string       // of the version concerned, for Change
	repeat bool         // for Change
}

// edit makes one change, or returns errUnchanged if there is nothing to do. If
// another process was faster it is called again, with a newer draft.
type edit func(d *draft) error

// errUnchanged ends an update that has nothing to write with success.
var errUnchanged = errors.New("hosted: nothing to change")

// write counts and times a write, and names it in its error.
func (p *Packages) write(op, metric, name string, fn func() (Change, error)) (Change, error) {
	start := time.Now()
	c, err := fn()
	p.metrics.HostedWrite(metric, resultOf(c, err), time.Since(start))
	return c, wrap(op, name, err)
}

// updateLive is update for packages that have a version: all others are NotFound.
func (p *Packages) updateLive(ctx context.Context, name, rev string, e edit) (Change, error) {
	return p.update(ctx, name, rev, func(d *draft) error {
		switch {
		case d.rev == "":
			return notOurs(name)
		case len(d.Versions) == 0:
			return notFound("Not found: %s was unpublished", name)
		}
		return e(d)
	})
}

// update edits the document of name by compare-and-swap, so that of several
// writers, in several processes, none undoes what another did. A name without
// a document gets an empty draft. Unless rev is "" or "undefined" (npm's word
// for a document without "_rev"), it must be the present revision.
//
// The blobs of removed versions go after the document, still under the
// package's lock: it is held during all of this package's I/O.
func (p *Packages) update(ctx context.Context, name, rev string, e edit) (Change, error) {
	unlock, err := p.writing.lock(ctx, owner(name))
	if err != nil {
		return Change{}, err
	}
	defer unlock()
	for try := range maxTries {
		if err := pause(ctx, try); err != nil {
			return Change{}, err
		}
		c, err := p.try(ctx, name, rev, e)
		if !errors.Is(err, cache.ErrPrecondition) {
			return c, err
		}
		p.metrics.HostedRace()
	}
	return Change{}, errStale()
}

// try is one round of update. It fails with ErrPrecondition where another
// process was faster.
func (p *Packages) try(ctx context.Context, name, rev string, e edit) (Change, error) {
	old, err := p.get(ctx, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Change{}, err
	}
	d := p.draft(name, old)
	if !d.isAt(rev) {
		return Change{}, errStale()
	}
	err = e(d)
	if err != nil && !errors.Is(err, errUnchanged) {
		return Change{}, err
	}
	c := Change{Old: d.rev, New: d.rev, Version: d.number, Repeated: d.repeat}
	switch {
	case err == nil:
		k, err := p.commit(ctx, d, old)
		if err != nil {
			return Change{}, err
		}
		c.New = k.rev
	case !old.durable:
		// What was asked for is there. But it may be a write that failed in its
		// last step, or was killed before it, and is lost in a power cut.
		if _, err := p.replace(ctx, &draft{document: old.doc}, old); err != nil {
			return Change{}, err
		}
	}
	p.deleteBlobs(ctx, d)
	return c, nil
}

// draft returns what an edit of old, which may be nil, works on.
func (p *Packages) draft(name string, old *Package) *draft {
	now := stampOf(p.now())
	if old == nil {
		return &draft{now: now, document: &document{
			Format: format, Name: name, Created: now, Tags: make(map[string]string),
		}}
	}
	now = now.after(old.doc.Modified)
	return &draft{rev: old.rev, now: now, document: old.doc.clone()}
}

// isAt reports whether rev, as a client sent it, is the document's revision, or
// is nothing to compare. A document that does not exist has none to be stale.
func (d *draft) isAt(rev string) bool {
	return rev == "" || rev == "undefined" || d.rev == "" || rev == d.rev
}

// commit makes d the package's document if it still is as old was.
func (p *Packages) commit(ctx context.Context, d *draft, old *Package) (*Package, error) {
	if len(d.Tags) > maxTags {
		return nil, invalid("a package has at most %d tags", maxTags)
	}
	d.Changes++
	d.Modified = d.now
	return p.replace(ctx, d, old)
}

// replace is commit for a document that is as it will be written.
func (p *Packages) replace(ctx context.Context, d *draft, old *Package) (*Package, error) {
	data, err := d.encode()
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > p.maxDocument {
		return nil, &npm.Error{Kind: npm.TooLarge,
			Msg: fmt.Sprintf("the documents of all versions together would be larger than %d bytes: unpublish some", p.maxDocument)}
	}
	precondition := cache.IfAbsent()
	if old != nil {
		precondition = cache.IfRev(old.storeRev)
	}
	storeRev, err := p.put(ctx, d, data, precondition)
	p.absent.written() // even if it failed, which may have been after the fact
	if err != nil {
		p.reindex(ctx, d.Name)
		return nil, err
	}
	k := newPackage(d.document, data, storeRev)
	k.durable = true
	p.memory.add(k)
	p.index.put(k.doc)
	return k, nil
}

// reindex lets the index follow a document of which it is not known what became
// of it: another process has changed it, or a commit or deletion failed in its
// last step. Whoever asked for that may have hung up.
func (p *Packages) reindex(ctx context.Context, name string) {
	k, err := p.get(context.WithoutCancel(ctx), name)
	switch {
	case err == nil:
		p.index.put(k.doc)
	case errors.Is(err, fs.ErrNotExist):
		p.index.remove(name)
	default:
		p.index.doubt(name)
	}
}

// put writes the document, and before it the blob that it newly names. Their
// bytes go to disk together, since that is what takes time; the document
// becomes visible when the blob has.
func (p *Packages) put(ctx context.Context, d *draft, data []byte, precondition cache.Precondition) (rev string, err error) {
	w, err := p.store.Create(ctx, documentKey(d.Name))
	if err != nil {
		return "", writeFault(err)
	}
	defer w.Abort() // does nothing after Commit
	if _, err := w.Write(data); err != nil {
		return "", writeFault(err)
	}
	if d.blob != nil {
		flushed := make(chan error, 1)
		go func() { flushed <- flush(w) }()
		if err := errors.Join(d.blob(), writeFault(<-flushed)); err != nil {
			return "", err
		}
	}
	rev, err = w.Commit(precondition)
	if errors.Is(err, cache.ErrPrecondition) {
		return "", err
	}
	return rev, writeFault(err)
}

// flush makes what was written durable, where the store can do so before a
// Commit.
func flush(w cache.Writer) error {
	if f, ok := w.(cache.Flusher); ok {
		return f.Flush()
	}
	return nil
}

// deleteBlobs deletes what is gone from the document. What cannot be deleted is
// of no harm: nobody finds the way to it.
func (p *Packages) deleteBlobs(ctx context.Context, d *draft) {
	for _, key := range d.gone {
		if slices.ContainsFunc(d.Versions, func(v *version) bool { return v.Tarball.Key == key }) {
			continue // no two versions have the same bytes; if they did, one would be lost here
		}
		if err := p.deleteBlob(ctx, key); err != nil {
			p.metrics.HostedLeftover()
			p.log.Warn("the tarball of a removed version stays on disk", "package", d.Name, "key", key, "error", err)
		}
	}
}

// pause waits before a try. It returns ctx's error if that ends first.
func pause(ctx context.Context, try int) error {
	if try == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(rand.N(min(firstPause<<try, lastPause)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
