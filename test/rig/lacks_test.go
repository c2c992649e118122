package rig

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLacks: what a machine cannot run is noted where whoever calls the tests
// says.
func TestLacks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "skipped")
	t.Setenv("LARDER_SKIPPED", path)
	for _, name := range []string{"one", "two"} {
		t.Run(name, func(t *testing.T) {
			Lacks(t, "no %s here", name)
			t.Error("it went on")
		})
	}
	got, err := os.ReadFile(path)
	if want := "TestLacks/one: no one here\nTestLacks/two: no two here\n"; err != nil || string(got) != want {
		t.Errorf("noted is %q, want %q: %v", got, want, err)
	}
}
