package npm

import (
	"bufio"
	"io"
	"strings"
)

// spliceBuffer is how many bytes a splicer gathers before it writes, so that
// the pieces between two URLs do not each become a Write of a gzip writer.
const spliceBuffer = 32 << 10

// splicer copies a document to a writer, piece by piece and in order, with
// other text in place of some of it. An error of the writer shows in flush.
type splicer struct {
	w    *bufio.Writer
	doc  []byte
	done int // doc[:done] is either written or dropped
}

func newSplicer(w io.Writer, doc []byte) *splicer {
	// The output is a little longer than the document: there are more URLs
	// that grow than that shrink.
	return &splicer{w: bufio.NewWriterSize(w, min(spliceBuffer, len(doc)+len(doc)/4)), doc: doc}
}

// keep copies the document from where the last call left it up to pos.
func (s *splicer) keep(pos int) {
	s.w.Write(s.doc[s.done:pos])
	s.done = pos
}

// drop leaves out the document up to pos.
func (s *splicer) drop(pos int) { s.done = pos }

// text writes what is not in the document.
func (s *splicer) text(t string) { s.w.WriteString(t) }

// flush copies the rest of the document.
func (s *splicer) flush() error {
	s.keep(len(s.doc))
	return s.w.Flush()
}

// urls are the addresses that a rendered manifest has in place of upstream's,
// each a JSON string without its end, to which the version is added.
type urls struct {
	tarball      string
	attestations string
}

func newURLs(t Target) urls {
	return urls{
		tarball:      `"` + t.Base + "/" + strings.TrimSuffix(TarballPath(t.Name, ""), ".tgz"),
		attestations: `"` + t.Base + "/-/npm/v1/attestations/" + EscapeName(t.Name) + "@",
	}
}

// manifest copies the manifest of version that is at c, with the URLs of u.
func (s *splicer) manifest(c *cursor, u urls, version []byte) {
	if !c.enter() {
		return
	}
	for c.next() {
		if string(c.key) == "dist" {
			s.dist(c, u, version)
		} else {
			c.value()
		}
	}
}

// dist copies the "dist" of version that is at c, with the URLs of u. What is
// not of the expected type stays as it is: clients of its time coped with it.
func (s *splicer) dist(c *cursor, u urls, version []byte) {
	if !c.enter() {
		return
	}
	for c.next() {
		switch string(c.key) {
		case "tarball":
			s.url(c, u.tarball, version, `.tgz"`)
		case "attestations":
			s.attestations(c, u, version)
		default:
			c.value()
		}
	}
}

func (s *splicer) attestations(c *cursor, u urls, version []byte) {
	if !c.enter() {
		return
	}
	for c.next() {
		if string(c.key) == "url" {
			s.url(c, u.attestations, version, `"`)
		} else {
			c.value()
		}
	}
}

// url replaces the string at c by prefix, version and suffix.
func (s *splicer) url(c *cursor, prefix string, version []byte, suffix string) {
	start := c.pos
	if !isString(c.value()) {
		return
	}
	s.keep(start)
	s.text(prefix)
	s.escaped(version)
	s.text(suffix)
	s.drop(c.pos)
}

// escaped writes version as encodeURIComponent would, with "%2B" for the '+' of
// build metadata. The public registry leaves that one raw, but yarn 4 compares
// the URL with one that it makes itself, and keeps any other in its lockfile as
// __archiveUrl (plugin-npm, NpmSemverFetcher.ts: isConventionalTarballUrl). The
// other clients take either, but pnpm 12 then insists on the one that stands in
// its lockfile (ERR_PNPM_TARBALL_URL_MISMATCH): this must not change again.
func (s *splicer) escaped(version []byte) {
	const hex = "0123456789ABCDEF"
	for _, b := range version {
		if isURLSafeByte(b) {
			s.w.WriteByte(b)
		} else {
			s.w.Write([]byte{'%', hex[b>>4], hex[b&15]})
		}
	}
}
