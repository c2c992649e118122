package hosted

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"

	"larder/cache"
	"larder/npm"
)

const (
	// format is the version of document that this program reads and writes.
	format = 1
	// maxDocument bounds a document, in bytes: as the packument that it becomes
	// it must fit into the body of an npm deprecate or unpublish, too.
	maxDocument = 64 << 20
)

// document is all that is known of one package: one object of the store, in
// JSON. A document in use is never changed; an edit works on a clone.
type document struct {
	Format      int               `json:"format"`
	Name        string            `json:"name"`
	Changes     uint64            `json:"changes"` // so far: the N of "_rev"
	Created     stamp             `json:"created"`
	Modified    stamp             `json:"modified"`
	Unpublished stamp             `json:"unpublished,omitzero"` // when the last version went; zero while there is one
	Access      string            `json:"access,omitempty"`
	Tags        map[string]string `json:"tags"`
	Maintainers []Actor           `json:"maintainers"`
	Stars       []string          `json:"stars,omitempty"` // users, sorted
	Readme      readme            `json:"readme,omitzero"`
	Versions    []*version        `json:"versions"`             // as published, oldest first; what they point to is never changed
	Tombstones  []tombstone       `json:"tombstones,omitempty"` // of versions that are gone, in the order in which they went
}

// readme is the README of the version that was last published as latest.
type readme struct {
	Version  string `json:"version"`
	Filename string `json:"filename,omitempty"`
	Text     string `json:"text"`
}

// version is one published version.
type version struct {
	Version   string `json:"version"`
	Published stamp  `json:"published"`
	Publisher Actor  `json:"publisher"`
	// PutTags are the tags that the publish asked for, sorted. They tell a
	// repeated publish from another one.
	PutTags    []string `json:"putTags"`
	Deprecated string   `json:"deprecated,omitempty"`
	Tarball    tarball  `json:"tarball"`
	// Manifest is the version as it stands in the packument, but for
	// "deprecated". The URLs in it are placeholders.
	Manifest   json.RawMessage `json:"manifest"`
	Provenance json.RawMessage `json:"provenance,omitempty"` // a sigstore bundle
}

// tarball is a version's blob.
type tarball struct {
	Key    string `json:"key"`    // in the store
	Size   int64  `json:"size"`   // bytes
	SHA512 string `json:"sha512"` // hexadecimal, as SHA1
	SHA1   string `json:"sha1"`
}

// tombstone is what stays of a version: its number is never used again.
type tombstone struct {
	Version     string `json:"version"`
	Published   stamp  `json:"published"`
	Unpublished stamp  `json:"unpublished"`
	Key         string `json:"key"` // of the blob that it had
}

// owner is the directory of the store that a package has to itself.
func owner(name string) string { return cache.OwnerKey("hosted", name) }

// documentFile is the same for all packages, so that a walk finds documents
// without opening blobs.
const documentFile = "/package.json"

func documentKey(name string) string { return owner(name) + documentFile }

// The JSON of a document is followed by a line with its checksum. One without
// the line, which a person may have edited, is taken as it is.
const (
	checksumWord = "larder "
	checksumLine = "\n" + checksumWord + "00000000\n"
)

func checksum(text []byte) string {
	sum := crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli))
	return fmt.Sprintf("%s%08x\n", checksumWord, sum)
}

// checkedText returns the JSON of a stored document.
func checkedText(data []byte) ([]byte, error) {
	end := len(data) - len(checksumLine) + 1
	if end < 1 || data[end-1] != '\n' || !bytes.HasPrefix(data[end:], []byte(checksumWord)) {
		return data, nil
	}
	text, line := data[:end], data[end:]
	if string(line) != checksum(text) {
		return nil, damaged("its checksum is another one")
	}
	return text, nil
}

// encode writes d as it is stored.
func (d *document) encode() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // manifests stay as they were published
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("encode document: %w", err)
	}
	out.WriteString(checksum(out.Bytes()))
	return out.Bytes(), nil
}

// decodeDocument is the inverse of encode. Members that this format does not
// have are refused: a newer release wrote them, and the next edit would lose them.
func decodeDocument(data []byte) (*document, error) {
	data, err := checkedText(data)
	if err != nil {
		return nil, err
	}
	var d document
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err = dec.Decode(&d)
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = errors.New("something follows it")
		}
	}
	if err != nil || d.Format != format {
		return nil, formatFault(data, err)
	}
	if d.Tags == nil {
		d.Tags = make(map[string]string)
	}
	return &d, d.check()
}

// check finds what the rest of this package could not cope with. Of a document
// that encode wrote all of it holds.
func (d *document) check() error {
	for _, v := range d.Versions {
		if v == nil || npm.CheckNewVersion(v.Version) != nil {
			return damaged("it has a version without a number")
		}
		if len(v.Manifest) == 0 || v.Manifest[0] != '{' {
			return damaged("its version %s has no manifest", v.Version)
		}
		if !strings.HasPrefix(v.Tarball.Key, owner(d.Name)+"/tgz-") {
			return damaged("its version %s has the tarball of another package", v.Version)
		}
	}
	return nil
}

// formatFault finds out why data could not be decoded: a newer format explains
// every err.
func formatFault(data []byte, err error) error {
	var head struct {
		Format int `json:"format"`
	}
	if json.Unmarshal(data, &head) == nil && head.Format != format {
		return damaged("it is of format %d, this release of Larder knows %d", head.Format, format)
	}
	return &npm.Error{Kind: npm.Unavailable, Msg: "it is damaged, or was written by a newer release of Larder", Err: err}
}

// readDocument reads a document from o, to its end. Its error is an npm.Error
// where the bytes could be read and are of no use.
func readDocument(o *cache.Object) (d *document, data []byte, err error) {
	if o.Size > maxDocument {
		return nil, nil, damaged("it has %d bytes, which are too many", o.Size)
	}
	data = make([]byte, o.Size)
	if _, err := io.ReadFull(o, data); err != nil {
		return nil, nil, err
	}
	if d, err = decodeDocument(data); err != nil {
		return nil, nil, err
	}
	if o.Key != documentKey(d.Name) {
		return nil, nil, damaged("it is of %.80q and lies in the wrong place", d.Name)
	}
	return d, data, nil
}

// clone returns a copy of which everything may be changed, except what
// Versions point to.
func (d *document) clone() *document {
	c := *d
	c.Tags = maps.Clone(d.Tags)
	c.Maintainers = slices.Clone(d.Maintainers)
	c.Stars = slices.Clone(d.Stars)
	c.Versions = slices.Clone(d.Versions)
	c.Tombstones = slices.Clone(d.Tombstones)
	return &c
}

// version returns the version that is called v exactly, or nil.
func (d *document) version(v string) *version {
	if i := d.index(v); i >= 0 {
		return d.Versions[i]
	}
	return nil
}

func (d *document) index(v string) int {
	return slices.IndexFunc(d.Versions, func(o *version) bool { return o.Version == v })
}

// latest returns the version that the tag latest names, or nil.
func (d *document) latest() *version { return d.version(d.Tags["latest"]) }

// used reports whether a version number stands or stood for something. Build
// metadata does not make another version: no range can tell 1.0.0+a from 1.0.0+b.
func (d *document) used(v string) bool {
	v = withoutBuild(v)
	return slices.ContainsFunc(d.Versions, func(o *version) bool { return withoutBuild(o.Version) == v }) ||
		slices.ContainsFunc(d.Tombstones, func(t tombstone) bool { return withoutBuild(t.Version) == v })
}

func withoutBuild(version string) string {
	version, _, _ = strings.Cut(version, "+")
	return version
}
