package faults

import (
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

// How many packages the project has that is installed offline.
const (
	offlineProject     = 30
	longOfflineProject = 1000
)

// offlineLimit bounds one install. Before npm gives up it waits for a minute.
const offlineLimit = 10 * time.Minute

func offlineClients() []string { return []string{"npm-11", "pnpm-12", "bun-1"} }

// TestOfflineInstalls installs a project whose newest versions nobody has ever
// installed, with real package managers: with Larder offline, and through the
// view of the cache of one that is not. Older versions must be chosen, all of
// them from the cache, and upstream must not hear of it.
func TestOfflineInstalls(t *testing.T) {
	if testing.Short() {
		t.Skip("real package managers take minutes")
	}
	size := offlineProject
	if rig.Long {
		size = longOfflineProject
	}
	project := registry.NewProject(rig.Seed(t), size)
	r := rig.New(t, rig.Config{Binary: rig.Plain(t)})
	if err := project.Add(r.Upstream); err != nil {
		t.Fatal(err)
	}
	cached := fillWithOlder(t, r, project)
	view := *r
	view.Base += "-/view/cached/"

	for _, name := range offlineClients() {
		for _, way := range []struct {
			name string
			on   *rig.Rig
		}{{"offline", r}, {"view", &view}} {
			t.Run(name+" "+way.name, func(t *testing.T) {
				if way.on == r {
					switchOffline(t, r, "on")
					defer switchOffline(t, r, "off")
				}
				before := r.Upstream.Total()
				c := way.on.NewClient(t, name, project.Manifest)
				all := installedOffline(t, c, project)
				if n := r.Upstream.Total() - before; n > 0 {
					t.Errorf("upstream was asked %d times", n)
				}
				for _, version := range all {
					if !cached[version] {
						t.Errorf("%s was installed, which was not in the cache", version)
					}
				}
				if len(all) < size {
					t.Errorf("%d packages were installed of a project of %d", len(all), size)
				}
				lock, err := os.ReadFile(filepath.Join(c.Dir, c.Lockfile))
				if err != nil {
					t.Fatal(err)
				}
				if way.on == &view && strings.Contains(string(lock), r.Base) && !strings.Contains(string(lock), view.Base) {
					t.Errorf("the lockfile names %s, and not the view", r.Base)
				}
			})
		}
	}

	// Online again the newest version is there, and chosen.
	before := r.Upstream.Total()
	c := r.NewClient(t, offlineClients()[2], project.Manifest)
	all := installedOffline(t, c, project)
	if r.Upstream.Total() == before {
		t.Error("upstream was not asked, although Larder is online again")
	}
	if !slices.ContainsFunc(all, func(version string) bool { return !cached[version] }) {
		t.Error("no newer version was chosen online")
	}
}

// installedOffline installs a project and returns the versions that have come of it,
// as NAME@VERSION.
func installedOffline(t *testing.T, c *rig.Client, project registry.Project) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), offlineLimit)
	defer cancel()
	began := time.Now()
	if _, err := c.Run(ctx, c.Install...); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	modules := filepath.Join(c.Dir, "node_modules")
	err := filepath.WalkDir(modules, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "package.json" {
			return err
		}
		var p struct{ Name, Version string }
		text, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(text, &p)
		}
		found[p.Name+"@"+p.Version] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var app struct{ Dependencies map[string]string }
	if err := json.Unmarshal([]byte(project.Manifest), &app); err != nil {
		t.Fatal(err)
	}
	for name := range app.Dependencies {
		if _, err := os.Stat(filepath.Join(modules, name, "package.json")); err != nil {
			t.Errorf("%s was not installed: %v", name, err)
		}
	}
	t.Logf("%v: %d packages in %v", c.Install, len(found), time.Since(began).Round(time.Millisecond))
	return slices.Sorted(maps.Keys(found))
}

// fillWithOlder brings what somebody has installed a while ago into the cache: the
// documents of all packages, half of them as npm asks for them and half as pnpm
// does, and the tarballs of older versions. It returns these.
func fillWithOlder(t *testing.T, r *rig.Rig, project registry.Project) map[string]bool {
	t.Helper()
	var urls [][]string
	seen := map[string]bool{}
	for i, p := range project.Packages {
		if !seen[p.Name] {
			seen[p.Name] = true
			urls = append(urls, []string{r.Base + p.Name, "Accept", []string{rig.Full, rig.Abbreviated}[i%2]})
		}
	}
	cached := map[string]bool{}
	for _, p := range project.Older() {
		cached[p.Name+"@"+p.Version] = true
		file := p.Name[strings.LastIndexByte(p.Name, '/')+1:] + "-" + p.Version + ".tgz"
		urls = append(urls, []string{r.Base + p.Name + "/-/" + file})
	}
	const workers = 8
	work := make(chan []string)
	var done sync.WaitGroup
	for range workers {
		done.Go(func() {
			for u := range work {
				resp, _, err := r.Fetch(t.Context(), u[0], u[1:]...)
				if err != nil {
					t.Error(err)
				} else if resp.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", u[0], resp.Status)
				}
			}
		})
	}
	for _, u := range urls {
		work <- u
	}
	close(work)
	done.Wait()
	return cached
}

// switchOffline runs "larder offline" on the running server.
func switchOffline(t *testing.T, r *rig.Rig, word string) {
	t.Helper()
	cmd := exec.Command(rig.Plain(t), "offline", word, "--data", r.Data)
	out, err := cmd.CombinedOutput()
	if want := map[string]string{"on": "offline\n", "off": "online\n"}[word]; err != nil || !strings.HasPrefix(string(out), want) {
		t.Fatalf("larder offline %s: %v, %s", word, err, out)
	}
}
