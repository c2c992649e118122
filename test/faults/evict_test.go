package faults

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

const (
	evictClients = 12
	// evictTime is how long the clients go on at least; where little was evicted
	// by then, for evictPatience more.
	evictTime     = 5 * time.Second
	evictLong     = 5 * time.Minute
	evictPatience = 2 * time.Minute
	evictCap      = 12_000_000 // bytes
	// evictStockLong packages with two tarballs of evictFiller bytes each are ten
	// times that; evictStock are a little more than twice as much.
	evictStockLong = 150
	evictStock     = 35
	evictFiller    = 400_000
	// lookEvery is how often the disk is measured.
	lookEvery = 200 * time.Millisecond
)

// TestEvictionUnderLoad lets a Larder whose cache may take a tenth of what its clients
// want evict all the time. No request fails and no byte is wrong, and the bound
// holds whenever the disk is measured. What the server takes its store to be
// is what lies there, in the next process, too.
func TestEvictionUnderLoad(t *testing.T) {
	seed := rig.Seed(t)
	duration, packages := evictTime, evictStock
	if rig.Long {
		duration, packages = evictLong, evictStockLong
	}
	r := rig.New(t, rig.Config{Settings: []string{fmt.Sprintf("LARDER_CACHE_MAX_SIZE=%d", evictCap), "LARDER_CACHE_MIN_FREE=0"}})
	stock := evictableStock(t, r, packages)
	books := newLedger()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	evicted := func() int { return r.Metric(t, "larder_store_evicted_files_total") }
	var clients sync.WaitGroup
	for n := range evictClients {
		clients.Go(func() {
			dice := rand.New(rand.NewPCG(seed, uint64(n)))
			for ctx.Err() == nil {
				// Some packages are wanted more than others.
				g := stock[min(dice.IntN(len(stock)), dice.IntN(len(stock)))]
				books.do(ctx, r, draw(r, g, dice), true)
			}
		})
	}
	var most int64
	clients.Go(func() { most = watchDisk(ctx, t, r) })
	<-time.After(duration)
	rig.Eventually(t, evictPatience, func() bool { return evicted() >= packages })
	cancel()
	clients.Wait()
	t.Log(books.summary())
	books.report(t)
	books.mustHave(t, "full: right", "abbreviated: right", "tarball: right", "part: right", "head: right")

	m := r.Metrics(t, "larder_store_evicted_files_total", "larder_store_evicted_bytes_total", "larder_store_refused_total", "larder_fills_ended_total")
	t.Logf("at most %d bytes on disk of %d; evicted %d files with %d bytes; refused %d; %d fills", most, evictCap, m[0], m[1], m[2], m[3])
	if m[0] < packages {
		t.Errorf("only %d files were evicted", m[0])
	}
	if !rig.Eventually(t, 20*time.Second, func() bool { return r.Metric(t, "larder_store_bytes") == int(onDisk(t, r).bytes) }) {
		t.Errorf("the store takes itself to hold %d bytes and holds %d", r.Metric(t, "larder_store_bytes"), onDisk(t, r).bytes)
	}
	r.Restart(t)
	if got, want := r.Metric(t, "larder_store_bytes"), int(onDisk(t, r).bytes); got != want {
		t.Errorf("after a restart the store takes itself to hold %d bytes and holds %d", got, want)
	}
	r.LeavesNoTemporaries(t)
}

// evictableStock publishes n packages, which are much more than the cache may take.
func evictableStock(t *testing.T, r *rig.Rig, n int) []*goods {
	t.Helper()
	stock := make([]*goods, n)
	for i := range stock {
		g := &goods{name: fmt.Sprintf("e%04d-pkg", i)}
		for _, version := range stockVersions {
			r.Add(t, registry.Package{Name: g.name, Version: version, Filler: evictFiller/2 + i*evictFiller/n})
		}
		g.learn(t, r)
		stock[i] = g
	}
	return stock
}

// watchDisk measures until ctx ends, and returns the most that the store took. The
// process stands still meanwhile, so that nothing comes or goes.
func watchDisk(ctx context.Context, t *testing.T, r *rig.Rig) (most int64) {
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return most
		}
		if err := r.Larder.Signal(syscall.SIGSTOP); err != nil {
			t.Error(err)
			return most
		}
		u := onDisk(t, r)
		if err := r.Larder.Signal(syscall.SIGCONT); err != nil {
			t.Error(err)
			return most
		}
		most = max(most, u.taken)
		if u.taken > evictCap+evictCap/50 {
			t.Errorf("the store takes %d bytes of %d (%d in files), more than 2 %% too many", u.taken, evictCap, u.bytes)
		}
	}
}

// disk is what a store takes.
type disk struct {
	bytes int64 // in its files
	taken int64 // in blocks, with those of its directories
}

// onDisk measures the cache's store.
func onDisk(t *testing.T, r *rig.Rig) (u disk) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(r.Data, "cache", "v1", "objects"), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has just gone
		}
		fi, err := e.Info()
		if err != nil {
			return nil // it, too
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			return errors.New("not on this system")
		}
		u.taken += st.Blocks * 512
		if fi.Mode().IsRegular() {
			u.bytes += fi.Size()
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return u
}
