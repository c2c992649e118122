package auth

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"time"
)

// maxHtpasswd bounds the file of accounts, in bytes.
const maxHtpasswd = 64 << 20

// settled is how old a file has to be for its modification time to tell that
// it was not changed since: two changes within a tick of the file system's
// clock look alike, and an inode number is soon used again.
const settled = time.Second

// accounts is the htpasswd file, read again when somebody changed it.
type accounts struct {
	disk disk
	path string
	held atomic.Pointer[snapshot]
}

// snapshot is the file as it was read.
type snapshot struct {
	*htpasswd
	file fs.FileInfo // nil: there was none
	sure bool        // file tells whether it was changed since
}

// current returns the file as it is now, at the price of one stat.
func (a *accounts) current() (*htpasswd, error) {
	fi, err := os.Stat(a.path)
	if err != nil {
		return none(a.disk.unreadable(err))
	}
	if held := a.held.Load(); held != nil && held.sure && same(held.file, fi) {
		return held.htpasswd, nil
	}
	return a.read()
}

// read reads the file.
func (a *accounts) read() (*htpasswd, error) {
	raw, fi, err := readFile(a.path, maxHtpasswd)
	if err != nil {
		return none(a.disk.unreadable(err))
	}
	age := time.Since(fi.ModTime())
	s := &snapshot{parseHtpasswd(string(raw)), fi, age < 0 || age > settled}
	a.held.Store(s)
	return s.htpasswd, nil
}

// none is the file that is not there, which is an empty one.
func none(err error) (*htpasswd, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return parseHtpasswd(""), nil
	}
	return nil, err
}

// known is current for who only wants to know who is asking: while the disk
// cannot be read, what was read last holds.
func (a *accounts) known() (*htpasswd, error) {
	h, err := a.current()
	if held := a.held.Load(); err != nil && held != nil {
		return held.htpasswd, nil
	}
	return h, err
}

// same reports whether nobody has written to a file or replaced it since it was
// described.
func same(was, is fs.FileInfo) bool {
	return os.SameFile(was, is) && was.Size() == is.Size() && was.ModTime().Equal(is.ModTime())
}

// edit replaces the file by what change makes of it. Whoever else edits,
// another process too, waits until change has returned, so that it may also do
// what must not happen beside an edit. Its error is returned as it is, and
// nothing is written. To return the same file is not to write.
func (a *accounts) edit(ctx context.Context, change func(*htpasswd) (*htpasswd, error)) error {
	unlock, err := a.disk.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	old, err := a.current()
	if err != nil {
		return err
	}
	edited, err := change(old)
	if err != nil || edited == old {
		return err
	}
	return a.disk.replace(a.path, []byte(edited.String()))
}
