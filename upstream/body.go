package upstream

import (
	"context"
	"fmt"

	"larder/npm"
)

// Body returns the identity bytes, which have passed npm.Inspect, and a
// function that gives back their share of the memory budget: big documents
// wait here for their turn. release must be called; the bytes are not used
// after it.
//
// Where the stored document has been replaced meanwhile, Body returns the new
// one; where it is gone, has rotted, or could never be stored because the disk
// is full, it is fetched again. Form, Rev and Size then describe what came:
// read them after Body.
func (p *Packument) Body(ctx context.Context) (doc []byte, release func(), err error) {
	r := p.registry
	d := p.fetched
	if !r.budget.take(d) {
		var v revision
		if d, v, err = r.stored(ctx, p.Name, p.Form); err != nil {
			return nil, nil, err
		}
		if d != nil && v.rev != p.Rev && p.newest() {
			d.release() // it is what p should have replaced
			d = nil
		} else if d != nil {
			p.Rev, p.Size = v.rev, v.size
		}
	}
	if d == nil {
		if d, err = p.refetch(ctx); err != nil {
			return nil, nil, err
		}
	}
	return d.bytes, d.release, nil
}

// newest reports whether upstream has sent nothing else since p.
func (p *Packument) newest() bool {
	v, held := p.registry.entry(p.Name).get(p.Form)
	return held && v.rev == p.Rev
}

// stored unpacks the stored document of a form, and says which revision it is;
// nil where there is none that is whole. The caller releases it. The error is
// ctx's.
func (r *Registry) stored(ctx context.Context, name string, form npm.Form) (*document, revision, error) {
	key := r.packumentURL(name, form).String()
	header, packed, ok := r.cfg.Responses.Body(key)
	if !ok {
		return nil, revision{}, nil
	}
	v, ok := revisionOf(header, form)
	if !ok {
		return nil, revision{}, nil
	}
	d, err := r.budget.unpack(ctx, packed, maxUnpacked)
	switch {
	case err == nil:
		return d, v, nil
	case ctx.Err() != nil:
		return nil, revision{}, fmt.Errorf("upstream: wait for memory for %s: %w", name, context.Cause(ctx))
	}
	r.log.Warn("a stored document is corrupt", "package", name, "form", form, "error", err)
	r.cfg.Responses.Delete(key) // or upstream would go on confirming it
	return nil, revision{}, nil
}

// refetch replaces a stored document that cannot be had. It does not go
// through a flight, whose document any of its callers may take: this caller
// must have one even if the store keeps nothing.
//
// Nothing is deleted: that the document could not be read just now, for want
// of a descriptor perhaps, does not mean that it is gone.
func (p *Packument) refetch(ctx context.Context) (*document, error) {
	d, err := p.fetch(ctx)
	if err != nil {
		// The next caller looks at what the store really has.
		p.registry.entries.Remove(p.Name)
	}
	return d, err
}

func (p *Packument) fetch(ctx context.Context) (*document, error) {
	r := p.registry
	if p.heldOnly || r.Held(ctx) {
		return nil, r.NotHeld(ctx, p.Name)
	}
	a, failed := r.askPackument(ctx, p.Name, p.Form)
	if failed != nil {
		return nil, failed
	}
	p.Form, p.Rev, p.Size, p.Checked = a.form, a.rev, a.size, a.checked
	if a.fetched != nil {
		return a.fetched, nil
	}
	// It can be read again, and upstream confirmed it.
	d, v, err := r.stored(ctx, p.Name, a.form)
	switch {
	case err != nil:
		return nil, err
	case d == nil:
		return nil, &npm.Error{Kind: npm.Unavailable, Op: "upstream.Packument", Name: p.Name, Msg: "the stored document vanished while it was being read"}
	}
	p.Rev, p.Size = v.rev, v.size
	return d, nil
}
