package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"larder/metrics"
)

func TestDirKnowsItsSize(t *testing.T) {
	path := t.TempDir()
	d := openTestDir(t, path, nil)
	check := func(what string, bytes, files int64) {
		t.Helper()
		d.started.Wait()
		if got := d.size.held; got.Bytes != bytes || got.Files != files || got.Blocks != files*blockSize || !d.size.known {
			t.Errorf("%s: %+v, known %t; want %d bytes in %d files", what, got, d.size.known, bytes, files)
		}
	}
	put := func(key, data string) {
		t.Helper()
		if err := putDir(t, d, key, data, Precondition{}); err != nil {
			t.Fatal(err)
		}
	}
	check("empty", 0, 0)
	for _, key := range []string{"00000000/a", "00000000/b", "ffffffff/a"} {
		put(key, "12345")
	}
	check("three objects", 15, 3)
	d.Close()
	d = openTestDir(t, path, nil)
	check("opened again", 15, 3)
	put("00000000/a", "123")
	check("one replaced", 13, 3)
	if err := putDir(t, d, "00000000/a", "", IfAbsent()); !errors.Is(err, ErrPrecondition) {
		t.Fatal(err)
	}
	check("one refused", 13, 3)
	if err := d.Delete(t.Context(), "ffffffff/a", Precondition{}); err != nil {
		t.Fatal(err)
	}
	check("one deleted", 8, 2)
	d.Close()

	// A process that was killed, or files that were put there by hand.
	if err := os.WriteFile(d.path("00000000", "c"), []byte("1234567"), filePerm); err != nil {
		t.Fatal(err)
	}
	d = openTestDir(t, path, nil)
	check("not counted yet", 8, 2)
	d.census(t.Context(), censusHurry)
	check("counted", 15, 3)
	d.Close()

	for _, broken := range []string{"", "{", `{"bytes":-1,"files":2}`, `{"bytes":7}`, `{"bytes":7,"files":1}`, "[]", "null and more"} {
		if err := os.WriteFile(d.counter, []byte(broken), filePerm); err != nil {
			t.Fatal(err)
		}
		d = openTestDir(t, path, nil)
		check("after the counter was "+broken, 15, 3)
		d.Close()
	}
	if err := os.Remove(d.counter); err != nil {
		t.Fatal(err)
	}
	d = openTestDir(t, path, nil)
	check("without a counter", 15, 3)
	d.Close()
	if err := os.RemoveAll(d.objects); err != nil {
		t.Fatal(err)
	}
	d = openTestDir(t, path, nil)
	check("without objects", 0, 0)
}

// With a million files it starts as fast as with none: nothing of the tree is
// looked at before it serves, and how much lies there is known all the same. A
// directory that cannot be read stands for all that takes long to read.
func TestOpenDirKnowsTheSizeWithoutALook(t *testing.T) {
	path := t.TempDir()
	loop := filepath.Join(path, "objects", "00")
	if err := os.MkdirAll(filepath.Dir(loop), dirPerm); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, counterFile), []byte(`{"bytes":123456789,"files":1000000,"blocks":4096000000}`), filePerm); err != nil {
		t.Fatal(err)
	}
	m := metrics.New("1.0.0", "abcdef")
	var log logBuffer
	d, err := OpenDir(DirConfig{Path: path, MaxSize: 100 << 30, MinFree: 1, Metrics: m, Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	wantMetric(t, m, "store_bytes 1.23456789e+08")
	wantMetric(t, m, "store_files 1e+06")
	if err := putDir(t, d, dirKey, "data", Precondition{}); err != nil {
		t.Error(err)
	}
	o, err := d.Open(t.Context(), dirKey)
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	d.started.Wait()
	if log.String() != "" {
		t.Errorf("something looked at the tree: %s", log.String())
	}
}

func TestACensusSeesWhatChangesMeanwhile(t *testing.T) {
	const counted, counting, later = "10aaaaaa", "20aaaaaa", "30aaaaaa"
	for _, test := range []struct {
		name  string
		owner string
		at    string // the owner that is being counted, "" for between counting and later
		want  usage
		again bool
	}{
		{"to what was counted", counted, counting, usage{1 + 10, 1 + 1, 0}, false},
		{"to what is being counted", counting, counting, usage{1, 1, 0}, true},
		{"to what was counted last", counting, "", usage{1 + 10, 1 + 1, 0}, false},
		{"to what will be counted", later, counting, usage{1, 1, 0}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLedger(bounds{}, nil)
			l.know(usage{1000, 100, 0})
			l.begin()
			l.counting(counting)
			if test.at == "" {
				l.counted(usage{1, 1, 0}, false)
			}
			done := l.changing(test.owner)
			done(usage{10, 1, 0})
			if test.at != "" {
				if ok := l.counted(usage{1, 1, 0}, false); ok == test.again {
					t.Errorf("counted says %t", ok)
				} else if !ok {
					l.counted(usage{1, 1, 0}, true)
				}
			}
			if want := (usage{1010, 101, 0}); l.held != want {
				t.Errorf("meanwhile the store holds %+v, want %+v", l.held, want)
			}
			l.end(true)
			if l.held != test.want {
				t.Errorf("the store holds %+v, want %+v", l.held, test.want)
			}
		})
	}
}

