package cache

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// sweepBatch is how many names of tmp/ are held at once.
	sweepBatch = 256
	// leftoverAge is how long nothing must have been written to a file in the
	// tmp/ of a shared store until it is taken for a leftover.
	leftoverAge = 24 * time.Hour
)

// sweep removes what earlier processes left in tmp/.
func (d *Dir) sweep(ctx context.Context) {
	removed, err := d.removeLeftovers(ctx)
	if err != nil {
		d.log.Warn("leftovers of unfinished writes remain", "dir", d.tmp, "error", err)
	}
	if removed > 0 {
		d.log.Info("removed leftovers of unfinished writes", "dir", d.tmp, "files", removed)
	}
}

func (d *Dir) removeLeftovers(ctx context.Context) (removed int, err error) {
	tmp, err := os.Open(d.tmp)
	if err != nil {
		return 0, err
	}
	defer tmp.Close() // it was only read
	var errs error
	for ctx.Err() == nil {
		entries, err := tmp.ReadDir(sweepBatch)
		for _, e := range entries {
			if !d.isLeftover(e) {
				continue
			}
			if err := os.Remove(filepath.Join(d.tmp, e.Name())); err == nil {
				removed++
			} else if !errors.Is(err, fs.ErrNotExist) {
				errs = err // the last one will do: there may be thousands
			}
		}
		if err != nil {
			if err != io.EOF {
				errs = err
			}
			break
		}
	}
	return removed, errs
}

// isLeftover reports whether nobody writes the file e of tmp/ any more. This
// process's own files are told by their names.
func (d *Dir) isLeftover(e fs.DirEntry) bool {
	if strings.HasPrefix(e.Name(), d.run+"-") {
		return false
	}
	if !d.shared {
		return true
	}
	fi, err := e.Info()
	return err == nil && time.Since(fi.ModTime()) > leftoverAge
}
