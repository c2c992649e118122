package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

// diskSettings are of a Larder that keeps nothing big in memory, asks upstream
// all the time, and does not mind a small disk.
func diskSettings() []string {
	return []string{
		"LARDER_CACHE_MEMORY=1KB", "LARDER_CACHE_MIN_FREE=0", "LARDER_CACHE_FRESH_FOR=50ms",
		"LARDER_CACHE_STALE_WHILE_REVALIDATE=50ms", "LARDER_HOSTED_RESERVED=private-*",
	}
}

// needMounts skips a test of file systems where none can be mounted. CI can,
// and skips nothing.
func needMounts(t *testing.T, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("CI") != "" || !errors.Is(err, syscall.EPERM):
		t.Fatalf("mount: %v", err)
	default:
		t.Skip("only root can mount file systems")
	}
}

// allRight asks for everything of the stock, at once and in many connections,
// and fails t at any answer but the right one.
func allRight(t *testing.T, r *rig.Rig, stock []*goods, when string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var clients sync.WaitGroup
	turn := make(chan struct{}, 8)
	for _, g := range stock {
		for _, q := range everything(r, g) {
			turn <- struct{}{}
			clients.Go(func() {
				defer func() { <-turn }()
				if outcome, err := q.send(ctx, r, false); outcome != "right" {
					t.Errorf("%s: %s %s: %s, %v", when, q.what, q.path, outcome, err)
				}
			})
		}
	}
	clients.Wait()
}

// steady is a stock of packages that upstream never says 404 for.
func steady(t *testing.T, r *rig.Rig, prefix string, n int) []*goods {
	stock := newStock(t, r, prefix, n)
	for _, g := range stock {
		g.vanishing = false
	}
	return stock
}

// mustRefuse publishes a package, which must be refused with 507 and a sentence
// that says why, and must leave nothing of it.
func mustRefuse(t *testing.T, r *rig.Rig, token string, p registry.Package, why string) {
	t.Helper()
	status, said, err := r.Publish(t.Context(), token, p)
	if err != nil || status != http.StatusInsufficientStorage || !strings.Contains(string(said), why) || !strings.Contains(string(said), "nothing was") {
		t.Errorf("publishing %s: %d %s, %v; want 507 and %q", p.Name, status, said, err, why)
	}
	resp, body, err := r.Fetch(t.Context(), r.Base+p.Name+"/"+p.Version)
	if err != nil || resp.StatusCode == http.StatusOK {
		t.Errorf("what was refused is there: %s, %v", body, err)
	}
}

func mustPublish(t *testing.T, r *rig.Rig, token string, p registry.Package) {
	t.Helper()
	if status, said, err := r.Publish(t.Context(), token, p); err != nil || status != http.StatusCreated {
		t.Errorf("publishing %s: %d %s, %v", p.Name, status, said, err)
	}
	file := fmt.Sprintf("%s/-/%s-%s.tgz", p.Name, p.Name, p.Version)
	if resp, _, err := r.Fetch(t.Context(), r.Base+file); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("its tarball: %v, %v", resp, err)
	}
}

// mustKnow asks who a token's owner is.
func mustKnow(t *testing.T, r *rig.Rig, token, user string) {
	t.Helper()
	resp, body, err := r.Fetch(t.Context(), r.Base+"-/whoami", "Authorization", "Bearer "+token)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), user) {
		t.Errorf("whoami: %s, %v", body, err)
	}
}

// mustStore asks for a tarball until it comes out of the cache.
func mustStore(t *testing.T, r *rig.Rig, g *goods) {
	t.Helper()
	last := ""
	if !rig.Eventually(t, 20*time.Second, func() bool {
		resp, _, err := r.Fetch(t.Context(), r.Base+g.tarballPath(g.latest))
		if err != nil {
			return false
		}
		last = resp.Header.Get("X-Larder-Cache")
		return last == "hit"
	}) {
		t.Errorf("%s is not stored again: X-Larder-Cache %q", g.name, last)
	}
}

