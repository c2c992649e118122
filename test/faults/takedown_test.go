package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

// atOnce bounds a client that is told no: one that took the answer for a
// passing trouble would try for 70 s.
const atOnce = time.Minute

// notice makes Larder ask upstream for a package's document, and returns what
// it answers.
func notice(t *testing.T, r *rig.Rig, name string) (int, string) {
	t.Helper()
	resp, body, err := r.Fetch(t.Context(), r.Base+name, "Cache-Control", "no-cache", "Accept", rig.Full)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// answer is the status of a GET, and the body's error.
func answer(t *testing.T, r *rig.Rig, path string) (int, string) {
	t.Helper()
	resp, body, err := r.Fetch(t.Context(), r.Base+path)
	if err != nil {
		t.Fatal(err)
	}
	var e struct{ Error string }
	_ = json.Unmarshal(body, &e) // a tarball is no JSON
	return resp.StatusCode, e.Error
}

// TestTakeDown: a version that upstream removes is not installed any more,
// although its bytes are cached; who asks for no particular version gets an
// older one; and a pinned one goes on.
func TestTakeDown(t *testing.T) {
	const project = `{"name":"app","private":true,"dependencies":{"left-pad":"^1.0.0"}}`
	r := rig.New(t, rig.Config{})
	for _, version := range []string{"1.0.0", "1.1.0", "1.2.0"} {
		r.Add(t, registry.Package{Name: "left-pad", Version: version})
	}
	frozen := r.NewClient(t, "npm-11", project)
	if _, err := frozen.Run(t.Context(), frozen.Install...); err != nil {
		t.Fatal(err)
	}
	if got := installed(t, frozen, "left-pad"); got != "1.2.0" {
		t.Fatalf("left-pad@%s is installed", got)
	}

	if err := r.Upstream.TakeDown("left-pad", "1.2.0"); err != nil {
		t.Fatal(err)
	}
	if status, doc := notice(t, r, "left-pad"); status != http.StatusOK || strings.Contains(doc, `left-pad-1.2.0.tgz`) {
		t.Fatalf("%d: %s", status, doc)
	}
	if err := frozen.Forget(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), atOnce)
	defer cancel()
	out, err := frozen.Run(ctx, frozen.Frozen...)
	if err == nil || ctx.Err() != nil || !strings.Contains(out, "left-pad@1.2.0 was taken down: upstream npm no longer lists it") {
		t.Errorf("npm ci: %v (%v)", err, ctx.Err())
	}
	fresh := r.NewClient(t, "npm-11", project)
	if _, err := fresh.Run(t.Context(), fresh.Install...); err != nil {
		t.Fatal(err)
	}
	if got := installed(t, fresh, "left-pad"); got != "1.1.0" {
		t.Errorf("left-pad@%s is installed where 1.2.0 was taken down", got)
	}

	// Upstream and Larder forget nothing by being restarted, and a pin helps
	// after the fact.
	r.Restart(t)
	if status, _ := answer(t, r, "left-pad/-/left-pad-1.2.0.tgz"); status != http.StatusForbidden {
		t.Errorf("after a restart the tarball is %d", status)
	}
	r.Configure([]string{"LARDER_CACHE_PINS=left-pad@1.2.0"}, nil)
	r.Restart(t)
	if err := frozen.Forget(); err != nil {
		t.Fatal(err)
	}
	if _, err := frozen.Run(t.Context(), frozen.Frozen...); err != nil {
		t.Errorf("the pinned version: %v", err)
	}
	if status, doc := notice(t, r, "left-pad"); status != http.StatusOK || !strings.Contains(doc, "left-pad-1.2.0.tgz") {
		t.Errorf("the pinned version is not listed: %d %s", status, doc)
	}
}

// installed is the version of a package in a project's node_modules.
func installed(t *testing.T, c *rig.Client, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.Dir, "node_modules", name, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct{ Version string }
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	return manifest.Version
}

// TestSickUpstreamTakesNothing: versions that an upstream lacks from one moment
// to the next, in documents that claim not to have changed, stay installable,
// and an administrator is told.
func TestSickUpstreamTakesNothing(t *testing.T) {
	r := rig.New(t, rig.Config{})
	var names []string
	for i := range 20 {
		name := fmt.Sprint("lib", i)
		names = append(names, name)
		r.Add(t, registry.Package{Name: name, Version: "1.0.0"}, registry.Package{Name: name, Version: "1.1.0"})
		if status, _ := notice(t, r, name); status != http.StatusOK {
			t.Fatal(status)
		}
		if status, _ := answer(t, r, name+"/-/"+name+"-1.1.0.tgz"); status != http.StatusOK {
			t.Fatal(status)
		}
	}
	for _, name := range names {
		if err := r.Upstream.Lose(name, "1.1.0"); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		if status, doc := notice(t, r, name); status != http.StatusOK || !strings.Contains(doc, name+"-1.1.0.tgz") {
			t.Errorf("%s: %d %s", name, status, doc)
		}
		if status, _ := answer(t, r, name+"/-/"+name+"-1.1.0.tgz"); status != http.StatusOK {
			t.Errorf("%s: the tarball is %d", name, status)
		}
	}
	_, health, err := r.Fetch(t.Context(), r.Base+"-/health/ready")
	if err != nil || !strings.Contains(string(health), "does not prove that they were removed") || !strings.Contains(string(health), `"status":"degraded"`) {
		t.Errorf("health: %s, %v", health, err)
	}
	if n := r.Metric(t, "larder_upstream_held_back_total"); n < len(names) {
		t.Errorf("%d documents are counted as held back", n)
	}
	if r.Metric(t, "larder_upstream_taken_down_total") != 0 || r.Metric(t, "larder_upstream_alarm") != 1 {
		t.Error("something was taken down, or there is no alarm in the metrics")
	}
}
