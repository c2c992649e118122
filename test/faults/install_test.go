package faults

import (
	"context"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

// How many packages the generated project has.
const (
	projectSize     = 30
	longProjectSize = 1000
)

// installers are the clients that install it.
var installers = []string{"npm-11", "pnpm-12", "bun-1"}

// installLimit bounds one install. npm waits for tens of seconds before it asks
// again for what failed.
const installLimit = 15 * time.Minute

// TestInstalls installs a generated project with real package managers: while
// upstream answers one request in five with a fault of some kind, and again,
// on machines that know nothing, when upstream is gone and Larder has been
// started anew. All of it must be there each time, and nothing else in the
// lockfile.
func TestInstalls(t *testing.T) {
	if testing.Short() {
		t.Skip("real package managers take minutes")
	}
	t.Parallel()
	size := projectSize
	if rig.Long {
		size = longProjectSize
	}
	seed := rig.Seed(t)
	project := registry.NewProject(seed, size)
	for i, name := range installers {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of the time is the clients' waiting
			r := rig.New(t, rig.Config{Binary: rig.Plain(t)})
			if err := project.Add(r.Upstream); err != nil {
				t.Fatal(err)
			}
			r.Upstream.SetChaos(seed+uint64(i), oneInFive()...)
			c := r.NewClient(t, name, project.Manifest)
			install(t, r, c, project, c.Install)
			t.Logf("upstream was asked %d times, again %d times", r.Upstream.Total(), r.Metric(t, "larder_upstream_retries_total"))

			r.Upstream.ClearFaults()
			r.Upstream.Stop()
			r.Restart(t)
			if err := c.Forget(); err != nil {
				t.Fatal(err)
			}
			install(t, r, c, project, c.Frozen)

			fresh := r.NewClient(t, name, project.Manifest) // without the lockfile
			install(t, r, fresh, project, fresh.Install)
		})
	}
}

// install runs a client, which must do, and looks at all that it has made.
func install(t *testing.T, r *rig.Rig, c *rig.Client, project registry.Project, command []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), installLimit)
	defer cancel()
	began := time.Now()
	if _, err := c.Run(ctx, command...); err != nil {
		t.Fatal(err)
	}
	in, err := rig.CheckInstalled(project, c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.CheckLocked(filepath.Join(c.Dir, c.Lockfile), r.Upstream.Integrities()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%v: %d packages in %v", command, len(in.Versions), time.Since(began).Round(time.Millisecond))
}

// oneInFive are the faults of an upstream that fails one request in five. The
// short form has none that take longer than seconds.
func oneInFive() []registry.Chance {
	busy := registry.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}}
	faults := []struct {
		p     float64
		fault registry.Fault
	}{
		{0.02, registry.Fault{Status: http.StatusInternalServerError}},
		{0.02, registry.Fault{Status: http.StatusBadGateway}},
		{0.02, registry.Fault{Status: http.StatusServiceUnavailable}},
		{0.02, busy},
		{0.03, registry.Fault{Reset: true}},
		{0.01, registry.Fault{Truncate: 200}},
		{0.01, registry.Fault{Truncate: 200, NoLength: true}},
		{0.02, registry.HTML()},
		{0.01, registry.BadJSON()},
		{0.01, registry.Fault{Rate: 20_000}},
		{0.01, registry.Fault{Latency: 2 * time.Second}},
		{0.01, registry.Fault{Latency: 200 * time.Millisecond, Reset: true}},
		{0.01, registry.Fault{Corrupt: true}},
	}
	var chances []registry.Chance
	add := func(p float64, f registry.Fault) {
		chances = append(chances, registry.Chance{P: p, Pattern: "*", Fault: f})
	}
	for _, f := range faults {
		add(f.p, f.fault)
	}
	if rig.Long {
		add(0.005, registry.Fault{Hang: true})
		add(0.005, registry.Fault{HangAfter: 200})
	}
	return chances
}
