package registry

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// form is one of the two shapes of a packument.
type form int

const (
	full form = iota
	abbreviated
)

// document is a rendered packument.
type document struct {
	body     []byte
	gzip     []byte
	etag     string
	modified time.Time
}

// kept are the keys of a version that the abbreviated form keeps. The public
// registry drops libc, whatever its documentation would lead one to hope.
var kept = []string{
	"name", "version", "deprecated", "dependencies", "acceptDependencies", "optionalDependencies", "devDependencies",
	"bundleDependencies", "bundledDependencies", "peerDependencies", "peerDependenciesMeta", "bin", "directories", "dist", "engines",
	"_hasShrinkwrap", "hasInstallScript", "funding", "cpu", "os",
}

// render returns p in one form. The caller holds s.mu; the result is not
// changed afterwards.
func (s *Server) render(p *packument, f form) *document {
	if s.mode.Thin {
		f = full
	}
	if d := p.rendered[f]; d != nil {
		return d
	}
	var body string
	switch {
	case p.gone:
		body = stub(p)
	case f == abbreviated:
		body = s.abbreviated(p)
	default:
		body = s.full(p)
	}
	d := &document{body: []byte(body), modified: p.modified.Truncate(time.Second)}
	d.etag = etag(d.body)
	d.gzip = compress(d.body, s.gzipLevel)
	if p.rendered == nil {
		p.rendered = map[form]*document{}
	}
	p.rendered[f] = d
	return d
}

func (s *Server) full(p *packument) string {
	fields := []field{
		{"_id", quote(p.name)},
		{"_rev", quote(fmt.Sprintf("%d-%s", p.revision, strings.Trim(etag([]byte(p.name)), `"`)))},
		{"name", quote(p.name)},
		{"dist-tags", tagsObject(s.visibleTags(p))},
		{"versions", s.versions(p, s.manifest)},
		{"maintainers", maintainers},
		{"time", s.times(p)},
	}
	if latest := p.find("latest"); latest != nil {
		for _, key := range []string{"description", "homepage", "keywords", "repository", "license"} {
			if raw, ok := lookup(latest.manifest, key); ok {
				fields = append(fields, field{key, raw})
			}
		}
		if readme, ok := latest.Files["README.md"]; ok {
			fields = append(fields, field{"readme", quote(readme)}, field{"readmeFilename", `"README.md"`})
		}
	}
	return object(fields)
}

func (s *Server) abbreviated(p *packument) string {
	return object([]field{
		{"name", quote(p.name)},
		{"dist-tags", tagsObject(s.visibleTags(p))},
		{"versions", s.versions(p, s.abbreviatedManifest)},
		{"modified", quote(stamp(p.modified))},
	})
}

func stub(p *packument) string {
	at := quote(stamp(p.modified))
	return object([]field{
		{"_id", quote(p.name)},
		{"name", quote(p.name)},
		{"time", object([]field{{"created", at}, {"modified", at}, {"unpublished", object([]field{
			{"name", `"octo"`}, {"time", at}, {"tags", tagsObject(p.tags)}, {"maintainers", maintainers}, {"versions", "[]"},
		})}})},
	})
}

const maintainers = `[{"name":"octo","email":"octo@example.com"}]`

func (s *Server) versions(p *packument, manifest func(*release) string) string {
	fields := make([]field, len(p.releases))
	for i, r := range p.releases {
		fields[i] = field{r.Version, manifest(r)}
	}
	return object(fields)
}

// manifest is the document of one version: what was published, and what the
// registry adds.
func (s *Server) manifest(r *release) string {
	fields := append(slices.Clone(r.manifest),
		field{"_id", quote(r.Name + "@" + r.Version)},
		field{"_nodeVersion", `"20.20.2"`},
		field{"_npmVersion", `"11.19.1"`},
		field{"dist", s.dist(r)},
		field{"_npmUser", `{"name":"octo","email":"octo@example.com"}`},
		field{"maintainers", maintainers},
		field{"_hasShrinkwrap", "false"},
	)
	if r.Deprecated != "" {
		fields = append(fields, field{"deprecated", quote(r.Deprecated)})
	}
	return object(fields)
}

