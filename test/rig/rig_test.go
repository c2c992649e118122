package rig

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"larder/test/registry"
)

func TestMain(m *testing.M) { Main(m) }

func TestRigOutlivesKills(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs the built binary")
	}
	r := New(t, Config{Binary: Plain(t)})
	r.Add(t, registry.Package{Name: "a", Version: "1.0.0"})
	base := r.Base
	for _, end := range []func(){func() { r.Kill() }, func() { r.Stop(t) }} {
		if resp, _, err := r.Fetch(t.Context(), r.Base+"a"); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("GET /a: %v, %v", resp, err)
		}
		if n := r.Metric(t, "larder_requests_in_flight"); n < 1 {
			t.Errorf("%d requests in flight while one is", n)
		}
		end()
		if resp, _, err := r.Fetch(t.Context(), r.Base+"a"); err == nil {
			t.Fatalf("a Larder that has ended answers %s", resp.Status)
		}
		r.Start(t)
	}
	if r.Base != base {
		t.Errorf("it was at %s and is at %s", base, r.Base)
	}
	if n := r.Upstream.Requests("/a"); n != 1 {
		t.Errorf("upstream was asked %d times: the data directory is not the same", n)
	}
}

func TestClientInstalls(t *testing.T) {
	if testing.Short() {
		t.Skip("real package managers take seconds")
	}
	r := New(t, Config{})
	r.Add(t, registry.Package{Name: "a", Version: "1.2.0"})
	c := r.NewClient(t, "npm-11", `{"name":"app","private":true,"dependencies":{"a":"^1.0.0"}}`)
	for range 2 {
		if _, err := c.Run(t.Context(), c.Install...); err != nil {
			t.Fatal(err)
		}
		out, err := c.Run(t.Context(), "node", "-p", "require('a/package.json').version")
		if err != nil || strings.TrimSpace(out) != "1.2.0" {
			t.Errorf("%q, %v", out, err)
		}
		if err := c.Forget(); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(c.Dir, "node_modules")); err != nil || left != nil {
		t.Errorf("%v, %v", left, err)
	}
	if _, err := c.Run(t.Context(), "npm", "install", "no-such-package"); err == nil || !strings.Contains(err.Error(), "E404") {
		t.Errorf("error %v, want npm's output in it", err)
	}
}
