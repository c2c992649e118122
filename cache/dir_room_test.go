package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"larder/metrics"
)

func TestReserve(t *testing.T) {
	t.Parallel() // it waits for seconds
	const bound = 1 << 20
	everything := func(string) bool { return true }
	for _, test := range []struct {
		name   string
		held   int // blobs of 20 KB
		cfg    DirConfig
		before []int64 // bytes that others have reserved
		bytes  int64
		err    error
	}{
		{"what fits", 0, DirConfig{MaxSize: bound}, nil, bound / 2, nil},
		{"what fits when others go", 40, DirConfig{MaxSize: bound}, nil, bound / 2, nil},
		{"more than the store may take", 0, DirConfig{MaxSize: bound}, nil, 2 * bound, ErrNoRoom},
		{"where others have reserved it", 0, DirConfig{MaxSize: bound}, []int64{bound / 2, bound / 3}, bound / 3, ErrNoRoom},
		{"where nothing may go", 24, DirConfig{MaxSize: bound, Keep: everything}, nil, bound / 2, ErrNoRoom},
		{"without a bound", 0, DirConfig{}, nil, 1 << 50, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := metrics.New("1.0.0", "abcdef")
			test.cfg.Metrics = m
			h := openHouse(t, test.cfg)
			for n := range test.held {
				putBlob(t, h.Dir, testOwner(n), "a", 20<<10, time.Hour)
			}
			var releases []func()
			for _, bytes := range test.before {
				release, err := h.Reserve(t.Context(), bytes)
				if err != nil {
					t.Fatal(err)
				}
				releases = append(releases, release)
			}
			release, err := h.Reserve(t.Context(), test.bytes)
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err == nil {
				releases = append(releases, release)
				wantMetric(t, m, "store_refused_total 0")
			} else {
				wantMetric(t, m, "store_refused_total 1")
			}
			if test.cfg.MaxSize > 0 && h.used()+h.reservedBytes() > test.cfg.MaxSize {
				t.Errorf("%d bytes are used and %d reserved of %d", h.used(), h.reservedBytes(), test.cfg.MaxSize)
			}
			for _, release := range releases {
				release()
			}
			if got := h.reservedBytes(); got != 0 {
				t.Errorf("%d bytes stay reserved", got)
			}
			wantMetric(t, m, "store_reserved_bytes 0")
		})
	}
}

// An upstream may announce any size. What could not be stored even in an empty
// cache pushes nothing out.
func TestWhatCannotFitPushesNothingOut(t *testing.T) {
	for _, test := range []struct {
		name  string
		cfg   DirConfig
		bytes int64
	}{
		{"more than the bound", DirConfig{MaxSize: 1 << 20}, 1 << 21},
		{"more than there are, with a bound", DirConfig{MaxSize: 1 << 20}, math.MaxInt64},
		{"more than the volume has", DirConfig{MinFree: 1 << 30}, 1 << 40},
		{"more than there are, with a floor", DirConfig{MinFree: 1 << 30}, math.MaxInt64},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := openHouse(t, test.cfg)
			for n := range 10 {
				putBlob(t, h.Dir, testOwner(n), "a", 20<<10, time.Hour)
			}
			if release, err := h.Reserve(t.Context(), test.bytes); !errors.Is(err, ErrNoRoom) {
				t.Errorf("error %v", err)
				release()
			}
			if got := h.reservedBytes(); got != 0 {
				t.Errorf("%d bytes are reserved", got)
			}
			if left := onDisk(h.objects).Files; left != 20 {
				t.Errorf("%d of 20 files are left", left)
			}
		})
	}
}

// A reservation that waits is granted as soon as another one is given back, and
// one that nobody waits for any more never is.
func TestReservationsWait(t *testing.T) {
	const bound = 1 << 20
	h := openHouse(t, DirConfig{MaxSize: bound})
	first, err := h.Reserve(t.Context(), bound*3/4)
	if err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := h.Reserve(gone, bound/2); !errors.Is(err, context.Canceled) {
		t.Errorf("who has left: %v", err)
	}
	granted := make(chan error, 1)
	var second func()
	go func() {
		var err error
		second, err = h.Reserve(t.Context(), bound/2)
		granted <- err
	}()
	waitFor(t, "it waits", func() bool { h.size.mu.Lock(); defer h.size.mu.Unlock(); return len(h.size.waiting) == 1 })
	first()
	if err := <-granted; err != nil {
		t.Fatal(err)
	}
	second()
	if got := h.reservedBytes(); got != 0 {
		t.Errorf("%d bytes stay reserved", got)
	}
}

