package faults

import (
	"context"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

// chances are the ways of an upstream to misbehave, how likely each is by
// itself, and scaled by how bad it is at the moment.
//
// Documents of versions are never corrupted: they travel without a checksum,
// so nobody could tell.
func chances(scale float64) []registry.Chance {
	const (
		everything = "*"
		packuments = "*-pkg"
		tarballs   = "*.tgz"
		vanishing  = "*-may-pkg" // not its tarballs: one 404 for a tarball is a take-down
	)
	impostor := registry.Fault{
		Body:   `{"name":"somebody-else","dist-tags":{"latest":"6.6.6"},"versions":{"6.6.6":{"name":"somebody-else","version":"6.6.6"}}}`,
		Header: http.Header{"Content-Type": {"application/json"}},
	}
	busy := registry.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}}
	all := []registry.Chance{
		{P: 0.05, Pattern: tarballs, Fault: registry.Fault{Corrupt: true}},
		{P: 0.05, Pattern: packuments, Fault: registry.Fault{Corrupt: true}},
		{P: 0.05, Pattern: tarballs, Fault: registry.Fault{Truncate: 70_000}},
		{P: 0.04, Pattern: tarballs, Fault: registry.Fault{Truncate: 70_000, NoLength: true}},
		{P: 0.03, Pattern: tarballs, Fault: registry.Fault{Truncate: 70_000, NoRange: true}},
		{P: 0.03, Pattern: tarballs, Fault: registry.Fault{NoLength: true}},
		{P: 0.06, Pattern: vanishing, Fault: registry.Fault{Status: http.StatusNotFound}},
		{P: 0.04, Pattern: everything, Fault: registry.Fault{Truncate: 100}},
		{P: 0.04, Pattern: everything, Fault: registry.Fault{Truncate: 100, NoLength: true}},
		{P: 0.05, Pattern: everything, Fault: registry.Fault{Reset: true}},
		{P: 0.01, Pattern: everything, Fault: registry.Fault{Hang: true}},
		{P: 0.005, Pattern: everything, Fault: registry.Fault{HangAfter: 20}},
		{P: 0.06, Pattern: everything, Fault: registry.Fault{Status: http.StatusInternalServerError}},
		{P: 0.03, Pattern: everything, Fault: busy},
		{P: 0.04, Pattern: everything, Fault: registry.HTML()},
		{P: 0.04, Pattern: everything, Fault: registry.BadJSON()},
		{P: 0.02, Pattern: everything, Fault: impostor},
		{P: 0.04, Pattern: everything, Fault: registry.Fault{Rate: 100_000}},
		{P: 0.08, Pattern: everything, Fault: registry.Fault{Latency: 100 * time.Millisecond}},
	}
	for i := range all {
		all[i].P *= scale
	}
	return all
}

// weather changes how bad it is every two seconds, until ctx ends: fair or
// rough, sometimes so foul that most questions fail, and now and then upstream
// is not there at all.
func weather(ctx context.Context, t *testing.T, r *rig.Rig, dice *rand.Rand) {
	changes := time.NewTicker(2 * time.Second)
	defer changes.Stop()
	for n := 1; ; n++ {
		scale := 0.2 + 0.8*dice.Float64()
		if n%5 == 0 {
			scale = 2
		}
		r.Upstream.SetChaos(dice.Uint64(), chances(scale)...)
		switch n % 20 {
		case 9:
			r.Upstream.Stop()
		case 10:
			if err := r.Upstream.Start(); err != nil {
				t.Error(err)
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changes.C:
		}
	}
}
