package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const dirKey = "0123456789abcdef/blob-1"

func openTestDir(t *testing.T, path string, log *slog.Logger) *Dir {
	t.Helper()
	d, err := OpenDir(DirConfig{Path: path, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func putDir(t *testing.T, d *Dir, key, data string, p Precondition) error {
	t.Helper()
	w, err := d.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	_, err = w.Commit(p)
	return err
}

// tree lists all files and empty directories below dir.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			entries, err := os.ReadDir(path)
			if err != nil || len(entries) > 0 {
				return err
			}
			rel += "/"
		}
		names = append(names, rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func wantTree(t *testing.T, dir, want string) {
	t.Helper()
	if got := tree(t, dir); got != want {
		t.Errorf("files are %q, want %q", got, want)
	}
}

func TestDirLayout(t *testing.T) {
	path := t.TempDir()
	d := openTestDir(t, path, nil)
	if err := putDir(t, d, dirKey, "data", Precondition{}); err != nil {
		t.Fatal(err)
	}
	wantTree(t, path, "objects/01/23/0123456789abcdef/blob-1 tmp/")
	if got := fromPath(toPath(dirKey)); got != dirKey {
		t.Errorf("diskv would list the key as %q", got)
	}
	file := filepath.Join(path, "objects/01/23/0123456789abcdef/blob-1")
	for p := file; p != path; p = filepath.Dir(p) {
		fi, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm()&0o007 != 0 {
			t.Errorf("%s has mode %v: others can see it", p, fi.Mode())
		}
	}
	o, err := d.Open(t.Context(), dirKey)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if f, ok := o.Content.(*os.File); !ok || f.Name() != file {
		t.Errorf("Content is %T; sendfile needs the *os.File itself", o.Content)
	}
}

func TestDirDeletePrunesDirectories(t *testing.T) {
	path := t.TempDir()
	d := openTestDir(t, path, nil)
	for _, key := range []string{dirKey, "01ffffffffffffff/doc-1"} {
		if err := putDir(t, d, key, "data", Precondition{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Delete(t.Context(), dirKey, Precondition{}); err != nil {
		t.Fatal(err)
	}
	wantTree(t, path, "objects/01/ff/01ffffffffffffff/doc-1 tmp/")
}

// The cache may be deleted while it is served, and is filled again. A store of
// things that nobody else has does not begin anew where its volume has gone.
func TestDirIsDeletedAtRunTime(t *testing.T) {
	for _, durable := range []bool{false, true} {
		t.Run(fmt.Sprintf("durable %t", durable), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store")
			d, err := OpenDir(DirConfig{Path: path, Durable: durable})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if err := putDir(t, d, dirKey, "old", Precondition{}); err != nil {
				t.Fatal(err)
			}
			o, err := d.Open(t.Context(), dirKey)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(o); string(got) != "old" || err != nil {
				t.Errorf("the open object: %q, %v", got, err)
			}
			// Of a volume that has gone nobody knows what is missing.
			if _, err := d.Open(t.Context(), dirKey); err == nil || errors.Is(err, fs.ErrNotExist) == durable {
				t.Errorf("Open of what was deleted: %v", err)
			}
			if err := d.Delete(t.Context(), dirKey, Precondition{}); err == nil || errors.Is(err, fs.ErrNotExist) == durable {
				t.Errorf("Delete of what was deleted: %v", err)
			}
			for _, prefix := range []string{"", "0123456789abcdef/"} {
				if err := d.Walk(t.Context(), prefix, func(Info) error { return nil }); (err != nil) != durable {
					t.Errorf("Walk of %q: %v", prefix, err)
				}
			}
			w, err := d.Create(t.Context(), dirKey)
			if durable {
				if !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("Create: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			w.Write([]byte("new"))
			if _, err := w.Commit(IfAbsent()); err != nil {
				t.Fatal(err)
			}
			wantTree(t, path, "objects/01/23/0123456789abcdef/blob-1 tmp/")
		})
	}
}

// Whatever becomes of a write, its temporary file goes.
func TestDirLeavesNoTemporaryFiles(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, d *Dir, w *dirWriter) error
		fail bool
	}{
		{"committed", func(_ *testing.T, _ *Dir, w *dirWriter) error {
			_, err := w.Commit(Precondition{})
			return err
		}, false},
		{"aborted", func(_ *testing.T, _ *Dir, w *dirWriter) error { return w.Abort() }, false},
		{"precondition failed", func(_ *testing.T, _ *Dir, w *dirWriter) error {
			_, err := w.Commit(IfRev("another"))
			return err
		}, true},
		{"write failed", func(t *testing.T, _ *Dir, w *dirWriter) error {
			name := w.temp.Name()
			w.temp.Close()
			var err error
			if w.temp, err = os.Open(name); err != nil { // not for writing
				t.Fatal(err)
			}
			if _, err := w.Write([]byte("more")); err == nil {
				t.Error("Write succeeded on a broken disk")
			}
			_, err = w.Commit(Precondition{})
			return err
		}, true},
		{"a file is in the way of a directory", func(t *testing.T, d *Dir, w *dirWriter) error {
			if err := os.WriteFile(filepath.Join(d.objects, "01"), nil, filePerm); err != nil {
				t.Fatal(err)
			}
			_, err := w.Commit(Precondition{})
			return err
		}, true},
		{"a directory is in the way of the file", func(t *testing.T, d *Dir, w *dirWriter) error {
			if err := os.MkdirAll(d.path("0123456789abcdef", "blob-1"), dirPerm); err != nil {
				t.Fatal(err)
			}
			_, err := w.Commit(Precondition{})
			return err
		}, true},
		{"the store was removed", func(t *testing.T, d *Dir, w *dirWriter) error {
			if err := os.RemoveAll(d.tmp); err != nil {
				t.Fatal(err)
			}
			_, err := w.Commit(Precondition{})
			return errors.Join(err, os.Mkdir(d.tmp, dirPerm))
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := t.TempDir()
			d := openTestDir(t, path, nil)
			w, err := d.Create(t.Context(), dirKey)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte("data")); err != nil {
				t.Fatal(err)
			}
			err = test.run(t, d, w.(*dirWriter))
			if failed := err != nil; failed != test.fail {
				t.Errorf("error %v", err)
			}
			wantTree(t, d.tmp, "./")
			if _, err := d.Open(t.Context(), dirKey); test.fail && err == nil {
				t.Error("the object is there all the same")
			}
		})
	}
}

func TestDirReportsADiskThatDoesNotWork(t *testing.T) {
	path := t.TempDir()
	d := openTestDir(t, path, nil)
	if err := os.RemoveAll(d.tmp); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.tmp, nil, filePerm); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Create(t.Context(), dirKey); err == nil {
		t.Error("Create succeeded without a directory")
	}
	if err := os.WriteFile(filepath.Join(path, "file"), nil, filePerm); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(DirConfig{Path: filepath.Join(path, "file", "store")}); err == nil {
		t.Error("OpenDir succeeded below a file")
	}
}

func TestOpenDirSweepsCrashLeftovers(t *testing.T) {
	path := t.TempDir()
	d := openTestDir(t, path, nil)
	if err := putDir(t, d, dirKey, "whole", Precondition{}); err != nil {
		t.Fatal(err)
	}
	// A process that dies in the middle of a write: neither Commit nor Abort.
	w, err := d.Create(t.Context(), dirKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	for n := range 2 * sweepBatch { // more than one listing
		if err := os.WriteFile(filepath.Join(d.tmp, "old-"+branchName(n)), nil, filePerm); err != nil {
			t.Fatal(err)
		}
	}
	d.Close()

	d = openTestDir(t, path, nil)
	d.started.Wait()
	wantTree(t, path, "objects/01/23/0123456789abcdef/blob-1 tmp/ usage.json")
	mine, err := d.Create(t.Context(), dirKey)
	if err != nil {
		t.Fatal(err)
	}
	d.sweep(t.Context()) // as if it were slow
	wantTree(t, path, "objects/01/23/0123456789abcdef/blob-1 tmp/"+filepath.Base(mine.(*dirWriter).temp.Name())+" usage.json")
	if _, err := mine.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	if _, err := mine.Commit(Precondition{}); err != nil {
		t.Error(err)
	}
	wantTree(t, d.tmp, "./")
}

// What another process is writing is not for this one to remove.
func TestSharedDirSweepsOnlyWhatIsOld(t *testing.T) {
	path := t.TempDir()
	d := openTestDir(t, path, nil)
	other, err := d.Create(t.Context(), dirKey)
	if err != nil {
		t.Fatal(err)
	}
	d.started.Wait()
	for name, age := range map[string]time.Duration{
		"young-1": 0, "young-2": leftoverAge - time.Hour, "young-3": -time.Hour, "old-1": leftoverAge + time.Minute, "old-2": 10 * leftoverAge,
	} {
		file := filepath.Join(d.tmp, name)
		if err := os.WriteFile(file, nil, filePerm); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	shared, err := OpenDir(DirConfig{Path: path, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	shared.started.Wait()
	theirs := filepath.Base(other.(*dirWriter).temp.Name())
	want := []string{"young-1", "young-2", "young-3", theirs}
	slices.Sort(want)
	wantTree(t, d.tmp, strings.Join(want, " "))
	if _, err := other.Commit(IfAbsent()); err != nil {
		t.Errorf("the other process's write: %v", err)
	}
}

// The size that one of several processes could count would be wrong.
func TestSharedDirCountsNothing(t *testing.T) {
	path := t.TempDir()
	d := openTestDir(t, path, nil)
	if err := putDir(t, d, dirKey, "data", Precondition{}); err != nil {
		t.Fatal(err)
	}
	d.Close()
	shared, err := OpenDir(DirConfig{Path: path, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	if err := putDir(t, shared, "ffffffff/a", "data", Precondition{}); err != nil {
		t.Fatal(err)
	}
	shared.started.Wait()
	if shared.size.held != (usage{}) || shared.size.known {
		t.Errorf("%+v were counted", shared.size.held)
	}
}

// A directory that cannot be read stands for one that takes long to read.
func TestOpenDirDoesNotReadTheTree(t *testing.T) {
	path := t.TempDir()
	loop := filepath.Join(path, "objects", "00")
	if err := os.MkdirAll(filepath.Dir(loop), dirPerm); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	d := openTestDir(t, path, slog.New(slog.NewTextHandler(&log, nil)))
	if err := putDir(t, d, dirKey, "data", Precondition{}); err != nil {
		t.Error(err)
	}
	if o, err := d.Open(t.Context(), dirKey); err != nil {
		t.Error(err)
	} else {
		o.Close()
	}
	if err := d.Walk(t.Context(), "", func(Info) error { return nil }); err == nil {
		t.Error("Walk passed over an unreadable directory in silence")
	}
	d.started.Wait()
	if !strings.Contains(log.String(), "the store's size stays unknown") {
		t.Errorf("the census did not say that it failed: %q", log.String())
	}
}

func TestWalkPassesOverForeignFiles(t *testing.T) {
	path := t.TempDir()
	d := openTestDir(t, path, nil)
	if err := putDir(t, d, dirKey, "data", Precondition{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"README", "00", "01/file", "01/23/file", "01/23/0123456789abcdef/.DS_Store", "01/23/0123456789abcdef/sub/blob-1",
		"01/24/0123456789abcdef/blob-1", "lost+found/x/y/z", "01/23/0123456789ABCDEF/blob-1", "zz/zz/zzzzzzzz/blob-1",
	} {
		file := filepath.Join(d.objects, name)
		if err := os.MkdirAll(filepath.Dir(file), dirPerm); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, filePerm); err != nil {
			t.Fatal(err)
		}
	}
	for _, prefix := range []string{"", "0123456789abcdef/"} {
		var got []string
		err := d.Walk(t.Context(), prefix, func(i Info) error {
			got = append(got, i.Key)
			return nil
		})
		if err != nil || !slices.Equal(got, []string{dirKey}) {
			t.Errorf("Walk %q = %v, %v; want %s alone", prefix, got, err, dirKey)
		}
	}
	if _, err := d.Open(t.Context(), "0123456789abcdef/sub"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of a directory: %v", err)
	}
	if err := d.Delete(t.Context(), "0123456789abcdef/sub", Precondition{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Delete of a directory: %v", err)
	}
}

func TestDirCloseStopsTheCensus(t *testing.T) {
	d := openTestDir(t, t.TempDir(), nil)
	d.started.Wait()
	if err := putDir(t, d, dirKey, "data", Precondition{}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // closing twice does no harm
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.size = newLedger(bounds{}, nil)
	d.census(ctx, censusRate)
	if d.size.known {
		t.Error("a census that was stopped counted all")
	}
	if err := putDir(t, d, dirKey, "data", Precondition{}); err != nil {
		t.Errorf("an open Writer after Close: %v", err)
	}
}

func TestRevClockNeverStandsStill(t *testing.T) {
	var c revClock
	// As if the clock had been set back by an hour just now.
	c.last = time.Now().Add(time.Hour)
	last := c.last
	for grain := time.Nanosecond; grain <= coarsest; grain *= 10 {
		for range 3 {
			next := c.next(grain)
			if !next.After(last) || !next.Equal(next.Truncate(grain)) {
				t.Fatalf("grain %v: %v after %v", grain, next, last)
			}
			last = next
		}
	}
}
