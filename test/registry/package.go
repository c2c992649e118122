package registry

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// Published is the publish time of packages that name none: long ago, so that
// no client's release-age gate hides them.
var Published = time.Date(2020, time.March, 1, 12, 0, 0, 0, time.UTC)

// Package is one version of one package, as it was published.
type Package struct {
	Name, Version string
	// Manifest is the published package.json, a JSON object. Name and version
	// are put in front where it lacks them; empty means that there is nothing
	// else.
	Manifest string
	// Files are the other files of the tarball by path below package/.
	Files map[string]string
	// Filler is the size in bytes of one more file that does not compress, for
	// tarballs that are to be large.
	Filler int
	Time   time.Time // of publication; zero means Published
	// Tags are the dist-tags that this version takes over. Where no version
	// claims latest, the highest stable version has it.
	Tags       []string
	Deprecated string // the deprecation message
	File       string // the tarball's file name; empty means the conventional one
	NoHash     bool   // neither integrity nor shasum, as in the oldest documents
	OnlySHA1   bool   // shasum without integrity, as until 2017
	// Provenance makes the version carry dist.attestations and the registry
	// serve them.
	Provenance bool
}

// release is a Package made ready to be served.
type release struct {
	Package
	tarball
	manifest  []field // package.json in its order, name and version included
	signature string  // base64 of the DER signature of name@version:integrity
}

// packument is all that the registry holds of one name. Its fields are
// guarded by the server's mutex.
type packument struct {
	name     string
	releases []*release // in publish order
	tags     []tag      // in the order in which they were made
	modified time.Time
	revision int
	removed  []*release // taken down: only their times are left
	gone     bool       // unpublished: a stub is left
	rendered map[form]*document
}

type tag struct{ name, version string }

// Add publishes packages, in the order given. A version that exists is
// replaced, bytes and all, which the public registry never does but a broken
// one may.
func (s *Server) Add(packages ...Package) error {
	for _, p := range packages {
		r, err := s.release(p)
		if err != nil {
			return fmt.Errorf("registry: add %s@%s: %w", p.Name, p.Version, err)
		}
		s.mu.Lock()
		s.publish(r)
		s.mu.Unlock()
	}
	return nil
}

func (s *Server) release(p Package) (*release, error) {
	if p.Name == "" {
		return nil, fmt.Errorf("no name")
	}
	if _, err := semver.StrictNewVersion(p.Version); err != nil {
		return nil, err
	}
	if p.Time.IsZero() {
		p.Time = Published
	}
	if p.File == "" {
		p.File = conventionalFile(p.Name, p.Version)
	}
	manifest, err := parseManifest(p)
	if err != nil {
		return nil, err
	}
	r := &release{Package: p, manifest: manifest}
	if r.tarball, err = buildTarball(p, manifest); err != nil {
		return nil, err
	}
	sig, err := s.sign(fmt.Sprintf("%s@%s:%s", p.Name, p.Version, r.integrity))
	if err != nil {
		return nil, err
	}
	r.signature = base64.StdEncoding.EncodeToString(sig)
	return r, nil
}

// publish enters r. The caller holds s.mu.
func (s *Server) publish(r *release) {
	p := s.packages[r.Name]
	if p == nil {
		p = &packument{name: r.Name}
		s.packages[r.Name] = p
	}
	if i := slices.IndexFunc(p.releases, func(o *release) bool { return o.Version == r.Version }); i >= 0 {
		p.releases[i] = r
	} else {
		p.releases = append(p.releases, r)
	}
	for _, name := range r.Tags {
		p.setTag(name, r.Version)
	}
	p.touch(r.Time)
}

// Tag points a dist-tag of a package at a version, whether it exists or not.
func (s *Server) Tag(name, distTag, version string) error {
	return s.change(name, func(p *packument) { p.setTag(distTag, version) })
}

// Deprecate marks a version with a message.
func (s *Server) Deprecate(name, version, message string) error {
	return s.change(name, func(p *packument) {
		for i, r := range p.releases {
			if r.Version == version {
				c := *r
				c.Deprecated = message
				p.releases[i] = &c
			}
		}
	})
}

