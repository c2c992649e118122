package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

// alwaysStale has Larder ask upstream again on each request.
var alwaysStale = []string{"LARDER_CACHE_FRESH_FOR=1ms", "LARDER_CACHE_STALE_WHILE_REVALIDATE=1ms"}

// project is a package.json that depends on what family publishes.
const project = `{"name":"app","version":"1.0.0","dependencies":{"pantry":"^1.0.0"}}`

// family publishes pantry, which needs jar and can do with a peer that nobody
// ever published. The clients named in the tests ask for that at each install.
func family(t *testing.T, r *rig.Rig) {
	t.Helper()
	r.Add(t,
		registry.Package{Name: "jar", Version: "1.0.0"},
		registry.Package{Name: "pantry", Version: "1.0.0", Manifest: `{"name":"pantry","version":"1.0.0","dependencies":{"jar":"^1.0.0"},
			"optionalDependencies":{"nobody-has-this":"^1.0.0"}}`})
}

// peers is family where the missing one is an optional peer.
func peers(t *testing.T, r *rig.Rig) {
	t.Helper()
	r.Add(t,
		registry.Package{Name: "jar", Version: "1.0.0"},
		registry.Package{Name: "pantry", Version: "1.0.0", Manifest: `{"name":"pantry","version":"1.0.0","dependencies":{"jar":"^1.0.0"},
			"peerDependencies":{"nobody-has-this":"^1.0.0"},"peerDependenciesMeta":{"nobody-has-this":{"optional":true}}}`})
}

// fresh installs without a lockfile, on a machine that has never installed
// anything, and reports how long that took.
func fresh(t *testing.T, c *rig.Client) (out string, took time.Duration) {
	t.Helper()
	if err := c.Forget(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(c.Dir, c.Lockfile)); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	began := time.Now()
	out, err := c.Run(ctx, c.Install...)
	if err != nil {
		t.Fatal(err)
	}
	return out, time.Since(began)
}

// TestInstallWithAHangingUpstream: after a first install another one takes the
// few seconds that upstream gets to answer, with its audit and all, and npm
// says once why.
func TestInstallWithAHangingUpstream(t *testing.T) {
	if testing.Short() {
		t.Skip("real package managers take long")
	}
	r := rig.New(t, rig.Config{Settings: alwaysStale})
	family(t, r)
	c := r.NewClient(t, "npm-11", project)
	if out, _ := fresh(t, c); strings.Contains(out, "npm notice Larder") {
		t.Errorf("a notice with upstream there:\n%s", out)
	}
	r.Upstream.SetFault("*", registry.Fault{Hang: true})
	out, took := fresh(t, c)
	if n := strings.Count(out, "cannot ask upstream"); n != 1 {
		t.Errorf("%d notices in\n%s", n, out)
	}
	// The back-off of npm alone takes 70 s where it is told 5xx.
	if took > time.Minute {
		t.Errorf("it took %s", took)
	}
	t.Logf("with upstream hanging: %s", took)
}

// TestPeerThatNobodyHas: that upstream has no such package is known after a
// restart, while upstream is gone, although it was forgotten for the minute
// that such things are otherwise kept.
func TestPeerThatNobodyHas(t *testing.T) {
	if testing.Short() {
		t.Skip("real package managers take long")
	}
	for _, tt := range []struct {
		client string
		stock  func(*testing.T, *rig.Rig)
	}{
		{"npm-11", family},
		{"deno-2", peers},
	} {
		t.Run(tt.client, func(t *testing.T) {
			r := rig.New(t, rig.Config{Settings: alwaysStale})
			tt.stock(t, r)
			c := r.NewClient(t, tt.client, project)
			fresh(t, c)
			if r.Upstream.Requests("/nobody-has-this") == 0 {
				t.Fatal("the client did not ask for it")
			}
			r.Upstream.Stop()
			r.Restart(t)
			_, took := fresh(t, c)
			if took > time.Minute {
				t.Errorf("it took %s", took)
			}
			for path, want := range map[string]int{"nobody-has-this": 404, "nobody-was-asked": 503} {
				resp, body, err := r.Fetch(t.Context(), r.Base+path)
				if err != nil || resp.StatusCode != want {
					t.Errorf("%s: %v, %v, want %d: %.200s", path, resp.Status, err, want, body)
				}
			}
		})
	}
}

// TestColdAnswersWithAHangingUpstream come before yarn 1 hangs up, which is the
// first to do so, after 30 s of silence; and they name upstream.
func TestColdAnswersWithAHangingUpstream(t *testing.T) {
	if !rig.Long {
		t.Skip("it waits for most of a minute; package upstream has the same with shorter waits")
	}
	const patience = 30 * time.Second
	for name, fault := range map[string]registry.Fault{
		"no answer":         {Hang: true},
		"stops in the body": {HangAfter: 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rig.New(t, rig.Config{})
			family(t, r)
			r.Upstream.SetFault("*", fault)
			for _, path := range []string{"pantry", "jar/1.0.0", "pantry/-/pantry-1.0.0.tgz", "jar/-/jar-1.0.0.tgz"} {
				t.Run(strings.ReplaceAll(path, "/", "_"), func(t *testing.T) {
					t.Parallel()
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					began := time.Now()
					resp, body, err := r.Fetch(ctx, r.Base+path)
					if err != nil {
						t.Fatalf("after %s: %v", time.Since(began), err)
					}
					if (resp.StatusCode != 503 && resp.StatusCode != 504) || !strings.Contains(string(body), "upstream "+upstreamName) {
						t.Errorf("after %s: %s: %s", time.Since(began), resp.Status, body)
					}
					t.Logf("after %s: %s", time.Since(began).Round(time.Second), fmt.Sprintf("%.100s", body))
				})
			}
		})
	}
}

// upstreamName is what "larder serve --upstream URL" calls it.
const upstreamName = "npm"
