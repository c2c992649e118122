package faults

import (
	"net/http"
	"path/filepath"
	"testing"

	"larder/test/registry"
	"larder/test/rig"
)

// TestBrokenFileSystem breaks an ext4 under a running server that has files
// open, and then takes the power away. What was acknowledged is there when the
// file system is.
func TestBrokenFileSystem(t *testing.T) {
	if testing.Short() {
		t.Skip("it mounts a file system")
	}
	for _, tt := range []struct {
		name string
		fail func(*ext4, *testing.T)
		why  string
	}{
		{"the kernel finds an error and makes it read-only", (*ext4).findError, "read-only"},
		{"it answers with EIO, and its journal is lost", (*ext4).breakDown, "cannot write to its disk"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			disk, err := mountExt4(t, dir, 64)
			if err != nil {
				rig.Lacks(t, "no ext4 can be mounted, which takes root and a loop device: %v", err)
			}
			r := rig.New(t, rig.Config{Data: filepath.Join(dir, "data"), Settings: diskSettings()})
			token := r.Adduser(t, "alice")
			warm, cold := steady(t, r, "w", 6), steady(t, r, "c", 6)
			all := append(cold, warm...)
			allRight(t, r, warm, "at first")
			mustKnow(t, r, token, "alice")
			mustPublish(t, r, token, registry.Package{Name: "private-lib", Version: "1.0.0"}) // the last thing before

			tt.fail(disk, t)
			allRight(t, r, all, "while the disk is broken")
			mustRefuse(t, r, token, registry.Package{Name: "private-lib", Version: "2.0.0"}, tt.why)
			mustKnow(t, r, token, "alice")
			if n := r.Upstream.Requests("private-*"); n > 0 {
				t.Errorf("upstream was asked %d times for private names", n)
			}

			r.Kill()
			disk.again(t)
			r.Start(t)
			allRight(t, r, all, "when it is whole again")
			mustStore(t, r, cold[0])
			mustKnow(t, r, token, "alice")
			if resp, body, err := r.Fetch(t.Context(), r.Base+"private-lib/-/private-lib-1.0.0.tgz"); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("what was published just before: %.200s, %v", body, err)
			}
			mustPublish(t, r, token, registry.Package{Name: "private-lib", Version: "2.0.0"})
		})
	}
}