// What is refused room once has it made for the next time.
func TestRoomIsMadeForWhatWasRefused(t *testing.T) {
	const bound = 1 << 20
	h := openHouse(t, DirConfig{MaxSize: bound})
	for n := range 40 {
		putBlob(t, h.Dir, testOwner(n), "a", 16<<10, time.Hour)
	}
	key := FileKey(testOwner(1), "doc", "big")
	if err := tryPut(t, h.Dir, key, bound/3); !errors.Is(err, ErrNoRoom) {
		t.Fatalf("at first: %v", err)
	}
	waitFor(t, "it is stored", func() bool { return tryPut(t, h.Dir, key, bound/3) == nil })
	wantTree(t, h.tmp, "./")
}

// roomSource is a Source of data.
type roomSource struct {
	data  []byte
	sized bool
}

func (roomSource) Expect(context.Context) (Expectation, error) {
	return Expectation{NewCheck: func() Check { return &goodCheck{} }}, nil
}

func (s roomSource) Open(_ context.Context, _ string, offset int64, _ string) (*Stream, error) {
	size := int64(-1)
	if s.sized {
		size = int64(len(s.data))
	}
	return &Stream{Body: io.NopCloser(bytes.NewReader(s.data[offset:])), Offset: offset, Size: size}, nil
}

type goodCheck struct{ bytes.Buffer }

func (*goodCheck) Verify() error { return nil }

// A full cache costs nobody an answer: what it has no room for is passed through.
func TestFillsGoOnWhereThereIsNoRoom(t *testing.T) {
	t.Parallel() // it waits for seconds
	const bound = 4 << 20
	for _, test := range []struct {
		name   string
		size   int
		sized  bool
		pinned bool
		passed bool
	}{
		{"it fits", bound / 4, true, false, false},
		{"it fits, of unknown size", bound / 4, false, false, false},
		{"bigger than the cache", 2 * bound, true, false, true},
		{"bigger than the cache, of unknown size", 2 * bound, false, false, true},
		{"nothing can go", bound / 4, true, true, true},
		{"nothing can go, of unknown size", bound / 4, false, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log logBuffer
			h := openHouse(t, DirConfig{MaxSize: bound, Keep: func(string) bool { return test.pinned }})
			for n := range 34 {
				putBlob(t, h.Dir, testOwner(n), "a", 96<<10, time.Hour)
			}
			blobs := NewBlobs(BlobsConfig{Store: h.Dir, Log: log.logger()})
			defer blobs.Close(t.Context())
			src := roomSource{bytes.Repeat([]byte("0123456789abcdef"), test.size/16), test.sized}
			key := FileKey(testOwner(1000), "blob", "b")
			for reader := range 3 {
				blob, err := blobs.Get(t.Context(), key, src)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(blob)
				if err != nil || !bytes.Equal(got, src.data) {
					t.Errorf("reader %d got %d bytes, %v", reader, len(got), err)
				}
				if passed := blob.Passed(); passed != test.passed {
					t.Errorf("reader %d: passed through is %t", reader, passed)
				}
				blob.Close()
			}
			if has(h.Dir, key) == test.passed {
				t.Errorf("stored is %t", !test.passed)
			}
			if log.String() != "" {
				t.Errorf("each of them is logged: %s", log.String())
			}
			waitFor(t, "nothing is reserved", func() bool { return h.reservedBytes() == 0 })
			if got := h.size.writing.Load(); got != 0 {
				t.Errorf("%d bytes are taken to be written still", got)
			}
			wantTree(t, h.tmp, "./")
			if used := onDisk(h.objects).cost(); used > bound {
				t.Errorf("%d bytes are used of %d", used, bound)
			}
		})
	}
}

// BenchmarkOpen is what a warm hit costs the store, without and with bounds.
func BenchmarkOpen(b *testing.B) {
	for _, cfg := range []DirConfig{{}, {MaxSize: 1 << 30, MinFree: 1, MaxAge: 1000 * time.Hour}} {
		b.Run(fmt.Sprint("bounded=", cfg.MaxSize > 0), func(b *testing.B) {
			cfg.Path = b.TempDir()
			d, err := OpenDir(cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			w, err := d.Create(b.Context(), dirKey)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := w.Commit(Precondition{}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				o, err := d.Open(b.Context(), dirKey)
				if err != nil {
					b.Fatal(err)
				}
				o.Close()
			}
		})
	}
}