// Unpublish leaves of a package the stub that old unpublished ones have: a
// document with neither versions nor dist-tags, and an object in its time.
func (s *Server) Unpublish(name string) error {
	return s.change(name, func(p *packument) { p.gone = true })
}

// TakeDown removes one version of a package as a registry does: its time stays,
// and its tarball and its own document are 404.
func (s *Server) TakeDown(name, version string) error {
	return s.change(name, func(p *packument) {
		p.releases = slices.DeleteFunc(p.releases, func(r *release) bool {
			if r.Version == version {
				p.removed = append(p.removed, r)
			}
			return r.Version == version
		})
	})
}

// Lose makes the registry lack one version of a package as if it had never been
// published, in a document that claims not to have changed: what a mirror does
// that is half filled, or was put back to an older state.
func (s *Server) Lose(name, version string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.packages[name]
	if p == nil {
		return fmt.Errorf("registry: no package %s", name)
	}
	p.releases = slices.DeleteFunc(p.releases, func(r *release) bool { return r.Version == version })
	p.touch(p.modified)
	return nil
}

// Remove makes the registry forget a package, which then is a 404.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.packages, name)
}

// change lets fn edit a package and marks it as modified one minute later than
// it was, so that its Last-Modified differs.
func (s *Server) change(name string, fn func(*packument)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.packages[name]
	if p == nil {
		return fmt.Errorf("registry: no package %s", name)
	}
	fn(p)
	p.touch(p.modified.Add(time.Minute))
	return nil
}

func (p *packument) touch(at time.Time) {
	if at.After(p.modified) {
		p.modified = at
	}
	p.revision++
	p.rendered = nil
}

func (p *packument) setTag(name, version string) {
	for i := range p.tags {
		if p.tags[i].name == name {
			p.tags[i].version = version
			return
		}
	}
	p.tags = append(p.tags, tag{name, version})
}

// distTags are p's tags with latest in front.
func (p *packument) distTags() []tag {
	if slices.ContainsFunc(p.tags, func(t tag) bool { return t.name == "latest" }) {
		return p.tags
	}
	return append([]tag{{"latest", p.highest()}}, p.tags...)
}

// highest is the highest stable version, or the highest of all if none is.
func (p *packument) highest() string {
	best := slices.MaxFunc(p.releases, func(a, b *release) int {
		x, y := semver.MustParse(a.Version), semver.MustParse(b.Version)
		return cmp.Or(boolCompare(x.Prerelease() == "", y.Prerelease() == ""), x.Compare(y))
	})
	return best.Version
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// find returns the release of a version or of a dist-tag, or nil. A version
// goes before a tag of the same name.
func (p *packument) find(versionOrTag string) *release {
	if p.gone {
		return nil
	}
	for _, r := range p.releases {
		if r.Version == versionOrTag {
			return r
		}
	}
	for _, t := range p.distTags() {
		if t.name == versionOrTag && t.version != versionOrTag {
			return p.find(t.version)
		}
	}
	return nil
}

// conventionalFile is the tarball's name that clients compute for themselves.
func conventionalFile(name, version string) string {
	return name[strings.LastIndexByte(name, '/')+1:] + "-" + version + ".tgz"
}

func parseManifest(p Package) ([]field, error) {
	var fields []field
	if p.Manifest != "" {
		if !json.Valid([]byte(p.Manifest)) {
			return nil, fmt.Errorf("package.json is not JSON")
		}
		fields = parseObject(p.Manifest)
	}
	for _, must := range []field{{"version", quote(p.Version)}, {"name", quote(p.Name)}} {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == must.key })
		if i < 0 {
			fields = slices.Insert(fields, 0, must)
		} else if fields[i].raw != must.raw {
			return nil, fmt.Errorf("package.json says %s is %s", must.key, fields[i].raw)
		}
	}
	return fields, nil
}
