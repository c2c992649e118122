package faults

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// mountSmall mounts a file system of some size at dir, until the test ends.
func mountSmall(t *testing.T, dir, size string) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		return err
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return nil
}

// readOnly lays a read-only view of dir over it, as the kernel shows a file
// system that has failed: whoever opens a file from now on finds that. What it
// returns takes the view away.
func readOnly(t *testing.T, dir string) (writable func()) {
	t.Helper()
	err := unix.Mount(dir, dir, "", unix.MS_BIND, "")
	if err == nil {
		err = unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	there := true
	writable = func() {
		if there {
			there = false
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(writable)
	if err := os.WriteFile(dir+"/probe", nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Fatalf("it is not read-only: %v", err)
	}
	return writable
}

// fillUp writes a file until there is no room for another byte.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, unix.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
