package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"larder/test/rig"
)

const (
	soakRounds     = 2
	longSoakRounds = 100
	soakRound      = 3 * time.Second
	soakClients    = 24
	soakStock      = 80 // packages
	longSoakStock  = 300
	// soakSize is what the cache may take, which is less than the larger stock
	// does.
	soakSize = "10MB"
)

// TestSoak lets clients at a Larder that is stopped and started again, and
// taken offline and back, with less room than it would like, while its upstream
// misbehaves at random. No client may complete a wrong byte, each stop is clean
// under the race detector, nothing wrong is stored and nothing is left behind.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	t.Parallel()
	rounds, packages := soakRounds, soakStock
	if rig.Long {
		rounds, packages = longSoakRounds, longSoakStock
	}
	seed := rig.Seed(t)
	dice := rand.New(rand.NewPCG(seed, 0))
	r := rig.New(t, rig.Config{Settings: []string{"LARDER_CACHE_FRESH_FOR=1s", "LARDER_CACHE_STALE_WHILE_REVALIDATE=1s", "LARDER_CACHE_MAX_SIZE=" + soakSize}})
	stock := newStock(t, r, "s", packages)
	s := &soak{rig: r, books: newLedger()}
	mustAnswer(t, r, stock[0])
	r.Upstream.Stop() // and with it the connections
	before := r.Footprint(t)
	for n := range rounds {
		if err := r.Upstream.Start(); err != nil {
			t.Fatal(err)
		}
		r.Upstream.SetChaos(dice.Uint64(), chances(1.2*dice.Float64())...)
		s.round(t, stock, dice.Uint64(), n%3 == 1)
		s.books.report(t)
		r.Upstream.Stop() // what hangs there need not be waited for
		if n < rounds-1 && n%2 == 0 {
			r.Stop(t)
			newTruth(stock).check(t, r)
			r.Start(t)
		}
		if t.Failed() {
			t.Fatalf("that was in round %d", n)
		}
	}
	t.Log(s.books.summary())
	s.books.mustHave(t, "full: right", "abbreviated: right", "tarball: right", "part: right", "offline full: right", "offline tarball: right")

	if rig.Long && r.Metric(t, "larder_store_evicted_files_total") == 0 {
		t.Error("nothing was evicted")
	}
	r.Upstream.ClearFaults()
	if err := r.Upstream.Start(); err != nil {
		t.Fatal(err)
	}
	mustAnswer(t, r, stock[0])
	r.Upstream.Stop()
	r.MustLetGo(t, before)
	if r.Larder != nil {
		r.Stop(t)
	}
	r.LeavesNoTemporaries(t)
	newTruth(stock).check(t, r)
}

// soak is a load that is never sure of an answer, but of the right one.
type soak struct {
	rig     *rig.Rig
	books   *ledger
	offline atomic.Int64 // odd: Larder is offline, or may be
}

// round lets the clients at Larder for a while, in the middle of which it is
// taken offline and back.
func (s *soak) round(t *testing.T, stock []*goods, seed uint64, offline bool) {
	ctx, cancel := context.WithTimeout(t.Context(), soakRound)
	defer cancel()
	var clients sync.WaitGroup
	defer clients.Wait()
	for n := range soakClients {
		dice := rand.New(rand.NewPCG(seed, uint64(n)))
		clients.Go(func() {
			for ctx.Err() == nil {
				s.ask(ctx, draw(s.rig, stock[dice.IntN(len(stock))], dice))
			}
		})
	}
	if !offline {
		return
	}
	<-time.After(soakRound / 4)
	s.offline.Add(1)
	s.rig.Command(t, "offline", "on")
	<-time.After(soakRound / 4)
	s.rig.Command(t, "offline", "off")
	s.offline.Add(1)
}

// ask sends a request. One that Larder may have answered offline may be refused
// for any reason, and a packument may lack versions.
func (s *soak) ask(ctx context.Context, q request) {
	began := s.offline.Load()
	mayBeOffline := func() bool { return began%2 == 1 || began != s.offline.Load() }
	q = q.orAbbreviated(s.rig)
	what, strictly := q.what, q.accepted
	q.accepted = func(resp *http.Response, body []byte) error {
		switch {
		case what == "part" && resp.StatusCode == http.StatusOK: // there was no room to store it
			return q.tarball(versionOf(q)).accepted(resp, body)
		case !mayBeOffline():
		case what == "full" || what == "abbreviated":
			return q.goods.checkListed(body, q.base, s.rig.Source)
		}
		return strictly(resp, body)
	}
	patient, cancel := context.WithTimeout(ctx, coldPatience)
	defer cancel()
	outcome, err := q.send(patient, s.rig, false)
	offline := mayBeOffline()
	switch {
	case errors.Is(err, errWrong):
	case ctx.Err() != nil:
		outcome, err = "over", nil
	case offline:
		err = nil
	case err != nil:
		err = fmt.Errorf("%s %s: %w", q.what, q.path, err)
	}
	if offline {
		q.what = "offline " + q.what
	}
	s.books.note(q, outcome, err)
}

// versionOf is the version whose tarball is asked for.
func versionOf(q request) string {
	for _, version := range stockVersions {
		if q.path == q.goods.tarballPath(version) {
			return version
		}
	}
	return ""
}

// mustAnswer waits until something that upstream has is served again: Larder
// remembers for a while that it was away.
func mustAnswer(t *testing.T, r *rig.Rig, g *goods) {
	t.Helper()
	if !rig.Eventually(t, recoveryLimit, func() bool {
		resp, _, err := r.Fetch(t.Context(), r.Base+g.name, "Cache-Control", "no-cache")
		return err == nil && resp.StatusCode == http.StatusOK && resp.Header.Get("X-Larder-Cache") != "stale"
	}) {
		t.Errorf("%s is not served afresh although upstream is back", g.name)
	}
}
