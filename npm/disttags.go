package npm

import (
	"bytes"
	"fmt"
	"slices"
)

// RenderDistTags returns the "dist-tags" of doc, repaired as Render repairs
// them for t; "{}" where it has none. doc has passed Inspect.
func RenderDistTags(doc []byte, t Target) ([]byte, error) {
	o, err := outlineOf(doc)
	if err != nil {
		return nil, fmt.Errorf("npm.RenderDistTags: %w", err)
	}
	versions, _ := t.visible(o.keys)
	if tags := o.repairedTags(doc, versions); isObject(tags) {
		return tags, nil
	}
	return []byte("{}"), nil
}

// repairedTags returns the raw value of "dist-tags" after repair, nil where it
// is lacking.
func (o outline) repairedTags(doc []byte, versions versionSet) []byte {
	if o.distTags == 0 {
		return nil
	}
	c := cursor{doc: doc, pos: o.distTags}
	tags := c.value()
	if repaired := versions.repair(tags); repaired != nil {
		return repaired
	}
	return tags
}

// versionSet is the names of a document's versions, sorted as bytes, each
// once: three words a version, where a map would copy every name.
type versionSet [][]byte

// newVersionSet takes over names.
func newVersionSet(names [][]byte) versionSet {
	slices.SortFunc(names, bytes.Compare)
	return slices.CompactFunc(names, bytes.Equal)
}

func (s versionSet) index(name []byte) (int, bool) {
	return slices.BinarySearchFunc(s, name, bytes.Compare)
}

// has reports whether raw is a JSON string that names a version.
func (s versionSet) has(raw []byte) bool {
	_, ok := s.index(unquote(raw))
	return ok && isString(raw)
}

// repair returns raw, the value of "dist-tags", without tags that name no
// version and with a latest that does. It returns nil where nothing is wrong,
// so that what is right keeps its bytes; deno and yarn 1 refuse a package for
// one dangling tag, even if they were asked for another version.
func (s versionSet) repair(raw []byte) []byte {
	c := cursor{doc: raw}
	if !c.enter() {
		return nil
	}
	dangling := false
	out := []byte{'{'}
	for c.next() {
		tag, keyPos := c.key, c.keyPos
		version := c.value()
		switch {
		case s.has(version):
			out = append(separated(out), raw[keyPos:c.pos]...)
		case string(tag) == "latest":
			dangling = true
			if latest := s.latest(string(unquote(version))); latest != nil {
				out = append(separated(out), `"latest":"`...)
				out = append(append(out, latest...), '"')
			}
		default:
			dangling = true
		}
	}
	if !dangling {
		return nil
	}
	return append(out, '}')
}

// separated adds a comma to an object's beginning unless it has no members yet.
func separated(object []byte) []byte {
	if len(object) == 1 {
		return object
	}
	return append(object, ',')
}

// latest returns what the tag latest should name where old is gone: the highest
// stable version not above old, else the highest stable one, else the highest
// pre-release, else nil. An old tag that was no version has nothing below it.
func (s versionSet) latest(old string) []byte {
	const prerelease, stable, below = 1, 2, 3
	ceiling, err := ParseVersion(old)
	hasCeiling := err == nil

	var name []byte
	var highest Version
	rank := 0
	for _, n := range s {
		v, err := ParseVersion(string(n))
		if err != nil || !needsNoEscape(n) {
			continue
		}
		r := stable
		switch {
		case len(v.Pre) > 0:
			r = prerelease
		case hasCeiling && v.Compare(ceiling) <= 0:
			r = below
		}
		if r > rank || r == rank && v.Compare(highest) > 0 {
			name, highest, rank = n, v, r
		}
	}
	return name
}
