package npm

// Presence says where a document names a version.
type Presence struct {
	Listed bool // in "versions"
	Timed  bool // in "time", where a registry keeps the versions that it removed
}

// Find tells where doc, which has passed Inspect, names each of versions.
func Find(doc []byte, versions []string) []Presence {
	found := make([]Presence, len(versions))
	index := make(map[string]int, len(versions))
	for i, v := range versions {
		index[v] = i
	}
	c := cursor{doc: doc}
	if !c.enter() {
		return found
	}
	for c.next() {
		switch string(c.key) {
		case "versions":
			c.mark(index, func(i int, is bool) { found[i].Listed = is })
		case "time":
			c.mark(index, func(i int, is bool) { found[i].Timed = is })
		default:
			c.value()
		}
	}
	return found
}

// mark steps over the object at c and calls set for everything in index: with
// true for its members, false for the rest. Of objects that occur twice the
// last one counts.
func (c *cursor) mark(index map[string]int, set func(i int, is bool)) {
	for _, i := range index {
		set(i, false)
	}
	if !c.enter() {
		return
	}
	for c.next() {
		if i, ok := index[string(c.key)]; ok {
			set(i, true)
		}
		c.value()
	}
}

// Manifests returns copies of the raw manifests of those among versions that doc,
// which has passed Inspect, lists.
func Manifests(doc []byte, versions []string) map[string][]byte {
	wanted := make(map[string]bool, len(versions))
	for _, v := range versions {
		wanted[v] = true
	}
	found := make(map[string][]byte)
	c := cursor{doc: memberOf(doc, "versions")}
	if !c.enter() {
		return found
	}
	for c.next() {
		version, manifest := string(c.key), c.value()
		if wanted[version] {
			found[version] = append([]byte(nil), manifest...)
		}
	}
	return found
}

// File returns the name of the tarball that the raw manifest of a version
// names, "" where it names none.
func File(manifest []byte) string { return lastSegment(distOf(manifest).Tarball) }
