package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"larder/test/rig"
)

// mountSmall mounts a file system of some megabytes at dir, until the test
// ends: ext4, or where there are no loop devices, as in most containers, tmpfs.
func mountSmall(t *testing.T, dir string, megabytes int64) error {
	_, err := mountExt4(t, dir, megabytes)
	if err == nil {
		return nil
	}
	t.Logf("no ext4, so tmpfs: %v", err)
	size := fmt.Sprintf("%dm", megabytes)
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

// ext4 is a file system in a file, on a loop device that goes when it is
// unmounted.
type ext4 struct {
	image, dir string
	mounted    bool
}

// mountExt4 makes one and mounts it at dir, until the test ends.
func mountExt4(t *testing.T, dir string, megabytes int64) (*ext4, error) {
	d := &ext4{image: filepath.Join(t.TempDir(), "image"), dir: dir}
	f, err := os.Create(d.image)
	if err == nil {
		err = errors.Join(f.Truncate(megabytes<<20), f.Close())
	}
	if err == nil {
		err = run("mkfs.ext4", "-q", "-m", "0", d.image)
	}
	if err == nil {
		err = d.mount()
	}
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if !d.mounted {
			return
		}
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return d, nil
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

func (d *ext4) mount() error {
	err := run("mount", "-o", "loop,errors=remount-ro", d.image, d.dir)
	d.mounted = err == nil
	return err
}

// again mounts it anew, as whoever has the machine repaired does. Nobody may
// have a file open.
func (d *ext4) again(t *testing.T) {
	t.Helper()
	var err error
	if !rig.Eventually(t, 20*time.Second, func() bool { err = unix.Unmount(d.dir, 0); return err == nil }) {
		t.Fatalf("unmount: %v", err)
	}
	d.mounted = false
	if err := d.mount(); err != nil {
		t.Fatal(err)
	}
}

// findError has the kernel find an error in it, upon which it is read-only.
func (d *ext4) findError(t *testing.T) {
	t.Helper()
	var stat unix.Stat_t
	err := unix.Stat(d.dir, &stat)
	if err == nil {
		device := fmt.Sprintf("loop%d", unix.Minor(stat.Dev))
		err = os.WriteFile("/sys/fs/ext4/"+device+"/trigger_fs_error", []byte("1"), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.mustFail(t, unix.EROFS)
}

// breakDown has everything that asks the disk fail from now on. What lies in
// the journal and is not durable is lost, as in a power cut.
func (d *ext4) breakDown(t *testing.T) {
	t.Helper()
	const shutdown, withoutJournal = 0x8004587d, 2 // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
	dir, err := os.Open(d.dir)
	if err == nil {
		err = errors.Join(unix.IoctlSetPointerInt(int(dir.Fd()), shutdown, withoutJournal), dir.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	d.mustFail(t, unix.EIO)
}

func (d *ext4) mustFail(t *testing.T, want error) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, "probe"), nil, 0o600); !errors.Is(err, want) {
		t.Fatalf("a write fails with %v, want %v", err, want)
	}
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
		_, err := f.Write(make([]byte, size))
		if errors.Is(err, unix.ENOSPC) {
			size /= 2
			err = f.Sync() // which gives back what ext4 sets aside for itself
		}
		if err != nil && !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
	}
}
