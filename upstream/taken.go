package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"larder/npm"
)

// CodeTakenDown is the Code of errors about what upstream took away.
const CodeTakenDown = "taken_down"

// Taken is what upstream took away of one package, as clients are to see it. A
// nil *Taken takes nothing.
type Taken struct {
	// Rev names it: what differs in what is hidden or restored differs in Rev.
	Rev string
	// Restored are the manifests of removed versions that are listed all the
	// same: those that are pinned, and those whose removal is not believed yet.
	Restored [][]byte

	hidden   map[string]bool
	vanished bool // the package is gone, and what is not in pinned is hidden
	pinned   map[string]bool
	until    time.Time // it is made anew then; zero: never
}

// Hides reports whether a version is to be left out of documents.
func (t *Taken) Hides(version string) bool {
	return t != nil && (t.hidden[version] || t.vanished && !t.pinned[version])
}

// Taken returns what upstream took away of name, nil if nothing. The error is
// NotFound for a package that vanished altogether.
func (r *Registry) Taken(ctx context.Context, name string) (*Taken, error) {
	s := r.entry(name).removals()
	if s == nil {
		return nil, nil
	}
	now := r.now()
	pinned := r.pins[name]
	if s.Package != nil && len(pinned) == 0 {
		return nil, r.vanished(npm.NotFound, name, s.Package)
	}
	if t := s.view.Load(); t != nil && (t.until.IsZero() || now.Before(t.until)) {
		return t, nil
	}
	t := r.viewOf(ctx, name, s, now)
	s.view.Store(t)
	return t, nil
}

// viewOf makes a Taken.
func (r *Registry) viewOf(ctx context.Context, name string, s *removals, now time.Time) *Taken {
	pinned := r.pins[name]
	t := &Taken{hidden: make(map[string]bool), pinned: pinned, vanished: s.Package != nil}
	var served []string
	for version, m := range s.Versions {
		switch {
		case pinned[version] || m.Doubt != nil:
			served = append(served, version)
		case m.hides(now):
			t.hidden[version] = true
		default:
			continue
		}
		if !m.Until.IsZero() && (t.until.IsZero() || m.Until.Before(t.until)) && now.Before(m.Until) {
			t.until = m.Until
		}
	}
	slices.Sort(served)
	if len(served) > 0 {
		r.bringBack(ctx, name, served) // what is listed must be there, even offline
		manifests := r.keptManifests(ctx, name)
		for _, version := range served {
			if m, ok := manifests[version]; ok {
				t.Restored = append(t.Restored, m)
			}
		}
	}
	if len(t.hidden) == 0 && len(t.Restored) == 0 && !t.vanished {
		return t // as if nothing were taken
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %t %q", slices.Sorted(maps.Keys(t.hidden)), served, t.vanished, slices.Sorted(maps.Keys(pinned)))
	t.Rev = "taken " + hex.EncodeToString(h.Sum(nil)[:8])
	return t
}

// Withheld returns the Forbidden error for a tarball that must not be served
// although it may be cached, because upstream took it away; else nil. It looks
// at nothing but memory once the package is known.
func (r *Registry) Withheld(name, file string) error {
	s := r.entry(name).removals()
	if s == nil {
		return nil
	}
	return r.withheld(npm.Forbidden, name, s.version(name, file), s)
}

// version returns the version whose tarball is called file.
func (s *removals) version(name, file string) string {
	if version, ok := s.files[file]; ok {
		return version
	}
	return strings.TrimSuffix(strings.TrimPrefix(file, npm.Basename(name)+"-"), ".tgz")
}

// WithheldVersion is Withheld for a version's manifest: NotFound, as documents
// do not list it.
func (r *Registry) WithheldVersion(name, version string) error {
	s := r.entry(name).removals()
	if s == nil {
		return nil
	}
	return r.withheld(npm.NotFound, name, version, s)
}

func (r *Registry) withheld(kind npm.Kind, name, version string, s *removals) error {
	if r.pins[name][version] {
		return nil
	}
	if m, ok := s.Versions[version]; ok && m.hides(r.now()) {
		return r.takenDown(kind, name, version, m)
	}
	if s.Package != nil {
		return r.vanished(kind, name, s.Package)
	}
	return nil
}

// takenDown is the error about a version.
func (r *Registry) takenDown(kind npm.Kind, name, version string, m removal) *npm.Error {
	why := "no longer lists it"
	switch m.Evidence {
	case byUnpublish:
		why = "says that the package was unpublished"
	case byTarball:
		why = fmt.Sprintf("answers %d for its tarball", m.Status)
	}
	return &npm.Error{
		Kind: kind,
		Op:   "upstream " + r.cfg.Name,
		Name: name,
		Msg:  fmt.Sprintf("%s@%s was taken down: upstream %s %s (noticed on %s)", name, version, r.cfg.Name, why, day(m.Since)),
		Code: CodeTakenDown,
	}
}

// vanished is the error about a package.
func (r *Registry) vanished(kind npm.Kind, name string, m *removal) *npm.Error {
	return &npm.Error{
		Kind: kind,
		Op:   "upstream " + r.cfg.Name,
		Name: name,
		Msg:  fmt.Sprintf("%s was taken down: upstream %s says that it does not exist (noticed on %s)", name, r.cfg.Name, day(m.Since)),
		Code: CodeTakenDown,
	}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
