package cache

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"
)

func fileInfo(key string, fi fs.FileInfo) Info {
	return Info{Key: key, Size: fi.Size(), ModTime: fi.ModTime(), Rev: fileRev(fi)}
}

// fileRev returns the revision of an object's file.
func fileRev(fi fs.FileInfo) string {
	var room [32]byte
	rev := strconv.AppendInt(room[:0], fi.ModTime().UnixNano(), 36)
	rev = strconv.AppendInt(append(rev, '-'), fi.Size(), 36)
	return string(rev)
}

// revClock gives out the modification times that revisions are made of: the
// time of day, but never twice the same, however fast files are written and
// however the clock is set while the process runs.
type revClock struct {
	mu   sync.Mutex // guards what follows
	last time.Time
}

// next returns a time later than any it returned before, in whole units of grain.
func (c *revClock) next(grain time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := time.Now().Truncate(grain)
	if !t.After(c.last) {
		t = c.last.Truncate(grain).Add(grain)
	}
	c.last = t
	return t
}

// coarsest is the coarsest unit in which a file system is known to keep
// modification times, rounded up to a power of ten (FAT: 2 s).
const coarsest = 10 * time.Second

// stamp gives the file at path a modification time that no other file has got
// from this clock, and describes the file. File systems keep times in
// different units, so a time counts only if it comes back as it was set.
func (c *revClock) stamp(path string) (fs.FileInfo, error) {
	for grain := time.Nanosecond; grain <= coarsest; grain *= 10 {
		t := c.next(grain)
		if err := os.Chtimes(path, t, t); err != nil {
			return nil, err
		}
		fi, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if fi.ModTime().Equal(t) {
			return fi, nil
		}
	}
	return nil, fmt.Errorf("%s: the file system does not keep modification times", path)
}
