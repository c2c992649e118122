package proxy

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/tidwall/gjson"

	"larder/cache"
	"larder/cache/faultstore"
	"larder/hosted"
)

// brokenDisks are the ways in which a disk fails.
func brokenDisks() map[string]func(s *faultstore.Store) {
	ops := func(err error, ops ...faultstore.Op) func(*faultstore.Store) {
		return func(s *faultstore.Store) { s.Fail(err, ops...) }
	}
	disks := map[string]func(s *faultstore.Store){
		"ENOSPC":                 ops(syscall.ENOSPC, faultstore.Writing()...),
		"EDQUOT":                 ops(syscall.EDQUOT, faultstore.Writing()...),
		"ENOSPC after 100 bytes": func(s *faultstore.Store) { s.Fill(100) },
		"ENOSPC after 1 MB":      func(s *faultstore.Store) { s.Fill(1 << 20) },
		"EROFS":                  ops(syscall.EROFS, faultstore.Writing()...),
		"EIO":                    ops(syscall.EIO),
		"EMFILE":                 ops(syscall.EMFILE, faultstore.Opening()...),
		"gone":                   ops(cache.ErrGone),
		"EIO from the 3rd write": func(s *faultstore.Store) { s.FailNth(faultstore.Write, 3, syscall.EIO) },
		"EIO at the 2nd commit":  func(s *faultstore.Store) { s.FailNth(faultstore.Commit, 2, syscall.EIO) },
		"EMFILE at the 5th open": func(s *faultstore.Store) { s.FailNth(faultstore.Open, 5, syscall.EMFILE) },
	}
	for _, op := range faultstore.Ops() {
		disks["EIO at each "+string(op)] = ops(syscall.EIO, op)
	}
	return disks
}

const (
	smallTarball = 4 << 10
	bigTarball   = 2 << 20
)

// diskWorld is a world whose stores can be broken, cache and hosted at once.
type diskWorld struct {
	*world
	cache, private *faultstore.Store
	tarballs       map[string][]byte
}

// newDiskWorld has little memory for documents: they must come from the disk,
// or be made anew. Stores that are given are used on.
func newDiskWorld(t *testing.T, old *diskWorld) *diskWorld {
	d := &diskWorld{tarballs: make(map[string][]byte)}
	d.cache, d.private = faultstore.New(cache.NewMem()), faultstore.New(cache.NewMem())
	if old != nil {
		d.cache, d.private = old.cache, old.private
	}
	packages, err := hosted.New(hosted.Config{Store: d.private})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { packages.Close() })
	d.world = newWorld(t, func(c *Config) {
		c.Hosted = packages
		c.Blobs = cache.NewBlobs(cache.BlobsConfig{Store: d.cache})
		c.Documents = cache.NewDocuments(cache.DocumentsConfig{Store: d.cache, Memory: 1})
	})
	d.proxy.cfg.Upstreams[0] = newRegistry(t, d.cache, "npm", d.up, "**")
	packages.Learn()
	if _, err := packages.Names(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, temperature := range []string{"cold", "warm"} {
		for size, n := range map[string]int{"small": smallTarball, "big": bigTarball} {
			name := temperature + "-" + size
			d.tarballs[name] = noise(n)
			d.up.publish(name, "1.0.0", d.tarballs[name])
		}
	}
	return d
}

func (d *diskWorld) breakDisks(how func(*faultstore.Store)) {
	how(d.cache)
	how(d.private)
}

func (d *diskWorld) heal() {
	d.cache.Heal()
	d.private.Heal()
}

// ask is one way to ask for something of a package.
type ask struct {
	name, method, path string
	header             []string
	right              func(r response, tarball []byte) bool // of an answer of 200 or 206
}

func asks() []ask {
	names := func(r response, _ []byte) bool { return gjson.GetBytes(r.body, `versions.1\.0\.0.dist`).Exists() }
	tarball := func(r response, tarball []byte) bool { return bytes.Equal(r.body, tarball) }
	return []ask{
		{"document", "GET", "/%s", nil, names},
		{"abbreviated", "GET", "/%s", []string{"Accept", corgi}, names},
		{"HEAD of the document", "HEAD", "/%s", nil, func(r response, _ []byte) bool { return len(r.body) == 0 }},
		{"version", "GET", "/%s/1.0.0", nil, func(r response, _ []byte) bool { return gjson.GetBytes(r.body, "version").String() == "1.0.0" }},
		{"tags", "GET", "/-/package/%s/dist-tags", nil, func(r response, _ []byte) bool { return gjson.GetBytes(r.body, "latest").String() == "1.0.0" }},
		{"tarball", "GET", "/%[1]s/-/%[1]s-1.0.0.tgz", nil, tarball},
		{"HEAD of the tarball", "HEAD", "/%[1]s/-/%[1]s-1.0.0.tgz", nil, func(r response, tarball []byte) bool {
			return len(r.body) == 0 && (r.ContentLength == int64(len(tarball)) || r.ContentLength < 0)
		}},
		{"part of the tarball", "GET", "/%[1]s/-/%[1]s-1.0.0.tgz", []string{"Range", "bytes=10-3009"}, func(r response, tarball []byte) bool {
			return r.StatusCode == 206 && bytes.Equal(r.body, tarball[10:3010]) || r.StatusCode == 200 && bytes.Equal(r.body, tarball)
		}},
	}
}

// each asks everything of the packages whose names begin with a temperature.
func (d *diskWorld) each(temperature string, check func(what string, r response, right bool)) {
	d.t.Helper()
	for _, a := range asks() {
		for _, size := range []string{"small", "big"} {
			name := temperature + "-" + size
			r, err := d.send(a.method, fmt.Sprintf(a.path, name), "", a.header...)
			if err != nil {
				d.t.Errorf("%s of %s: %v", a.name, name, err)
				continue
			}
			check(a.name+" of "+name, r, r.StatusCode < 300 && a.right(r, d.tarballs[name]))
		}
	}
}

