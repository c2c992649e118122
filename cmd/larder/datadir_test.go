package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDataDirectoryHasOneOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "on demand")
	first, err := openData(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = openData(path)
	if want := fmt.Sprintf("process %d", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the second server gets %v, want an error with %q", err, want)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := openData(path)
	if err != nil {
		t.Fatalf("after the first has stopped: %v", err)
	}
	again.Close()
}

func TestSweepRemovesOnlyOlderCaches(t *testing.T) {
	d, err := openData(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.sweepCaches(t.Context()); err != nil {
		t.Fatalf("with no cache yet: %v", err)
	}
	cache := filepath.Dir(d.cachePath())
	for _, dir := range []string{"v0", "v1", "v2", "v", "v-1", "vault", "0"} {
		if err := os.MkdirAll(filepath.Join(cache, dir, "deep", "er"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(cache, dir, "deep", "file"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.sweepCaches(stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("a stopped sweep returns %v", err)
	}
	if _, err := os.Stat(filepath.Join(cache, "v0", "deep", "file")); err != nil {
		t.Errorf("a stopped sweep went on: %v", err)
	}
	if err := d.sweepCaches(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(cache)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range left {
		names = append(names, entry.Name())
	}
	if want := []string{"0", "v", "v-1", "v1", "v2", "vault"}; !slices.Equal(names, want) {
		t.Errorf("left: %v, want %v", names, want)
	}
}

func TestWriteProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "data")
		probe := &writeProbe{name: "data directory", dir: dir}
		err := probe.Run(t.Context())
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("without a directory the probe says %v", err)
		}
		if strings.Contains(err.Error(), dir) {
			t.Errorf("the answer shows a path: %v", err)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if probe.Run(t.Context()) == nil {
			t.Error("the probe was repeated at once")
		}
		time.Sleep(probeFor)
		if err := probe.Run(t.Context()); err != nil {
			t.Errorf("with a directory the probe says %v", err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("the probe left %s", left[0].Name())
		}
	})
}
