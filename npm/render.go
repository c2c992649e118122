package npm

import (
	"fmt"
	"io"
)

// RendererVersion is part of every finished document's key: raise it when
// Render's output changes for the same input.
const RendererVersion = 2

// Target says for whom a document is rendered.
type Target struct {
	Name string
	Base string // public base URL, no trailing slash, no character that JSON would escape
	Form Form   // of the output

	// Hide, where it is set, says which versions are left out of all that is
	// made of a document. For one version it always says the same.
	Hide func(version string) bool
	// Restored are manifests, in the full form, that have passed ManifestDist:
	// of versions that the document lacks, or that Hide hides, and that are
	// listed all the same, after the others. One that the document shows itself
	// is passed over.
	Restored [][]byte
}

// Render writes doc as a client of t.Base must see it. doc is a packument that
// has passed Inspect, in the full form or in the abbreviated one (from tells
// which), which may stand in for a full one that is not to be had. It is read
// twice, once for its outline and once while it is written, and never copied:
//
//   - dist.tarball becomes the conventional URL below t.Base, whatever
//     upstream's was; dist.attestations.url keeps its last part below t.Base;
//   - a full document made abbreviated keeps the fields of an install (with
//     libc and, at the top, time) and gets hasInstallScript;
//   - versions that t.Hide names are left out, those of t.Restored come after
//     the others, in the output's form; "time" keeps what it has;
//   - dist-tags that name no version are repaired: latest goes to the highest
//     stable version at or below the old one, else the highest stable one,
//     else the highest pre-release; other dangling tags are dropped. A
//     document without dist-tags, or without latest, stays without;
//   - unless both forms are the abbreviated one, a version that "time" lacks
//     gets the document's modified (yarn 4 refuses versions without a time).
//     Where "time" itself is lacking or null, the full form gets one. Where
//     modified is not known, nothing is made up;
//   - all else, order and unknown fields included, stays byte for byte. Only
//     the abbreviated form made here has an order and a spacing of its own.
//
// Errors are w's; a document that has not passed Inspect may also be one.
func Render(w io.Writer, doc []byte, from Form, t Target) error {
	o, err := outlineOf(doc)
	if err != nil {
		return fmt.Errorf("npm.Render %s: %w", t.Name, err)
	}
	r := &renderer{splicer: newSplicer(w, doc), outline: o, target: t, urls: newURLs(t)}
	r.versions, r.restored = t.visible(o.keys)
	if from == Full && t.Form == Abbreviated {
		r.abbreviate(t.Name)
	} else {
		r.splice(t.Form == Full)
	}
	return r.flush()
}

// renderer holds what the parts of one Render share.
type renderer struct {
	*splicer
	target   Target
	urls     urls
	outline  outline
	versions versionSet // that are shown, restored ones included
	restored []restored
}

// splice copies the document and changes what must be changed; fillTimes says
// whether "time" may be added to.
func (r *renderer) splice(fillTimes bool) {
	c := cursor{doc: r.doc}
	c.enter()
	end := c.pos // of the last member so far
	for c.next() {
		switch string(c.key) {
		case "dist-tags":
			r.distTags(&c)
		case "versions":
			r.manifests(&c, c.pos == r.outline.versions)
		case "time":
			if fillTimes {
				r.times(&c)
			} else {
				c.value()
			}
		default:
			c.value()
		}
		end = c.pos
	}
	if r.outline.versions == 0 && len(r.restored) > 0 {
		r.keep(end)
		r.text(`,"versions":{`)
		r.restore(false)
		r.text("}")
	}
	if fillTimes && r.outline.time == 0 {
		r.addTimes(end)
	}
}

// distTags copies the "dist-tags" at c, repaired.
func (r *renderer) distTags(c *cursor) {
	start := c.pos
	tags := c.value()
	if repaired := r.versions.repair(tags); repaired != nil {
		r.keep(start)
		r.w.Write(repaired)
		r.drop(c.pos)
	}
}
