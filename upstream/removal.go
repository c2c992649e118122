package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"larder/npm"
)

// evidence is why something counts as removed. Its values are stored, and those
// of a metric's label.
type evidence string

const (
	byTime      evidence = "time"        // "time" still has the version, "versions" has not
	byUnpublish evidence = "unpublished" // the document is the stub of an unpublished package
	byAbsence   evidence = "absence"     // a later document lacks it
	byVanishing evidence = "vanished"    // upstream says, again and again, that there is no such package
	byTarball   evidence = "tarball"     // upstream refuses its tarball
)

// The bounds of what is remembered of one package.
const (
	maxRemoved   = 16_384   // versions
	maxManifest  = 64 << 10 // bytes of one version's manifest
	maxManifests = 4 << 20  // bytes of all of them
)

// removal is what is known of a version, or a package, that upstream took away.
type removal struct {
	Since    time.Time `json:"since"`
	Evidence evidence  `json:"evidence"`
	Status   int       `json:"status,omitempty"`  // of the answer for its tarball
	Until    time.Time `json:"until,omitzero"`    // zero: until upstream lists it again
	Modified time.Time `json:"modified,omitzero"` // of the document that told
	File     string    `json:"file,omitempty"`    // its tarball, where that has not the conventional name
	Doubt    *tally    `json:"doubt,omitempty"`   // it is not believed yet: the version is served on
}

// hides reports whether the version is not to be served, pins apart. What is
// hidden for a while is not hidden for days because the clock was set back.
func (m removal) hides(now time.Time) bool {
	return m.Doubt == nil && (m.Until.IsZero() || now.Before(m.Until) && now.After(m.Since.Add(-clockSlack)))
}

// What an answer that nobody believes at first must be repeated to be believed.
const (
	tallyAnswers = 3
	tallyTime    = time.Hour
)

// tally counts the answers that tell one unlikely thing.
type tally struct {
	Loss    string    `json:"loss,omitempty"` // which versions are gone; see fingerprint
	First   time.Time `json:"first"`
	Answers int       `json:"answers"`
}

// again returns the tally of loss with one answer more; t may be nil, or of
// something else. Since the clock was set back, the first answer may lie ahead of
// it: then it counts as one of now.
func (t *tally) again(loss string, now time.Time) *tally {
	if t == nil || t.Loss != loss {
		return &tally{Loss: loss, First: now, Answers: 1}
	}
	first := t.First
	if first.After(now.Add(clockSlack)) {
		first = now
	}
	return &tally{Loss: loss, First: first, Answers: t.Answers + 1}
}

// due reports whether the answers suffice.
func (t *tally) due(now time.Time) bool {
	return t.Answers >= tallyAnswers && now.Sub(t.First) >= tallyTime
}

