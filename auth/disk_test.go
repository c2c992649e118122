package auth

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"larder/npm"
)

func TestOpenSweeps(t *testing.T) {
	a := open(t, Config{})
	old, fresh := a.disk.path("tmp", "write-old"), a.disk.path("tmp", "write-fresh")
	for _, path := range []string{old, fresh} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	then := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(old, then, then); err != nil {
		t.Fatal(err)
	}
	open(t, Config{Dir: a.disk.root})
	if _, err := os.Stat(old); err == nil {
		t.Error("what a crash left a day ago is still there")
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("what another process is writing is gone: %v", err)
	}
}

func TestNothingIsLeftInTmp(t *testing.T) {
	a := open(t, Config{})
	addUser(t, a, "alice", "password")
	createToken(t, a, TokenRequest{User: "alice"})
	if err := a.disk.replace(a.disk.path("missing", "file"), []byte("x")); err == nil {
		t.Error("a file was written into a directory that is not there")
	}
	if left, err := os.ReadDir(a.disk.path("tmp")); err != nil || len(left) != 0 {
		t.Errorf("left are %v: %v", left, err)
	}
}

func TestDirectoriesAreTheServersAlone(t *testing.T) {
	a := open(t, Config{Dir: filepath.Join(t.TempDir(), "data", "auth")})
	for _, dir := range []string{"", "tmp", "tokens", "profiles"} {
		if fi, err := os.Stat(a.disk.path(dir)); err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("the mode of %q is %v: %v", dir, fi.Mode(), err)
		}
	}
}

// A process that was stopped in the middle of an edit does not hang the others.
func TestLockWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := openDisk(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		unlock, err := d.lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.lock(t.Context())
		wantKind(t, "a lock that is never given back", err, npm.Unavailable)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := d.lock(ctx); err == nil {
			t.Error("who waits does not give up")
		}
		time.AfterFunc(time.Second, unlock)
		again, err := d.lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		again()
	})
}

// An edit by root leaves files that the server, which is not root, can read.
func TestRootGivesAway(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	if err := os.Chown(dir, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	a := open(t, Config{Dir: dir})
	addUser(t, a, "alice", "password")
	createToken(t, a, TokenRequest{User: "alice"})
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if uid := ownerOf(t, path); uid != 12345 {
			t.Errorf("%s belongs to %d", path, uid)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Whoever owns the accounts may be less than root, and may lay a link where
// root is about to make a file.
func TestRootGivesNothingElseAway(t *testing.T) {
	needRoot(t)
	dir, rootsOwn := t.TempDir(), filepath.Join(t.TempDir(), "shadow")
	if err := os.WriteFile(rootsOwn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(rootsOwn, filepath.Join(dir, "htpasswd.lock")); err != nil {
		t.Fatal(err)
	}
	addUser(t, open(t, Config{Dir: dir}), "alice", "password")
	if uid := ownerOf(t, rootsOwn); uid != 0 {
		t.Errorf("root's own file belongs to %d", uid)
	}
}

// needRoot skips a test of what only root can do. CI is root, and skips nothing.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("only root can make files for others")
	}
	t.Skip("only root can make files for others")
}

func ownerOf(t testing.TB, path string) uint32 {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Sys().(*syscall.Stat_t).Uid
}
