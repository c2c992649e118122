package cache

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"
)

// Toucher is what a Store implements if it has to be told that an object was
// used which its caller has in memory.
type Toucher interface {
	// Touch notes that the object under key was used, or where it is not stored
	// that what it was made of was. It does not wait, and may be forgotten.
	Touch(key string)
}

const (
	// touchEvery is how often the use of a file is written down, at most. It is
	// less where files go at an age of a few hours.
	touchEvery = time.Hour
	// maxTouches is how many Touches wait to be written down; more are forgotten.
	maxTouches = 1024
)

// touchInterval returns how long after its last known use a file's use is written down
// again.
func touchInterval(maxAge time.Duration) time.Duration {
	if maxAge > 0 {
		return min(touchEvery, maxAge/4)
	}
	return touchEvery
}

// Touch implements Toucher.
func (d *Dir) Touch(key string) {
	if !d.evicts() {
		return
	}
	select {
	case d.touches <- key:
	default:
	}
}

// writeTouches writes down what Touch was told.
func (d *Dir) writeTouches(ctx context.Context) {
	for {
		select {
		case key := <-d.touches:
			d.touch(key)
		case <-ctx.Done():
			return
		}
	}
}

// touch notes a use of key. What is not there was never written, or has been
// evicted: then the responses that it was made of are in use.
func (d *Dir) touch(key string) {
	owner, file, err := splitKey(key)
	if err != nil {
		return
	}
	fi, err := os.Lstat(d.path(owner, file))
	if err == nil {
		d.noteUse(d.path(owner, file), accessed(fi))
		return
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return
	}
	names, err := readNames(d.path(owner, ""))
	if err != nil {
		return
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "head-") {
			continue
		}
		if fi, err := os.Lstat(d.path(owner, name)); err == nil {
			d.noteUse(d.path(owner, name), accessed(fi))
		}
	}
}

// age returns for how long something has not been used. A clock that is set
// forward makes nothing older: it may be wrong, and what goes by age may not be
// had again.
func (d *Dir) age(used time.Time) time.Duration {
	now := d.now().Round(0) // of the clock alone, as the time of a file
	if most := d.opened.Add(d.passed()); now.After(most) {
		now = most
	}
	return now.Sub(used)
}

// noteUse makes now the time at which the file was last used, unless it was last
// used not long ago. Its modification time, which is its revision, stays.
// A file system that keeps no access times makes eviction less exact; that is
// nobody's error.
func (d *Dir) noteUse(path string, last time.Time) {
	if now := d.now(); now.Sub(last) > d.touchEvery {
		_ = os.Chtimes(path, now, time.Time{})
	}
}
