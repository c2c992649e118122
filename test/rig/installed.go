package rig

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"larder/test/registry"
)

// Installed is what a project has in its node_modules.
type Installed struct {
	Versions map[string][]string // by name
	problems []error
	seen     map[string]bool // directories
	files    map[string]string
}

// CheckInstalled walks what a project in dir has installed as node does, from
// package.json on, and fails unless all of it is there and as it was
// published: each dependency in a version that its range allows, required
// peers, and the optional ones that are for this platform.
func CheckInstalled(p registry.Project, dir string) (*Installed, error) {
	in := &Installed{Versions: map[string][]string{}, seen: map[string]bool{}, files: map[string]string{}}
	for _, v := range p.Packages {
		in.files[v.Name+"@"+v.Version] = v.Files["index.js"]
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	in.visit(dir, true)
	const enough = 20 // problems to tell of
	return in, errors.Join(in.problems[:min(len(in.problems), enough)]...)
}

// packageJSON is what a package needs.
type packageJSON struct {
	Name, Version        string
	Dependencies         map[string]string
	OptionalDependencies map[string]string
	PeerDependencies     map[string]string
	PeerDependenciesMeta map[string]struct{ Optional bool }
	OS, CPU              []string
}

func (in *Installed) problem(format string, args ...any) {
	in.problems = append(in.problems, fmt.Errorf(format, args...))
}

// visit looks at a package's directory, free of links, and at what it needs.
func (in *Installed) visit(dir string, application bool) {
	if in.seen[dir] {
		return
	}
	in.seen[dir] = true
	p, err := readPackageJSON(dir)
	if err != nil {
		in.problem("%s: %w", dir, err)
		return
	}
	if !application {
		if !slices.Contains(in.Versions[p.Name], p.Version) {
			in.Versions[p.Name] = append(in.Versions[p.Name], p.Version)
		}
		want, published := in.files[p.Name+"@"+p.Version]
		if got, err := os.ReadFile(filepath.Join(dir, "index.js")); err != nil || !published || string(got) != want {
			in.problem("%s@%s in %s is not what was published: %v", p.Name, p.Version, dir, err)
		}
	}
	for name, ranges := range p.Dependencies {
		if _, optional := p.OptionalDependencies[name]; !optional { // npm puts them into both
			in.need(dir, p, name, ranges, true)
		}
	}
	for name, ranges := range p.PeerDependencies {
		in.need(dir, p, name, ranges, !p.PeerDependenciesMeta[name].Optional)
	}
	for name, ranges := range p.OptionalDependencies {
		in.need(dir, p, name, ranges, strings.HasSuffix(name, thisPlatform()))
	}
}

// need looks for a dependency of the package in dir.
func (in *Installed) need(dir string, p packageJSON, name, ranges string, must bool) {
	found := lookUp(dir, name)
	if found == "" {
		if must {
			in.problem("%s@%s needs %s %s, which is not there", p.Name, p.Version, name, ranges)
		}
		return
	}
	q, err := readPackageJSON(found)
	if err != nil {
		in.problem("%s: %w", found, err)
		return
	}
	allowed, err := semver.NewConstraint(strings.ReplaceAll(ranges, " ", ", "))
	if err != nil {
		in.problem("%s@%s needs %s %s: %w", p.Name, p.Version, name, ranges, err)
		return
	}
	if v, err := semver.NewVersion(q.Version); err != nil || !allowed.Check(v) {
		in.problem("%s@%s needs %s %s and has %s", p.Name, p.Version, name, ranges, q.Version)
	}
	in.visit(found, false)
}

// lookUp finds a package as node does: in the node_modules of dir and of every
// directory above it.
func lookUp(dir, name string) string {
	for {
		if filepath.Base(dir) != "node_modules" {
			found := filepath.Join(dir, "node_modules", filepath.FromSlash(name))
			if real, err := filepath.EvalSymlinks(found); err == nil {
				return real
			}
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

func readPackageJSON(dir string) (p packageJSON, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	return p, err
}

// thisPlatform ends the names of a project's packages that are for this
// machine.
func thisPlatform() string {
	system, processor := runtime.GOOS, runtime.GOARCH
	if system == "windows" {
		system = "win32"
	}
	if processor == "amd64" {
		processor = "x64"
	}
	return "-" + system + "-" + processor
}

var lockedHash = regexp.MustCompile(`sha512-[A-Za-z0-9+/=]+`)

// CheckLocked fails unless a lockfile has the hash of every version that is
// installed, and no hash of anything else than what was published. published
// are the right hashes by NAME@VERSION.
func (in *Installed) CheckLocked(lockfile string, published map[string]string) error {
	text, err := os.ReadFile(lockfile)
	if err != nil {
		return err
	}
	known, locked := map[string]bool{}, map[string]bool{}
	for _, hash := range published {
		known[hash] = true
	}
	for _, hash := range lockedHash.FindAllString(string(text), -1) {
		if locked[hash] = true; !known[hash] {
			return fmt.Errorf("%s has %s, which is no package's", lockfile, hash)
		}
	}
	for name, versions := range in.Versions {
		for _, version := range versions {
			if hash := published[name+"@"+version]; hash == "" || !locked[hash] {
				return fmt.Errorf("%s lacks the hash of %s@%s", lockfile, name, version)
			}
		}
	}
	if len(in.Versions) == 0 {
		return fmt.Errorf("nothing is installed: %w", fs.ErrNotExist)
	}
	return nil
}
