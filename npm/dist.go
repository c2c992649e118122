package npm

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Dist is where a version's tarball is, and what it must be.
type Dist struct {
	Version   string
	Tarball   string    // upstream's URL, as written; may be ""
	Integrity Integrity // from integrity, else shasum; zero for some legacy versions
}

// FindDist returns the dist of the version whose tarball a client asks for as
// file: the version with that conventional name, else the one whose upstream
// dist.tarball ends in /file (legacy names, as "thirty-two@0.0.1.tgz", stand in
// lockfiles). doc has passed Inspect.
func FindDist(doc []byte, name, file string) (Dist, bool) {
	if version, ok := conventionalVersion(name, file); ok {
		if manifest := manifestOf(doc, version); isObject(manifest) {
			d := distOf(manifest)
			d.Version = version
			return d, true
		}
	}
	// Twice through the document, but only for what is legacy or does not exist.
	return findLegacyDist(memberOf(doc, "versions"), file)
}

// manifestOf returns the manifest of a version in doc, nil where it has none.
// It reads doc once, where going to "versions" and then to the version would
// read nearly all of it twice.
func manifestOf(doc []byte, version string) []byte {
	c := cursor{doc: doc}
	if !c.enter() {
		return nil
	}
	var manifest []byte
	for c.next() {
		if string(c.key) == "versions" {
			manifest = c.member(version)
		} else {
			c.value()
		}
	}
	return manifest
}

// conventionalVersion is VersionOfFile without its demand that the version be
// one: what stands as a key in "versions" may be asked for by that name.
func conventionalVersion(name, file string) (string, bool) {
	version, ok := strings.CutPrefix(file, Basename(name)+"-")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(version, ".tgz")
}

// findLegacyDist returns the last dist in versions whose tarball is called
// file.
func findLegacyDist(versions []byte, file string) (found Dist, ok bool) {
	c := cursor{doc: versions}
	if !c.enter() {
		return Dist{}, false
	}
	for c.next() {
		version := c.key
		if d := distOf(c.value()); lastSegment(d.Tarball) == file {
			d.Version = string(version)
			found, ok = d, true
		}
	}
	return found, ok
}

// lastSegment returns the last segment of a URL's path, unescaped.
func lastSegment(address string) string {
	if i := strings.IndexAny(address, "?#"); i >= 0 {
		address = address[:i]
	}
	segment := address[strings.LastIndexByte(address, '/')+1:]
	if plain, err := url.PathUnescape(segment); err == nil {
		return plain
	}
	return segment
}

// ManifestDist returns the dist of a single version's manifest, as upstream
// answers GET /name/version. It validates: kind BadUpstream where manifest is
// not JSON, not an object, of another name, or without a version.
func ManifestDist(manifest []byte, name string) (Dist, error) {
	fault := func(err error) (Dist, error) {
		return Dist{}, &Error{Kind: BadUpstream, Op: "npm.ManifestDist", Name: name,
			Msg: "upstream sent no usable version document: " + err.Error()}
	}
	if !ValidJSON(manifest) {
		return fault(errNotJSON)
	}
	if got := unquote(memberOf(manifest, "name")); string(got) != name {
		return fault(fmt.Errorf("it is of %.80q", got))
	}
	version := unquote(memberOf(manifest, "version"))
	if len(version) == 0 {
		return fault(errors.New(`it has no "version"`))
	}
	d := distOf(manifest)
	d.Version = string(version)
	return d, nil
}

// distOf reads the "dist" of a manifest; all of it may be lacking. An integrity
// that cannot be parsed counts as lacking, since old versions have a good
// shasum beside it.
func distOf(manifest []byte) Dist {
	var tarball, integrity, shasum []byte
	c := cursor{doc: memberOf(manifest, "dist")}
	if !c.enter() {
		return Dist{}
	}
	for c.next() {
		switch string(c.key) {
		case "tarball":
			tarball = unquote(c.value())
		case "integrity":
			integrity = unquote(c.value())
		case "shasum":
			shasum = unquote(c.value())
		default:
			c.value()
		}
	}
	d := Dist{Tarball: string(tarball)}
	var err error
	if d.Integrity, err = ParseIntegrity(string(integrity)); err != nil {
		// Nothing to be had from either is a zero Integrity, and no error.
		d.Integrity, _ = ParseShasum(string(shasum))
	}
	return d
}
