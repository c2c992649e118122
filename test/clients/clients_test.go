package clients

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fakeNPM puts an npm into PATH that notes each of its runs and installs an
// empty command, or fails.
func fakeNPM(t *testing.T, script string) (log string) {
	t.Helper()
	dir := t.TempDir()
	log = filepath.Join(dir, "log")
	body := "#!/bin/sh\necho \"$@\" >>" + log + "\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return log
}

func TestInstallOnce(t *testing.T) {
	log := fakeNPM(t, "mkdir -p node_modules/.bin && touch node_modules/.bin/pnpm")
	c, err := Find("pnpm-10")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			bin, err := c.Install(context.Background(), dir)
			if err != nil {
				t.Error(err)
			} else if !exists(filepath.Join(bin, "pnpm")) {
				t.Errorf("no pnpm in %s", bin)
			}
		})
	}
	wg.Wait()
	runs, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(runs), "\n"); n != 1 {
		t.Errorf("npm ran %d times:\n%s", n, runs)
	}
	if want := "pnpm@" + c.Version; !strings.Contains(string(runs), want) {
		t.Errorf("npm was not asked for %s: %s", want, runs)
	}
}

func TestFailedInstallLeavesNothing(t *testing.T) {
	tests := []struct{ name, script, want string }{
		{"npm fails", "mkdir -p node_modules/.bin; echo no network >&2; exit 1", "no network"},
		{"nothing to run", "mkdir -p node_modules", "has no commands"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fakeNPM(t, tt.script)
			dir := t.TempDir()
			_, err := All()[0].Install(context.Background(), dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			left, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range left {
				if e.IsDir() {
					t.Errorf("%s is left behind", e.Name())
				}
			}
		})
	}
}

func TestFindUnknown(t *testing.T) {
	if c, err := Find("npm-5"); err == nil {
		t.Errorf("found %v", c)
	}
}
