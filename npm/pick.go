package npm

import (
	"bytes"
	"fmt"
)

// RenderVersion returns the manifest of one version out of a full document,
// with its URLs rewritten. selector is a version, else a dist-tag, else a range
// (the highest version in it that is not deprecated, preferring latest, as
// npm-pick-manifest does). NotFound: "version not found: SELECTOR". doc has
// passed Inspect.
func RenderVersion(doc []byte, selector string, t Target) ([]byte, error) {
	o, err := outlineOf(doc)
	if err != nil {
		return nil, fmt.Errorf("npm.RenderVersion %s: %w", t.Name, err)
	}
	version, restored, ok := pick(doc, o, selector, t)
	if !ok {
		return nil, &Error{Kind: NotFound, Op: "npm.RenderVersion", Name: t.Name, Msg: "version not found: " + selector}
	}
	for _, r := range restored {
		if string(r.version) == version {
			return renderManifest(r.manifest, version, t)
		}
	}
	return renderManifest(manifestOf(doc, version), version, t)
}

// RenderManifest rewrites the URLs of a single manifest that has passed
// ManifestDist.
func RenderManifest(manifest []byte, t Target) ([]byte, error) {
	return renderManifest(manifest, string(unquote(memberOf(manifest, "version"))), t)
}

func renderManifest(manifest []byte, version string, t Target) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(manifest) + len(manifest)/4)
	s := newSplicer(&out, manifest)
	s.manifest(&cursor{doc: manifest}, newURLs(t), []byte(version))
	if err := s.flush(); err != nil {
		return nil, fmt.Errorf("npm.RenderManifest %s: %w", t.Name, err)
	}
	return out.Bytes(), nil
}

// pick returns the version that selector means to t, and those that t restores.
func pick(doc []byte, o outline, selector string, t Target) (version string, restored []restored, ok bool) {
	versions, restored := t.visible(o.keys)
	if _, ok := versions.index([]byte(selector)); ok {
		return selector, restored, true
	}
	tags := o.repairedTags(doc, versions)
	if tagged := memberOf(tags, selector); tagged != nil {
		return string(unquote(tagged)), restored, true
	}
	r, err := ParseRange(selector)
	if err != nil {
		return "", nil, false
	}
	latest := string(unquote(memberOf(tags, "latest")))
	b := best{latest: latest, contains: func(v Version, name string) bool {
		// "*" alone takes latest even where that is a pre-release.
		return r.Contains(v) || selector == "*" && name == latest
	}}
	c := cursor{doc: doc, pos: o.versions}
	if o.versions != 0 && c.enter() {
		for c.next() {
			name := c.key
			if manifest := c.value(); !t.hides(name) {
				b.offer(string(name), manifest)
			}
		}
	}
	for _, v := range restored {
		b.offer(string(v.version), v.manifest)
	}
	return b.name, restored, b.rank > 0
}

// best is the best of the versions in a range that it was offered: latest,
// else the highest that is not deprecated, else the highest.
type best struct {
	latest   string
	contains func(v Version, name string) bool

	name    string
	version Version
	rank    int // 0: none yet
}

func (b *best) offer(name string, manifest []byte) {
	const deprecated, usable, preferred = 1, 2, 3
	v, err := ParseVersion(name)
	if err != nil || !b.contains(v, name) {
		return
	}
	rank := usable
	if reason := memberOf(manifest, "deprecated"); reason != nil && isTruthy(reason) {
		rank = deprecated
	} else if name == b.latest {
		rank = preferred
	}
	if rank > b.rank || rank == b.rank && v.Compare(b.version) > 0 {
		b.name, b.version, b.rank = name, v, rank
	}
}
