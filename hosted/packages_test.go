package hosted

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"larder/cache"
	"larder/npm"
)

func TestNewWithoutStore(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("New takes no store")
	}
}

// TestGetIsCheap: one open and no read, as long as the document is the same.
func TestGetIsCheap(t *testing.T) {
	mem := cache.NewMem()
	s := newBrittle(mem)
	p, other := newPackages(t, Config{Store: s}), newPackages(t, Config{Store: mem})
	publishAll(t, p, "lib", "1.0.0")
	s.called("open")
	s.called("read")
	first := get(t, p, "lib")
	if opens, reads := s.called("open"), s.called("read"); opens != 1 || reads != 0 {
		t.Errorf("%d opens and %d reads after a write", opens, reads)
	}
	if get(t, p, "lib") != first {
		t.Error("it was parsed again")
	}
	// Another process writes.
	publishAll(t, other, "lib", "2.0.0")
	if got := versionsText(get(t, p, "lib")); got != "[1.0.0 2.0.0]" {
		t.Errorf("versions are %s", got)
	}
	s.called("open")
	get(t, p, "lib")
	if opens := s.called("open"); opens != 1 {
		t.Errorf("%d opens", opens)
	}
	_, err := p.Get(t.Context(), "unknown")
	wantNotOurs(t, err)
	if opens := s.called("open"); opens != 1 {
		t.Errorf("%d opens for an unknown name", opens)
	}
}

// TestBrokenDiskIsNotNotFound: a name of ours must never be looked for upstream
// because the disk fails.
func TestBrokenDiskIsNotNotFound(t *testing.T) {
	for _, op := range []string{"open", "read"} {
		for _, cause := range []error{syscall.EIO, syscall.EACCES, syscall.ENOTDIR, syscall.EMFILE} {
			s := newBrittle(cache.NewMem())
			publishAll(t, newPackages(t, Config{Store: s}), "lib", "1.0.0")
			p := newPackages(t, Config{Store: s})
			s.breaks(func(o, _ string) error {
				if o == op {
					return cause
				}
				return nil
			})
			_, err := p.Get(t.Context(), "lib")
			wantError(t, err, npm.Unavailable, "")
			if !errors.Is(err, cause) {
				t.Errorf("%v does not tell the log of %v", err, cause)
			}
			_, err = p.Tarball(t.Context(), "lib", "lib-1.0.0.tgz")
			wantError(t, err, npm.Unavailable, "")
			_, err = p.SetStar(t.Context(), "lib", "bob", true)
			wantError(t, err, npm.Unavailable, "")
		}
	}
}

// What callers get they cannot use to change what others see.
func TestPackageIsImmutable(t *testing.T) {
	p := newPackages(t, Config{})
	publish(t, p, pkg{name: "lib", version: "1.0.0", provenance: bundle("x")})
	if _, err := p.SetStar(t.Context(), "lib", "bob", true); err != nil {
		t.Fatal(err)
	}
	k := get(t, p, "lib")
	before := string(k.Packument())
	clear(k.DistTags())
	k.Versions()[0] = "x"
	k.Maintainers()[0] = bob
	k.Stars()[0] = "x"
	clear(k.Packument())
	body, _ := k.Attestations("1.0.0")
	clear(body)
	if after := string(k.Packument()); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	// Nor does a write change a package that somebody still holds.
	publishAll(t, p, "lib", "2.0.0")
	setTag(t, p, "lib", "old", "1.0.0")
	if _, err := p.Deprecate(t.Context(), "lib", object(t, `{"versions":{"1.0.0":{"deprecated":"x"}}}`), alice); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Unpublish(t.Context(), "lib", "", alice); err != nil {
		t.Fatal(err)
	}
	if after := string(k.Packument()); after != before {
		t.Errorf("after writes it was\n%s\nand is\n%s", before, after)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory(3*packageOverhead+300, nil)
	add := func(name, rev string, size int64) {
		m.add(&Package{doc: &document{Name: name}, storeRev: rev, size: size})
	}
	has := func(name, rev string) bool { _, ok := m.get(name, rev); return ok }
	add("a", "1", 100)
	add("b", "1", 100)
	add("a", "2", 100)
	if has("a", "1") || !has("a", "2") || m.bytes != 2*(packageOverhead+100) {
		t.Errorf("%d bytes", m.bytes)
	}
	add("c", "1", 100)
	add("d", "1", 100) // b was used least recently
	if has("b", "1") || !has("a", "2") || !has("c", "1") || !has("d", "1") {
		t.Error("the wrong one has gone")
	}
	add("big", "1", 1<<20)
	if has("big", "1") || m.bytes != 0 {
		t.Errorf("%d bytes are kept", m.bytes)
	}
	add("a", "3", 0)
	m.remove("a")
	m.remove("a")
	if m.bytes != 0 || m.lru.Len() != 0 {
		t.Errorf("%d bytes are kept", m.bytes)
	}
}

func TestStamp(t *testing.T) {
	zone := time.FixedZone("", 3600)
	s := stampOf(time.Date(2026, 1, 2, 3, 4, 5, 6_999_999, zone))
	const text = "2026-01-02T02:04:05.006Z"
	if s.String() != text {
		t.Errorf("%s, want %s", s, text)
	}
	raw, err := s.MarshalJSON()
	var back stamp
	if err := errors.Join(err, back.UnmarshalJSON(raw)); err != nil || back != s {
		t.Errorf("%s, %v, %v", raw, back, err)
	}
	for _, raw := range []string{`"2026-01-02T02:04:05Z"`, `"2026-01-02T02:04:05.006+00:00"`, `7`, `""`, `"` + strings.Repeat("x", 1000)} {
		if err := back.UnmarshalJSON([]byte(raw)); err == nil {
			t.Errorf("%.40s was taken", raw)
		}
	}
}

func TestSizeText(t *testing.T) {
	for n, want := range map[int64]string{200e6: "200 MB", 50_001: "50001 bytes"} {
		if got := sizeText(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
