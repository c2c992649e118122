package cache

import (
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// house is a Dir whose surroundings a test makes up.
type house struct {
	*Dir
	mu     sync.Mutex // guards what follows
	ahead  time.Duration
	wrong  time.Duration // by how much the clock was set
	vol    volume
	taken  bool // whether vol.free is less by what lies in the store
	volErr error
}

func openHouse(t *testing.T, cfg DirConfig) *house {
	t.Helper()
	h := &house{vol: volume{total: 1 << 40, free: 1 << 39}}
	if cfg.Path == "" {
		cfg.Path = t.TempDir()
	}
	var err error
	h.Dir, err = openDir(cfg, world{now: h.clock, passed: h.passed, volume: h.look, rand: rand.New(rand.NewPCG(1, 2))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.ahead + h.wrong)
}

func (h *house) passed() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ahead
}

func (h *house) later(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ahead += d
}

func (h *house) look(path string) (volume, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.vol
	if h.taken {
		v.free -= onDisk(path).cost()
	}
	return v, h.volErr
}

// change changes what the test made up.
func (h *house) change(fn func(h *house)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fn(h)
}

// onDisk measures what lies in a store's objects/.
func onDisk(objects string) (u usage) {
	_ = fs.WalkDir(os.DirFS(objects), ".", func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // it has just gone
		}
		if fi, err := e.Info(); err == nil {
			u = u.plus(usageOf(fi.Size()))
		}
		return nil
	})
	return u
}

// testOwner returns the nth of many owners.
func testOwner(n int) string { return OwnerKey("test", fmt.Sprint(n)) }

// putAged writes size bytes under key, last used some time ago.
func putAged(t *testing.T, d *Dir, key string, size int, ago time.Duration) {
	t.Helper()
	w, err := d.Create(underReservation(t.Context()), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(Precondition{}); err != nil {
		t.Fatal(err)
	}
	setAge(t, d, key, ago)
}

// setAge makes key one that was last used and written some time ago.
func setAge(t *testing.T, d *Dir, key string, ago time.Duration) {
	t.Helper()
	owner, file, err := splitKey(key)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-ago)
	if err := os.Chtimes(d.path(owner, file), at, at); err != nil {
		t.Fatal(err)
	}
}

// putBlob writes a blob and its sidecar, and returns the blob's key.
func putBlob(t *testing.T, d *Dir, owner, name string, size int, ago time.Duration) string {
	t.Helper()
	key := FileKey(owner, "blob", name)
	putAged(t, d, key, size, ago)
	putAged(t, d, key+sidecarSuffix, 100, ago)
	return key
}

func has(d *Dir, key string) bool {
	owner, file, _ := strings.Cut(key, "/")
	_, err := os.Lstat(d.path(owner, file))
	return err == nil
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 30 s: %s", what)
		}
	}
}

func (h *house) used() int64 {
	h.size.mu.Lock()
	defer h.size.mu.Unlock()
	return h.size.held.cost()
}

func (h *house) reservedBytes() int64 {
	h.size.mu.Lock()
	defer h.size.mu.Unlock()
	return h.size.reserved
}

// wantLedger fails unless the ledger says what lies on the disk.
func (h *house) wantLedger(t *testing.T) {
	t.Helper()
	h.size.mu.Lock()
	got := h.size.held
	h.size.mu.Unlock()
	if want := onDisk(h.objects); got != want {
		t.Errorf("the ledger says %+v, on disk are %+v", got, want)
	}
}

// logBuffer is a log that goroutines may write.
type logBuffer struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
