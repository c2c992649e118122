package faults

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

const (
	killRounds     = 20
	longKillRounds = 1000
	killClients    = 24
	killPublishers = 2
	killStock      = 160 // packages
	// killWithin is the time in which Larder is killed: enough for some dozens of
	// answers, and for the largest tarballs to be on their way.
	killWithin = 400 * time.Millisecond
	// killStart is about how long a start takes.
	killStart = 60 * time.Millisecond
	// killCold is after how many rounds the cache is emptied, so that it is cold
	// again.
	killCold = 8
	// sweepLimit is how long the leftovers of a crash may lie.
	sweepLimit = 10 * time.Second
)

// TestKill ends Larder by SIGKILL again and again, at random moments of a mixed
// load on a cold cache. No client may have completed a wrong byte, nothing
// wrong may be stored, every start must be clean, and what was published and
// acknowledged is there.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts and kills dozens of servers")
	}
	t.Parallel()
	rounds := killRounds
	if rig.Long {
		rounds = longKillRounds
	}
	seed := rig.Seed(t)
	dice := rand.New(rand.NewPCG(seed, 0))
	r := rig.New(t, rig.Config{Binary: rig.Plain(t), Settings: []string{
		// Short lifetimes, so that upstream is asked all the time.
		"LARDER_CACHE_FRESH_FOR=100ms", "LARDER_CACHE_STALE_WHILE_REVALIDATE=100ms", "LARDER_HOSTED_RESERVED=@kill/*",
	}})
	stock := newStock(t, r, "k", killStock)
	truth := newTruth(stock)
	token := r.Adduser(t, "alice")
	total := newKillRound(r, token, 0)
	var seen census
	for n := range rounds {
		round := newKillRound(r, token, n)
		r.Upstream.SetChaos(dice.Uint64(), slowness()...)
		round.run(stock, dice.Uint64(), time.Duration(dice.Int64N(int64(killWithin))))
		if log := r.Kill(); strings.Contains(log, "level=") {
			t.Errorf("larder complained:\n%s", log)
		}
		round.clients.Wait()
		seen.add(truth.check(t, r))
		if n%killCold == killCold-1 { // it may be deleted at any time
			if err := os.RemoveAll(filepath.Join(r.Data, "cache")); err != nil {
				t.Fatal(err)
			}
		}
		if dice.IntN(4) == 0 {
			r.KillWhileStarting(t, time.Duration(dice.Int64N(int64(killStart))))
		}
		r.Start(t)
		if !rig.Eventually(t, sweepLimit, func() bool { return len(leftovers(t, r)) == 0 }) {
			t.Errorf("not swept: %q", leftovers(t, r))
		}
		round.settle(t)
		total.take(round)
		if t.Failed() {
			t.Fatalf("that was in round %d", n)
		}
	}
	t.Logf("in %d rounds: %+v", rounds, seen)
	t.Log(total.summary())
	for _, what := range []string{"full: right", "abbreviated: right", "version: right", "tarball: right", "tarball: cut", "part: right", "head: right", "hung up: hung up", "published", "publish: cut"} {
		if total.counts[what] == 0 {
			t.Errorf("it never came to %q: that is too little to show anything", what)
		}
	}
	if seen.Blobs == 0 || seen.Swept == 0 {
		t.Error("the kills left nothing behind: they show nothing")
	}
}

// slowness makes upstream slow, and nothing worse: so that kills befall
// downloads, while any answer that is not right is Larder's doing.
func slowness() []registry.Chance {
	return []registry.Chance{
		{P: 0.3, Pattern: "*.tgz", Fault: registry.Fault{Rate: 1 << 20}},
		{P: 0.1, Pattern: "*.tgz", Fault: registry.Fault{Rate: 1 << 20, NoLength: true}},
		{P: 0.1, Pattern: "*-pkg", Fault: registry.Fault{Rate: 10_000}},
		{P: 0.2, Pattern: "*", Fault: registry.Fault{Latency: 20 * time.Millisecond}},
	}
}

// killRound is the load of one round, and what came of it.
type killRound struct {
	rig     *rig.Rig
	token   string
	n       int
	killed  atomic.Bool // Larder is, or will be in a moment
	clients sync.WaitGroup

	mu        sync.Mutex // guards what follows
	counts    map[string]int
	right     []request          // that were answered
	published []registry.Package // that were acknowledged
	pending   []registry.Package // that were not
	problems  []error
}

func newKillRound(r *rig.Rig, token string, n int) *killRound {
	return &killRound{rig: r, token: token, n: n, counts: map[string]int{}}
}

