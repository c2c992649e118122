package npm

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // the hashes that algorithms names
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"slices"
	"strings"
)

// maxIntegrity bounds an SRI string, in bytes. One sha512 takes 95.
const maxIntegrity = 4096

// algorithms are those we know, the strongest first.
var algorithms = [...]struct {
	name string
	hash crypto.Hash
}{
	{"sha512", crypto.SHA512},
	{"sha384", crypto.SHA384},
	{"sha256", crypto.SHA256},
	{"sha1", crypto.SHA1},
}

// Integrity is what the bytes of a tarball must hash to: the alternatives of
// the strongest algorithm in a Subresource Integrity string (ssri picks the
// same way), or a sha1 from the legacy "shasum". The zero value expects
// nothing and has no Verifier.
type Integrity struct {
	alg  string   // the name of one of algorithms
	sums [][]byte // any of these will do
}

// ParseIntegrity parses an SRI string: hashes separated by white space, each
// ALG-BASE64 with optional ?options. Unknown algorithms are skipped; if no
// known one is left, or the strongest has no digest of the right length, the
// error is of kind Invalid: a weaker hash never stands in for a broken
// stronger one.
func ParseIntegrity(sri string) (Integrity, error) {
	if len(sri) > maxIntegrity {
		return Integrity{}, invalidf("npm.ParseIntegrity", "integrity is longer than %d bytes", maxIntegrity)
	}
	fields := strings.Fields(sri)
	for _, a := range algorithms {
		var sums [][]byte
		named := false
		for _, field := range fields {
			digest, ok := strings.CutPrefix(field, a.name+"-")
			if !ok {
				continue
			}
			named = true
			digest, _, _ = strings.Cut(digest, "?")
			// Strict, because clients compare the text and not the bytes.
			sum, err := base64.StdEncoding.Strict().DecodeString(digest)
			if err == nil && len(sum) == a.hash.Size() {
				sums = append(sums, sum)
			}
		}
		switch {
		case len(sums) > 0:
			return Integrity{alg: a.name, sums: sums}, nil
		case named:
			return Integrity{}, invalidf("npm.ParseIntegrity", "integrity %.120q has no well-formed %s digest", sri, a.name)
		}
	}
	return Integrity{}, invalidf("npm.ParseIntegrity", "integrity %.120q names no known algorithm", sri)
}

// ParseShasum parses the hexadecimal sha1 of dist.shasum. Kind Invalid.
func ParseShasum(shasum string) (Integrity, error) {
	sum, err := hex.DecodeString(shasum)
	if err != nil || len(sum) != crypto.SHA1.Size() {
		return Integrity{}, invalidf("npm.ParseShasum", "shasum %.80q is not a hexadecimal sha1", shasum)
	}
	return Integrity{alg: "sha1", sums: [][]byte{sum}}, nil
}

// IsZero reports whether nothing is expected.
func (i Integrity) IsZero() bool { return i.alg == "" }

// String returns the integrity as an SRI string.
func (i Integrity) String() string {
	var b strings.Builder
	for n, sum := range i.sums {
		if n > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(i.alg)
		b.WriteByte('-')
		b.WriteString(base64.StdEncoding.EncodeToString(sum))
	}
	return b.String()
}

// Verifier returns a new Verifier for i. It panics for the zero Integrity.
func (i Integrity) Verifier() *Verifier {
	for _, a := range algorithms {
		if a.name == i.alg {
			return &Verifier{want: i, hash: a.hash.New()}
		}
	}
	panic("npm: Verifier of an Integrity that expects nothing")
}

// Verifier hashes what is written to it. It is a writer so that no path on
// which bytes travel can forget the check.
type Verifier struct {
	want Integrity
	hash hash.Hash
}

// Write adds p to the hash. It never fails.
func (v *Verifier) Write(p []byte) (int, error) { return v.hash.Write(p) }

// SHA512 returns the SHA-512 of the bytes written so far, nil where another hash
// is expected of them. More may be written afterwards.
func (v *Verifier) SHA512() []byte {
	if v.want.alg != "sha512" {
		return nil
	}
	return v.hash.Sum(nil)
}

// Verify returns nil if the bytes written so far are the expected ones, else
// an Error of kind BadUpstream that names both hashes. More may be written
// afterwards.
func (v *Verifier) Verify() error {
	sum := v.hash.Sum(nil)
	if slices.ContainsFunc(v.want.sums, func(want []byte) bool { return bytes.Equal(want, sum) }) {
		return nil
	}
	got := Integrity{alg: v.want.alg, sums: [][]byte{sum}}
	return &Error{
		Kind: BadUpstream,
		Op:   "npm.Verifier.Verify",
		Msg:  "integrity check failed: expected " + v.want.String() + " but got " + got.String(),
	}
}
