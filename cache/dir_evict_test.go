package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/metrics"
)

// evictSome lets an evictor of its own make so many rounds.
func evictSome(t *testing.T, h *house, rounds int) (gone usage) {
	t.Helper()
	e := newEvictor(h.Dir, rand.New(rand.NewPCG(3, 4)))
	for range rounds {
		u, err := e.round(t.Context(), 1<<40, "size")
		if err != nil {
			t.Fatal(err)
		}
		gone = gone.plus(u)
	}
	return gone
}

// tryPut writes size bytes without a reservation.
func tryPut(t *testing.T, d *Dir, key string, size int) error {
	w, err := d.Create(t.Context(), key)
	if err != nil {
		return err
	}
	if _, err := w.Write(make([]byte, size)); err != nil {
		t.Error(err)
	}
	_, err = w.Commit(Precondition{})
	return err
}

func TestEvictionTakesWhatIsOldest(t *testing.T) {
	for _, owners := range []int{1, 20, 300} {
		t.Run(fmt.Sprint(owners, " owners"), func(t *testing.T) {
			const blobs = 600
			h := openHouse(t, DirConfig{})
			keys := make([]string, blobs) // the most recently used first
			for n := range blobs {
				// One after the other of each owner: an owner's are of all ages.
				keys[n] = putBlob(t, h.Dir, testOwner(n%owners), fmt.Sprint(n), 10, time.Duration(n)*time.Minute)
			}
			e := newEvictor(h.Dir, rand.New(rand.NewPCG(3, 4)))
			gone := 0
			for gone < blobs/4 {
				u, err := e.round(t.Context(), 1<<40, "size")
				if err != nil {
					t.Fatal(err)
				}
				gone += int(u.Files / 2)
			}
			young := 0
			for n, key := range keys {
				if has(h.Dir, key) != has(h.Dir, key+sidecarSuffix) {
					t.Errorf("half of %s is gone", key)
				}
				if !has(h.Dir, key) && n < blobs/2 {
					young++
				}
			}
			if young > gone/10 {
				t.Errorf("of %d that went, %d are of the younger half", gone, young)
			}
			h.wantLedger(t)
		})
	}
}

func TestWhatGoesAndWhatStays(t *testing.T) {
	const day = 24 * time.Hour
	owner := testOwner(1)
	pinned := FileKey(owner, "blob", "pinned-1.0.0.tgz")
	head := FileKey(owner, "head", "url")
	body := FileKey(owner, "body", "url") + "-0123456789abcdef0123456789abcdef"
	doc := FileKey(owner, "doc", "base")
	for _, test := range []struct {
		name string
		make func(t *testing.T, d *Dir)
		keep func(key string) bool // nil: KeepBlobs of the pinned one
		stay string                // kinds, after all that may go has gone
	}{
		{"everything, if it must", func(t *testing.T, d *Dir) {
			putBlob(t, d, owner, "a", 10, day)
			putAged(t, d, head, 10, day)
			putAged(t, d, body, 10, day)
			putAged(t, d, doc, 10, day)
			putAged(t, d, FileKey(owner, "gone", "b"), 10, day)
			putAged(t, d, owner+"/odd", 10, day)
		}, nil, ""},
		{"a note of a package of which anything else is there", func(t *testing.T, d *Dir) {
			putAged(t, d, FileKey(owner, noteKind, "a"), 10, day)
			putAged(t, d, doc, 10, time.Minute)
			putAged(t, d, FileKey(testOwner(2), noteKind, "a"), 10, day)
		}, func(key string) bool { return key == doc }, "doc state"},
		{"a note of a package with a pinned blob", func(t *testing.T, d *Dir) {
			putAged(t, d, FileKey(owner, noteKind, "a"), 10, day)
			putBlob(t, d, owner, "pinned-1.0.0.tgz", 10, day)
			putAged(t, d, FileKey(testOwner(2), noteKind, "a"), 10, day)
		}, nil, "blob blob state"},
		{"a pinned blob in quarantine", func(t *testing.T, d *Dir) {
			putAged(t, d, FileKey(owner, "gone", "pinned-1.0.0.tgz"), 10, day)
			putAged(t, d, FileKey(owner, noteKind, "a"), 10, day)
			putAged(t, d, FileKey(testOwner(2), "gone", "pinned-1.0.0.tgz"), 10, day)
		}, nil, "gone state"},
		{"a pinned blob and its sidecar", func(t *testing.T, d *Dir) {
			putBlob(t, d, owner, "pinned-1.0.0.tgz", 10, day)
			putBlob(t, d, owner, "other-1.0.0.tgz", 10, day)
		}, nil, "blob blob"},
		{"a blob's half while the other may be on its way", func(t *testing.T, d *Dir) {
			putAged(t, d, FileKey(owner, "blob", "a"), 10, orphanAge/2)
		}, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			keep := test.keep
			if keep == nil {
				keep = KeepBlobs([]string{pinned, "not a key"})
			}
			h := openHouse(t, DirConfig{Keep: keep})
			test.make(t, h.Dir)
			evictSome(t, h, 50)
			if got := storedKinds(t, h.Dir); got != test.stay {
				t.Errorf("%q stays, want %q", got, test.stay)
			}
			h.wantLedger(t)
		})
	}
}

