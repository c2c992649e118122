package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

const (
	restarts     = 3
	longRestarts = 100
	// restartClients are connections that are never without a request.
	restartClients = 12
	// npm tries three times, and waits 10 s and then 60 s (fetch-retries,
	// fetch-retry-mintimeout); ours have less patience: this, and then three
	// times as much.
	restartTries = 3
	restartPause = 4 * time.Second
)

// TestRestartUnderLoad stops Larder by SIGTERM in the middle of everything, and
// starts it again, some times over. Whoever repeats a request that met no
// server, as package managers do, notices nothing: no answer breaks off, none is
// wrong, and none is missing after two further tries.
func TestRestartUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("it restarts a server under load")
	}
	rounds := restarts
	if rig.Long {
		rounds = longRestarts
	}
	seed := rig.Seed(t)
	dice := rand.New(rand.NewPCG(seed, 0))
	r := rig.New(t, rig.Config{Settings: []string{"LARDER_CACHE_FRESH_FOR=100ms", "LARDER_CACHE_STALE_WHILE_REVALIDATE=100ms"}})
	stock := steady(t, r, "r", 16)
	// Tarballs take their time, so that downloads are under way at each stop.
	r.Upstream.SetFault("*.tgz", registry.Fault{Rate: 400 << 10})

	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var right atomic.Int64
	var tries tries
	for n := range restartClients {
		clients.Go(func() {
			dice := rand.New(rand.NewPCG(seed, uint64(n+1)))
			for ctx.Err() == nil {
				all := everything(r, stock[dice.IntN(len(stock))])
				if err := insist(r, all[dice.IntN(len(all))], &tries); err != nil {
					t.Error(err)
				}
				right.Add(1)
			}
		})
	}
	for range rounds {
		begun := right.Load()
		// Who met the last restart is answered before the next: a client's tries
		// are for one.
		if !rig.Eventually(t, time.Minute, func() bool { return right.Load() > begun+20 && tries.open.Load() == 0 }) {
			t.Error("the clients are stuck")
		}
		time.Sleep(time.Duration(dice.IntN(300)) * time.Millisecond) // somewhere in the middle
		if dice.IntN(2) == 0 {
			if err := os.RemoveAll(filepath.Join(r.Data, "cache")); err != nil { // cold, so that there is something to wait for
				t.Log(err) // somebody has just written there
			}
		}
		stopLoaded(t, r)
		r.Start(t)
	}
	stop()
	clients.Wait()
	t.Logf("%d restarts: %d answers, of which %d needed another try", rounds, right.Load(), tries.again.Load())
	if tries.again.Load() == 0 {
		t.Error("no request met a restart: that shows nothing")
	}
}

// stopLoaded is Rig.Stop beside clients that go on asking, who need their
// connections.
func stopLoaded(t *testing.T, r *rig.Rig) {
	t.Helper()
	if err := r.Larder.Stop(); err != nil {
		t.Errorf("larder did not end well: %v\n%s", err, rig.Tail(r.Larder.Log(), 50))
	}
	if log := r.Larder.Log(); strings.Contains(log, "cut off") {
		t.Errorf("downloads were cut off:\n%s", rig.Tail(log, 20))
	}
	r.Larder = nil
}

// tries counts those that follow a request's first.
type tries struct {
	again atomic.Int64 // so far
	open  atomic.Int64 // requests that are being tried again
}

// insist sends a request as npm does: again after a pause where there was no
// answer, or one that says that there will be. What has begun must end.
func insist(r *rig.Rig, q request, tries *tries) error {
	var outcome string
	var err error
	for try := range restartTries {
		if try == 1 {
			tries.open.Add(1)
			defer tries.open.Add(-1)
		}
		if try > 0 {
			tries.again.Add(1)
			time.Sleep(restartPause * time.Duration(2*try-1))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		outcome, err = q.send(ctx, r, false)
		cancel()
		switch {
		case outcome == "right":
			return nil
		case errors.Is(err, errWrong), outcome == "no patience",
			outcome == "broken" && (err == nil || !strings.Contains(err.Error(), "no answer")):
			return fmt.Errorf("%s %s: %s, %v", q.what, q.path, outcome, err)
		}
	}
	return fmt.Errorf("%s %s: %s after %d tries, %v", q.what, q.path, outcome, restartTries, err)
}

// TestInstallAcrossRestarts runs npm install, on a machine that has never
// installed anything, while Larder is restarted again and again.
func TestInstallAcrossRestarts(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs a real npm")
	}
	packages := 60
	if rig.Long {
		packages = 1000
	}
	r := rig.New(t, rig.Config{})
	project := registry.NewProject(rig.Seed(t), packages)
	if err := project.Add(r.Upstream); err != nil {
		t.Fatal(err)
	}
	r.Upstream.SetFault("*", registry.Fault{Latency: 20 * time.Millisecond})
	npm := r.NewClient(t, "npm-11", project.Manifest)
	// Its own tries, sooner than after the usual 10 s.
	patience := "fetch-retry-mintimeout=1000\nfetch-retry-maxtimeout=4000\naudit=false\nfund=false\n"
	if err := os.WriteFile(filepath.Join(npm.Dir, ".npmrc"), []byte(patience), 0o600); err != nil {
		t.Fatal(err)
	}
	installed := make(chan error, 1)
	go func() {
		out, err := npm.Run(t.Context(), npm.Install...)
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		installed <- err
	}()
	for range restarts {
		begun := r.Upstream.Total()
		rig.Eventually(t, 20*time.Second, func() bool { return r.Upstream.Total() >= begun+packages/4 || len(installed) > 0 })
		stopLoaded(t, r)
		r.Start(t)
	}
	if err := <-installed; err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Join(npm.Dir, "node_modules")); err != nil || len(entries) < packages/2 {
		t.Errorf("%d packages are installed: %v", len(entries), err)
	}
}
