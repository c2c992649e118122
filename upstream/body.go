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
// Where the stored document has been deleted or has rotted meanwhile, Body
// fetches it again. Form, Rev and Size then describe what came: read Form
// after Body.
func (p *Packument) Body(ctx context.Context) (doc []byte, release func(), err error) {
	r := p.registry
	d := p.fetched
	if !r.budget.take(d) {
		if d, err = r.stored(ctx, p.Name, p.Form); err != nil {
			return nil, nil, err
		}
	}
	if d == nil {
		if d, err = p.refetch(ctx); err != nil {
			return nil, nil, err
		}
	}
	return d.bytes, d.release, nil
}

// stored unpacks the stored document of a form; nil where there is none that
// is whole. The caller releases it. The error is ctx's.
func (r *Registry) stored(ctx context.Context, name string, form npm.Form) (*document, error) {
	_, packed, ok := r.cfg.Responses.Body(r.packumentURL(name, form).String())
	if !ok {
		return nil, nil
	}
	d, err := r.budget.unpack(ctx, packed, maxUnpacked)
	switch {
	case err == nil:
		return d, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("upstream: wait for memory for %s: %w", name, context.Cause(ctx))
	}
	r.log.Warn("a stored document is corrupt", "package", name, "form", form, "error", err)
	return nil, nil
}

// refetch replaces a stored document that is gone. It does not go through a
// flight, whose document any of its callers may take: this caller must have
// one even if the store keeps nothing.
func (p *Packument) refetch(ctx context.Context) (*document, error) {
	r := p.registry
	r.entry(p.Name).forget(p.Form)
	r.cfg.Responses.Delete(r.packumentURL(p.Name, p.Form).String())
	if r.cfg.Offline {
		return nil, r.offline(p.Name)
	}
	a, err := r.askPackument(ctx, p.Name, p.Form)
	if err != nil {
		return nil, err
	}
	p.Form, p.Rev, p.Size, p.Checked = a.form, a.rev, a.size, a.checked
	if a.fetched != nil {
		return a.fetched, nil
	}
	// Someone else stored it again just before, and upstream confirmed that one.
	d, waitErr := r.stored(ctx, p.Name, a.form)
	if waitErr == nil && d == nil {
		return nil, &npm.Error{Kind: npm.Unavailable, Op: "upstream.Packument", Name: p.Name, Msg: "the stored document vanished while it was being read"}
	}
	return d, waitErr
}
