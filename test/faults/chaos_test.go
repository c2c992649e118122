package faults

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"larder/test/rig"
)

const (
	warmClients = 6
	coldClients = 40
	warmStock   = 15 // packages
	coldStock   = 200
	// chaosTime is how long the clients go on at least; where not all has come up
	// by then that shows something, for chaosPatience more.
	chaosTime     = 20 * time.Second
	longChaosTime = 10 * time.Minute
	chaosPatience = time.Minute
	// longFactor is how much larger the stock is at full length.
	longFactor = 10
	// recentStock is how many packages are wanted by everybody at once, as new
	// ones are.
	recentStock = 20
	// recoveryLimit is how long after the chaos Larder may still refuse what it
	// lacks: it remembers for a minute what was wrong or not there.
	recoveryLimit = 3 * time.Minute
)

// TestChaos puts mixed load on a Larder whose upstream misbehaves at random, in
// every way that test/registry knows. No client may ever complete a wrong byte,
// nothing wrong may be stored, what was held before is served throughout, and
// nothing is left behind. LARDER_TEST_SEED repeats a run, as far as scheduling
// lets it.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes most of a minute")
	}
	seed := rig.Seed(t)
	factor, duration := 1, chaosTime
	if rig.Long {
		factor, duration = longFactor, longChaosTime
	}

	// Short lifetimes, so that upstream is asked all the time.
	r := rig.New(t, rig.Config{Settings: []string{"LARDER_CACHE_FRESH_FOR=1s", "LARDER_CACHE_STALE_WHILE_REVALIDATE=1s"}})
	warm := newStock(t, r, "w", warmStock)
	cold := newStock(t, r, "c", coldStock*factor)
	books := newLedger()
	for _, g := range warm {
		for _, q := range everything(r, g) {
			books.do(t.Context(), r, q, true)
		}
	}
	books.report(t)
	before := r.AtRest(t)

	if err := r.Upstream.Start(); err != nil {
		t.Fatal(err)
	}
	wanted := []string{"full: right", "abbreviated: right", "version: right", "tarball: right", "part: right", "head: right", "hung up: hung up", "tarball: 502"}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var siege sync.WaitGroup
	siege.Go(func() { besiege(ctx, t, r, books, warm, cold, seed, duration) })
	<-time.After(duration)
	rig.Eventually(t, chaosPatience, func() bool { return len(books.lacking(wanted)) == 0 })
	cancel()
	siege.Wait()
	t.Log(books.summary())
	books.report(t)
	books.mustHave(t, wanted...)

	r.Upstream.ClearFaults()
	after := r.AtRest(t) // upstream is away from here on
	t.Logf("at rest, before: %+v; after: %+v", before, after)
	r.LeavesNoTemporaries(t)
	stored := newLedger()
	for _, what := range slices.Sorted(maps.Keys(books.completed)) {
		stored.do(t.Context(), r, books.completed[what], true)
	}
	t.Logf("read again without upstream: %s", stored.summary())
	stored.report(t)
	if err := r.Upstream.Start(); err != nil {
		t.Fatal(err)
	}
	mustAnswer(t, r, warm[0]) // or Larder would look whether it is back
	r.Upstream.Stop()
	r.MustLetGo(t, before)
	if rig.Long && r.Larder != nil {
		mustRecover(t, r, slices.Concat(warm, cold))
	}
}

// everything is one request for each part of a package.
func everything(r *rig.Rig, g *goods) []request {
	plain := request{method: http.MethodGet, goods: g, base: r.Base}
	all := []request{plain.packument(r, true), plain.packument(r, false)}
	for _, version := range stockVersions {
		all = append(all, plain.version(r, version), plain.tarball(version))
	}
	return all
}

// besiege runs the clients and the weather until ctx ends. All of the cold stock
// is known to the clients after a duration.
func besiege(ctx context.Context, t *testing.T, r *rig.Rig, books *ledger, warm, cold []*goods, seed uint64, duration time.Duration) {
	var wg sync.WaitGroup
	defer wg.Wait()
	dice := func(n int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(n))) }
	wg.Go(func() { weather(ctx, t, r, dice(0)) })
	for n := range warmClients {
		wg.Go(func() {
			for dice := dice(1 + n); ctx.Err() == nil; {
				books.do(ctx, r, draw(r, warm[dice.IntN(len(warm))], dice), true)
			}
		})
	}
	// New packages come up all the time, or all would soon be held.
	began := time.Now()
	for n := range coldClients {
		wg.Go(func() {
			for dice := dice(1 + warmClients + n); ctx.Err() == nil; {
				known := 1 + int(float64(len(cold)-1)*time.Since(began).Seconds()/duration.Seconds())
				known = min(known, len(cold))
				i := dice.IntN(known)
				if dice.IntN(3) > 0 {
					i = max(0, known-1-dice.IntN(recentStock))
				}
				books.do(ctx, r, draw(r, cold[i], dice), false)
			}
		})
	}
}

// mustRecover fails t unless all that upstream has is served once it behaves
// again, and what Larder remembers of its misbehaviour is a minute old.
func mustRecover(t *testing.T, r *rig.Rig, stock []*goods) {
	t.Helper()
	if err := r.Upstream.Start(); err != nil {
		t.Fatal(err)
	}
	var books *ledger
	if rig.Eventually(t, recoveryLimit, func() bool {
		books = newLedger()
		for _, g := range stock {
			for _, q := range everything(r, g) {
				books.do(t.Context(), r, q, true)
			}
		}
		return len(books.problems) == 0
	}) {
		return
	}
	t.Logf("long after the chaos: %s", books.summary())
	books.report(t)
}

// report fails t for each problem.
func (l *ledger) report(t *testing.T) {
	t.Helper()
	for _, err := range l.problems {
		t.Error(err)
	}
}

// mustHave fails t unless each of the outcomes came up: otherwise the load
// shows nothing.
func (l *ledger) mustHave(t *testing.T, outcomes ...string) {
	t.Helper()
	for _, outcome := range l.lacking(outcomes) {
		t.Errorf("it never came to %q", outcome)
	}
}

// lacking returns those of the outcomes that have not come up.
func (l *ledger) lacking(outcomes []string) (lacking []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, outcome := range outcomes {
		if l.counts[outcome] == 0 {
			lacking = append(lacking, outcome)
		}
	}
	return lacking
}

func (l *ledger) summary() string {
	s := ""
	for _, key := range slices.Sorted(maps.Keys(l.counts)) {
		s += fmt.Sprintf("%s %d\n", key, l.counts[key])
	}
	return fmt.Sprintf("%d things were completed\n%s", len(l.completed), s)
}