// Where upstream is away nobody has a package's document again: while anything
// made of it is in use it is as young as that.
func TestResponsesOfAPackageInUseStay(t *testing.T) {
	const day = 24 * time.Hour
	h := openHouse(t, DirConfig{})
	used, idle := testOwner(1), testOwner(2)
	head := func(owner string) string { return FileKey(owner, "head", "url") }
	for _, owner := range []string{used, idle} {
		putAged(t, h.Dir, head(owner), 10, 30*day)
		putAged(t, h.Dir, FileKey(owner, "body", "url")+"-00", 10, 30*day)
	}
	putAged(t, h.Dir, FileKey(used, "doc", "base"), 10, time.Minute)
	for n := range 10 {
		putBlob(t, h.Dir, testOwner(3), fmt.Sprint(n), 10, time.Duration(n+1)*day)
	}
	e := newEvictor(h.Dir, rand.New(rand.NewPCG(3, 4)))
	for range 50 {
		if _, err := e.sample(); err != nil {
			t.Fatal(err)
		}
	}
	g, err := e.oldest()
	if err != nil || g == nil || g.owner != idle || len(g.files) != 2 {
		t.Fatalf("the oldest is %+v, %v", g, err)
	}
	for _, c := range e.pool[:10] {
		if c.owner == used {
			t.Error("a response in use goes before tarballs that are not")
		}
	}
}

// A body without a head, or a sidecar without a blob, goes before anything else, but
// not while the other half may be on its way.
func TestWhatIsOfNoUseGoesFirst(t *testing.T) {
	h := openHouse(t, DirConfig{MaxAge: 1000 * time.Hour})
	owner := testOwner(1)
	useless := []string{
		FileKey(owner, "body", "url") + "-00",
		FileKey(owner, "blob", "a") + sidecarSuffix,
	}
	for _, key := range useless {
		putAged(t, h.Dir, key, 10, orphanAge+time.Minute)
	}
	young := FileKey(owner, "blob", "b") + sidecarSuffix
	putAged(t, h.Dir, young, 10, orphanAge/2)
	alone := FileKey(owner, "blob", "c") // its sidecar can be made anew
	putAged(t, h.Dir, alone, 10, 100*time.Hour)
	whole := putBlob(t, h.Dir, owner, "d", 10, 100*time.Hour)
	e := newEvictor(h.Dir, rand.New(rand.NewPCG(3, 4)))
	if _, err := e.sample(); err != nil {
		t.Fatal(err)
	}
	for range useless {
		g, err := e.oldest()
		if err != nil || g == nil || !g.orphan {
			t.Fatalf("the next to go is %+v, %v", g, err)
		}
	}
	h.census(t.Context(), censusHurry)
	for _, key := range useless {
		if has(h.Dir, key) {
			t.Errorf("the census left %s", key)
		}
	}
	if !has(h.Dir, young) || !has(h.Dir, alone) || !has(h.Dir, whole) {
		t.Error("the census took what is of use")
	}
	h.wantLedger(t)
}

// What a fill puts there while its predecessor goes is not touched.
func TestEvictionTakesOnlyWhatItSaw(t *testing.T) {
	h := openHouse(t, DirConfig{})
	key := putBlob(t, h.Dir, testOwner(1), "a", 10, time.Hour)
	groups, err := h.Dir.look(testOwner(1))
	if err == nil {
		groups, err = h.describe(groups)
	}
	if err != nil || len(groups) != 1 {
		t.Fatal(groups, err)
	}
	putAged(t, h.Dir, key, 20, 0)
	if _, err := h.removeGroup(t.Context(), groups[0], "size"); !errors.Is(err, ErrPrecondition) {
		t.Errorf("error %v", err)
	}
	if !has(h.Dir, key) || !has(h.Dir, key+sidecarSuffix) {
		t.Error("the new blob, or its sidecar, is gone")
	}
}

