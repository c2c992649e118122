package cache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestDirIsMadeAnewWithinItsPlace: a cache that was deleted begins anew; one
// whose volume is gone does not, or there would be two when it comes back.
func TestDirIsMadeAnewWithinItsPlace(t *testing.T) {
	place := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(place, 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := OpenDir(DirConfig{Path: filepath.Join(place, "cache", "v1"), Within: place})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const key = "0123456789abcdef/blob-1"
	write := func() error {
		w, err := d.Create(t.Context(), key)
		if err != nil {
			return err
		}
		_, err = w.Commit(Precondition{})
		return err
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(place, "cache")); err != nil {
		t.Fatal(err)
	}
	if err := write(); err != nil {
		t.Errorf("after it was deleted: %v", err)
	}
	away := place + ".away"
	if err := os.Rename(place, away); err != nil {
		t.Fatal(err)
	}
	if err := write(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without its volume: %v", err)
	}
	if _, err := os.Stat(place); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("its volume's place is taken: %v", err)
	}
	if err := os.Rename(away, place); err != nil {
		t.Fatal(err)
	}
	if o, err := d.Open(t.Context(), key); err != nil {
		t.Errorf("when it is back: %v", err)
	} else {
		o.Close()
	}
	if err := write(); err != nil {
		t.Errorf("when it is back: %v", err)
	}
}
