package cache

import (
	"os"
	"testing"
	"time"
)

// lastUse returns when key was last used.
func lastUse(t *testing.T, d *Dir, key string) time.Time {
	t.Helper()
	owner, file, err := splitKey(key)
	if err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(d.path(owner, file))
	if err != nil {
		t.Fatal(err)
	}
	return accessed(fi)
}

func TestUseIsWrittenDown(t *testing.T) {
	open := func(t *testing.T, h *house, key string) {
		o, err := h.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		o.Close()
	}
	for _, test := range []struct {
		name    string
		ago     time.Duration
		cfg     DirConfig
		use     func(t *testing.T, h *house, key string)
		touched bool
	}{
		{"opened, used long ago", 2 * time.Hour, DirConfig{MinFree: 1}, open, true},
		{"opened, used lately", time.Hour / 2, DirConfig{MinFree: 1}, open, false},
		{"opened, used lately, but files go early", time.Hour / 2, DirConfig{MaxAge: time.Hour}, open, true},
		{"opened where nothing ever goes", 2 * time.Hour, DirConfig{}, open, false},
		{"opened quietly", 2 * time.Hour, DirConfig{MinFree: 1}, func(t *testing.T, h *house, key string) {
			o, err := h.OpenQuiet(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			if _, err := o.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"touched", 2 * time.Hour, DirConfig{MinFree: 1}, func(_ *testing.T, h *house, key string) { h.touch(key) }, true},
		{"touched, used lately", time.Hour / 2, DirConfig{MinFree: 1}, func(_ *testing.T, h *house, key string) { h.touch(key) }, false},
		{"what was made of it is touched and gone", 2 * time.Hour, DirConfig{MinFree: 1}, func(_ *testing.T, h *house, key string) {
			h.touch(FileKey(testOwner(1), "doc", "a base that is not kept"))
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := openHouse(t, test.cfg)
			key := FileKey(testOwner(1), "head", "a")
			putAged(t, h.Dir, key, 10, test.ago)
			before, err := h.OpenQuiet(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			before.Close()
			was := lastUse(t, h.Dir, key)
			test.use(t, h, key)
			if touched := !lastUse(t, h.Dir, key).Equal(was); touched != test.touched {
				t.Errorf("touched is %t, want %t", touched, test.touched)
			}
			after, err := h.OpenQuiet(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			after.Close()
			if after.Rev != before.Rev || !after.ModTime.Equal(before.ModTime) {
				t.Errorf("its revision was %s and is %s", before.Rev, after.Rev)
			}
		})
	}
}

// Where files go at an early age their use must be known earlier, too: a document
// that is asked for all the time, and what it was made of, must not go by age.
func TestDocumentsInMemoryDoNotAge(t *testing.T) {
	h := openHouse(t, DirConfig{MaxAge: time.Hour})
	docs := NewDocuments(DocumentsConfig{Store: h.Dir})
	defer docs.Close()
	mustMake(t, docs, testKey, renders([]byte("a document")))
	kept, ok := docs.kept.get(testKey)
	if !ok {
		t.Fatal("it is not in memory")
	}
	kept.touched.Store(time.Now().Add(-40 * time.Minute).Unix())
	setAge(t, h.Dir, testKey.object(), 40*time.Minute)
	doc, ok := docs.Lookup(t.Context(), testKey)
	if !ok {
		t.Fatal("it is not there")
	}
	doc.Close()
	waitFor(t, "its use is written down", func() bool { return time.Since(lastUse(t, h.Dir, testKey.object())) < time.Hour/2 })
}

// What is answered from memory is in use on disk, too.
func TestDocumentsInMemoryAreInUse(t *testing.T) {
	h := openHouse(t, DirConfig{MinFree: 1})
	docs := NewDocuments(DocumentsConfig{Store: h.Dir})
	defer docs.Close()
	mustMake(t, docs, testKey, renders([]byte("a document")))
	setAge(t, h.Dir, testKey.object(), 3*time.Hour)
	lookup := func() {
		t.Helper()
		doc, ok := docs.Lookup(t.Context(), testKey)
		if !ok || doc.packed == nil || doc.object != nil {
			t.Fatal("it is not in memory")
		}
		doc.Close()
	}
	lookup() // it has just been written
	kept, ok := docs.kept.get(testKey)
	if !ok {
		t.Fatal("it is not in memory")
	}
	kept.touched.Add(int64(-2 * tellEvery / time.Second))
	lookup()
	waitFor(t, "its use is written down", func() bool { return time.Since(lastUse(t, h.Dir, testKey.object())) < time.Hour })

	setAge(t, h.Dir, testKey.object(), 3*time.Hour)
	for range 100 {
		lookup()
	}
	h.Touch("0123456789abcdef/other") // comes after them
	waitFor(t, "all are written down", func() bool { return len(h.touches) == 0 })
	if time.Since(lastUse(t, h.Dir, testKey.object())) < time.Hour {
		t.Error("it is written down each time")
	}
}
