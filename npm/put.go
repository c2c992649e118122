package npm

import (
	"bufio"
	"io"
	"strings"
)

// PutLimits bounds what ReadPut takes, in bytes.
type PutLimits struct {
	Tarball  int64 // of the tarball itself, decoded
	Document int64 // of everything else in the body
	// Reserve is asked before more of the document is held in memory, and its
	// error ends the reading. It may be nil.
	Reserve func(bytes int64) error
}

// reserveStep is how much of a document Reserve is asked for at once, in bytes:
// about what an ordinary publish has, beside its tarball.
const reserveStep = 64 << 10

// Put is the body of PUT /NAME and PUT /NAME/-rev/REV.
type Put struct {
	Doc         Object       // without "_attachments"
	Attachments []Attachment // in the body's order
}

// Attachment is one member of a body's "_attachments".
type Attachment struct {
	Name        string // its key as sent: may have a scope and a slash; never to be trusted
	ContentType string
	Length      int64  // as declared, -1 where it is not
	Size        int64  // of a tarball: bytes after base64; else len(Data)
	Data        []byte // of what is no tarball: the text of "data", unescaped (a .sigstore bundle is raw JSON text, not base64)
}

// IsTarball reports whether the attachment is a tarball. The ending of its name
// is what tells: clients differ in everything else.
func (a Attachment) IsTarball() bool { return strings.HasSuffix(a.Name, ".tgz") }

// ReadPut reads a body of any order of keys in one pass, without holding the
// tarball: tarball is called once, when the data of the attachment whose name
// ends in ".tgz" begins, and the writer that it returns gets the decoded bytes
// in blocks. What it got is of use only if ReadPut returns no error.
//
// Kinds of error: Invalid for what is not JSON, bad base64, a second tarball;
// TooLarge, and the sentence says which limit. An error of r, of Reserve, of
// tarball or of its writer is wrapped and keeps what kind it has: a connection that broke
// off is not the client's bad JSON.
func ReadPut(r io.Reader, limits PutLimits, tarball func() (io.Writer, error)) (*Put, error) {
	s := putScanner{r: bufio.NewReaderSize(r, putWindow), limits: limits, tarball: tarball}
	return s.body()
}

// PutKind is what a PUT of a package document means to do.
type PutKind uint8

// The kinds of PUT.
const (
	PutUnknown   PutKind = iota
	PutPublish           // a new version, with its tarball
	PutDeprecate         // the whole document, for the "deprecated" of its versions
	PutVersions          // the versions that are to stay: unpublish, step 3
	PutOwners            // new maintainers
	PutStar              // users
)

// Kind tells what p means to do. hasRev says whether the path had a /-rev/. The
// header npm-command would be simpler to ask, but yarn, pnpm and bun do not
// send it. Of the kinds that match, the first in this function's order wins.
func (p *Put) Kind(hasRev bool) PutKind {
	versions := p.has("versions")
	tarball := false
	for _, a := range p.Attachments {
		tarball = tarball || a.IsTarball()
	}
	switch {
	case hasRev && p.has("maintainers") && !versions:
		return PutOwners
	case hasRev && versions && !tarball:
		return PutVersions
	case !hasRev && p.has("users") && !versions && len(p.Attachments) == 0:
		return PutStar
	case tarball:
		return PutPublish
	case versions:
		return PutDeprecate
	}
	return PutUnknown
}

// has reports whether the document has a member that is not null.
func (p *Put) has(key string) bool {
	raw, ok := p.Doc.Get(key)
	return ok && string(raw) != "null"
}
