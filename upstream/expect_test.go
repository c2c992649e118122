package upstream

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"larder/cache"
	"larder/npm"
)

// wantHash checks that an expectation is met by want and by nothing else.
func wantHash(t *testing.T, e cache.Expectation, want string) {
	t.Helper()
	if e.NewCheck == nil {
		t.Fatal("no hash is expected")
	}
	for _, body := range []string{want, want + "."} {
		check := e.NewCheck()
		io.WriteString(check, body)
		if err := check.Verify(); (err == nil) != (body == want) {
			t.Errorf("Verify(%q): %v", body, err)
		}
	}
}

// TestExpectOrder: what costs least is asked first, and no more than needed.
func TestExpectOrder(t *testing.T) {
	full := docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0")))
	abbreviated := docServer(npm.AbbreviatedType, always(abbreviatedDoc("a", jan, "1.0.0")))
	version := docServer("application/json", always(manifest("a", "1.0.0", "")))
	for _, tt := range []struct {
		name    string
		before  func(t *testing.T, g *rig)
		version http.HandlerFunc
		pkg     http.HandlerFunc
		asked   []string
	}{
		{"a held abbreviated document", func(t *testing.T, g *rig) {
			g.get(t, "a", npm.Abbreviated, false, Miss)
			g.clock.advance(100 * testFresh)
		}, version, abbreviated, nil},
		{"a held full document", func(t *testing.T, g *rig) {
			g.get(t, "a", npm.Full, false, Miss)
			g.clock.advance(100 * testFresh)
		}, version, full, nil},
		{"a held document of an earlier process", func(t *testing.T, g *rig) {
			g.get(t, "a", npm.Full, false, Miss)
			g.Registry.dists = newDists(distMemory)
		}, version, full, nil},
		{"a document that is not there any more", func(t *testing.T, g *rig) {
			g.get(t, "a", npm.Full, false, Miss)
			g.Registry.cfg.Responses.Delete(g.packumentURL("a", npm.Full).String())
		}, version, full, nil},
		{"the version document", nil, version, full, []string{"/a/1.0.0"}},
		{"the version document, held", func(t *testing.T, g *rig) {
			g.Registry.cfg.FreshFor = time.Nanosecond // so that it is stale at once
			if _, _, err := g.Manifest(t.Context(), "a", "1.0.0"); err != nil {
				t.Fatal(err)
			}
		}, version, full, nil},
		{"no version documents", nil, nil, abbreviated, []string{"/a/1.0.0", "/a"}},
		{"version documents are not allowed", nil, answerWith(405, "", ""), abbreviated, []string{"/a/1.0.0", "/a"}},
		{"pages for version documents", nil, answerWith(200, "text/html", "<html>"), abbreviated, []string{"/a/1.0.0", "/a"}},
		{"broken version documents", nil, answerWith(500, "", ""), abbreviated, []string{"/a/1.0.0", "/a"}},
		{"the document of another version", nil, docServer("application/json", always(manifest("a", "2.0.0", ""))), abbreviated, []string{"/a/1.0.0", "/a"}},
		{"no abbreviated form", nil, nil, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept") != npm.FullType {
				w.WriteHeader(http.StatusNotAcceptable)
				return
			}
			full(w, r)
		}, []string{"/a/1.0.0", "/a", "/a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t, patient)
			g.fake.handle("/a", tt.pkg)
			g.fake.handle("/a/1.0.0", tt.version)
			if tt.before != nil {
				tt.before(t, g)
			}
			before := len(g.fake.asked(""))
			e, err := g.Tarball("a", "a-1.0.0.tgz").Expect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantHash(t, e, tarballOf("a", "1.0.0"))
			if e.Label != "a/a-1.0.0.tgz" {
				t.Errorf("label %q", e.Label)
			}
			var asked []string
			for _, r := range g.fake.asked("")[before:] {
				asked = append(asked, r.URL.Path)
			}
			if fmt.Sprint(asked) != fmt.Sprint(tt.asked) {
				t.Errorf("asked for %v, want %v", asked, tt.asked)
			}
		})
	}
}

