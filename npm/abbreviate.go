package npm

// abbreviate writes the abbreviated form of a full document. The top has an
// order of its own; inside a version the order is the document's.
func (r *renderer) abbreviate(name string) {
	o := r.outline
	// CheckName lets no character pass that JSON would escape. The name is
	// ours and not the document's, which may have only "_id".
	r.text(`{"name":"` + name + `"`)
	if o.modified != nil {
		r.text(`,"modified":`)
		r.w.Write(o.modified)
	}
	if tags := o.repairedTags(r.doc, r.versions); tags != nil {
		r.text(`,"dist-tags":`)
		r.w.Write(tags)
	}
	if o.versions != 0 {
		r.text(`,"versions":`)
		r.drop(o.versions)
		r.abbreviateVersions(&cursor{doc: r.doc, pos: o.versions})
	} else if len(r.restored) > 0 {
		r.text(`,"versions":{`)
		r.restore(false)
		r.text("}")
	}
	if o.time != 0 {
		r.text(`,"time":`)
		r.drop(o.time)
		c := cursor{doc: r.doc, pos: o.time}
		r.times(&c)
		r.keep(c.pos)
	}
	r.text("}")
	r.drop(len(r.doc))
}

// abbreviateVersions writes the "versions" at c.
func (r *renderer) abbreviateVersions(c *cursor) {
	listed := c.enter()
	if !listed && len(r.restored) == 0 { // null
		r.keep(c.pos)
		return
	}
	r.text("{")
	separator := ""
	for listed && c.next() {
		if r.target.hides(c.key) {
			c.value()
			continue
		}
		r.text(separator)
		separator = ","
		r.drop(c.keyPos)
		r.keep(c.pos)
		r.abbreviateManifest(c, c.key)
	}
	r.restore(separator != "")
	r.text("}")
	r.drop(c.pos)
}

// abbreviateManifest writes the manifest of version that is at c with only what
// an installer reads.
func (r *renderer) abbreviateManifest(c *cursor, version []byte) {
	var (
		bundled       []byte // the value under the alias of bundleDependencies
		hasBundle     bool   // there is one under its proper name
		installScript bool
		separator     string
	)
	r.text("{")
	c.enter()
	for c.next() {
		r.drop(c.keyPos)
		keep := false
		switch string(c.key) {
		case "dist":
			r.text(separator)
			separator = ","
			r.dist(c, r.urls, version)
			r.keep(c.pos)
		case "deprecated":
			keep = isTruthy(c.value())
		case "hasInstallScript":
			if string(c.value()) == "true" {
				installScript = true
			}
		case "scripts":
			if runsOnInstall(c) {
				installScript = true
			}
		case "bundledDependencies":
			bundled = c.value()
		case "bundleDependencies":
			c.value()
			keep, hasBundle = true, true
		case "name", "version", "dependencies", "acceptDependencies", "optionalDependencies", "devDependencies",
			"peerDependencies", "peerDependenciesMeta", "bin", "directories", "engines", "_hasShrinkwrap",
			"funding", "cpu", "os", "libc":
			c.value()
			keep = true
		default:
			c.value()
		}
		if keep {
			r.text(separator)
			separator = ","
			r.keep(c.pos)
		}
	}
	if bundled != nil && !hasBundle {
		r.text(separator)
		separator = ","
		r.text(`"bundleDependencies":`)
		r.w.Write(bundled)
	}
	if installScript {
		r.text(separator)
		r.text(`"hasInstallScript":true`)
	}
	r.text("}")
	r.drop(c.pos)
}

// runsOnInstall steps over the "scripts" at c and reports whether an installer
// must run one of them.
func runsOnInstall(c *cursor) bool {
	if !c.enter() {
		return false
	}
	runs := false
	for c.next() {
		switch string(c.key) {
		case "preinstall", "install", "postinstall":
			runs = isTruthy(c.value()) || runs
		default:
			c.value()
		}
	}
	return runs
}

// isTruthy reports whether raw counts as given: packages have been undeprecated
// with "", false and null, and clients that see the field warn.
func isTruthy(raw []byte) bool {
	switch string(raw) {
	case `""`, "false", "null":
		return false
	}
	return true
}
