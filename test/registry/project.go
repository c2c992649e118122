package registry

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Project is an application and all the packages that it may come to depend on.
type Project struct {
	Manifest string // package.json of the application
	Packages []Package
}

// NewProject makes up a project of n packages, in several versions each, all of
// which an install needs, and some more that are for other platforms. The same
// seed makes the same project.
//
// It is shaped like real ones: a few direct dependencies, a dozen levels below
// them, small packages that everybody shares, now and then two majors of one;
// scopes, commands, peers, optional dependencies by platform; tarballs of a few
// kilobytes and some of more. Every range that occurs is met by two versions
// at least, so that an install is possible with the newer half of them missing,
// see [Project.Older].
func NewProject(seed uint64, n int) Project {
	g := &generator{dice: rand.New(rand.NewPCG(seed, uint64(n)))}
	roots := max(1, n/25)
	for i := range n {
		g.nodes = append(g.nodes, g.node(i))
		if i >= roots { // the parent is not far above: that makes it deep
			parent := g.nodes[i/2+g.dice.IntN(i-i/2)]
			parent.needs = append(parent.needs, g.need(i))
		}
	}
	popular := n - max(1, n/20) // those from here on
	for i, p := range g.nodes[:popular] {
		for range g.dice.IntN(3) {
			p.also(g.need(popular + g.dice.IntN(n-popular)))
		}
		if i%33 == 10 {
			p.peer, p.peerOptional = true, i%2 == 0
		}
		if i%50 == 20 {
			p.native = true
		}
	}
	app := manifest{Name: "generated-app", Version: "1.0.0", Private: true, Dependencies: map[string]string{}}
	for i := range roots {
		need := g.need(i)
		app.Dependencies[need.name] = need.ranges
	}
	project := Project{Manifest: app.text()}
	for _, p := range g.nodes {
		project.Packages = append(project.Packages, p.packages(g.nodes[0].name)...)
	}
	return project
}

// Add publishes all the packages of a project.
func (p Project) Add(s *Server) error { return s.Add(p.Packages...) }

// Older are half of the versions of each major of each package, or fewer, the
// newest never among them. They suffice for an install.
func (p Project) Older() []Package {
	var older []Package
	for begin := 0; begin < len(p.Packages); {
		end := begin // of the versions of one major, which come together and in ascending order
		for end < len(p.Packages) && p.Packages[end].line() == p.Packages[begin].line() {
			end++
		}
		n := end - begin // of three versions it is the second: ~1.1.0 needs it
		older = append(older, p.Packages[begin+n%2:begin+n%2+n/2]...)
		begin = end
	}
	return older
}

// line is the name and the major.
func (p Package) line() string {
	major, _, _ := strings.Cut(p.Version, ".")
	return p.Name + "@" + major
}

type generator struct {
	dice  *rand.Rand
	nodes []*node
}

// node is one package of a project, in all its versions.
type node struct {
	name               string
	index              int
	majors             int
	extra              bool   // there is an M.2.0
	filler             int    // bytes
	needs              []need // of every version
	alsoNeeds          []need // of the newer ones
	bin, native        bool
	peer, peerOptional bool
}

type need struct{ name, ranges string }

func (g *generator) node(i int) *node {
	topics := []string{"parse", "stream", "path", "color", "config", "merge", "fetch", "cache", "glob", "token"}
	kinds := []string{"utils", "core", "helper", "loader", "plugin", "lite", "node", "extra"}
	p := &node{
		name:   fmt.Sprintf("%s-%s-%d", topics[g.dice.IntN(len(topics))], kinds[g.dice.IntN(len(kinds))], i),
		index:  i,
		majors: 1,
		extra:  g.dice.IntN(2) == 0,
		filler: g.dice.IntN(6) << 10,
		bin:    i%20 == 3,
	}
	if i%7 == 4 {
		p.name = fmt.Sprintf("@%s/%s", topics[i/7%len(topics)], p.name)
	}
	if i%10 == 6 {
		p.majors = 2
	}
	if i%40 == 15 {
		p.filler = 150 << 10 // more than Larder verifies before it shows anything
	}
	return p
}

