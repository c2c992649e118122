package proxy

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/tidwall/gjson"

	"larder/npm"
	"larder/upstream"
)

// versionTime bounds the questions that one answer about a version may take:
// yarn 1 hangs up after 30 s of silence.
const versionTime = 25 * time.Second

// version answers GET /NAME/VERSION, where VERSION is a version, a dist-tag or
// a range.
func (s *Server) version(x *exchange, r *http.Request, route npm.Route) error {
	src, err := s.source(r.Context(), route.Name)
	if err != nil {
		return err
	}
	base, err := s.base(x, r)
	if err != nil {
		return err
	}
	target := npm.Target{Name: route.Name, Base: base.url, Form: npm.Full}
	if src.hosted != nil {
		return x.hostedVersion(r, src.hosted, route.Version, target)
	}
	started := time.Now()
	ctx, cancel := context.WithTimeout(r.Context(), versionTime)
	defer cancel()
	manifest, from, err := s.manifest(ctx, x.client, src.upstream, route, target)
	x.waitedSince(started)
	if err != nil {
		return err
	}
	s.from(x, src.upstream, from)
	return x.sendJSON(r, cacheDocument, manifest)
}

// manifest asks upstream for the one version, which is small, and only where
// upstream does not know it (a range; or it lacks that endpoint) for the whole
// packument, which is not. A version that a held packument lacks may be newer
// than it, so that one is revalidated before the answer is "not found".
//
// A view that does not show all of a document needs the packument to say which
// versions there are.
func (s *Server) manifest(ctx context.Context, client netip.Addr, reg *upstream.Registry, route npm.Route, target npm.Target) ([]byte, upstream.Provenance, error) {
	v, err := s.view(ctx, reg, route.Name)
	if err != nil {
		return nil, upstream.Provenance{}, err
	}
	if v.held != nil {
		return s.heldManifest(ctx, reg, route, target, v)
	}
	raw, from, err := reg.Manifest(ctx, route.Name, route.Version)
	if err == nil && !v.hides(gjson.GetBytes(raw, "version").Str) {
		manifest, err := npm.RenderManifest(raw, target)
		return manifest, from, err
	}
	if err != nil && npm.KindOf(err) != npm.NotFound {
		return nil, upstream.Provenance{}, err
	}
	if err := reg.WithheldVersion(route.Name, route.Version); err != nil {
		return nil, upstream.Provenance{}, err
	}
	manifest, pk, err := s.selected(ctx, reg, route, target, v, false)
	lacking := func() bool { return pk != nil && npm.KindOf(err) == npm.NotFound }
	if lacking() && pk.Outcome != upstream.Miss && s.forced.allow(site(client)) {
		manifest, pk, err = s.selected(ctx, reg, route, target, v, true)
	}
	switch {
	case pk == nil:
		return nil, upstream.Provenance{}, err
	case lacking() && pk.Outcome == upstream.Stale:
		err = &npm.Error{Kind: npm.Unavailable, Op: "proxy.manifest", Name: route.Name, Err: err,
			Msg: "upstream " + reg.Name() + " did not answer, and the copy of " + route.Name + " that is held here has no version " + route.Version}
	}
	return manifest, pk.Provenance, err
}

// selected takes a manifest out of what v shows of the full packument. Where that lacks the
// version the error is NotFound; where there is none at all, the packument returned is nil.
func (s *Server) selected(ctx context.Context, reg *upstream.Registry, route npm.Route, target npm.Target, v view, force bool) ([]byte, *upstream.Packument, error) {
	pk, err := reg.Packument(ctx, route.Name, npm.Full, force)
	if err != nil {
		return nil, nil, err
	}
	doc, release, err := pk.Body(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	if target, err = v.target(doc, target); err != nil {
		return nil, pk, err
	}
	manifest, err := npm.RenderVersion(doc, route.Version, target)
	return manifest, pk, err
}

// heldManifest is manifest where upstream may not be asked. That no version is
// on disk that the selector means says nothing of whether there is one.
func (s *Server) heldManifest(ctx context.Context, reg *upstream.Registry, route npm.Route, target npm.Target, v view) ([]byte, upstream.Provenance, error) {
	pk, err := current(ctx, reg, route.Name, npm.Full, false)
	if err != nil {
		return nil, upstream.Provenance{}, err
	}
	doc, release, err := pk.Body(ctx)
	if err != nil {
		return nil, upstream.Provenance{}, err
	}
	defer release()
	if target, err = v.target(doc, target); err != nil {
		return nil, upstream.Provenance{}, err
	}
	manifest, err := npm.RenderVersion(doc, route.Version, target)
	if npm.KindOf(err) == npm.NotFound {
		err = noTarball(reg, route.Name+"@"+route.Version)
	}
	return manifest, pk.Provenance, err
}
