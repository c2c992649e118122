package cache

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestRootedIsForgottenByDelete: once the last file of an owner has gone, and
// its directory with it, the next commit must make the whole way durable again.
func TestRootedIsForgottenByDelete(t *testing.T) {
	d := openDurable(t)
	const owner, key = "0123456789abcdef", "0123456789abcdef/blob-1"
	if err := putDir(t, d, key, "one", Precondition{}); err != nil {
		t.Fatal(err)
	}
	if !d.rooted.Contains(owner) {
		t.Error("a second commit would sync all of the way again")
	}
	if err := d.Delete(t.Context(), key, Precondition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.path(owner, "")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the directory is still there (%v): this test tests nothing", err)
	}
	if d.rooted.Contains(owner) {
		t.Error("a directory that is made anew would not be synced into its parents")
	}
}

func openDurable(t *testing.T) *Dir {
	t.Helper()
	d, err := OpenDir(DirConfig{Path: t.TempDir(), Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestFlushIsTheLastOfTheWriting: what was flushed is as Commit will show it,
// and Commit shows no more.
func TestFlushIsTheLastOfTheWriting(t *testing.T) {
	d := openDurable(t)
	const key = "0123456789abcdef/blob-1"
	w, err := d.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write([]byte("whole")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		if err := w.(Flusher).Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Open(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before Commit: %v", err)
	}
	rev, err := w.Commit(IfAbsent())
	if err != nil {
		t.Fatal(err)
	}
	o, err := d.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if data, err := io.ReadAll(o); string(data) != "whole" || err != nil || o.Rev != rev {
		t.Errorf("read %q, %v at revision %s, committed %s", data, err, o.Rev, rev)
	}

	late, err := d.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := late.(Flusher).Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := late.Write([]byte("more")); err == nil {
		t.Error("a Write after Flush succeeded")
	}
	if _, err := late.Commit(Precondition{}); err == nil {
		t.Error("a Commit after a failed Write succeeded")
	}
	wantTree(t, filepath.Dir(d.objects), "objects/01/23/0123456789abcdef/blob-1 tmp/")
}

// TestRootedOfASharedStore: another process may take an owner's directory away,
// and nobody tells this one.
func TestRootedOfASharedStore(t *testing.T) {
	path := t.TempDir()
	const owner, key = "0123456789abcdef", "0123456789abcdef/blob-1"
	var both [2]*Dir
	for i := range both {
		d, err := OpenDir(DirConfig{Path: path, Durable: true, Shared: true})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		both[i] = d
	}
	if err := putDir(t, both[0], key, "one", Precondition{}); err != nil {
		t.Fatal(err)
	}
	if err := both[1].Delete(t.Context(), key, Precondition{}); err != nil {
		t.Fatal(err)
	}
	if both[0].rooted.Contains(owner) {
		t.Error("a directory that is made anew would not be synced into its parents")
	}
}
