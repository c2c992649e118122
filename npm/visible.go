package npm

import "slices"

// VersionNames returns the names of the versions of doc, which has passed
// Inspect, in its order. They are parts of doc.
func VersionNames(doc []byte) [][]byte {
	o, err := outlineOf(doc)
	if err != nil {
		return nil
	}
	return o.keys
}

// PlatformVersions returns the names of the versions of doc, which has passed
// Inspect, that are for some platforms only: their manifest has an "os", "cpu"
// or "libc" with something in it. A client that is on another platform skips
// such an optional dependency and never asks for its tarball.
func PlatformVersions(doc []byte) [][]byte {
	o, err := outlineOf(doc)
	if err != nil || o.versions == 0 {
		return nil
	}
	var names [][]byte
	c := cursor{doc: doc, pos: o.versions}
	if !c.enter() {
		return nil
	}
	for c.next() {
		name := c.key
		if isForPlatform(&c) {
			names = append(names, name)
		}
	}
	return names
}

// isForPlatform steps over the manifest at c.
func isForPlatform(c *cursor) bool {
	if !c.enter() {
		return false
	}
	is := false
	for c.next() {
		switch string(c.key) {
		case "os", "cpu", "libc":
			is = listsAny(c.value()) || is
		default:
			c.value()
		}
	}
	return is
}

// listsAny reports whether raw, a list of platforms or a single one, has any.
func listsAny(raw []byte) bool {
	switch {
	case isString(raw):
		return len(raw) > len(`""`)
	case len(raw) == 0 || raw[0] != '[':
		return false
	}
	c := cursor{doc: raw, pos: 1}
	c.space()
	return c.peek() != ']'
}

// hides reports whether a version of the document is left out.
func (t Target) hides(version []byte) bool {
	return t.Hide != nil && t.Hide(string(version))
}

// restored is a version that is listed although the document does not show it.
type restored struct{ version, manifest []byte }

// visible returns the names of all versions that are shown of a document whose
// versions are called names, which it takes over, and those among them that t
// restores.
func (t Target) visible(names [][]byte) (versionSet, []restored) {
	if t.Hide != nil {
		names = slices.DeleteFunc(names, t.hides)
	}
	set := newVersionSet(names)
	var added []restored
	for _, manifest := range t.Restored {
		version := unquote(memberOf(manifest, "version"))
		i, shown := set.index(version)
		if shown || len(version) == 0 {
			continue
		}
		set = slices.Insert(set, i, version)
		added = append(added, restored{version, manifest})
	}
	return set, added
}

// manifests copies the "versions" at c without what is hidden. last says that
// it is the one that counts, where the restored versions belong.
//
// A hidden member goes with the comma before it, and in front of the first one
// that is kept with the comma after it.
func (r *renderer) manifests(c *cursor, last bool) {
	if last && r.target.Hide == nil && len(r.restored) == 0 {
		r.allManifests(c)
		return
	}
	start := c.pos
	if !c.enter() { // null
		if last && len(r.restored) > 0 {
			r.keep(start)
			r.text("{")
			r.restore(false)
			r.text("}")
			r.drop(c.pos)
		}
		return
	}
	end := c.pos  // of what is kept so far
	gap := 0      // end of the hidden members after it; 0: there are none
	kept := false // a member
	for c.next() {
		if r.target.hides(c.key) {
			if !kept && gap == 0 {
				end = c.keyPos
			}
			c.value()
			gap = c.pos
			continue
		}
		if gap > 0 {
			if !kept {
				gap = c.keyPos
			}
			r.keep(end)
			r.drop(gap)
			gap = 0
		}
		r.manifest(c, r.urls, c.key)
		end, kept = c.pos, true
	}
	if gap > 0 || last && len(r.restored) > 0 {
		r.keep(end)
		if last {
			r.restore(kept)
		}
		r.drop(max(end, gap))
	}
}

// allManifests is manifests where every version is shown: the outline knows where
// their URLs are, and all between them need not be read again.
func (r *renderer) allManifests(c *cursor) {
	for _, d := range r.outline.dists {
		version := d.visit(c)
		r.dist(c, r.urls, version)
	}
	c.pos = r.outline.versionsEnd
}

// restore writes the restored versions; more says that others come before them.
func (r *renderer) restore(more bool) {
	for _, v := range r.restored {
		if more {
			r.text(",")
		}
		more = true
		r.w.Write(Quote(string(v.version)))
		r.text(":")
		part := &renderer{splicer: &splicer{w: r.w, doc: v.manifest}, urls: r.urls}
		c := &cursor{doc: v.manifest}
		c.space()
		part.drop(c.pos)
		if r.target.Form == Abbreviated {
			part.abbreviateManifest(c, v.version)
		} else {
			part.manifest(c, r.urls, v.version)
			part.keep(c.pos)
		}
	}
}
