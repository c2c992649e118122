package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Create implements Store. The Writer is a Follower and a Retargeter.
func (d *Dir) Create(ctx context.Context, key string) (Writer, error) {
	owner, file, err := splitKey(key)
	if err != nil {
		return nil, err
	}
	reserved := ctx.Value(reservedKey{}) != nil
	if d.bounded() && !reserved {
		// It may be refused before it takes anything.
		release, err := d.admit(0)
		if err != nil {
			return nil, fmt.Errorf("create %s: %w", key, err)
		}
		release()
	}
	f, err := d.createTemp()
	if errors.Is(err, fs.ErrNotExist) && !d.durable && d.mayBeMade() {
		// A cache may be deleted while it is served, and begins anew. Where the
		// durable store's directory is gone, so is its volume.
		if err = os.MkdirAll(d.tmp, dirPerm); err == nil {
			f, err = d.createTemp()
		}
	}
	if err != nil {
		d.metrics.StoreError("create")
		return nil, err
	}
	return &dirWriter{dir: d, key: key, owner: owner, file: file, temp: f, reserved: reserved}, nil
}

// mayBeMade reports whether the store's place is there.
func (d *Dir) mayBeMade() bool {
	if d.within == "" {
		return true
	}
	_, err := os.Stat(d.within)
	return err == nil
}

func (d *Dir) createTemp() (*os.File, error) {
	name := d.run + "-" + strconv.FormatUint(d.temps.Add(1), 10)
	return os.OpenFile(filepath.Join(d.tmp, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm)
}

// dirWriter is a Writer of a Dir.
type dirWriter struct {
	dir              *Dir
	key, owner, file string
	temp             *os.File
	reserved         bool        // whether there is a reservation for it
	written          int64       // bytes, of a reservation
	failed           error       // of an earlier Write or Flush
	flushed          fs.FileInfo // the final file's, after Flush
	ended            bool
}

func (w *dirWriter) Write(p []byte) (int, error) {
	n, err := w.temp.Write(p)
	if w.reserved {
		w.written += int64(n)
		w.dir.size.writing.Add(int64(n))
	}
	if err != nil && w.failed == nil {
		w.failed = err
		w.dir.metrics.StoreError("write")
	}
	return n, err
}

// Follow implements Follower.
func (w *dirWriter) Follow() (FollowReader, error) {
	f, err := os.Open(w.temp.Name())
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Retarget implements Retargeter. The temporary file's name has nothing of the key.
func (w *dirWriter) Retarget(key string) error {
	if w.ended {
		return fs.ErrClosed
	}
	owner, file, err := splitKey(key)
	if err != nil {
		return err
	}
	w.key, w.owner, w.file = key, owner, file
	return nil
}

func (w *dirWriter) Abort() error {
	if w.ended {
		return nil
	}
	w.end()
	w.temp.Close() // what was written is of no use any more
	return os.Remove(w.temp.Name())
}

// Commit is the only function that makes a file visible. If in a durable store
// the very last step fails, the fsync of the directories after an older object
// was replaced, the new one stays: taking it away would lose both.
func (w *dirWriter) Commit(p Precondition) (rev string, err error) {
	if w.ended {
		return "", fs.ErrClosed
	}
	defer w.end()
	err = w.Flush()
	if err == nil {
		err = w.publish(p)
	}
	if err != nil {
		w.temp.Close() // as it is already, unless a Write failed
		// After a rename there is nothing left to remove.
		if rmErr := os.Remove(w.temp.Name()); !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
		if !errors.Is(err, ErrPrecondition) && !errors.Is(err, ErrNoRoom) {
			w.dir.metrics.StoreError("commit")
		}
		return "", fmt.Errorf("commit %s: %w", w.key, err)
	}
	return fileRev(w.flushed), nil
}

// end makes the writer one that has ended.
func (w *dirWriter) end() {
	w.ended = true
	w.dir.size.writing.Add(-w.written)
	w.written = 0
}

// publish makes the finished file visible if there is room for it and p holds.
func (w *dirWriter) publish(p Precondition) error {
	if w.dir.bounded() && !w.reserved {
		release, err := w.dir.admit(w.flushed.Size())
		if err != nil {
			return err
		}
		defer release()
	}
	return w.dir.publish(w, w.flushed, p)
}

// Flush implements Flusher. It brings the temporary file into its final state
// and closes it.
func (w *dirWriter) Flush() error {
	if w.flushed != nil || w.failed != nil {
		return w.failed
	}
	fi, err := w.dir.clock.stamp(w.temp.Name())
	if err == nil && w.dir.durable {
		err = w.temp.Sync()
	}
	// Network file systems report late write errors here.
	w.flushed, w.failed = fi, errors.Join(err, w.temp.Close())
	return w.failed
}

// publish moves the finished file to its key if p holds.
func (d *Dir) publish(w *dirWriter, fi fs.FileInfo, p Precondition) error {
	mu := d.lock(w.key)
	defer mu.Unlock()
	old, exists, err := d.stat(w.owner, w.file)
	if err != nil {
		return err
	}
	if exists {
		err = p.check(true, fileRev(old))
	} else {
		err = p.check(false, "")
	}
	if err != nil {
		return err
	}
	var change usage
	done := d.size.changing(w.owner)
	defer func() { done(change) }()
	if err := d.move(w.temp.Name(), w.key); err != nil {
		return err
	}
	change = usageOf(fi.Size())
	if exists {
		change = change.minus(usageOf(old.Size()))
	}
	if !d.durable {
		return nil
	}
	err = d.root(w.owner)
	if err != nil && !exists {
		err = errors.Join(err, d.erase(w.owner, w.file))
		change = usage{}
	}
	return err
}

// importTries is how often a file is moved to its directory that a Delete of
// another one there has just taken away, because it was empty.
const importTries = 5

// move moves the file at path to key.
func (d *Dir) move(path, key string) (err error) {
	for range importTries {
		if err = d.disk.Import(path, key, true); err == nil {
			return nil
		}
	}
	return err
}

// root makes the names on the way from owner's directory, into which a file has
// just come, up to objects/ durable. Where that has been done before, the
// owner's own directory is enough: Delete forgets it before it removes anything,
// so that whoever still finds it here has put the file into a directory that
// has been there all the time. What other processes delete nobody tells this
// one, so nothing is known for longer of a shared store.
func (d *Dir) root(owner string) error {
	if d.rooted.Contains(owner) {
		return SyncDir(d.path(owner, ""))
	}
	err := d.syncPath(owner)
	if err == nil && !d.shared {
		d.rooted.Add(owner, struct{}{})
	}
	return err
}

// syncPath makes the names on the way from owner's directory up to objects/
// durable: all of them, since another commit may have made a directory and not
// yet have come so far. Those that a Delete has removed are passed over.
func (d *Dir) syncPath(owner string) error {
	parts := ownerPath(owner)
	for n := len(parts); n >= 0; n-- {
		err := SyncDir(filepath.Join(append([]string{d.objects}, parts[:n]...)...))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// SyncDir makes the names in a directory durable, where the file system can.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close() // it was only read
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil // not on this file system, and nothing can be done about it
	}
	return err
}
