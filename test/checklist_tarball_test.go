package test

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"larder/test/registry"
)

// Sizes of a tarball's incompressible file, in bytes: the first fits into what
// Larder holds until the hash is verified, the second does not.
const (
	small = 10 << 10
	large = 300 << 10
)

// blob is a package with a tarball of about the given size.
func blob(name string, size int) registry.Package {
	return registry.Package{Name: name, Version: "1.0.0", Filler: size}
}

// blobPath is where its tarball is.
func blobPath(name string) string { return "/" + name + "/-/" + name + "-1.0.0.tgz" }

func TestChecklist10_TarballBytes(t *testing.T) {
	p := newPair(t)
	p.add(t, blob("little", small), blob("big", large))
	for _, name := range []string{"little", "big"} {
		for _, state := range []string{"cold", "warm"} {
			r := p.ok(t, blobPath(name), "Accept-Encoding: gzip, deflate, br, zstd")
			if got, want := r.header.Get("Content-Length"), strconv.Itoa(len(r.body)); got != want {
				t.Errorf("%s, %s: Content-Length %q, %s bytes", name, state, got, want)
			}
			if got := r.header.Get("Content-Encoding"); got != "" {
				t.Errorf("%s, %s: Content-Encoding %q", name, state, got)
			}
			if got := r.header.Get("Content-Type"); got != "application/octet-stream" {
				t.Errorf("%s, %s: Content-Type %q", name, state, got)
			}
			sum := sha512.Sum512(r.body)
			integrity := manifestOf(t, p.ok(t, "/"+name).body, "1.0.0").Get("dist.integrity").String()
			if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != integrity {
				t.Errorf("%s, %s: %s, want %s", name, state, got, integrity)
			}
		}
		p.wantRequests(t, blobPath(name), 1)
	}
}

func TestChecklist17_UnknownVersionOfKnownPackage(t *testing.T) {
	p := newPair(t)
	for _, state := range []string{"cold", "packument held"} {
		for _, path := range []string{
			"/is-odd/-/is-odd-99.0.0.tgz", "/@types/ms/-/ms-99.0.0.tgz", "/is-odd/-/is-odd-.tgz", "/is-odd/-/other-1.0.0.tgz",
		} {
			if err := p.get(t, path).refusal(http.StatusNotFound); err != nil {
				t.Errorf("%s, %s: %v", path, state, err)
			}
		}
		p.ok(t, "/is-odd")
		p.ok(t, "/@types%2fms")
	}
}

func TestChecklist29_TarballsAreImmutable(t *testing.T) {
	p := newPair(t)
	for range 2 { // cold and warm
		got := p.ok(t, "/is-odd/-/is-odd-3.0.1.tgz").header.Get("Cache-Control")
		if got != "public, immutable, max-age=31557600" {
			t.Errorf("Cache-Control %q", got)
		}
	}
}

func TestChecklist33_Ranges(t *testing.T) {
	p := newPair(t)
	for _, name := range []string{"cold", "warm"} {
		p.add(t, blob(name, large))
	}
	whole := p.original(t, blobPath("warm")).body
	size := len(whole)
	etag := p.ok(t, blobPath("warm")).header.Get("ETag")
	tests := []struct {
		name, header string
		from, to     int // of the body
		status       int
	}{
		{"first bytes", "bytes=0-99", 0, 100, http.StatusPartialContent},
		{"middle", "bytes=1000-1999", 1000, 2000, http.StatusPartialContent},
		{"open end", fmt.Sprintf("bytes=%d-", size-10), size - 10, size, http.StatusPartialContent},
		{"suffix", "bytes=-7", size - 7, size, http.StatusPartialContent},
		{"more than there is", fmt.Sprintf("bytes=0-%d", size*2), 0, size, http.StatusPartialContent},
		{"beyond the end", fmt.Sprintf("bytes=%d-", size), 0, 0, http.StatusRequestedRangeNotSatisfiable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := p.get(t, blobPath("warm"), "Range: "+tt.header)
			if tt.status == http.StatusRequestedRangeNotSatisfiable {
				r.wantRefusal(t, tt.status)
				return
			}
			if r.status != tt.status || !bytes.Equal(r.body, whole[tt.from:tt.to]) {
				t.Errorf("%d with %d bytes", r.status, len(r.body))
			}
			if got, want := r.header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%d", tt.from, tt.to-1, size); got != want {
				t.Errorf("Content-Range %q, want %q", got, want)
			}
		})
	}

	// RFC 9110, 14.2: a unit that is not understood is ignored.
	if r := p.get(t, blobPath("warm"), "Range: lines=1-2"); r.status != http.StatusOK || !bytes.Equal(r.body, whole) {
		t.Errorf("another unit than bytes: %d", r.status)
	}
	if r := p.get(t, blobPath("cold"), "Range: bytes=0-99"); r.status != http.StatusPartialContent || len(r.body) != 100 {
		t.Errorf("cold: %d with %d bytes", r.status, len(r.body))
	}
	p.wantRequests(t, blobPath("cold"), 1)
	if r := p.get(t, blobPath("warm"), "Range: bytes=0-99", "If-Range: "+etag); r.status != http.StatusPartialContent {
		t.Errorf("If-Range with the ETag: %d", r.status)
	}
	if r := p.get(t, blobPath("warm"), "Range: bytes=0-99", `If-Range: "other"`); r.status != http.StatusOK || !bytes.Equal(r.body, whole) {
		t.Errorf("If-Range with another ETag: %d", r.status)
	}
}

