package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"larder/npm"
)

var (
	// errUnproven: the full document must tell whether versions that the
	// abbreviated one lacks were removed.
	errUnproven = errors.New("versions are missing without a proof that they were removed")
	// errHeldBack: the document is not believed, and the older one stays.
	errHeldBack = errors.New("the document is held back")
)

// heldBackPause is how long upstream is not asked again for a document that is
// held back.
const heldBackPause = 5 * time.Minute

// maxLogged is how many versions a line of the log names.
const maxLogged = 20

// judge acts on a change: it remembers what is removed and what is back, or
// returns why the document must not be stored. Nothing of the budget may be
// held, since it reads the held copy again.
//
// That "time" has a version which "versions" lacks proves that it was removed.
// Otherwise a package whose document is newer than the copy is believed as long
// as few do so, and upstream has one URL: a mirror that stands in lags behind,
// and dates its documents by itself. Whatever else takes versions away (a mirror that is half
// filled, a registry that was rolled back, a document that was cut) is believed
// when it has been told for long enough. Until then the older copy is served on,
// or, where the new one lists versions that nobody has seen yet (a registry
// that keeps the last few snapshots), the new one with those that it lacks.
func (g *guard) judge(ctx context.Context, c change) *failure {
	now := g.now()
	if len(c.back) > 0 {
		g.restore(ctx, g.name, c.back)
	}
	if len(c.proven) > 0 {
		g.take(ctx, c.proven, removal{Since: now, Evidence: c.evidence, Modified: c.modified})
	}
	if len(c.unproven) == 0 {
		return nil
	}
	why := removal{Since: now, Evidence: byAbsence, Modified: c.modified}
	loss := fingerprint(c.unproven)
	told := g.entry(g.name).removals().heldBack()
	repeated := told != nil && told.Loss == loss
	told = told.again(loss, now)
	switch {
	case told.due(now) && g.distrust.others("", g.name, told.First):
		g.take(ctx, c.unproven, why)
		return nil
	case repeated && !c.news:
		return g.hold(ctx, c, told)
	case c.form == npm.Abbreviated && !g.last:
		return g.remote.unbelieved(g.name, errUnproven)
	}
	storm, began := g.distrust.lose(g.name, now)
	for _, name := range began {
		g.doubt(ctx, name)
	}
	if !storm && newer(c.modified, g.held.modified) && len(g.remote.bases) == 1 {
		g.take(ctx, c.unproven, why)
		return nil
	}
	if c.news || g.held.rev == "" || g.form == npm.Full && g.held.form != npm.Full && !g.last {
		// The older copy lacks what a client wants, or there is none. The
		// versions are added to the new one instead.
		why.Doubt = told
		g.take(ctx, c.unproven, why)
		return nil
	}
	return g.hold(ctx, c, told)
}

// newer reports whether a document is later than the other; where either does
// not say, that is not known.
func newer(modified, than time.Time) bool {
	return !modified.IsZero() && !than.IsZero() && modified.After(than)
}

// heldBack returns the tally of documents that are held back; s may be nil.
func (s *removals) heldBack() *tally {
	if s == nil {
		return nil
	}
	return s.HeldBack
}

// hold keeps the document from being stored.
func (g *guard) hold(ctx context.Context, c change, told *tally) *failure {
	g.change(ctx, g.name, func(s *removals) { s.HeldBack = told })
	g.distrust.hold(g.name, g.now())
	g.metrics.HeldBack()
	g.log.Warn("a document is held back: versions are missing without a proof that they were removed",
		"package", g.name, "form", c.form, "versions", someOf(c.unproven), "count", len(c.unproven),
		"modified", c.modified, "held", g.held.modified, "told", told.Answers, "since", told.First)
	g.reviewHeldBack()
	return g.remote.unbelieved(g.name, errHeldBack)
}

// unbelieved is the failure of a document that must not be stored. Upstream
// has answered: the breaker has nothing to say.
func (m *remote) unbelieved(name string, cause error) *failure {
	return &failure{
		err: &npm.Error{
			Kind: npm.Unavailable,
			Op:   "upstream " + m.name,
			Name: name,
			Msg:  fmt.Sprintf("upstream %s no longer lists versions of %s and does not prove that they were removed", m.name, name),
			Err:  cause,
		},
		outcome: "held_back",
	}
}

// take remembers that versions are removed. It comes before the document that
// tells so is stored: once that is there, nothing else does.
func (g *guard) take(ctx context.Context, versions []string, why removal) {
	manifests := g.heldManifests(ctx, versions)
	taken := 0
	g.changeKeeping(ctx, g.name, manifests, func(s *removals) {
		for _, version := range versions {
			if _, known := s.Versions[version]; !known && len(s.Versions) >= maxRemoved {
				continue
			}
			m := why
			file := npm.File(manifests[version])
			if _, conventional := npm.VersionOfFile(g.name, file); !conventional { // or it is that version's own name, whatever this one says
				m.File = file
			}
			s.Versions[version] = m
			taken++
		}
		s.HeldBack = nil
	})
	if why.Doubt == nil {
		g.metrics.TakenDown(string(why.Evidence), taken)
		g.putAside(ctx, g.name, versions)
	}
	g.log.Warn("upstream has removed versions", "package", g.name, "versions", someOf(versions), "count", len(versions),
		"evidence", why.Evidence, "believed", why.Doubt == nil)
}

