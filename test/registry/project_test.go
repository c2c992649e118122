package registry

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
)

func TestProjectIsTheSameForASeed(t *testing.T) {
	if !reflect.DeepEqual(NewProject(7, 120), NewProject(7, 120)) {
		t.Error("two projects of one seed differ")
	}
	if reflect.DeepEqual(NewProject(7, 120), NewProject(8, 120)) {
		t.Error("two seeds make the same project")
	}
}

// resolve returns what an install takes of packages: of each range the highest
// version that meets it.
func resolve(t *testing.T, app string, packages []Package) (taken map[string]Package, depth int) {
	t.Helper()
	byName := map[string][]Package{}
	for _, p := range packages {
		byName[p.Name] = append(byName[p.Name], p)
	}
	taken = map[string]Package{}
	var walk func(text string, level int)
	walk = func(text string, level int) {
		depth = max(depth, level)
		var m manifest
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		for name, ranges := range m.Dependencies {
			c, err := semver.NewConstraint(strings.ReplaceAll(ranges, " ", ", "))
			if err != nil {
				t.Fatal(err)
			}
			var best *Package
			for _, p := range byName[name] {
				if c.Check(semver.MustParse(p.Version)) {
					best = &p
				}
			}
			if best == nil {
				t.Fatalf("%s needs %s %s, which nothing meets", m.Name, name, ranges)
			}
			key := best.Name + "@" + best.Version
			if _, seen := taken[key]; !seen {
				taken[key] = *best
				walk(best.Manifest, level+1)
			}
		}
	}
	walk(app, 0)
	return taken, depth
}

func TestProjectShape(t *testing.T) {
	const n = 1000
	p := NewProject(1, n)
	versions := map[string]int{}
	features := map[string]int{}
	for _, v := range p.Packages {
		versions[v.Name]++
		for _, feature := range []string{`"bin"`, `"optionalDependencies"`, `"peerDependencies"`, `"peerDependenciesMeta"`, `"os"`, `"name":"@`, "~1.1.0"} {
			if strings.Contains(v.Manifest, feature) {
				features[feature]++
			}
		}
	}
	for feature, count := range features {
		t.Logf("%s: %d", feature, count)
	}
	if len(features) != 7 {
		t.Errorf("it lacks something: %v", features)
	}
	taken, depth := resolve(t, p.Manifest, p.Packages)
	names := map[string]bool{}
	for _, v := range taken {
		names[v.Name] = true
	}
	t.Logf("%d versions of %d names; an install takes %d versions of %d, %d levels deep", len(p.Packages), len(versions), len(taken), len(names), depth)
	if len(names) != n || len(taken) <= n || depth < 8 {
		t.Error("that is no project of its size")
	}

	older := p.Older()
	if 2*len(older) > len(p.Packages) {
		t.Errorf("%d of %d are no half", len(older), len(p.Packages))
	}
	fallback, _ := resolve(t, p.Manifest, older)
	names = map[string]bool{}
	for key, v := range fallback {
		if _, newest := taken[key]; newest {
			t.Errorf("%s is taken with all versions there, too", key)
		}
		names[v.Name] = true
	}
	if len(names) != n {
		t.Errorf("the older half makes an install of %d packages", len(names))
	}
}
