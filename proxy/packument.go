package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"larder/cache"
	"larder/npm"
	"larder/upstream"
)

// packument answers GET /NAME.
func (s *Server) packument(x *exchange, r *http.Request, route npm.Route) error {
	src, err := s.source(r.Context(), route.Name)
	if err != nil {
		return err
	}
	base, err := s.base(x, r)
	if err != nil {
		return err
	}
	form, force := formOf(r), wantsRevalidation(r.Header)
	if writing(r) {
		form, force = npm.Full, true
	}
	if src.hosted != nil {
		return s.hostedPackument(x, r, src.hosted, form, base)
	}
	reg, started := src.upstream, time.Now()
	pk, err := current(r.Context(), reg, route.Name, form, force && s.forced.allow(site(x.client)))
	x.waitedSince(started)
	if err != nil {
		return err
	}
	v, err := s.view(r.Context(), reg, route.Name)
	if err != nil {
		return err
	}
	doc, err := s.document(r.Context(), reg, pk, form, base, v)
	if err != nil {
		return err
	}
	defer doc.Close()
	s.from(x, reg, pk.Provenance)
	return x.sendDocument(r, doc, form, v.cacheControl())
}

func formOf(r *http.Request) npm.Form {
	return npm.FormOf(strings.Join(r.Header.Values("Accept"), ","))
}

// writing reports whether a client is about to send the document back: it
// needs all of it as it is now, although npm unpublish says so with an Accept
// header for the abbreviated form.
func writing(r *http.Request) bool {
	return r.URL.RawQuery != "" && r.URL.Query().Get("write") == "true"
}

// maxMoves is how often a request follows a document that upstream replaces
// between two looks at it.
const maxMoves = 3

// errMoved: the document that was to be rendered is not the one that was asked
// for any more.
var errMoved = errors.New("the document was replaced meanwhile")

// document returns what v shows of pk, rendered for a form and a base,
// finished. The caller closes it.
func (s *Server) document(ctx context.Context, reg *upstream.Registry, pk *upstream.Packument, form npm.Form, base base, v view) (*cache.Document, error) {
	name := pk.Name
	for range maxMoves {
		doc, err := s.finished(ctx, reg, pk, form, base, v)
		switch {
		case errors.Is(err, errMoved):
		case errors.Is(err, upstream.ErrOffline) && !reg.Held(ctx): // the rendering was begun by one who may not ask
		default:
			return doc, err
		}
		if pk, err = current(ctx, reg, name, form, false); err != nil {
			return nil, err
		}
	}
	return nil, &npm.Error{Kind: npm.Unavailable, Op: "proxy.document", Name: name,
		Msg: "upstream " + reg.Name() + " keeps changing its document of " + name, Err: errMoved}
}

// finished is document for this one revision, and errMoved where it is gone:
// what came in its place must not be kept under its name.
func (s *Server) finished(ctx context.Context, reg *upstream.Registry, pk *upstream.Packument, form npm.Form, base base, v view) (*cache.Document, error) {
	revision := revisionOf(pk)
	return s.finish(ctx, reg.Owner(pk.Name), revision, form, base, v, func(ctx context.Context, w io.Writer) error {
		raw, release, err := pk.Body(ctx)
		if err != nil {
			return err
		}
		defer release()
		if revisionOf(pk) != revision {
			return errMoved
		}
		if len(v.restored) == 0 {
			if err := refuseStub(raw, pk.Name); err != nil {
				return err
			}
		}
		target, err := v.target(raw, npm.Target{Name: pk.Name, Base: base.url, Form: form})
		if err != nil {
			return err
		}
		return npm.Render(w, raw, pk.Form, target)
	})
}

// finish returns the finished document of what v shows of an owner's revision,
// from the store or by render.
func (s *Server) finish(ctx context.Context, owner, revision string, form npm.Form, base base, v view, render func(context.Context, io.Writer) error) (*cache.Document, error) {
	if !v.all() {
		revision += " " + v.rev
	}
	key := cache.DocumentKey{
		Owner:    owner,
		Slot:     form.String() + " " + base.url + v.slot(),
		ID:       revision + " " + strconv.Itoa(npm.RendererVersion),
		Volatile: s.bases.volatile(base),
	}
	if doc, ok := s.cfg.Documents.Lookup(ctx, key); ok {
		return doc, nil
	}
	return s.cfg.Documents.Make(ctx, key, render)
}

// revisionOf names all that a rendering takes from upstream. What is derived
// from the full form differs from what upstream calls abbreviated, so the form
// held is part of it.
func revisionOf(pk *upstream.Packument) string { return pk.Rev + " " + pk.Form.String() }

// maxStub is a bound, in bytes, on the documents of unpublished packages. They
// list nothing but old version numbers and maintainers, so that nothing bigger
// needs to be looked at.
const maxStub = 1 << 20

// refuseStub returns NotFound for the document that a registry keeps of a
// package that was unpublished: it has no versions, and served as it is makes
// yarn 4 crash and pnpm 12 retry for a minute. A package whose "versions" are
// there but empty passes, if nothing says that it was unpublished.
func refuseStub(doc []byte, name string) error {
	if len(doc) > maxStub {
		return nil
	}
	summary, err := npm.Inspect(doc, name)
	if err != nil {
		return err
	}
	refuse := func(why string) error {
		return &npm.Error{Kind: npm.NotFound, Op: "proxy.packument", Name: name, Msg: name + why}
	}
	switch {
	case summary.Versions > 0:
		return nil
	case summary.Unpublished != "":
		return refuse(" was unpublished on " + summary.Unpublished)
	case !gjson.GetBytes(doc, "versions").IsObject():
		return refuse(" has no versions")
	}
	return nil
}
