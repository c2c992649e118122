package hosted

import (
	"errors"
	"io/fs"
	"sync/atomic"
	"syscall"
	"testing"

	"larder/cache"
	"larder/npm"
)

// TestNamesOutliveTheDisk: while the store cannot be read, names that are not
// ours are known not to be, and ours never count as free.
func TestNamesOutliveTheDisk(t *testing.T) {
	s := newBrittle(cache.NewMem())
	p := newPackages(t, Config{Store: s})
	publishAll(t, p, "lib", "1.0.0")
	publishAll(t, p, "cold", "1.0.0")
	all := func(string, string) error { return syscall.EIO }
	open := func(op, _ string) error {
		if op == "open" {
			return syscall.EMFILE
		}
		return nil
	}

	s.breaks(all)
	_, err := p.Get(t.Context(), "left-pad")
	wantError(t, err, npm.Unavailable, "disk") // nobody knows
	s.breaks(nil)

	p.Learn()
	wantFound(t, p, "", "cold", "lib") // waits for the index
	p.memory.remove("cold")
	for name, broken := range map[string]func(string, string) error{"everything": all, "open": open} {
		s.breaks(broken)
		if _, err := p.Get(t.Context(), "left-pad"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s fails: a name that is not ours: %v", name, err)
		}
		if k, err := p.Get(t.Context(), "lib"); err != nil || k.Name() != "lib" {
			t.Errorf("%s fails: a package that was read before: %v", name, err)
		}
		_, err := p.Get(t.Context(), "cold")
		wantError(t, err, npm.Unavailable, "disk")
		_, err = send(t.Context(), t, p, pkg{name: "new", version: "1.0.0"}, alice)
		if !errors.Is(err, ErrDisk) {
			t.Errorf("%s fails: a publish: %v", name, err)
		}
		s.breaks(nil)
	}
	wantFound(t, p, "", "cold", "lib")
	publishAll(t, p, "new", "1.0.0")
	get(t, p, "cold")
}

// TestDoubtfulNames: a name whose first publish failed, in a way that does not
// tell how far it came, is not free while the disk cannot be read.
func TestDoubtfulNames(t *testing.T) {
	s := newBrittle(cache.NewMem())
	p := newPackages(t, Config{Store: s})
	p.Learn()
	wantFound(t, p, "", nil...)
	var gone atomic.Bool // from the first commit on
	s.breaks(func(op, _ string) error {
		if gone.Load() || op == "commit" {
			gone.Store(true)
			return syscall.EIO
		}
		return nil
	})
	_, err := send(t.Context(), t, p, pkg{name: "lib", version: "1.0.0"}, alice)
	wantError(t, err, npm.NoSpace, "disk")
	_, err = p.Get(t.Context(), "lib")
	wantError(t, err, npm.Unavailable, "disk")
	s.breaks(nil)
	publishAll(t, p, "lib", "1.0.0")
	get(t, p, "lib")
}