func TestChecklist37_UnconventionalFileNames(t *testing.T) {
	t.Run("one file", func(t *testing.T) {
		p := newPair(t)
		want := p.original(t, "/thirty-two/-/thirty-two@0.0.1.tgz").body
		r := p.ok(t, "/thirty-two/-/thirty-two-0.0.1.tgz")
		if !bytes.Equal(r.body, want) {
			t.Error("other bytes")
		}
		named := manifestOf(t, p.ok(t, "/thirty-two").body, "0.0.1").Get("dist.tarball").String()
		if r := p.ok(t, strings.TrimPrefix(named, p.url())); !bytes.Equal(r.body, want) {
			t.Errorf("other bytes at %s", named)
		}
	})
	t.Run("all of them", func(t *testing.T) {
		p := newPair(t)
		p.registry.SetMode(registry.Mode{OddTarballs: true})
		want := p.original(t, "/-/files/@types/ms/ms-2.1.0.tgz?sig=1").body
		for range 2 {
			if r := p.ok(t, "/@types/ms/-/ms-2.1.0.tgz"); !bytes.Equal(r.body, want) {
				t.Error("other bytes")
			}
		}
		p.wantRequests(t, "/-/files/*", 1)
	})
}

func TestChecklist38_OldPackagesWithoutIntegrity(t *testing.T) {
	p := newPair(t)
	p.add(t,
		registry.Package{Name: "sha1", Version: "1.0.0", OnlySHA1: true, Filler: small},
		registry.Package{Name: "bare", Version: "1.0.0", NoHash: true, Filler: small})
	for _, headers := range [][]string{nil, {corgi}} {
		dist := manifestOf(t, p.ok(t, "/sha1", headers...).body, "1.0.0").Get("dist")
		want := manifestOf(t, p.original(t, "/sha1").body, "1.0.0").Get("dist.shasum").String()
		if got := dist.Get("shasum").String(); got != want || dist.Get("integrity").Exists() {
			t.Errorf("%q: dist is %s", headers, dist.Raw)
		}
	}
	for _, name := range []string{"sha1", "bare"} {
		p.registry.SetFault(blobPath(name), registry.Fault{Corrupt: true})
		p.get(t, blobPath(name)).wantRefusal(t, http.StatusBadGateway)
	}
	p.registry.ClearFaults()
	p.stop(t) // what was wrong is remembered for a minute
	p.start(t)
	for _, name := range []string{"sha1", "bare"} {
		if got, want := p.ok(t, blobPath(name)).body, p.original(t, blobPath(name)).body; !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes", name)
		}
	}
}

func TestChecklist44_AcceptDoesNotMatterForTarballs(t *testing.T) {
	p := newPair(t)
	want := p.original(t, "/is-odd/-/is-odd-3.0.1.tgz").body
	for _, accept := range []string{corgi, "Accept: application/json", "Accept: text/html"} {
		r := p.ok(t, "/is-odd/-/is-odd-3.0.1.tgz", accept)
		if !bytes.Equal(r.body, want) || r.header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%s: %s", accept, r.header.Get("Content-Type"))
		}
	}
}
