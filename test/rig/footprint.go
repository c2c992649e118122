package rig

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// quietLimit is how long Larder may take to let go of everything: the longest
// silence that it bears is half a minute.
const quietLimit = time.Minute

// Footprint is what Larder holds of the process's means.
type Footprint struct{ Goroutines, Descriptors, Requests, Fills int }

// Footprint asks Larder for it.
func (r *Rig) Footprint(t testing.TB) Footprint {
	t.Helper()
	m := r.Metrics(t, "go_goroutines", "process_open_fds", "larder_requests_in_flight", "larder_fills_in_flight")
	return Footprint{m[0], m[1], m[2], m[3]}
}

// AtRest takes upstream away, with all its connections, and returns what
// Larder holds once that does not change any more.
func (r *Rig) AtRest(t testing.TB) Footprint {
	t.Helper()
	r.Upstream.Stop()
	r.Client.CloseIdleConnections()
	const calm = 5 // equal readings in a row
	last, equal := Footprint{}, 0
	Eventually(t, quietLimit, func() bool {
		now := r.Footprint(t)
		if now != last {
			last, equal = now, 0
		}
		if equal++; now.Fills > 0 {
			equal = 0
		}
		return equal > calm
	})
	return last
}

// MustLetGo fails t unless Larder gets down to what it held before. A dump of
// its goroutines tells who does not let go.
func (r *Rig) MustLetGo(t testing.TB, before Footprint) {
	t.Helper()
	r.Client.CloseIdleConnections()
	var now Footprint
	if Eventually(t, quietLimit, func() bool {
		now = r.Footprint(t)
		return now.Goroutines <= before.Goroutines && now.Descriptors <= before.Descriptors && now.Requests <= before.Requests && now.Fills == 0
	}) {
		return
	}
	t.Errorf("left behind: %+v, before the chaos it was %+v", now, before)
	if err := r.Larder.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-r.Larder.Exited()
	t.Log(Tail(r.Larder.Log(), 2000))
	r.Larder = nil
}

// LeavesNoTemporaries fails t if a file that nobody writes any more lies in a
// temporary directory.
func (r *Rig) LeavesNoTemporaries(t testing.TB) {
	t.Helper()
	err := filepath.WalkDir(r.Data, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Base(filepath.Dir(path)) == "tmp" {
			t.Errorf("left behind: %s", path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
