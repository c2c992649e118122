package upstream

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"larder/cache"
	"larder/npm"
)

// Tarball returns the source that fills file, a tarball of name.
func (r *Registry) Tarball(name, file string) cache.Source {
	return &tarball{r, name, file}
}

// tarball is the source of one tarball.
type tarball struct {
	registry *Registry
	name     string
	file     string
}

// Group is the upstream, whose downloads share its fate (cache.Grouped).
func (t *tarball) Group() string { return t.registry.cfg.Name }

// Expect finds out what the tarball must hash to, and where it is if not where
// tarballs are by convention. It asks what costs least first: a frozen install
// asks for tarballs alone, and must not drag in megabytes of packuments.
func (t *tarball) Expect(ctx context.Context) (cache.Expectation, error) {
	dist, err := t.dist(ctx)
	if err != nil {
		return cache.Expectation{}, err
	}
	expected := cache.Expectation{
		Location: t.location(dist.Tarball),
		Label:    t.name + "/" + t.file,
	}
	if dist.Integrity.IsZero() {
		t.registry.log.Info("no hash is known of a tarball", "package", t.name, "file", t.file)
		return expected, nil
	}
	expected.NewCheck = func() cache.Check { return dist.Integrity.Verifier() }
	return expected, nil
}

func (t *tarball) dist(ctx context.Context) (npm.Dist, error) {
	if dist, ok := t.registry.dists.find(t.name, t.file); ok {
		return dist, nil
	}
	for _, form := range []npm.Form{npm.Abbreviated, npm.Full} {
		if dist, ok, err := t.heldDist(ctx, form); ok || err != nil {
			return dist, err
		}
	}
	if dist, ok := t.pinnedDist(ctx); ok {
		return dist, nil
	}
	if err := t.registry.absent.get(t.path(), t.registry.now()); err != nil {
		return npm.Dist{}, err
	}
	if dist, ok := t.manifestDist(ctx); ok {
		return dist, nil
	}
	dist, err := t.packumentDist(ctx, npm.Abbreviated)
	if npm.KindOf(err) == npm.BadUpstream { // an upstream with no abbreviated form to speak of
		dist, err = t.packumentDist(ctx, npm.Full)
	}
	return dist, err
}

// anyHeldDist is heldDist in either form.
func (t *tarball) anyHeldDist(ctx context.Context) (npm.Dist, bool) {
	for _, form := range []npm.Form{npm.Abbreviated, npm.Full} {
		if dist, ok, err := t.heldDist(ctx, form); ok && err == nil {
			return dist, true
		}
	}
	return npm.Dist{}, false
}

// heldDist looks into a stored packument of any age: a version's hash does not
// change.
func (t *tarball) heldDist(ctx context.Context, form npm.Form) (dist npm.Dist, ok bool, err error) {
	r := t.registry
	if _, held := r.entry(t.name).get(form); !held {
		return npm.Dist{}, false, nil
	}
	doc, _, err := r.stored(ctx, t.name, form)
	if doc == nil {
		return npm.Dist{}, false, err
	}
	defer doc.release()
	dist, ok = npm.FindDist(doc.bytes, t.name, t.file)
	return dist, ok, nil
}

// pinnedDist looks among the manifests that are kept of removed versions.
func (t *tarball) pinnedDist(ctx context.Context) (npm.Dist, bool) {
	r := t.registry
	s := r.entry(t.name).removals()
	if s == nil {
		return npm.Dist{}, false
	}
	m, ok := r.keptManifests(ctx, t.name)[s.version(t.name, t.file)]
	if !ok {
		return npm.Dist{}, false
	}
	dist, err := npm.ManifestDist(m, t.name)
	return dist, err == nil
}

// manifestDist asks for the version's own document, of 1.5 KB where a packument
// may have 20 MB. It is tried once: whatever is wrong with it, the packument
// is the next try, and has the error.
func (t *tarball) manifestDist(ctx context.Context) (npm.Dist, bool) {
	version, ok := npm.VersionOfFile(t.name, t.file)
	if !ok {
		return npm.Dist{}, false
	}
	u, ex := t.registry.manifestExchange(t.name, version)
	ex.tries = 1
	manifest, _, err := t.registry.small(ctx, u, ex, "max-stale")
	if err != nil {
		return npm.Dist{}, false
	}
	dist, err := npm.ManifestDist(manifest, t.name)
	return dist, err == nil && dist.Version == version
}

// packumentDist looks into a packument that was fetched or revalidated just
// now, since the version may be newer than a copy that counts as fresh; where
// nothing is held that goes without saying.
func (t *tarball) packumentDist(ctx context.Context, form npm.Form) (npm.Dist, error) {
	held := t.registry.entry(t.name).holdsAny()
	p, err := t.registry.Packument(ctx, t.name, form, held)
	if err != nil {
		return npm.Dist{}, err
	}
	doc, release, err := p.Body(ctx)
	if err != nil {
		return npm.Dist{}, err
	}
	defer release()
	if dist, ok := npm.FindDist(doc, t.name, t.file); ok {
		return dist, nil
	}
	e := &npm.Error{
		Kind: npm.NotFound,
		Op:   "upstream.Tarball",
		Name: t.name,
		Msg:  "tarball not found: " + t.file,
	}
	r := t.registry
	switch {
	case r.Held(ctx):
		return npm.Dist{}, r.NotHeld(ctx, t.file)
	case p.Outcome == Stale:
		e.Kind = npm.Unavailable
		e.Msg = fmt.Sprintf("upstream %s did not answer, and the copy of %s that is held does not know %s", r.cfg.Name, t.name, t.file)
	}
	r.absent.note(t.path(), e, r.now())
	return npm.Dist{}, e
}

// location returns what Open is to be told of a dist.tarball: "" where the
// guess is right. One that cannot be a URL is as good as none.
func (t *tarball) location(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	u.Fragment, u.User = "", nil
	u = t.registry.remote.home(u)
	for _, base := range t.registry.remote.bases {
		guess, err := joinPath(base, t.path(), "")
		if err == nil && u.Scheme == guess.Scheme && authority(u) == authority(guess) && u.Path == guess.Path && u.RawQuery == "" {
			return ""
		}
	}
	return u.String()
}

// path returns the tarball's conventional path, escaped.
func (t *tarball) path() string {
	segments := strings.Split(t.name+"/-/"+t.file, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return "/" + strings.Join(segments, "/")
}
