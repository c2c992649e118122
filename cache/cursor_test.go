package cache

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

func TestACursorSurvivesItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cursor")
	if c, err := ReadCursor(path); err != nil || c != (Cursor{}) {
		t.Errorf("without a file: %+v, %v", c, err)
	}
	want := Cursor{After: "00112233/blob-4455", Began: time.Unix(1e9, 0).UTC(), Files: 3, Bytes: 4, Rotten: 1, Unread: 2}
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadCursor(path)
	if err != nil || got != want {
		t.Errorf("read %+v, %v", got, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		if c, err := parseCursor(bad); err == nil {
			t.Errorf("with another byte %d it is %+v", i, c)
		}
	}
}

func FuzzParseCursor(f *testing.F) {
	good, err := Cursor{After: "00112233/blob-4455", Began: time.Unix(1e9, 0), Files: 3}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(seal(cursorSeal, []byte(`{}`)))
	f.Add(seal(cursorSeal, []byte(`{"after":"../../etc"}`)))
	f.Add(seal(cursorSeal, []byte(`{"files":-1}`)))
	f.Add(seal(cursorSeal, []byte(`null`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCursor(data)
		if err != nil {
			if !errors.Is(err, errCursor) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		again, err := c.encode()
		if err != nil {
			return // a year that JSON cannot write
		}
		if _, err := parseCursor(again); err != nil {
			t.Errorf("%+v is not read back: %v", c, err)
		}
	})
}

func TestAWalkFromAnyKeyIsTheRestInOrder(t *testing.T) {
	d, err := OpenDir(DirConfig{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var want []string
	for i := range 60 {
		owner := OwnerKey("npm", strconv.Itoa(i/2))
		if i%7 == 0 {
			owner = owner[:8+i/7] // they need not have the same length
		}
		key := FileKey(owner, "blob", strconv.Itoa(i))
		if err := putDir(t, d, key, "x", Precondition{}); err != nil {
			t.Fatal(err)
		}
		want = append(want, key)
	}
	slices.Sort(want)
	for from := range len(want) + 1 {
		after := ""
		if from > 0 {
			after = want[from-1]
		}
		var got []string
		if err := d.WalkFrom(t.Context(), after, func(o Info) error { got = append(got, o.Key); return nil }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want[from:]) {
			t.Fatalf("after %q came %d keys, want %d", after, len(got), len(want)-from)
		}
	}
}

func TestOpenQuietLeavesTheAccessTime(t *testing.T) {
	d, err := OpenDir(DirConfig{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := putDir(t, d, dirKey, "12345", Precondition{}); err != nil {
		t.Fatal(err)
	}
	owner, file, _ := splitKey(dirKey)
	path := d.path(owner, file)
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour).Truncate(time.Second)
	if err := os.Chtimes(path, old, fi.ModTime()); err != nil {
		t.Fatal(err)
	}
	o, err := d.OpenQuiet(t.Context(), dirKey)
	if err != nil {
		t.Fatal(err)
	}
	if o.Rev != fileRev(fi) {
		t.Errorf("revision %s, want %s", o.Rev, fileRev(fi))
	}
	data := make([]byte, 5)
	if _, err := o.Read(data); err != nil || string(data) != "12345" {
		t.Errorf("read %q, %v", data, err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	if at, ok := accessTime(t, path); ok && !at.Equal(old) {
		t.Errorf("the access time is %v and was %v", at, old)
	}
	if _, err := d.OpenQuiet(t.Context(), "0123456789abcdef/missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing object: %v", err)
	}
}