// TestExpectOfAVersionNewerThanTheCopy: a copy that counts as fresh is not the
// last word on a version that it does not know.
func TestExpectOfAVersionNewerThanTheCopy(t *testing.T) {
	g := newRig(t)
	doc := fullDoc("a", jan, "1.0.0")
	g.fake.handle("/a", docServer(npm.FullType, func() string { return doc }))
	g.get(t, "a", npm.Full, false, Miss)
	doc = fullDoc("a", feb, "1.0.0", "2.0.0")
	e, err := g.Tarball("a", "a-2.0.0.tgz").Expect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantHash(t, e, tarballOf("a", "2.0.0"))
	_, err = g.Tarball("a", "a-3.0.0.tgz").Expect(t.Context())
	wantError(t, err, npm.NotFound, "tarball not found: a-3.0.0.tgz")
}

func TestExpectOfAnUnknownPackage(t *testing.T) {
	g := newRig(t)
	for range 3 {
		_, err := g.Tarball("a", "a-1.0.0.tgz").Expect(t.Context())
		wantError(t, err, npm.NotFound, "Not found: a")
	}
	if n := len(g.fake.asked("")); n != 2 {
		t.Errorf("%d requests for the same absent package, want 2", n)
	}
}

// TestAbsentTarballIsRemembered: asking for versions that do not exist must not
// be a way to have a package revalidated without end.
func TestAbsentTarballIsRemembered(t *testing.T) {
	g := newRig(t)
	doc := fullDoc("a", jan, "1.0.0")
	g.fake.handle("/a", docServer(npm.FullType, func() string { return doc }))
	g.get(t, "a", npm.Full, false, Miss)
	expect := func() error {
		_, err := g.Tarball("a", "a-2.0.0.tgz").Expect(t.Context())
		return err
	}
	wantError(t, expect(), npm.NotFound, "tarball not found: a-2.0.0.tgz")
	before := len(g.fake.asked(""))
	wantError(t, expect(), npm.NotFound, "tarball not found: a-2.0.0.tgz")
	if n := len(g.fake.asked("")) - before; n != 0 {
		t.Errorf("upstream was asked %d times more", n)
	}
	doc = fullDoc("a", feb, "1.0.0", "2.0.0")
	g.clock.advance(absentFor)
	if err := expect(); err != nil {
		t.Errorf("a minute later, when it exists: %v", err)
	}
	g.absent.note(g.Tarball("a", "a-1.0.0.tgz").(*tarball).path(), &npm.Error{Kind: npm.NotFound}, g.now())
	if _, err := g.Tarball("a", "a-1.0.0.tgz").Expect(t.Context()); err != nil {
		t.Errorf("a version that a held document knows: %v", err)
	}
}

// TestExpectWhileUpstreamIsAway never gives a hash that is not known, nor says
// that the version does not exist.
func TestExpectWhileUpstreamIsAway(t *testing.T) {
	t.Run("nothing is held", func(t *testing.T) {
		g := newRig(t)
		g.fake.Close()
		_, err := g.Tarball("a", "a-1.0.0.tgz").Expect(t.Context())
		wantError(t, err, npm.Unavailable, "cannot be reached")
	})
	t.Run("the copy does not know the version", func(t *testing.T) {
		g := newRig(t)
		g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
		g.get(t, "a", npm.Full, false, Miss)
		g.fake.Close()
		_, err := g.Tarball("a", "a-2.0.0.tgz").Expect(t.Context())
		wantError(t, err, npm.Unavailable, "did not answer")
		if _, err := g.Tarball("a", "a-1.0.0.tgz").Expect(t.Context()); err != nil {
			t.Errorf("the version that it knows: %v", err)
		}
	})
}