// heldManifests reads the manifests of versions out of the held copies: the full
// one has more to say.
func (g *guard) heldManifests(ctx context.Context, versions []string) map[string][]byte {
	manifests := make(map[string][]byte)
	for _, form := range []npm.Form{npm.Abbreviated, npm.Full} {
		if _, ok := g.entry(g.name).get(form); !ok {
			continue
		}
		doc, _, err := g.stored(ctx, g.name, form)
		if doc == nil {
			if err != nil {
				g.log.Warn("the manifests of removed versions cannot be kept", "package", g.name, "error", err)
			}
			continue
		}
		for version, m := range npm.Manifests(doc.bytes, versions) {
			manifests[version] = m
		}
		doc.release()
	}
	for _, version := range versions {
		if len(manifests[version]) == 0 && len(versions) <= maxAlone {
			if m := g.heldManifest(ctx, version); m != nil {
				manifests[version] = m
			}
		}
	}
	return manifests
}

// maxAlone is how many versions' own documents are looked for when the package's
// does not have them.
const maxAlone = 64

// heldManifest returns the manifest of a version out of its own document, if
// that is held.
func (g *guard) heldManifest(ctx context.Context, version string) []byte {
	u, _ := g.manifestExchange(g.name, version)
	a, ok, err := g.heldSmall(ctx, u)
	if err != nil || !ok {
		return nil
	}
	return a.body
}

// restore forgets the removal of versions that upstream lists again.
func (r *Registry) restore(ctx context.Context, name string, versions []string) {
	r.change(ctx, name, func(s *removals) {
		for _, version := range versions {
			delete(s.Versions, version)
		}
	})
	r.bringBack(ctx, name, versions)
	r.log.Info("upstream lists removed versions again", "package", name, "versions", someOf(versions), "count", len(versions))
}

// doubt lists the versions again that a package lost in the first minutes of
// what turned out to be many packages' losses.
func (r *Registry) doubt(ctx context.Context, name string) {
	now := r.now()
	doubtful := func(m removal) bool {
		return m.Evidence == byAbsence && m.Doubt == nil && now.Sub(m.Since) < stormTime
	}
	var found []string
	for version, m := range r.entry(name).removals().versions() {
		if doubtful(m) {
			found = append(found, version)
		}
	}
	if len(found) == 0 {
		return
	}
	r.change(ctx, name, func(s *removals) {
		for version, m := range s.Versions {
			if doubtful(m) {
				m.Doubt = &tally{First: now}
				s.Versions[version] = m
			}
		}
	})
	r.bringBack(ctx, name, found)
	r.distrust.hold(name, now)
	r.log.Warn("removed versions are listed again: too many packages lost some at once", "package", name)
}

// told notes that upstream sent or confirmed v, a document that was believed.
func (r *Registry) told(ctx context.Context, name string, v revision) {
	now := r.now()
	r.distrust.answered(name, now)
	s := r.entry(name).removals()
	if s == nil || s.Package == nil && s.Missing == nil && s.HeldBack == nil && !s.doubted() {
		return
	}
	back := s.Package != nil
	var believed []string
	r.change(ctx, name, func(s *removals) {
		s.Package, s.Missing, s.HeldBack = nil, nil, nil
		for version, m := range s.Versions {
			if m.Doubt == nil || v.modified.Before(m.Modified) {
				continue // an older document has nothing to say of it
			}
			if m.Doubt = m.Doubt.again(m.Doubt.Loss, now); m.Doubt.due(now) && r.distrust.others("", name, m.Doubt.First) {
				m.Doubt = nil
				believed = append(believed, version)
			}
			s.Versions[version] = m
		}
		if s.doubted() {
			r.distrust.hold(name, now)
		}
	})
	if len(believed) > 0 {
		r.log.Warn("removed versions are taken down: upstream has said so for long enough", "package", name, "versions", someOf(believed), "count", len(believed))
		r.metrics.TakenDown(string(byAbsence), len(believed))
		r.putAside(ctx, name, believed)
	}
	if back {
		r.bringAllBack(ctx, name)
		r.log.Info("upstream has a package again that had vanished", "package", name)
	}
	r.reviewHeldBack()
}

// someOf returns the first few of a list, for the log.
func someOf(versions []string) []string {
	return slices.Clip(versions[:min(len(versions), maxLogged)])
}