// While a file comes or goes nobody can say whether a listing has it.
func TestACensusWaitsForChanges(t *testing.T) {
	l := newLedger(bounds{}, nil)
	l.begin()
	done := l.changing("20aaaaaa")
	l.counting("10aaaaaa")
	if !l.counted(usage{1, 1, 0}, false) {
		t.Error("a change to another owner matters")
	}
	l.counting("20aaaaaa")
	if l.counted(usage{1, 1, 0}, false) {
		t.Error("it was counted while it changed")
	}
	l.counting("20aaaaaa")
	done(usage{1, 1, 0})
	if l.counted(usage{2, 2, 0}, false) {
		t.Error("it was counted although it changed")
	}
	l.counting("20aaaaaa")
	if !l.counted(usage{2, 2, 0}, false) {
		t.Error("it is not counted although nothing changes")
	}
	l.end(true)
	if want := (usage{3, 3, 0}); l.held != want {
		t.Errorf("%+v, want %+v", l.held, want)
	}
}

// However much comes and goes meanwhile, a census is right.
func TestACensusUnderLoad(t *testing.T) {
	h := openHouse(t, DirConfig{})
	h.started.Wait()
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for worker := range 3 {
		load.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				key := FileKey(testOwner(n%5), "doc", fmt.Sprint(worker))
				if err := tryPut(t, h.Dir, key, n%5000); err != nil {
					t.Error(err)
				}
				if n%3 > 0 {
					if err := h.Delete(t.Context(), key, Precondition{}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 30 {
		h.census(t.Context(), censusHurry)
	}
	stop()
	load.Wait()
	h.wantLedger(t)
}

// Who comes after the directories were listed is counted, too.
func TestACensusSeesWhoComesMeanwhile(t *testing.T) {
	for name, late := range map[string][]string{
		"before all":            {"0f000000"},
		"beside who is counted": {"10110001"},
		"in a new directory":    {"10220000"},
		"after all":             {"10550000"},
		"in another branch":     {"20000000"},
		"where one has gone":    {"10440000"},
		"many":                  {"10550000", "10220000", "10220001", "10100000", "ffffffff"},
	} {
		t.Run(name, func(t *testing.T) {
			var d *Dir
			var counting atomic.Bool
			come := func() time.Time { // the census asks for the time when it looks at a file
				if counting.CompareAndSwap(true, false) {
					if err := d.Delete(t.Context(), "10440000/a", Precondition{}); err != nil {
						t.Error(err)
					}
					for _, owner := range late {
						if err := putDir(t, d, owner+"/a", "12345", Precondition{}); err != nil {
							t.Error(err)
						}
					}
				}
				return time.Now()
			}
			var err error
			d, err = openDir(DirConfig{Path: t.TempDir()}, world{now: come, passed: stopwatch()})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			for _, key := range []string{"10110000/a", "10440000/a", "10440001/a"} {
				if err := putDir(t, d, key, "1", Precondition{}); err != nil {
					t.Fatal(err)
				}
			}
			counting.Store(true)
			d.census(t.Context(), censusHurry)
			(&house{Dir: d}).wantLedger(t)
		})
	}
}

// A census that fails leaves what was known, and one of a store of which nothing
// is known says all along what it has found.
func TestACensusIsOnlyBelievedWhole(t *testing.T) {
	l := newLedger(bounds{}, nil)
	l.begin()
	l.counting("10aaaaaa")
	l.counted(usage{5, 1, 0}, false)
	if l.held != (usage{5, 1, 0}) || l.known {
		t.Errorf("%+v, known %t", l.held, l.known)
	}
	l.end(false)
	if l.known {
		t.Error("half of a census is believed")
	}
	l.know(usage{7, 2, 0})
	l.begin()
	l.counting("10aaaaaa")
	l.counted(usage{5, 1, 0}, false)
	l.end(false)
	if l.held != (usage{7, 2, 0}) || !l.known {
		t.Errorf("%+v, known %t", l.held, l.known)
	}
}

func FuzzCounter(f *testing.F) {
	for _, seed := range []string{`{"bytes":1,"files":1,"blocks":4096}`, `{"bytes":-1}`, `{}`, ``, `{"bytes":9223372036854775807,"files":9,"blocks":9223372036854775807}`, `{"bytes":1e3,"files":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := parseCounter(data)
		if err != nil && u != (usage{}) || u.Bytes < 0 || u.Files < 0 || u.cost() < 0 {
			t.Errorf("%+v, %v", u, err)
		}
	})
}