// fingerprint names a set of versions.
func fingerprint(versions []string) string {
	h := sha256.New()
	for _, v := range slices.Sorted(slices.Values(versions)) {
		h.Write([]byte(v))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// removals is what is remembered of one package. It is not changed any more
// once it is in an entry, but replaced.
type removals struct {
	Versions map[string]removal `json:"versions,omitempty"`
	Package  *removal           `json:"package,omitempty"`  // upstream has none of it any more
	Missing  *tally             `json:"missing,omitempty"`  // answers that say so and are not believed yet
	HeldBack *tally             `json:"heldBack,omitempty"` // documents that were not believed

	files map[string]string     // versions by the odd names of their tarballs
	view  atomic.Pointer[Taken] // what was last made of it
}

func (s *removals) empty() bool {
	return s == nil || len(s.Versions) == 0 && s.Package == nil && s.Missing == nil && s.HeldBack == nil
}

// clone returns a copy to change; s may be nil.
func (s *removals) clone() *removals {
	c := &removals{Versions: make(map[string]removal)}
	if s != nil {
		maps.Copy(c.Versions, s.Versions)
		c.Package, c.Missing, c.HeldBack = s.Package, s.Missing, s.HeldBack
	}
	return c
}

// index makes s fit to be asked.
func (s *removals) index() {
	s.files = make(map[string]string)
	for version, m := range s.Versions {
		if m.File != "" {
			s.files[m.File] = version
		}
	}
}

// doubted reports whether any removal is not believed yet.
func (s *removals) doubted() bool {
	for _, m := range s.Versions {
		if m.Doubt != nil {
			return true
		}
	}
	return false
}

// encode returns what is stored, nil if there is nothing to remember.
func (s *removals) encode() []byte {
	if s.empty() {
		return nil
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // times, strings and numbers
	}
	return text
}

var errRemovals = errors.New("upstream: malformed note of removed versions")

// parseRemovals is the reverse of encode.
func parseRemovals(text []byte) (*removals, error) {
	s := &removals{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, errors.Join(errRemovals, err)
	}
	if len(s.Versions) > maxRemoved {
		return nil, errRemovals
	}
	s.index()
	return s, nil
}

// The names of a package's notes.
const (
	noteRemovals  = "removals"
	noteManifests = "manifests" // a JSON object of manifests by version
)

// storedRemovals reads what is remembered of a package, nil if nothing is.
func (r *Registry) storedRemovals(name string) *removals {
	text := r.cfg.Notes.Get(context.Background(), r.Owner(name), noteRemovals)
	if text == nil {
		return nil
	}
	s, err := parseRemovals(text)
	if err != nil {
		r.log.Warn("what was remembered of removed versions cannot be read", "package", name, "error", err)
		return nil
	}
	return s
}

// change replaces what is remembered of a package by what edit makes of a copy
// of it, and stores it.
func (r *Registry) change(ctx context.Context, name string, edit func(*removals)) {
	r.changeKeeping(ctx, name, nil, edit)
}

// changeKeeping is change that keeps manifests of removed versions as well.
func (r *Registry) changeKeeping(ctx context.Context, name string, manifests map[string][]byte, edit func(*removals)) {
	ctx = context.WithoutCancel(ctx)
	e := r.entry(name)
	e.writing.Lock() // held while the notes are written, so that the later ones stay
	defer e.writing.Unlock()
	s := e.removals().clone()
	edit(s)
	now := r.now()
	maps.DeleteFunc(s.Versions, func(_ string, m removal) bool { return !m.Until.IsZero() && !now.Before(m.Until) })
	s.index()
	if len(manifests) > 0 {
		r.keepManifests(ctx, name, manifests)
	}
	e.remember(s)
	owner, text := r.Owner(name), s.encode()
	err := r.cfg.Notes.Put(ctx, owner, noteRemovals, text)
	if err == nil && len(s.Versions) == 0 {
		err = r.cfg.Notes.Put(ctx, owner, noteManifests, nil)
	}
	if err != nil {
		r.log.Warn("removed versions will be forgotten at the next start: they cannot be stored", "package", name, "error", err)
	}
}

// keepManifests adds to the manifests that are kept of removed versions, within
// their bounds: what does not fit cannot be pinned any more.
func (r *Registry) keepManifests(ctx context.Context, name string, manifests map[string][]byte) {
	kept := r.keptManifests(ctx, name)
	if kept == nil {
		kept = make(map[string]json.RawMessage)
	}
	size := 0
	for _, m := range kept {
		size += len(m)
	}
	for version, m := range manifests {
		if len(m) <= maxManifest && size+len(m) <= maxManifests {
			kept[version] = m
			size += len(m)
		}
	}
	text, err := json.Marshal(kept)
	if err == nil {
		err = r.cfg.Notes.Put(ctx, r.Owner(name), noteManifests, text)
	}
	if err != nil {
		r.log.Warn("the manifests of removed versions cannot be stored: pins will not list them", "package", name, "error", err)
	}
}

// keptManifests returns the manifests of removed versions.
func (r *Registry) keptManifests(ctx context.Context, name string) map[string]json.RawMessage {
	return parseManifests(r.cfg.Notes.Get(ctx, r.Owner(name), noteManifests), name)
}

// parseManifests returns those of the stored manifests that can be served.
func parseManifests(text []byte, name string) map[string]json.RawMessage {
	var kept map[string]json.RawMessage
	if text == nil || !npm.ValidJSON(text) || json.Unmarshal(text, &kept) != nil {
		return nil
	}
	maps.DeleteFunc(kept, func(version string, m json.RawMessage) bool {
		dist, err := npm.ManifestDist(m, name)
		return err != nil || dist.Version != version
	})
	return kept
}