func TestExpectOfLegacyVersions(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/thirty-two", answerWith(200, npm.FullType, `{"name":"thirty-two","versions":{`+
		`"0.0.1":{"name":"thirty-two","version":"0.0.1","dist":{"tarball":"`+g.fake.URL+`/thirty-two/-/thirty-two@0.0.1.tgz","shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}},`+
		`"0.0.2":{"name":"thirty-two","version":"0.0.2","dist":{"tarball":"`+g.fake.URL+`/thirty-two/-/thirty-two-0.0.2.tgz"}},`+
		`"0.0.3":{"name":"thirty-two","version":"0.0.3"}}}`))
	for _, tt := range []struct {
		file, location string
		hash           bool
	}{
		{"thirty-two-0.0.1.tgz", g.fake.URL + "/thirty-two/-/thirty-two@0.0.1.tgz", true},
		{"thirty-two@0.0.1.tgz", "", true},
		{"thirty-two-0.0.2.tgz", "", false},
		{"thirty-two-0.0.3.tgz", "", false},
	} {
		t.Run(tt.file, func(t *testing.T) {
			e, err := g.Tarball("thirty-two", tt.file).Expect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if e.Location != tt.location {
				t.Errorf("location %q, want %q", e.Location, tt.location)
			}
			if (e.NewCheck != nil) != tt.hash {
				t.Errorf("a hash is expected: %t", e.NewCheck != nil)
			}
			if tt.hash {
				wantHash(t, e, "")
			}
		})
	}
}

func TestLocation(t *testing.T) {
	g := newRig(t)
	g.cfg.URLs = nil
	for _, base := range []string{"https://registry.example/npm/", "https://second.example:8443/"} {
		g.cfg.URLs = append(g.cfg.URLs, parseURL(t, base))
	}
	g.restart(t)
	for _, tt := range []struct{ name, address, want string }{
		{"conventional", "https://registry.example/npm/@s/a/-/a-1.0.0.tgz", ""},
		{"escaped", "https://registry.example/npm/@s%2fa/-/a-1.0.0.tgz", ""},
		{"http of old", "http://registry.example/npm/@s/a/-/a-1.0.0.tgz", ""},
		{"upper case", "HTTPS://Registry.Example:443/npm/@s/a/-/a-1.0.0.tgz", ""},
		{"the second URL", "https://second.example:8443/@s/a/-/a-1.0.0.tgz", ""},
		{"the second URL without its port", "http://second.example/@s/a/-/a-1.0.0.tgz", ""},
		{"another path on the same host", "http://registry.example/files/a.tgz", "https://registry.example/files/a.tgz"},
		{"without the prefix", "https://registry.example/@s/a/-/a-1.0.0.tgz", "https://registry.example/@s/a/-/a-1.0.0.tgz"},
		{"a query", "https://registry.example/npm/@s/a/-/a-1.0.0.tgz?v=2", "https://registry.example/npm/@s/a/-/a-1.0.0.tgz?v=2"},
		{"another host", "https://cdn.example/a.tgz#x", "https://cdn.example/a.tgz"},
		{"another port", "https://registry.example:444/npm/@s/a/-/a-1.0.0.tgz", "https://registry.example:444/npm/@s/a/-/a-1.0.0.tgz"},
		{"credentials", "https://u:p@cdn.example/a.tgz", "https://cdn.example/a.tgz"},
		{"nothing", "", ""},
		{"no URL", "http://[::1", ""},
		{"no host", "file:///etc/passwd", ""},
		{"another scheme", "ftp://registry.example/x.tgz", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &tarball{g.Registry, "@s/a", "a-1.0.0.tgz"}
			if got := src.location(tt.address); got != tt.want {
				t.Errorf("location(%q) = %q, want %q", tt.address, got, tt.want)
			}
		})
	}
}

// TestTarballThroughBlobs fills a blob from a registry, end to end.
func TestTarballThroughBlobs(t *testing.T) {
	g := newRig(t)
	want := tarballOf("a", "1.0.0")
	g.fake.handle("/a/1.0.0", docServer("application/json", always(manifest("a", "1.0.0", g.fake.URL+"/odd/place.tgz"))))
	g.fake.handle(tgz, answerWith(200, "", strings.Repeat("?", 100_000)))
	g.fake.handle("/odd/place.tgz", answerWith(200, "", want))
	blobs := cache.NewBlobs(cache.BlobsConfig{Store: cache.NewMem()})
	defer blobs.Close(t.Context())
	b, err := blobs.Get(t.Context(), g.BlobKey("a", "a-1.0.0.tgz"), g.Tarball("a", "a-1.0.0.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got, err := io.ReadAll(b); string(got) != want || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if !g.tgzSlots.TryAcquire(64) {
		t.Error("a slot is not given back")
	}
}