// One that was used after it was seen is not the oldest any more.
func TestEvictionLooksAgain(t *testing.T) {
	h := openHouse(t, DirConfig{})
	first := putBlob(t, h.Dir, testOwner(1), "a", 10, 3*time.Hour)
	second := putBlob(t, h.Dir, testOwner(2), "b", 10, 2*time.Hour)
	e := newEvictor(h.Dir, rand.New(rand.NewPCG(3, 4)))
	for range 10 {
		if _, err := e.sample(); err != nil {
			t.Fatal(err)
		}
	}
	setAge(t, h.Dir, first, 0)
	g, err := e.oldest()
	if err != nil || g == nil || g.owner+"/"+g.files[0].name != second && g.owner+"/"+g.files[0].name != second+sidecarSuffix {
		t.Errorf("the oldest is %+v, %v", g, err)
	}
}

// A reader that has the file open reads it to the end.
func TestEvictionBreaksNoReader(t *testing.T) {
	h := openHouse(t, DirConfig{})
	key := putBlob(t, h.Dir, testOwner(1), "a", 1000, time.Hour)
	o, err := h.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	evictSome(t, h, 5)
	if has(h.Dir, key) {
		t.Fatal("it has not gone")
	}
	if n, err := o.ReadAt(make([]byte, 1000), 0); n != 1000 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestWhatIsTooOldGoes(t *testing.T) {
	const age = 100 * time.Hour
	pinned := FileKey(testOwner(3), "blob", "pinned")
	m := metrics.New("1.0.0", "abcdef")
	h := openHouse(t, DirConfig{MaxAge: age, Metrics: m, Keep: func(key string) bool { return key == pinned }})
	old := putBlob(t, h.Dir, testOwner(1), "old", 10, 0)
	used := putBlob(t, h.Dir, testOwner(2), "used", 10, 0)
	putBlob(t, h.Dir, testOwner(3), "pinned", 10, 0)
	h.later(age - time.Hour)
	h.census(t.Context(), censusHurry)
	if !has(h.Dir, old) {
		t.Error("it went too early")
	}
	o, err := h.Open(t.Context(), used)
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	h.later(2 * time.Hour)
	h.census(t.Context(), censusHurry)
	if has(h.Dir, old) || has(h.Dir, old+sidecarSuffix) {
		t.Error("it is still there")
	}
	if !has(h.Dir, used) || !has(h.Dir, pinned) {
		t.Error("what was used, or pinned, has gone")
	}
	wantMetric(t, m, `store_evicted_files_total{reason="age"} 2`)
	wantMetric(t, m, `store_evicted_bytes_total{reason="age"} 110`)
	h.wantLedger(t)
}

// A clock that is set makes nothing older, however far ahead; time that passes does.
func TestAClockThatIsSetAgesNothing(t *testing.T) {
	for _, jump := range []time.Duration{24 * time.Hour, 10000 * time.Hour, -10000 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			h := openHouse(t, DirConfig{MaxAge: 20 * time.Hour})
			key := putBlob(t, h.Dir, testOwner(1), "a", 10, time.Hour)
			h.change(func(h *house) { h.wrong = jump })
			h.census(t.Context(), censusHurry)
			if !has(h.Dir, key) {
				t.Fatal("it has gone")
			}
			h.change(func(h *house) { h.wrong = max(jump, 0) })
			h.later(20 * time.Hour)
			h.census(t.Context(), censusHurry)
			if has(h.Dir, key) {
				t.Error("it does not age any more")
			}
		})
	}
}

func TestStopwatch(t *testing.T) {
	passed := stopwatch()
	before := passed()
	time.Sleep(time.Millisecond)
	if after := passed(); before < 0 || after <= before || after > time.Hour {
		t.Errorf("%v have passed, then %v", before, after)
	}
}

func TestCensusPeriod(t *testing.T) {
	for maxAge, want := range map[time.Duration]time.Duration{
		0: 24 * time.Hour, time.Second: time.Minute, 10 * time.Hour: time.Hour, 1000 * 24 * time.Hour: 24 * time.Hour,
	} {
		if got := censusPeriod(maxAge); got != want {
			t.Errorf("for max_age %v it is %v, want %v", maxAge, got, want)
		}
	}
}

