package cache

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openQuiet opens a file so that reading it leaves no trace: not its access
// time, by which is told what is in use, and not the page cache, where what is
// read only to be checked would push out what is asked for.
func openQuiet(path string) (*os.File, func(), error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOATIME, 0)
	if errors.Is(err, unix.EPERM) { // it is somebody else's
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, nil, err
	}
	if resident(f) {
		return f, func() {}, nil
	}
	return f, func() {
		_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) // advice
	}, nil
}

// resident reports whether the file's first page is in memory already: then
// somebody uses it, and it must stay there.
func resident(f *os.File) bool {
	var b [1]byte
	_, err := unix.Preadv2(int(f.Fd()), [][]byte{b[:]}, 0, unix.RWF_NOWAIT)
	return err == nil
}