// need is a dependency on the i-th package, in one of the ways to say it.
func (g *generator) need(i int) need {
	p := g.nodes[i]
	major := 1 + g.dice.IntN(p.majors)
	ranges := []string{"^%d.0.0", "^%d.0.0", "^%d.0.0", "~%d.1.0", "%d.x", ">=%d.0.0 <%d.9.0"}[g.dice.IntN(6)]
	return need{p.name, strings.ReplaceAll(ranges, "%d", fmt.Sprint(major))}
}

// also adds a dependency that older versions do not have, once.
func (p *node) also(n need) {
	for _, have := range append(p.needs, p.alsoNeeds...) {
		if have.name == n.name {
			return
		}
	}
	p.alsoNeeds = append(p.alsoNeeds, n)
}

// manifest is a package.json.
type manifest struct {
	Name                 string                     `json:"name"`
	Version              string                     `json:"version"`
	Private              bool                       `json:"private,omitempty"`
	Description          string                     `json:"description,omitempty"`
	License              string                     `json:"license,omitempty"`
	Main                 string                     `json:"main,omitempty"`
	Bin                  map[string]string          `json:"bin,omitempty"`
	Dependencies         map[string]string          `json:"dependencies,omitempty"`
	OptionalDependencies map[string]string          `json:"optionalDependencies,omitempty"`
	PeerDependencies     map[string]string          `json:"peerDependencies,omitempty"`
	PeerDependenciesMeta map[string]map[string]bool `json:"peerDependenciesMeta,omitempty"`
	OS                   []string                   `json:"os,omitempty"`
	CPU                  []string                   `json:"cpu,omitempty"`
}

func (m manifest) text() string {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and maps of them
	}
	return string(text)
}

// packages are the versions of p, oldest first, and of what is for one platform
// of it. framework is the package that plugins have as a peer.
func (p *node) packages(framework string) []Package {
	var all []Package
	for major := 1; major <= p.majors; major++ {
		versions := []string{"%d.0.0", "%d.1.0", "%d.1.1", "%d.2.0"}
		if !p.extra {
			versions = versions[:3]
		}
		for minor, version := range versions {
			all = append(all, p.release(fmt.Sprintf(version, major), minor > 0, framework))
		}
	}
	if p.native {
		for _, on := range platforms {
			for _, version := range []string{"1.0.0", "1.1.0"} {
				m := manifest{Name: p.platformName(on), Version: version, License: "MIT", OS: []string{on.os}, CPU: []string{on.cpu}, Main: "index.js"}
				all = append(all, m.published(p, 2<<10))
			}
		}
	}
	return all
}

func (p *node) release(version string, newer bool, framework string) Package {
	m := manifest{Name: p.name, Version: version, Description: "made up", License: "MIT", Main: "index.js", Dependencies: map[string]string{}}
	for _, n := range p.needs {
		m.Dependencies[n.name] = n.ranges
	}
	if newer {
		for _, n := range p.alsoNeeds {
			m.Dependencies[n.name] = n.ranges
		}
	}
	if p.bin {
		m.Bin = map[string]string{p.name[strings.LastIndexByte(p.name, '/')+1:]: "index.js"}
	}
	if p.peer {
		m.PeerDependencies = map[string]string{framework: "^1.0.0"}
		if p.peerOptional {
			m.PeerDependenciesMeta = map[string]map[string]bool{framework: {"optional": true}}
		}
	}
	if p.native {
		m.OptionalDependencies = map[string]string{}
		for _, on := range platforms {
			m.OptionalDependencies[p.platformName(on)] = "^1.0.0"
		}
	}
	return m.published(p, p.filler)
}

// platform is an operating system and a processor, as Node calls them.
type platform struct{ os, cpu string }

var platforms = []platform{{"linux", "x64"}, {"linux", "arm64"}, {"darwin", "arm64"}, {"win32", "x64"}}

func (p *node) platformName(on platform) string {
	return fmt.Sprintf("@native/%d-%s-%s", p.index, on.os, on.cpu)
}

// published is a package that says at run time what it is.
func (m manifest) published(p *node, filler int) Package {
	return Package{
		Name:     m.Name,
		Version:  m.Version,
		Manifest: m.text(),
		Files:    map[string]string{"index.js": fmt.Sprintf("#!/usr/bin/env node\nmodule.exports = %s\n", quote(m.Name+"@"+m.Version))},
		Filler:   filler,
		Time:     Published.Add(time.Duration(p.index) * time.Hour),
	}
}