// The store is never over its bound, however fast it is filled.
func TestTheStoreKeepsWithinItsBound(t *testing.T) {
	const bound, workers = 2 << 20, 4
	m := metrics.New("1.0.0", "abcdef")
	var log logBuffer
	h := openHouse(t, DirConfig{MaxSize: bound, Metrics: m, Log: log.logger()})
	stop := make(chan struct{})
	var watch, load sync.WaitGroup
	var most int64
	watch.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			most = max(most, onDisk(h.objects).cost())
		}
	})
	var refused, stored sync.Map
	for worker := range workers {
		load.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for n := range 150 {
				size := 1 + random.IntN(40<<10)
				owner := testOwner(random.IntN(50))
				name := fmt.Sprint(worker, "-", n)
				if n%3 == 0 { // as documents are written
					err := tryPut(t, h.Dir, FileKey(owner, "doc", name), size)
					if err != nil && !errors.Is(err, ErrNoRoom) {
						t.Error(err)
					}
					continue
				}
				release, err := h.Reserve(t.Context(), int64(size))
				if err != nil {
					refused.Store(name, err)
					continue
				}
				putBlob(t, h.Dir, owner, name, size, 0)
				release()
				stored.Store(name, true)
			}
		})
	}
	load.Wait()
	close(stop)
	watch.Wait()
	refused.Range(func(name, err any) bool {
		t.Errorf("%v was refused: %v", name, err)
		return true
	})
	// While the disk is measured, each worker may have one thing come and another go.
	if limit := int64(bound + bound/50 + workers*(50<<10)); most > limit {
		t.Errorf("up to %d bytes were used, more than %d", most, limit)
	}
	waitFor(t, "the evictor comes to rest", func() bool {
		excess, _ := h.size.excess()
		return excess <= 0 || !h.size.pressed() && len(h.size.wake) == 0
	})
	if got := h.reservedBytes(); got != 0 {
		t.Errorf("%d bytes stay reserved", got)
	}
	if used := h.used(); used > bound || used < bound/2 {
		t.Errorf("%d bytes are used of %d", used, bound)
	}
	wantMetric(t, m, fmt.Sprintf("store_capacity_bytes %g", float64(bound)))
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "the cache is full") {
		t.Errorf("the log says %q", log.String())
	}
	// What goes takes its directories along.
	_ = fs.WalkDir(os.DirFS(h.objects), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && path != "." {
			if names, err := readNames(h.objects + "/" + path); err == nil && len(names) == 0 {
				t.Errorf("%s is empty", path)
			}
		}
		return nil
	})
}

// A store that is opened with a smaller bound than it takes shrinks by itself.
func TestALowerBoundTakesEffect(t *testing.T) {
	path := t.TempDir()
	h := openHouse(t, DirConfig{Path: path})
	for n := range 100 {
		putBlob(t, h.Dir, testOwner(n), "a", 10<<10, time.Duration(n)*time.Hour)
	}
	h.Close()
	h = openHouse(t, DirConfig{Path: path, MaxSize: 500 << 10})
	waitFor(t, "it has shrunk", func() bool { return h.used() <= 500<<10 })
	if !has(h.Dir, FileKey(testOwner(0), "blob", "a")) {
		t.Error("the one that was used last has gone")
	}
}

