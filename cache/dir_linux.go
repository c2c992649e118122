package cache

import (
	"io/fs"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// openFlags are for opening a regular file to read it, which O_NONBLOCK means nothing
// to. Without it package os puts each file into that mode and back, to find out
// that it cannot wait for it: four system calls. And what lies in its place, a
// pipe, is not waited for.
const openFlags = syscall.O_NONBLOCK

// accessed returns when a file was last used: its access time.
func accessed(fi fs.FileInfo) time.Time {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return time.Unix(int64(st.Atim.Sec), int64(st.Atim.Nsec))
	}
	return fi.ModTime()
}

// stopwatch returns a function that says how much time has passed since, also
// while the machine slept.
func stopwatch() func() time.Duration {
	sinceBoot := func() time.Duration {
		var t unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
			return 0 // as if none had passed
		}
		return time.Duration(t.Nano())
	}
	start := sinceBoot()
	return func() time.Duration { return sinceBoot() - start }
}

// statVolume describes the volume that path lies on.
func statVolume(path string) (volume, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return volume{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	unit := int64(st.Frsize)
	if unit <= 0 {
		unit = int64(st.Bsize)
	}
	return volume{total: int64(st.Blocks) * unit, free: int64(st.Bavail) * unit}, nil
}
