//go:build !linux

package cache

import (
	"errors"
	"io/fs"
	"time"
)

// openFlags are for opening a regular file to read it.
const openFlags = 0

// accessed returns when a file was written: the least recently written goes first
// where access times cannot be had.
func accessed(fi fs.FileInfo) time.Time { return fi.ModTime() }

// stopwatch returns a function that says how much time has passed since. Where
// that does not go on while the machine sleeps, files age later.
func stopwatch() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

// statVolume knows of no volume, so that no room is kept free on it.
func statVolume(string) (volume, error) { return volume{}, errors.ErrUnsupported }
