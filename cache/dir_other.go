//go:build !linux

package cache

import (
	"errors"
	"io/fs"
	"time"
)

// accessed returns when a file was written: the least recently written goes first
// where access times cannot be had.
func accessed(fi fs.FileInfo) time.Time { return fi.ModTime() }

// statVolume knows of no volume, so that no room is kept free on it.
func statVolume(string) (volume, error) { return volume{}, errors.ErrUnsupported }