func (s *Server) abbreviatedManifest(r *release) string {
	fields := slices.DeleteFunc(parseObject(s.manifest(r)), func(f field) bool { return !slices.Contains(kept, f.key) })
	scripts, _ := lookup(r.manifest, "scripts")
	for _, name := range []string{"preinstall", "install", "postinstall"} {
		if gjson.Get(scripts, name).Exists() {
			fields = append(fields, field{"hasInstallScript", "true"})
			break
		}
	}
	return object(fields)
}

func (s *Server) dist(r *release) string {
	var fields []field
	if !r.NoHash && !r.OnlySHA1 {
		fields = append(fields, field{"integrity", quote(r.integrity)})
	}
	if !r.NoHash {
		fields = append(fields, field{"shasum", quote(r.shasum)})
	}
	base := s.mode.TarballBase
	if base == "" {
		base = s.URL()
	}
	fields = append(fields,
		field{"tarball", quote(strings.TrimSuffix(base, "/") + s.tarballPath(r))},
		field{"fileCount", fmt.Sprint(r.files)},
		field{"unpackedSize", fmt.Sprint(r.unpacked)})
	if r.NoHash || r.OnlySHA1 {
		return object(fields)
	}
	fields = append(fields, field{"signatures", fmt.Sprintf(`[{"keyid":%s,"sig":%s}]`, quote(s.keyID), quote(r.signature))})
	if r.Provenance {
		fields = append(fields, field{"attestations", fmt.Sprintf(`{"url":%s,"provenance":{"predicateType":%q}}`,
			quote(s.URL()+"-/npm/v1/attestations/"+strings.Replace(r.Name, "/", "%2f", 1)+"@"+r.Version), provenance)})
	}
	return object(fields)
}

// tarballPath is the path and query that dist.tarball names, below the base.
func (s *Server) tarballPath(r *release) string {
	if s.mode.OddTarballs {
		return "/-/files/" + r.Name + "/" + r.File + "?sig=1"
	}
	return "/" + r.Name + "/-/" + r.File
}

// visibleTags are all tags, or latest alone in a thin mirror.
func (s *Server) visibleTags(p *packument) []tag {
	tags := p.distTags()
	if s.mode.Thin {
		tags = slices.DeleteFunc(slices.Clone(tags), func(t tag) bool { return t.name != "latest" })
	}
	return tags
}

// times are the publish times; a thin mirror claims that all happened when it
// last looked.
func (s *Server) times(p *packument) string {
	created := slices.MinFunc(p.releases, func(a, b *release) int { return a.Time.Compare(b.Time) }).Time
	fields := []field{{"created", quote(stamp(created))}, {"modified", quote(stamp(p.modified))}}
	for _, r := range p.releases {
		at := r.Time
		if s.mode.Thin {
			at = p.modified
		}
		fields = append(fields, field{r.Version, quote(stamp(at))})
	}
	for _, r := range p.removed {
		fields = append(fields, field{r.Version, quote(stamp(r.Time))})
	}
	return object(fields)
}

func tagsObject(tags []tag) string {
	fields := make([]field, len(tags))
	for i, t := range tags {
		fields[i] = field{t.name, quote(t.version)}
	}
	return object(fields)
}

// stamp is a time as the registry writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func compress(b []byte, level int) []byte {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, level)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // writing to memory at a valid level
	}
	return buf.Bytes()
}

// wantsAbbreviated tells whether an Accept header ranks the install form above
// plain JSON, which is the public registry's rule.
func wantsAbbreviated(h http.Header) bool {
	short, plain := -1.0, -1.0
	for _, part := range strings.Split(strings.Join(h.Values("Accept"), ","), ",") {
		kind, params, _ := strings.Cut(part, ";")
		q := 1.0
		if _, v, ok := strings.Cut(params, "q="); ok {
			if _, err := fmt.Sscanf(v, "%g", &q); err != nil {
				continue
			}
		}
		switch strings.TrimSpace(kind) {
		case "application/vnd.npm.install-v1+json":
			short = q
		case "application/json":
			plain = q
		}
	}
	return short > plain
}
