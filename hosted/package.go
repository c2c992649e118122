package hosted

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Package is one package at one revision. It is immutable and shared.
type Package struct {
	doc      *document
	rev      string
	storeRev string // of the document in the store
	size     int64  // of the document, in bytes
	durable  bool   // for certain: this process has written it
}

// revHash is the number of hexadecimal digits in a "_rev", as in CouchDB's.
const revHash = 32

// newPackage returns the package that d describes, which was stored as data.
func newPackage(d *document, data []byte, storeRev string) *Package {
	sum := sha256.Sum256(data)
	return &Package{
		doc:      d,
		rev:      strconv.FormatUint(d.Changes, 10) + "-" + hex.EncodeToString(sum[:])[:revHash],
		storeRev: storeRev,
		size:     int64(len(data)),
	}
}

func (k *Package) cost() int64 { return packageOverhead + k.size }

// Name returns the package's name.
func (k *Package) Name() string { return k.doc.Name }

// Rev returns "_rev", of the form N-HEX: N counts the changes.
func (k *Package) Rev() string { return k.rev }

// Unpublished reports whether all versions are gone. Such a package is
// answered by a 404, and its name stays ours.
func (k *Package) Unpublished() bool { return len(k.doc.Versions) == 0 }

// Modified returns the time of the last change, in whole milliseconds.
func (k *Package) Modified() time.Time { return k.doc.Modified.Time }

// DistTags returns the version that each tag names.
func (k *Package) DistTags() map[string]string { return maps.Clone(k.doc.Tags) }

// Versions returns the versions in the order in which they were published.
func (k *Package) Versions() []string {
	names := make([]string, len(k.doc.Versions))
	for i, v := range k.doc.Versions {
		names[i] = v.Version
	}
	return names
}

// Access returns "public" or "restricted" as last set, else "". It is
// information and decides nothing.
func (k *Package) Access() string { return k.doc.Access }

// Maintainers returns the owners in their order. They are information and
// decide nothing.
func (k *Package) Maintainers() []Actor { return slices.Clone(k.doc.Maintainers) }

// Stars returns the users who starred the package, sorted.
func (k *Package) Stars() []string { return slices.Clone(k.doc.Stars) }