// When the volume fills up, whoever fills it, the cache makes room.
func TestTheVolumeKeepsSomethingFree(t *testing.T) {
	t.Parallel() // it waits for seconds
	m := metrics.New("1.0.0", "abcdef")
	h := openHouse(t, DirConfig{MinFree: 1 << 30, Metrics: m})
	h.change(func(h *house) { h.vol, h.taken = volume{total: 100 << 20, free: 16 << 20}, true })
	for n := range 100 {
		putBlob(t, h.Dir, testOwner(n), "a", 30<<10, time.Duration(n)*time.Hour)
	}
	// 5.3 MB lie there, and a tenth of the volume is to be free: 0.7 MB are left.
	waitFor(t, "the volume is looked at", func() bool { h.size.mu.Lock(); defer h.size.mu.Unlock(); return h.size.floor == 10<<20 })
	h.change(func(h *house) { h.vol.free -= 3 << 20 }) // somebody else writes
	waitFor(t, "there is room again", func() bool { v, _ := h.look(h.objects); return v.free >= 10<<20 })
	if !has(h.Dir, FileKey(testOwner(0), "blob", "a")) || has(h.Dir, FileKey(testOwner(99), "blob", "a")) {
		t.Error("the wrong ones have gone")
	}
	waitFor(t, "the evictor comes to rest", func() bool { return !h.size.pressed() })
	if left := onDisk(h.objects).Files; left < 40 {
		t.Errorf("only %d files are left", left)
	}
	// When nothing is left to go, nothing is stored, and that is said.
	h.change(func(h *house) { h.vol.free = 5 << 20 })
	waitFor(t, "all has gone", func() bool { return onDisk(h.objects).Files == 0 })
	waitFor(t, "a reservation is refused", func() bool {
		release, err := h.Reserve(t.Context(), 1000)
		if err == nil {
			release()
		}
		return errors.Is(err, ErrNoRoom)
	})
	if err := tryPut(t, h.Dir, "00000000/a", 1); !errors.Is(err, ErrNoRoom) {
		t.Errorf("a document: %v", err)
	}
	waitFor(t, "the evictor gives up", func() bool { h.size.mu.Lock(); defer h.size.mu.Unlock(); return h.size.full })
	h.later(alarmAfter + time.Second)
	waitFor(t, "an alarm", func() bool { return h.Alarm() != nil })
	if err := h.Alarm(); !strings.Contains(err.Error(), "its volume has") {
		t.Errorf("the alarm says %q", err)
	}
	wantMetric(t, m, "store_full 1")
	h.change(func(h *house) { h.vol.free = 50 << 20 })
	waitFor(t, "the alarm ends", func() bool { return h.Alarm() == nil })
	wantMetric(t, m, "store_full 0")
}

// How full the volume is must be seen however the clock is set.
func TestTheVolumeIsSeenByAClockThatWasSetBack(t *testing.T) {
	h := openHouse(t, DirConfig{MinFree: 1 << 30})
	h.later(-24 * time.Hour)
	h.change(func(h *house) { h.vol.free = 1 << 20 })
	waitFor(t, "the volume is full", func() bool { return errors.Is(tryPut(t, h.Dir, "00000000/a", 1), ErrNoRoom) })
}

// Files may come into a directory at the moment in which it would go, being empty.
func TestDeleteAndCommitInOneDirectory(t *testing.T) {
	h := openHouse(t, DirConfig{})
	var workers sync.WaitGroup
	for worker := range 4 {
		workers.Go(func() {
			key := fmt.Sprintf("%s/doc-%d", testOwner(1), worker)
			for range 200 {
				if err := putDir(t, h.Dir, key, "data", IfAbsent()); err != nil {
					t.Error(err)
					return
				}
				if err := h.Delete(t.Context(), key, Precondition{}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
	if names, err := readNames(h.objects); len(names) > 0 || err != nil {
		t.Errorf("%v is left, %v", names, err)
	}
}

func TestFileGroups(t *testing.T) {
	hash := strings.Repeat("a1", 20)
	for name, want := range map[string][2]string{
		"blob-" + hash:                   {"blob", hash},
		"blob-" + hash + ".meta":         {"blob", hash},
		"body-" + hash + "-" + hash[:32]: {"body", hash},
		"odd":                            {"", "odd"},
		"blob-" + hash + "0":             {"", "blob-" + hash + "0"},
		"blob-" + hash[1:]:               {"", "blob-" + hash[1:]},
	} {
		kind, id := splitFile(name)
		if got := [2]string{kind, id}; !slices.Equal(got[:], want[:]) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// BenchmarkEvict removes blobs with their sidecars: files/s must be over 500.
func BenchmarkEvict(b *testing.B) {
	d, err := OpenDir(DirConfig{Path: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	fill := func() {
		for n := range 4000 {
			key := FileKey(testOwner(n/4), "blob", fmt.Sprint(n))
			for _, key := range []string{key, key + sidecarSuffix} {
				w, err := d.Create(b.Context(), key)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := w.Commit(Precondition{}); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	e := newEvictor(d, rand.New(rand.NewPCG(1, 2)))
	var files int64
	for b.Loop() {
		if d.size.held.Files < 4000 {
			b.StopTimer()
			fill()
			b.StartTimer()
		}
		gone, err := e.round(b.Context(), 1<<40, "size")
		if err != nil {
			b.Fatal(err)
		}
		files += gone.Files
	}
	b.ReportMetric(float64(files)/b.Elapsed().Seconds(), "files/s")
}