// run lets clients and publishers at Larder, and returns when it is to be
// killed.
func (k *killRound) run(stock []*goods, seed uint64, after time.Duration) {
	for n := range killClients {
		dice := rand.New(rand.NewPCG(seed, uint64(n)))
		k.clients.Go(func() {
			for !k.killed.Load() {
				k.ask(draw(k.rig, stock[dice.IntN(len(stock))], dice))
			}
		})
	}
	for n := range killPublishers {
		k.clients.Go(func() {
			for i := 0; !k.killed.Load(); i++ {
				k.publish(registry.Package{
					Name:    fmt.Sprintf("@kill/r%d-p%d", k.n, n),
					Version: fmt.Sprintf("1.0.%d", i),
					Filler:  i % 3 * 40_000,
				})
			}
		})
	}
	<-time.After(after)
	k.killed.Store(true)
}

// ask sends a request. Until Larder is killed nothing but the right answer will
// do.
func (k *killRound) ask(q request) {
	ctx, cancel := context.WithTimeout(context.Background(), warmPatience)
	defer cancel()
	outcome, err := q.send(ctx, k.rig, false)
	late := k.killed.Load()
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case errors.Is(err, errWrong):
	case late && outcome != "right" && outcome != "hung up":
		outcome, err = "cut", nil
	case err == nil && outcome == "right":
		k.right = append(k.right, q)
	case err == nil && outcome != "hung up":
		err = fmt.Errorf("%s %s: %s", q.what, q.path, outcome)
	}
	k.counts[q.what+": "+outcome]++
	if err != nil {
		k.problems = append(k.problems, err)
	}
}

// publish publishes p, and notes whether that was acknowledged.
func (k *killRound) publish(p registry.Package) {
	ctx, cancel := context.WithTimeout(context.Background(), warmPatience)
	defer cancel()
	status, said, err := k.rig.Publish(ctx, k.token, p)
	late := k.killed.Load()
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case err == nil && status/100 == 2:
		k.counts["published"]++
		k.published = append(k.published, p)
	case late:
		k.counts["publish: cut"]++
		k.pending = append(k.pending, p)
	default:
		k.problems = append(k.problems, fmt.Errorf("publish %s@%s: %d %s, %w", p.Name, p.Version, status, said, err))
	}
}

// settle looks, after the next start, at what the round has left.
func (k *killRound) settle(t *testing.T) {
	t.Helper()
	for _, err := range k.problems {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, q := range k.right {
		if outcome, err := q.send(ctx, k.rig, true); outcome != "right" {
			t.Errorf("%s %s, which was answered before: %s, %v", q.what, q.path, outcome, err)
		}
	}
	for _, p := range k.published {
		if state := k.state(t, p); state != "there" {
			t.Errorf("%s@%s, which was published: %s", p.Name, p.Version, state)
		}
	}
	for _, p := range k.pending {
		state := k.state(t, p)
		status, said, err := k.rig.Publish(ctx, k.token, p)
		switch {
		case err == nil && status/100 == 2: // the same bytes again are no conflict, so that clients may repeat themselves
		case err == nil && status == http.StatusForbidden && state == "there":
		default:
			t.Errorf("%s@%s, which is %s, published again: %d %s, %v", p.Name, p.Version, state, status, said, err)
		}
		k.counts["publish that was cut: "+state]++
		if state := k.state(t, p); state != "there" {
			t.Errorf("%s@%s, which was published again: %s", p.Name, p.Version, state)
		}
	}
}

// state tells whether a published version is there, with its bytes, or absent.
func (k *killRound) state(t *testing.T, p registry.Package) string {
	t.Helper()
	want, _, _, err := registry.Pack(p)
	if err != nil {
		t.Fatal(err)
	}
	resp, manifest, err := k.rig.Fetch(t.Context(), k.rig.Base+p.Name+"/"+p.Version)
	if err != nil {
		t.Fatal(err)
	}
	path := (&goods{name: p.Name}).tarballPath(p.Version)
	tarball, got, err := k.rig.Fetch(t.Context(), k.rig.Base+path)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case resp.StatusCode == http.StatusNotFound && tarball.StatusCode == http.StatusNotFound:
		return "absent"
	case resp.StatusCode == http.StatusOK && tarball.StatusCode == http.StatusOK && string(got) == string(want):
		return "there"
	}
	return fmt.Sprintf("half there: %s %s; tarball %s, %d bytes of %d", resp.Status, manifest, tarball.Status, len(got), len(want))
}

// take adds up what came of rounds.
func (k *killRound) take(o *killRound) {
	for what, n := range o.counts {
		k.counts[what] += n
	}
}

func (k *killRound) summary() string {
	s := ""
	for _, key := range slices.Sorted(maps.Keys(k.counts)) {
		s += fmt.Sprintf("%s %d\n", key, k.counts[key])
	}
	return s
}
