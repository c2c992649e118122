package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"larder/test/registry"
)

// Seed is what all generated packages come from.
const Seed = 20261125

// Shape is what a generated package has in common with the real one that it is
// named after: the number of versions, and the size of its documents. What does
// not compress is in them as in real ones, hashes and signatures.
type Shape struct {
	Name        string
	Versions    int
	Full        int // bytes of the full document, about
	Abbreviated int // bytes of the abbreviated one, about; never less than what a version takes with nothing in it
	Filler      int // bytes in the tarball of the highest version that do not compress
}

// The shapes, as large as the real packages were at the end of 2026.
var (
	isNumber   = Shape{Name: "is-number", Versions: 15, Full: 30_000, Abbreviated: 12_000}
	express    = Shape{Name: "express", Versions: 285, Full: 900_000, Abbreviated: 420_000}
	typescript = Shape{Name: "typescript", Versions: 3478, Full: 10_500_000, Abbreviated: 5_800_000}
	next       = Shape{Name: "next", Versions: 2627, Full: 30_000_000, Abbreviated: 15_500_000}
	drizzle    = Shape{Name: "drizzle-orm", Versions: 501, Full: 51_500_000, Abbreviated: 1_300_000}

	tarball4K   = Shape{Name: "tarball-4k", Versions: 1, Filler: 3_400}
	tarball50K  = Shape{Name: "tarball-50k", Versions: 1, Filler: 50_000}
	tarball300K = Shape{Name: "tarball-300k", Versions: 1, Filler: 300_000}
	tarball6M   = Shape{Name: "tarball-5.8m", Versions: 1, Filler: 5_800_000}
	tarball50M  = Shape{Name: "tarball-50m", Versions: 1, Filler: 50_000_000}
)

// readyPackage is what a starting server is asked for. It is in every stock.
const readyPackage = "is-number"

// Latest is the highest version of the package.
func (s Shape) Latest() string { return s.version(s.Versions - 1) }

func (s Shape) version(i int) string { return fmt.Sprintf("1.%d.%d", i/50, i%50) }

// Tarball is the path of the highest version's tarball.
func (s Shape) Tarball() string { return fmt.Sprintf("%s/-/%[1]s-%s.tgz", s.Name, s.Latest()) }

// Stock publishes packages of the shapes on a registry. The same shapes have
// the same bytes each time, but for the registry's address and signatures.
func Stock(r *registry.Server, shapes ...Shape) error {
	for _, s := range shapes {
		dice := rand.New(rand.NewPCG(Seed, uint64(s.Full+s.Filler)))
		g := newHistory(s, dice)
		for i := range s.Versions {
			p := registry.Package{
				Name: s.Name, Version: s.version(i), Manifest: g.manifest(s.version(i)),
				Time: registry.Published.Add(time.Duration(i) * time.Hour),
			}
			if i == s.Versions-1 {
				p.Filler = s.Filler
			}
			if err := r.Add(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// stockOld publishes versions 0.x of a package, as many as the shape says.
func stockOld(r *registry.Server, s Shape) error {
	g := newHistory(s, rand.New(rand.NewPCG(Seed, uint64(s.Full))))
	for i := range s.Versions {
		version := fmt.Sprintf("0.%d.%d", i/50, i%50)
		if err := r.Add(registry.Package{Name: s.Name, Version: version, Manifest: g.manifest(version)}); err != nil {
			return err
		}
	}
	return nil
}

// history is a package.json that changes a little from version to version, as
// they do: mostly a range or two.
type history struct {
	shape           Shape
	dice            *rand.Rand
	dev, exports    []string // the keys of devDependencies, which both forms have, and of exports, which the full one has
	devRanges, refs []string // their values
}

// What a version takes in the fake registry's documents with an empty
// manifest, and what one more entry of each object adds.
const (
	plainAbbreviated = 640                                             // bytes
	plainFull        = 1_200                                           // bytes
	devEntry         = len(`"@scope/some-package-0000":"^10.10.10",`)  // bytes
	exportEntry      = len(`"./dist/module-0000":"./m/00000000.cjs",`) // bytes
)

func newHistory(s Shape, dice *rand.Rand) *history {
	h := &history{shape: s, dice: dice}
	each := func(size, plain int) int { return max(0, size/s.Versions-plain) }
	dev := each(s.Abbreviated, plainAbbreviated)
	for i := range dev / devEntry {
		h.dev = append(h.dev, fmt.Sprintf("@scope/some-package-%04d", i))
		h.devRanges = append(h.devRanges, h.devRange())
	}
	for i := range max(0, each(s.Full, plainFull)-dev) / exportEntry {
		h.exports = append(h.exports, fmt.Sprintf("./dist/module-%04d", i))
		h.refs = append(h.refs, h.ref())
	}
	return h
}

func (h *history) devRange() string {
	return fmt.Sprintf("^%d.%d.%d", 1+h.dice.IntN(20), h.dice.IntN(30), h.dice.IntN(20))
}

func (h *history) ref() string { return fmt.Sprintf("./m/%08d.cjs", h.dice.IntN(256)) }

// manifest is the package.json of the next version.
func (h *history) manifest(version string) string {
	const changes = 100 // one in so many of the values is new in each version
	for i := range h.devRanges {
		if h.dice.IntN(changes) == 0 {
			h.devRanges[i] = h.devRange()
		}
	}
	for i := range h.refs {
		if h.dice.IntN(changes) == 0 {
			h.refs[i] = h.ref()
		}
	}
	return fmt.Sprintf(`{"name":"%[1]s","version":"%[2]s","description":"A package like %[1]s, of the same size and shape",`+
		`"keywords":["like","real","ones"],"license":"MIT","homepage":"https://example.com/%[1]s",`+
		`"repository":{"type":"git","url":"git+https://git.example.com/%[1]s.git"},"bugs":{"url":"https://git.example.com/%[1]s/issues"},`+
		`"main":"./lib/index.js","engines":{"node":">=18"},"scripts":{"build":"node build.js","test":"node --test"},`+
		`"devDependencies":%[3]s,"exports":%[4]s,"gitHead":"%016[5]x%016[6]x"}`,
		h.shape.Name, version, objectOf(h.dev, h.devRanges), objectOf(h.exports, h.refs), h.dice.Uint64(), h.dice.Uint64())
}

// objectOf is the JSON object of keys and values that need no escapes.
func objectOf(keys, values []string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%s":"%s"`, key, values[i])
	}
	b.WriteByte('}')
	return b.String()
}

// withReady adds what every stock has, once each.
func withReady(shapes []Shape) []Shape {
	all := []Shape{isNumber}
	for _, s := range shapes {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}