// TestReadsOutliveTheDisk: whatever fails of the disk, every read gets the right
// answer while upstream is there, and all is stored again when it has ended.
func TestReadsOutliveTheDisk(t *testing.T) {
	for name, how := range brokenDisks() {
		t.Run(name, func(t *testing.T) {
			d := newDiskWorld(t, nil)
			right := func(what string, r response, right bool) {
				t.Helper()
				if !right {
					t.Errorf("%s: status %d, %d bytes: %.200s", what, r.StatusCode, len(r.body), r.body)
				}
			}
			d.each("warm", right)
			d.breakDisks(how)
			d.each("cold", right)
			d.each("warm", right)
			d.heal()
			d.each("cold", right)
			d.each("warm", right)
			for _, name := range []string{"cold-small", "cold-big", "warm-small", "warm-big"} {
				d.get("/"+name+"/-/"+name+"-1.0.0.tgz").want(t, 200).wantHeader(t, "X-Larder-Cache", "hit")
			}
			again := newDiskWorld(t, d) // a new process, whose upstream is away
			again.tarballs = d.tarballs
			again.up.Close()
			again.each("cold", right)
		})
	}
}

// TestUnreadableDiskWithoutUpstream: what can be read of neither is not there
// for now. It is no 404, which clients take for the truth, and no defect.
func TestUnreadableDiskWithoutUpstream(t *testing.T) {
	for name, how := range brokenDisks() {
		t.Run(name, func(t *testing.T) {
			first := newDiskWorld(t, nil)
			first.each("warm", func(string, response, bool) {})
			d := newDiskWorld(t, first)
			d.tarballs = first.tarballs
			d.up.Close()
			d.breakDisks(how)
			for _, temperature := range []string{"warm", "cold"} {
				d.each(temperature, func(what string, r response, right bool) {
					switch r.StatusCode {
					case 200, 206:
						if !right {
							t.Errorf("%s: status %d, %d bytes, and wrong ones", what, r.StatusCode, len(r.body))
						}
					case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
					default:
						t.Errorf("%s: status %d: %.200s", what, r.StatusCode, r.body)
					}
				})
			}
		})
	}
}

// TestPublishNeedsTheDisk: what the disk does not take is 507, and nothing of
// it stays; what is published is read on where memory has it, and is never
// looked for upstream.
func TestPublishNeedsTheDisk(t *testing.T) {
	for name, how := range brokenDisks() {
		t.Run(name, func(t *testing.T) {
			d := newDiskWorld(t, nil)
			alice := d.user("alice")
			d.publish(alice, "@acme/lib", "1.0.0").want(t, 201)
			d.up.publish("@acme/lib", "6.6.6", noise(100)) // somebody took the name there
			d.breakDisks(how)

			r := d.publish(alice, "@acme/lib", "2.0.0")
			taken := r.StatusCode == 201
			if !taken {
				if msg := r.wantError(t, http.StatusInsufficientStorage); !strings.Contains(msg, "disk") || !strings.Contains(msg, "nothing was") {
					t.Errorf("the sentence is %q", msg)
				}
			}
			tag := d.write(alice, "PUT", "/-/package/@acme%2flib/dist-tags/next", `"1.0.0"`)
			if tag.StatusCode != 200 && tag.StatusCode != 201 && tag.StatusCode != http.StatusInsufficientStorage {
				t.Errorf("a tag: status %d: %s", tag.StatusCode, tag.body)
			}
			if r := d.write(alice, "DELETE", "/@acme%2fother/-rev/1-x", ""); r.StatusCode == 500 {
				t.Errorf("an unpublish: status %d: %s", r.StatusCode, r.body)
			}
			for _, path := range []string{"/@acme%2flib", "/@acme/lib/-/lib-1.0.0.tgz", "/@acme/lib/1.0.0"} {
				r, err := d.send("GET", path, "")
				if err == nil && r.StatusCode != 200 && r.StatusCode != http.StatusServiceUnavailable || strings.Contains(string(r.body), "6.6.6") {
					t.Errorf("%s: status %d: %.200s (%v)", path, r.StatusCode, r.body, err)
				}
			}
			d.heal()
			if got := d.get("/@acme/lib/2.0.0").StatusCode; !taken && got != 404 {
				t.Errorf("what was not published answers %d", got)
			}
			if !taken {
				d.publish(alice, "@acme/lib", "2.0.0").want(t, 201)
			}
			d.get("/@acme/lib/-/lib-2.0.0.tgz").want(t, 200)
		})
	}
}

// TestBlobThatEndsEarlyIsFetchedAgain: a disk that fails in the middle of a file
// breaks one download, and not each that follows.
func TestBlobThatEndsEarlyIsFetchedAgain(t *testing.T) {
	d := newDiskWorld(t, nil)
	const path = "/warm-big/-/warm-big-1.0.0.tgz"
	d.get(path).want(t, 200)
	reads := 0
	d.cache.When(func(op faultstore.Op, _ string) error {
		if op == faultstore.Read {
			reads++
		}
		if op == faultstore.Read && reads == 20 {
			return syscall.EIO
		}
		return nil
	})
	if r, err := d.send("GET", path, ""); err == nil && len(r.body) == bigTarball {
		t.Fatal("the disk did not fail")
	}
	if got := d.get(path).want(t, 200); !bytes.Equal(got.body, d.tarballs["warm-big"]) {
		t.Errorf("%d bytes, and not the right ones", len(got.body))
	} else {
		got.wantHeader(t, "X-Larder-Cache", "miss")
	}
}
