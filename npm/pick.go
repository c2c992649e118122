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
	version, ok := pick(doc, o, selector)
	if !ok {
		return nil, &Error{Kind: NotFound, Op: "npm.RenderVersion", Name: t.Name, Msg: "version not found: " + selector}
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

// pick returns the version that selector means.
func pick(doc []byte, o outline, selector string) (version string, ok bool) {
	versions := newVersionSet(o.keys)
	if _, ok := versions.index([]byte(selector)); ok {
		return selector, true
	}
	tags := o.repairedTags(doc, versions)
	if tagged := memberOf(tags, selector); tagged != nil {
		return string(unquote(tagged)), true
	}
	r, err := ParseRange(selector)
	if err != nil || o.versions == 0 {
		return "", false
	}
	latest := string(unquote(memberOf(tags, "latest")))
	return pickInRange(cursor{doc: doc, pos: o.versions}, latest, func(v Version, name string) bool {
		// "*" alone takes latest even where that is a pre-release.
		return r.Contains(v) || selector == "*" && name == latest
	})
}

// pickInRange returns the best of the "versions" at c that are in a range:
// latest, else the highest that is not deprecated, else the highest.
func pickInRange(c cursor, latest string, contains func(v Version, name string) bool) (best string, ok bool) {
	const deprecated, usable, preferred = 1, 2, 3
	var highest Version
	rank := 0
	if !c.enter() {
		return "", false
	}
	for c.next() {
		name := string(c.key)
		manifest := c.value()
		v, err := ParseVersion(name)
		if err != nil || !contains(v, name) {
			continue
		}
		r := usable
		if reason := memberOf(manifest, "deprecated"); reason != nil && isTruthy(reason) {
			r = deprecated
		} else if name == latest {
			r = preferred
		}
		if r > rank || r == rank && v.Compare(highest) > 0 {
			best, highest, rank = name, v, r
		}
	}
	return best, rank > 0
}
