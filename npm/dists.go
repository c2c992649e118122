package npm

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
)

// Dists is what FindDist finds in a document, for when that is not at hand: of
// the versions whose tarball has a SHA-512 and an address of the usual kind,
// which are nearly all. It takes some 75 bytes a version, and is not changed
// once made.
type Dists struct {
	name string
	base string // of the addresses, the same for all
	// middle stands between base and a version: "@types/node/-/node-".
	middle []byte
	// records has of each dist: how long the version's name is (one byte), the
	// name, and the SHA-512, which is zero for a dist of another kind. Of two of
	// one version the last counts.
	records []byte
}

// Dists returns those of doc, of which s is the Summary and name the name. Of a
// document in which a version has no dist, or two, there are none: of a version
// that is there twice the last counts, and that may be the one without.
func (s Summary) Dists(doc []byte, name string) *Dists {
	if !s.outline.oneDistEach() {
		return &Dists{name: name}
	}
	const each = 1 + len("10.10.10-beta") + sha512.Size
	d := &Dists{name: name, middle: []byte(name + "/-/" + Basename(name) + "-"), records: make([]byte, 0, each*len(s.outline.dists))}
	c := cursor{doc: doc}
	for _, at := range s.outline.dists {
		version := at.visit(&c)
		d.add(version, &c)
	}
	d.records = bytes.Clone(d.records)
	return d
}

// oneDistEach reports whether every version has one dist.
func (o *outline) oneDistEach() bool {
	for i, d := range o.dists[min(1, len(o.dists)):] {
		if d.key == o.dists[i].key {
			return false
		}
	}
	return len(o.dists) == len(o.keys)
}

// add adds the dist at c.
func (d *Dists) add(version []byte, c *cursor) {
	if len(version) > 255 {
		return // it is no version either, by semver's rules
	}
	var tarball, integrity []byte
	if c.enter() {
		for c.next() {
			switch string(c.key) {
			case "tarball":
				tarball = unquote(c.value())
			case "integrity":
				integrity = unquote(c.value())
			default:
				c.value()
			}
		}
	}
	d.records = append(append(d.records, byte(len(version))), version...)
	sum := len(d.records)
	d.records = append(d.records, make([]byte, sha512.Size)...)
	base, usual := d.baseOf(tarball, version)
	if !usual || d.base != "" && d.base != string(base) || !decodeSHA512(d.records[sum:], integrity) {
		clear(d.records[sum:])
	} else if d.base == "" {
		d.base = string(base)
	}
}

// baseOf returns what stands before the conventional path in an address.
func (d *Dists) baseOf(address, version []byte) (base []byte, ok bool) {
	for _, end := range [][]byte{[]byte(".tgz"), version, d.middle} {
		if address, ok = bytes.CutSuffix(address, end); !ok {
			return nil, false
		}
	}
	return address, len(address) > 0
}

// decodeSHA512 decodes an integrity that is one SHA-512 into sum.
func decodeSHA512(sum, integrity []byte) bool {
	digest, ok := bytes.CutPrefix(integrity, []byte("sha512-"))
	if !ok || len(digest) != base64.StdEncoding.EncodedLen(sha512.Size) {
		return false
	}
	var buf [sha512.Size + 2]byte // the padding counts while it is decoded
	n, err := base64.StdEncoding.Strict().Decode(buf[:], digest)
	return err == nil && n == copy(sum, buf[:n])
}

// Find is FindDist for a file with the conventional name. What it does not find
// the document may have all the same.
func (d *Dists) Find(file string) (Dist, bool) {
	version, ok := conventionalVersion(d.name, file)
	if !ok {
		return Dist{}, false
	}
	var sum []byte
	for rest := d.records; len(rest) > 0; {
		name := rest[1:][:rest[0]]
		rest = rest[1+len(name):]
		if string(name) == version {
			sum = rest[:sha512.Size]
		}
		rest = rest[sha512.Size:]
	}
	if sum == nil || bytes.Equal(sum, make([]byte, sha512.Size)) {
		return Dist{}, false
	}
	return Dist{
		Version:   version,
		Tarball:   d.base + d.name + "/-/" + file,
		Integrity: Integrity{alg: "sha512", sums: [][]byte{sum}},
	}, true
}

// Size returns about how many bytes of memory d takes.
func (d *Dists) Size() int { return len(d.records) + 2*len(d.name) + len(d.base) + 192 }
