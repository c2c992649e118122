package npm

// times copies the "time" at c and adds the versions that it lacks.
func (r *renderer) times(c *cursor) {
	start := c.pos
	if c.peek() == 'n' { // null
		c.value()
		if r.canFill() {
			r.keep(start)
			r.newTimes()
			r.drop(c.pos)
		}
		return
	}
	if !c.enter() {
		return
	}
	end, members := c.pos, 0
	timed := make([]bool, len(r.versions))
	for c.next() {
		if i, ok := r.versions.index(c.key); ok {
			timed[i] = true
		}
		c.value()
		end = c.pos
		members++
	}
	if r.outline.modified == nil {
		return
	}
	r.keep(end)
	for i, version := range r.versions {
		if timed[i] || !needsNoEscape(version) {
			continue
		}
		if members > 0 {
			r.text(",")
		}
		r.modifiedAt(version)
		members++
	}
}

// addTimes adds a "time" to a document that has none, after its last member,
// which ends at end.
func (r *renderer) addTimes(end int) {
	if !r.canFill() {
		return
	}
	r.keep(end)
	r.text(`,"time":`)
	r.newTimes()
}

// canFill reports whether a whole "time" can be made: there is a version, so
// that it is needed, and the document says when it was modified.
func (r *renderer) canFill() bool {
	return len(r.versions) > 0 && r.outline.modified != nil
}

func (r *renderer) newTimes() {
	r.text("{")
	r.modifiedAt([]byte("modified"))
	for _, version := range r.versions {
		if needsNoEscape(version) {
			r.text(",")
			r.modifiedAt(version)
		}
	}
	r.text("}")
}

// modifiedAt writes a member of "time" whose value is the document's modified.
// A key that JSON would have to escape is no version, and the callers leave it
// out.
func (r *renderer) modifiedAt(key []byte) {
	r.text(`"`)
	r.w.Write(key)
	r.text(`":`)
	r.w.Write(r.outline.modified)
}