// TestFullDisk fills a small file system up: by what is installed, then to the
// last byte.
func TestFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("it mounts a file system")
	}
	disk := t.TempDir()
	needMounts(t, mountSmall(t, disk, 20))
	r := rig.New(t, rig.Config{Data: filepath.Join(disk, "data"), Settings: diskSettings()})
	token := r.Adduser(t, "alice")
	mustPublish(t, r, token, registry.Package{Name: "private-lib", Version: "1.0.0"})
	stock := steady(t, r, "f", 12)
	for i := range 14 { // twice what there is room for
		g := &goods{name: fmt.Sprintf("heavy%02d-pkg", i)}
		for _, version := range stockVersions {
			r.Add(t, registry.Package{Name: g.name, Version: version, Filler: 1400 << 10})
		}
		g.learn(t, r)
		stock = append(stock, g)
	}
	allRight(t, r, stock, "while the disk fills up")
	fillUp(t, filepath.Join(disk, "ballast"))
	allRight(t, r, stock, "while the disk is full")
	fillUp(t, filepath.Join(disk, "more")) // documents that were replaced by smaller ones have left some room
	mustRefuse(t, r, token, registry.Package{Name: "private-new", Version: "1.0.0", Filler: 300 << 10}, "disk is full")
	mustRefuse(t, r, token, registry.Package{Name: "private-lib", Version: "2.0.0", Filler: 300 << 10}, "disk is full")
	mustKnow(t, r, token, "alice")
	if passed := r.Metric(t, `larder_fills_ended_total{outcome="passed"}`); passed == 0 {
		t.Error("no download went past the disk: it was not full")
	}
	r.LeavesNoTemporaries(t)

	if err := os.Remove(filepath.Join(disk, "ballast")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(r.Data, "cache", "v1")); err != nil { // as documented, at any time
		t.Fatal(err)
	}
	allRight(t, r, stock[:12], "when there is room again")
	mustStore(t, r, stock[0])
	mustPublish(t, r, token, registry.Package{Name: "private-new", Version: "1.0.0", Filler: 300 << 10})
	mustPublish(t, r, token, registry.Package{Name: "private-lib", Version: "2.0.0"})
}

// TestReadOnlyDisk makes the data directory read-only under a running server,
// and writable again.
func TestReadOnlyDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("it mounts a file system")
	}
	disk := t.TempDir()
	needMounts(t, mountSmall(t, disk, 64))
	r := rig.New(t, rig.Config{Data: filepath.Join(disk, "data"), Settings: diskSettings()})
	token := r.Adduser(t, "alice")
	warm, cold := steady(t, r, "w", 6), steady(t, r, "c", 6)
	mustPublish(t, r, token, registry.Package{Name: "private-lib", Version: "1.0.0"})
	allRight(t, r, warm, "at first")

	writable := readOnly(t, r.Data)
	allRight(t, r, append(cold, warm...), "while the disk is read-only")
	mustRefuse(t, r, token, registry.Package{Name: "private-lib", Version: "2.0.0"}, "read-only")
	mustKnow(t, r, token, "alice")
	writable()
	allRight(t, r, append(cold, warm...), "when it is writable again")
	mustStore(t, r, cold[0])
	mustPublish(t, r, token, registry.Package{Name: "private-lib", Version: "2.0.0"})
}

// TestVanishingDirectory takes the cache away under load, which may be done at
// any time, and then the whole data directory, and puts that back.
func TestVanishingDirectory(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs a server under load")
	}
	r := rig.New(t, rig.Config{Data: filepath.Join(t.TempDir(), "data"), Settings: diskSettings()})
	token := r.Adduser(t, "alice")
	mustPublish(t, r, token, registry.Package{Name: "private-lib", Version: "1.0.0"})
	warm, cold := steady(t, r, "w", 6), steady(t, r, "c", 6)
	all := append(cold, warm...)
	allRight(t, r, warm, "at first")
	mustKnow(t, r, token, "alice")

	during := func(when string, what func()) {
		t.Helper()
		var load sync.WaitGroup
		load.Go(func() { allRight(t, r, all, when) })
		what()
		load.Wait()
		allRight(t, r, all, "after: "+when)
	}
	during("while the cache is deleted", func() {
		if err := os.RemoveAll(filepath.Join(r.Data, "cache")); err != nil && !errors.Is(err, syscall.ENOTEMPTY) {
			t.Error(err)
		}
	})
	mustStore(t, r, cold[0])
	away := r.Data + ".away"
	during("while the data directory goes away", func() {
		if err := os.Rename(r.Data, away); err != nil {
			t.Fatal(err)
		}
	})
	mustRefuse(t, r, token, registry.Package{Name: "private-lib", Version: "2.0.0"}, "directory is gone")
	mustRefuse(t, r, token, registry.Package{Name: "private-new", Version: "1.0.0"}, "directory is gone")
	mustKnow(t, r, token, "alice")
	if resp, body, err := r.Fetch(t.Context(), r.Base+"private-lib"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("a package that is published here: %s, %v", body, err)
	}
	if n := r.Upstream.Requests("private-*"); n > 0 {
		t.Errorf("upstream was asked %d times for private names", n)
	}
	if entries, err := os.ReadDir(r.Data); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the directory was made anew: %v, %v", entries, err)
	}
	during("while the data directory comes back", func() {
		if err := os.Rename(away, r.Data); err != nil {
			t.Fatal(err)
		}
	})
	mustStore(t, r, cold[1])
	mustPublish(t, r, token, registry.Package{Name: "private-lib", Version: "2.0.0"})
	mustPublish(t, r, token, registry.Package{Name: "private-new", Version: "1.0.0"})
}
