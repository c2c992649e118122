package cache

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"larder/metrics"
)

const (
	// sweepBatch is how many names of tmp/ are held at once.
	sweepBatch = 256
	// censusRate is how many files per second the census looks at: slow
	// enough that a big store's users never notice it.
	censusRate = 2000
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

// census counts the store's files for the metrics. Nothing waits for it.
func (d *Dir) census(ctx context.Context) {
	pace := rate.NewLimiter(censusRate, censusRate)
	for n := range branches {
		var bytes, files int64
		err := d.walkBranch(ctx, branchName(n), func(o Info) error {
			bytes += o.Size
			files++
			return pace.Wait(ctx)
		})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			d.log.Warn("the store's size stays unknown", "dir", d.objects, "error", err)
			return
		}
		d.size.counted(bytes, files, d.metrics)
	}
}

// account tells the ledger of a change that has been made.
func (d *Dir) account(owner string, bytes, files int64) {
	d.size.change(owner, bytes, files, d.metrics)
}

// ledger knows the size of a store, once a census has been through it. The
// census takes one branch after the other; a change to one that it has not yet
// counted is left to it. A change to the very branch that it is reading may be
// missed or counted twice, until the next start: the size is for dashboards.
type ledger struct {
	mu           sync.Mutex // guards what follows
	bytes, files int64
	branches     int // counted so far, in ascending order
}

// counted adds the next branch. The size is known, and reported from now on,
// when that was the last one.
func (l *ledger) counted(bytes, files int64, m *metrics.Metrics) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.branches++
	l.add(bytes, files, m)
}

// change adds a change to the files of owner.
func (l *ledger) change(owner string, bytes, files int64, m *metrics.Metrics) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.branches < branches && owner[:2] >= branchName(l.branches) {
		return
	}
	l.add(bytes, files, m)
}

// add is called with mu held.
func (l *ledger) add(bytes, files int64, m *metrics.Metrics) {
	l.bytes += bytes
	l.files += files
	if l.branches == branches {
		m.StoreSize(l.bytes, l.files)
	}
}
