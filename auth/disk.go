package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"larder/cache"
	"larder/npm"
)

const (
	filePerm = 0o600 // hashes that can be attacked off-line: for the server alone
	dirPerm  = 0o700

	// lockWait is how long an edit waits for another one, lockPoll how often
	// it looks. An edit takes a few fsyncs; a process that was stopped in the
	// middle of one must not hang the server.
	lockWait = 10 * time.Second
	lockPoll = 5 * time.Millisecond

	// leftover is the age from which a temporary file was surely left by a crash.
	leftover = 24 * time.Hour
)

// disk is the directory of accounts. Several processes work in it: readers see
// every file whole, as it was before an edit or after it, and edits that
// depend on what is there hold the lock.
type disk struct{ root string }

// openDisk makes what is missing of the directory and sweeps what crashes left.
func openDisk(root string) (disk, error) {
	d := disk{root}
	for _, dir := range []string{"", "tmp", "tokens", "profiles"} {
		if err := d.makeDir(d.path(dir)); err != nil {
			return disk{}, err
		}
	}
	err := errors.Join(d.sweep(), cache.SyncDir(root))
	// The parent knows root's own name; it may be somebody else's.
	if up := cache.SyncDir(filepath.Dir(root)); !errors.Is(up, fs.ErrPermission) {
		err = errors.Join(err, up)
	}
	return d, err
}

func (d disk) makeDir(path string) error {
	err := os.MkdirAll(filepath.Dir(path), dirPerm)
	if err != nil {
		return err
	}
	switch err = os.Mkdir(path, dirPerm); {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return err
	}
	return giveAway(path, d.root)
}

// path returns the path of a file of the directory.
func (d disk) path(name ...string) string {
	return filepath.Join(append([]string{d.root}, name...)...)
}

// sweep removes the temporary files of crashed writes.
func (d disk) sweep() error {
	entries, err := os.ReadDir(d.path("tmp"))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		fi, err := entry.Info()
		if err != nil || time.Since(fi.ModTime()) < leftover {
			continue // somebody else removed it, or is still writing it
		}
		if err := os.Remove(d.path("tmp", entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// unreadable returns what it means that a file cannot be looked at:
// fs.ErrNotExist only while the directory itself is there. Of a volume that is
// broken or gone nothing is known.
func (d disk) unreadable(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		if _, gone := os.Stat(d.root); gone == nil {
			return err
		}
	}
	return &npm.Error{Kind: npm.Unavailable, Op: "auth", Msg: "the registry cannot read its accounts", Err: errors.New(err.Error())}
}

// unwritable is about an edit that the disk did not take.
func unwritable(err error) error {
	return &npm.Error{Kind: npm.NoSpace, Op: "auth", Msg: "the registry cannot write its accounts: nothing was changed", Err: errors.New(err.Error())}
}

// replace makes data the content of a file, durably and all at once.
func (d disk) replace(path string, data []byte) error {
	if err := d.put(path, data); err != nil {
		return unwritable(err)
	}
	return nil
}

func (d disk) put(path string, data []byte) error {
	temp, err := d.write(data)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		if temp != "" {
			err = errors.Join(err, os.Remove(temp))
		}
		return err
	}
	return cache.SyncDir(filepath.Dir(path))
}

// write puts data into a temporary file, whose path it returns if it made one.
func (d disk) write(data []byte) (temp string, err error) {
	f, err := os.CreateTemp(d.path("tmp"), "write-") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = giveAway(f.Name(), d.root)
	}
	return f.Name(), err
}

// remove removes a file durably. One that is missing is removed already.
func (d disk) remove(path string) error {
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return cache.SyncDir(filepath.Dir(path))
}

// giveAway gives a file that root has made to the owner of dir: an
// administrator's `sudo larder user add` must not lock the server out.
func giveAway(path, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	// The directory's owner could put a link there, to a file of root's.
	return os.Lchown(path, int(owner.Uid), int(owner.Gid))
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() // it was only read
	fi, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is over %d bytes", path, limit)
	}
	return data, fi, err
}

// lock takes the lock on edits, which server and command line share. It lies in
// a file of its own that is never replaced: a lock on htpasswd itself would be
// one on a file that the next edit unlinks.
func (d disk) lock(ctx context.Context) (unlock func(), err error) {
	path := d.path("htpasswd.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, filePerm)
	if err != nil {
		return nil, unwritable(err)
	}
	if err := giveAway(path, d.root); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := flock(ctx, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	// Closing gives the lock back; nothing was written that could be lost.
	return func() { f.Close() }, nil
}

func flock(ctx context.Context, f *os.File) error {
	timeout := time.NewTimer(lockWait)
	defer timeout.Stop()
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout.C:
			return &npm.Error{
				Kind: npm.Unavailable, Op: "auth.lock", RetryAfter: lockWait,
				Msg: "The accounts are being changed by somebody else; try again",
				Err: fmt.Errorf("%s has been locked for %v", f.Name(), lockWait),
			}
		}
	}
}
