package faults

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"larder/test/registry"
	"larder/test/rig"
)

// errWrong is what no client may ever see: an answer that looks right and is
// not.
var errWrong = errors.New("wrong answer")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errWrong, fmt.Sprintf(format, args...))
}

// goods is one package, as the registry published it.
type goods struct {
	name      string
	vanishing bool // chaos may say 404 for it
	latest    string
	versions  map[string]json.RawMessage // manifests of the full packument
	tarballs  map[string][]byte          // by version
}

func (g *goods) file(version string) string {
	return g.name[strings.LastIndexByte(g.name, '/')+1:] + "-" + version + ".tgz"
}

func (g *goods) tarballPath(version string) string { return g.name + "/-/" + g.file(version) }

// The versions of every package of the stock.
var stockVersions = []string{"1.0.0", "1.1.0"}

// newStock publishes n packages and remembers what they are. Paths tell what
// is asked for: packuments end in "-pkg", documents of versions in ".0",
// tarballs in ".tgz", and what may vanish has "-may-" in it.
func newStock(t *testing.T, r *rig.Rig, prefix string, n int) []*goods {
	t.Helper()
	stock := make([]*goods, n)
	for i := range stock {
		g := &goods{name: fmt.Sprintf("%s%04d-pkg", prefix, i), vanishing: i%3 == 0}
		if g.vanishing {
			g.name = fmt.Sprintf("%s%04d-may-pkg", prefix, i)
		}
		if i%2 == 0 {
			g.name = "@chaos/" + g.name
		}
		for _, version := range stockVersions {
			r.Add(t, registry.Package{
				Name:     g.name,
				Version:  version,
				Manifest: fmt.Sprintf(`{"name":%q,"version":%q,"description":"Weathers storms.","dependencies":{"calm":"^1.0.0"}}`, g.name, version),
				Filler:   filler(i),
			})
		}
		g.learn(t, r)
		stock[i] = g
	}
	return stock
}

// filler returns the size in bytes of what makes the i-th package's tarballs
// large, most of which are small: below and above what Larder verifies before
// it shows anything.
func filler(i int) int {
	switch {
	case i%20 == 7:
		return 300 << 10
	case i%8 == 1:
		return 100 << 10
	}
	return i % 10 << 10
}

// learn reads what was published from the registry itself.
func (g *goods) learn(t *testing.T, r *rig.Rig) {
	t.Helper()
	var doc packument
	if err := json.Unmarshal(r.Published(t, g.name, "Accept", rig.Full), &doc); err != nil {
		t.Fatal(err)
	}
	g.versions, g.latest = doc.Versions, doc.Tags["latest"]
	g.tarballs = make(map[string][]byte)
	for version, raw := range doc.Versions {
		var m manifest
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		g.tarballs[version] = r.Published(t, g.tarballPath(version))
		sum := sha512.Sum512(g.tarballs[version])
		if m.dist(t).Integrity != "sha512-"+base64.StdEncoding.EncodeToString(sum[:]) {
			t.Fatalf("the registry itself is wrong about %s@%s", g.name, version)
		}
	}
}

type packument struct {
	Name     string
	Tags     map[string]string `json:"dist-tags"`
	Versions map[string]json.RawMessage
}

// manifest is what both forms of a packument say of a version.
type manifest struct {
	Name, Version string
	Dependencies  json.RawMessage
	Dist          json.RawMessage
}

type dist struct{ Integrity string }

func (m *manifest) dist(t *testing.T) (d dist) {
	t.Helper()
	if err := json.Unmarshal(m.Dist, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// checkPackument compares a packument with what was published. base is the URL
// that its tarballs must be below, upstream the one that they were below.
func (g *goods) checkPackument(body []byte, full bool, base, upstream string) error {
	body = bytes.ReplaceAll(body, []byte(base), []byte(upstream))
	var got packument
	if err := json.Unmarshal(body, &got); err != nil {
		return wrong("packument of %s: %v", g.name, err)
	}
	if got.Name != g.name || got.Tags["latest"] != g.latest {
		return wrong("packument of %s: name %q, latest %q", g.name, got.Name, got.Tags["latest"])
	}
	if have := slices.Sorted(maps.Keys(got.Versions)); !slices.Equal(have, stockVersions) {
		return wrong("packument of %s: versions %v", g.name, have)
	}
	return g.checkVersions(got, full)
}

// checkListed is checkPackument for a Larder that may leave versions out, and
// make what is asked for of the other form, which says less.
func (g *goods) checkListed(body []byte, base, upstream string) error {
	body = bytes.ReplaceAll(body, []byte(base), []byte(upstream))
	var got packument
	if err := json.Unmarshal(body, &got); err != nil {
		return wrong("packument of %s: %v", g.name, err)
	}
	if _, listed := got.Versions[got.Tags["latest"]]; got.Name != g.name || !listed {
		return wrong("packument of %s: name %q, latest %q of %v", g.name, got.Name, got.Tags["latest"], slices.Collect(maps.Keys(got.Versions)))
	}
	return g.checkVersions(got, false)
}

// checkVersions compares the manifests in a packument with what was published.
func (g *goods) checkVersions(got packument, full bool) error {
	for version, raw := range got.Versions {
		if full && !bytes.Equal(raw, g.versions[version]) {
			return wrong("packument of %s: version %s is %s, want %s", g.name, version, raw, g.versions[version])
		}
		if err := g.checkManifest(raw, version); err != nil {
			return err
		}
	}
	return nil
}

// checkManifest compares what both forms say of a version.
func (g *goods) checkManifest(raw []byte, version string) error {
	var have, want manifest
	if err := errors.Join(json.Unmarshal(raw, &have), json.Unmarshal(g.versions[version], &want)); err != nil {
		return wrong("%s@%s: %v", g.name, version, err)
	}
	if !have.equal(want) {
		return wrong("%s@%s is %s", g.name, version, raw)
	}
	return nil
}

func (m manifest) equal(o manifest) bool {
	return m.Name == o.Name && m.Version == o.Version && bytes.Equal(m.Dependencies, o.Dependencies) && bytes.Equal(m.Dist, o.Dist)
}

// checkVersion compares a version's document with what was published.
func (g *goods) checkVersion(body []byte, version, base, upstream string) error {
	body = bytes.ReplaceAll(body, []byte(base), []byte(upstream))
	if !bytes.Equal(body, g.versions[version]) {
		return wrong("document of %s@%s: %s, want %s", g.name, version, body, g.versions[version])
	}
	return nil
}
