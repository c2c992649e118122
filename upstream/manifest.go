package upstream

import (
	"context"
	"net/url"

	"larder/npm"
)

// Manifest returns the raw manifest of one version or dist-tag of name; the
// caller renders it. It comes out of the full packument where that is held, as
// fresh or as stale as Packument would give it, so that the two never
// disagree and an outage takes neither away; else from upstream's GET
// /name/selector. An upstream without that endpoint gives NotFound: the caller
// then tries the packument.
func (r *Registry) Manifest(ctx context.Context, name, selector string) ([]byte, Provenance, error) {
	if _, ok := r.entry(name).get(npm.Full); ok {
		p, err := r.Packument(ctx, name, npm.Full, false)
		if err != nil {
			return nil, Provenance{}, err
		}
		manifest, err := r.manifestOf(ctx, p, selector)
		return manifest, p.Provenance, err
	}
	u, ex := r.manifestExchange(name, selector)
	return r.small(ctx, u, ex, "")
}

// manifestOf takes a manifest out of a full packument. Its URLs are below a
// base that does not exist, for the caller to replace.
func (r *Registry) manifestOf(ctx context.Context, p *Packument, selector string) ([]byte, error) {
	doc, release, err := p.Body(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	base := r.logicalURL("", "").String()
	return npm.RenderVersion(doc, selector, npm.Target{Name: p.Name, Base: base, Form: npm.Full})
}

func (r *Registry) manifestExchange(name, selector string) (*url.URL, exchange) {
	u := r.logicalURL("/"+npm.EscapeName(name)+"/"+url.PathEscape(selector), "")
	return u, exchange{
		kind:     "document",
		subject:  name,
		missing:  "version not found: " + selector,
		tries:    maxTries,
		optional: true,
		check: func(doc []byte, _ string) (inspection, error) {
			_, err := npm.ManifestDist(doc, name)
			return inspection{}, err
		},
	}
}
