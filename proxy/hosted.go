package proxy

import (
	"context"
	"io"
	"net/http"

	"larder/cache"
	"larder/hosted"
	"larder/npm"
)

// hostedOwner returns the owner of the finished documents of a package that is
// published here. No upstream can be called so.
func hostedOwner(name string) string { return cache.OwnerKey("/hosted", name) }

// hostedPackument sends a package's document as it is at this moment: its
// revision stands in place of a lifetime, so that a publish is visible to the
// next request.
func (s *Server) hostedPackument(x *exchange, r *http.Request, pkg *hosted.Package, form npm.Form, base base) error {
	doc, err := s.finish(r.Context(), hostedOwner(pkg.Name()), pkg.Rev(), form, base, view{}, func(_ context.Context, w io.Writer) error {
		return npm.Render(w, pkg.Packument(), npm.Full, npm.Target{Name: pkg.Name(), Base: base.url, Form: form})
	})
	if err != nil {
		return err
	}
	defer doc.Close()
	x.answeredBy(resultHosted)
	return x.sendDocument(r, doc, form, revalidate)
}

// resultHosted is what X-Larder-Cache says of what is published here.
const resultHosted = "hosted"

// hostedTarball sends a tarball that was published here. Its bytes never
// change, so that it may be kept for ever; once unpublished it is gone.
func (s *Server) hostedTarball(x *exchange, r *http.Request, route npm.Route) error {
	t, err := s.cfg.Hosted.Tarball(r.Context(), route.Name, route.File)
	if err != nil {
		return err
	}
	defer t.Close()
	x.answeredBy(resultHosted)
	x.sendWhole(r, t.Content, t.Size, t.ETag, t.Modified)
	return nil
}

// hostedVersion sends the manifest of one version, tag or range.
func (x *exchange) hostedVersion(r *http.Request, pkg *hosted.Package, selector string, target npm.Target) error {
	manifest, err := npm.RenderVersion(pkg.Packument(), selector, target)
	if err != nil {
		return err
	}
	x.answeredBy(resultHosted)
	return x.sendJSON(r, revalidate, manifest)
}

// hostedAttestations sends the provenance that a version was published with.
func (x *exchange) hostedAttestations(r *http.Request, pkg *hosted.Package, version string) error {
	body, ok := pkg.Attestations(version)
	if !ok {
		return &npm.Error{Kind: npm.NotFound, Op: "proxy.attestations", Name: pkg.Name(),
			Msg: pkg.Name() + "@" + version + " was published without attestations"}
	}
	x.answeredBy(resultHosted)
	return x.sendJSON(r, revalidate, body)
}
