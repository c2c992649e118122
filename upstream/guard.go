package upstream

import (
	"context"
	"slices"
	"time"

	"larder/npm"
)

// guard compares a package's document that has just arrived with the copy that
// is held, before httpcache may replace that: what upstream took away is known
// by nothing else. A nil guard, of what is no packument, finds nothing.
type guard struct {
	*Registry
	name string
	form npm.Form // that was asked for
	last bool     // no other document will be asked for a proof

	held  revision // the copy; its form may be the other one
	names []string // its versions
}

// look reads the versions of the held copy or, where there is none, those whose
// tarballs are cached: frozen installs ask for nothing else. It comes before
// the new document is unpacked: nobody may wait for a share of the budget while
// holding one. The error is ctx's.
func (g *guard) look(ctx context.Context) error {
	if g == nil {
		return nil
	}
	g.names, g.held = nil, revision{} // of an earlier try
	for _, form := range []npm.Form{g.form, 1 - g.form} {
		if _, ok := g.entry(g.name).get(form); !ok {
			continue
		}
		doc, v, err := g.stored(ctx, g.name, form)
		if err != nil {
			return err
		}
		if doc == nil {
			continue
		}
		for _, name := range npm.VersionNames(doc.bytes) {
			g.names = append(g.names, string(name))
		}
		doc.release()
		g.held = v
		return nil
	}
	g.names = g.cachedVersions(ctx, g.name)
	return nil
}

// change is what a new document tells about versions.
type change struct {
	proven   []string // that it lacks and says to have had
	unproven []string // that it lacks without a word
	back     []string // that were removed and that it lists
	news     bool     // it lists versions that were not known
	evidence evidence // for proven
	form     npm.Form
	modified time.Time
}

func (c change) none() bool {
	return len(c.proven) == 0 && len(c.unproven) == 0 && len(c.back) == 0
}

// compare finds out what doc changes.
func (g *guard) compare(doc []byte, found inspection) change {
	c := change{evidence: byTime, form: found.form, modified: found.modified}
	if g == nil {
		return c
	}
	known := g.entry(g.name).removals().versions()
	names := slices.Clone(g.names)
	for version := range known {
		names = append(names, version)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for i, p := range npm.Find(doc, names) {
		version := names[i]
		removed, isKnown := known[version]
		switch {
		case p.Listed && isKnown:
			// A refused tarball is listed all the while, and what is older than
			// the proof of a removal cannot take it back.
			older := !found.modified.IsZero() && found.modified.Before(removed.Modified)
			if removed.Evidence == byAbsence || removed.Evidence != byTarball && !older {
				c.back = append(c.back, version)
			}
		case p.Listed, isKnown && removed.Evidence != byTarball:
		case found.unpublished:
			c.proven, c.evidence = append(c.proven, version), byUnpublish
		case p.Timed:
			c.proven = append(c.proven, version)
		default:
			c.unproven = append(c.unproven, version)
		}
	}
	if len(c.unproven) > 0 {
		c.news = slices.ContainsFunc(npm.VersionNames(doc), func(version []byte) bool {
			_, known := slices.BinarySearch(names, string(version))
			return !known
		})
	}
	return c
}

// versions returns the removed versions; s may be nil.
func (s *removals) versions() map[string]removal {
	if s == nil {
		return nil
	}
	return s.Versions
}
