package proxy

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"larder/auth"
	"larder/npm"
)

// release is one version of a package of stock.
type release struct {
	version string
	extra   map[string]any // in its manifest
}

// stock serves a package with many versions: its packument in both forms,
// each version's manifest and its tarball. latest is the last one.
func (f *fakeUpstream) stock(name string, releases ...release) {
	f.t.Helper()
	const modified = "2026-01-02T03:04:05.678Z"
	versions, times := map[string]any{}, map[string]any{"modified": modified}
	for _, rel := range releases {
		tarball := tarballOf(name, rel.version)
		sum := sha512.Sum512(tarball)
		f.serve("/"+npm.TarballPath(name, rel.version), string(tarball))
		manifest := map[string]any{
			"name": name, "version": rel.version,
			"dist": map[string]any{
				"integrity":    "sha512-" + base64.StdEncoding.EncodeToString(sum[:]),
				"tarball":      f.URL + "/" + npm.TarballPath(name, rel.version),
				"attestations": map[string]any{"url": f.URL + "/-/npm/v1/attestations/" + name + "@" + rel.version},
			},
		}
		maps.Copy(manifest, rel.extra)
		versions[rel.version], times[rel.version] = manifest, modified
		f.serve("/"+name+"/"+rel.version, string(f.encode(manifest)))
	}
	latest := releases[len(releases)-1].version
	f.serve("/"+name+"/latest", string(f.encode(versions[latest])))
	doc := map[string]any{"name": name, "modified": modified, "dist-tags": map[string]any{"latest": latest, "beta": latest}, "versions": versions}
	abbreviated := f.encode(doc)
	doc["time"], doc["readme"] = times, "much to read"
	full := f.encode(doc)
	f.handle("/"+name, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "install-v1") {
			w.Header().Set("Content-Type", npm.AbbreviatedType)
			_, _ = w.Write(abbreviated)
			return
		}
		w.Header().Set("Content-Type", npm.FullType)
		_, _ = w.Write(full)
	})
}

func tarballOf(name, version string) []byte { return []byte("the bytes of " + name + "@" + version) }

func plain(versions ...string) []release {
	var list []release
	for _, v := range versions {
		list = append(list, release{version: v})
	}
	return list
}

// wantVersions checks which versions a packument lists, what latest is, and
// that their tarballs are below base and can be had.
func (w *world) wantVersions(path, base, latest string, versions ...string) response {
	w.t.Helper()
	r := w.get(path).want(w.t, 200)
	t, ok := w.t.(*testing.T)
	if !ok {
		w.t.Fatal("not a test")
	}
	doc := r.document(t)
	if got := slices.Sorted(maps.Keys(doc.Versions)); !slices.Equal(got, versions) {
		w.t.Errorf("%s lists %v, want %v", path, got, versions)
	}
	if got := doc.Tags["latest"]; got != latest {
		w.t.Errorf("%s: latest is %q, want %q", path, got, latest)
	}
	for version, v := range doc.Versions {
		below, ok := strings.CutPrefix(v.Dist.Tarball, w.URL+base+"/")
		if !ok {
			w.t.Errorf("%s: the tarball of %s is %s, not below %s", path, version, v.Dist.Tarball, w.URL+base)
			continue
		}
		w.get(base + "/" + below)
	}
	return r
}

// eachWayOffline runs a test with a server that is offline and with the view
// of the cache of one that is not. fill warms the cache first. While test runs
// no request may reach upstream.
func eachWayOffline(t *testing.T, fill func(w *world), test func(t *testing.T, w *world, base string), opts ...func(*Config)) {
	t.Helper()
	for _, way := range []string{"offline", "view"} {
		t.Run(way, func(t *testing.T) {
			w := newWorld(t, opts...)
			fill(w)
			base := cachedPath
			if way == "offline" {
				base = ""
				for _, reg := range w.proxy.cfg.Upstreams {
					reg.SetOffline(true)
				}
			}
			before := len(w.up.seen(""))
			test(t, w, base)
			for _, r := range w.up.seen("")[before:] {
				t.Errorf("asked upstream: %s %s", r.Method, r.URL)
			}
		})
	}
}

func TestOnlyWhatIsOnDiskIsListed(t *testing.T) {
	fill := func(w *world) {
		w.up.stock("lib", plain("1.0.0", "1.1.0", "1.2.0-rc.1", "1.2.0+b", "2.0.0")...)
		w.up.stock("@acme/pre", plain("1.0.0-rc.1", "1.0.0")...)
		w.get("/lib").want(w.t, 200)
		w.get("/lib", "Accept", corgi).want(w.t, 200)
		w.get("/lib/-/lib-1.0.0.tgz").want(w.t, 200)
		w.get("/lib/-/lib-1.1.0.tgz").want(w.t, 200)
		w.get("/lib/-/lib-1.2.0-rc.1.tgz").want(w.t, 200)
		w.get("/@acme%2fpre").want(w.t, 200)
		w.get("/@acme/pre/-/pre-1.0.0-rc.1.tgz").want(w.t, 200)
	}
	eachWayOffline(t, fill, func(t *testing.T, w *world, base string) {
		for range 2 { // cold, then finished
			w.wantVersions(base+"/lib", base, "1.1.0", "1.0.0", "1.1.0", "1.2.0-rc.1")
		}
		r := w.get(base+"/lib", "Accept", corgi).want(t, 200)
		r.wantHeader(t, "X-Larder-Cache", "hit")
		r.wantHeader(t, "Cache-Control", "no-cache")
		if got := slices.Sorted(maps.Keys(r.document(t).Versions)); len(got) != 3 {
			t.Errorf("abbreviated: %v", got)
		}
		w.get(base+"/lib", "Accept", corgi, "If-None-Match", r.Header.Get("ETag")).want(t, 304)
		for _, spelled := range []string{"/@acme%2fpre", "/@acme/pre", "/%40acme%2Fpre"} {
			w.wantVersions(base+spelled, base, "1.0.0-rc.1", "1.0.0-rc.1")
		}
	})
}

// TestTarballsOfTheViewAreNeverFilled: a tarball that is not there is 503, and
// not 404, which package managers would write down.
func TestTarballsOfTheViewAreNeverFilled(t *testing.T) {
	fill := func(w *world) {
		w.up.stock("lib", plain("1.0.0", "2.0.0+b.1")...)
		w.get("/lib/-/lib-2.0.0%2Bb.1.tgz").want(w.t, 200)
		w.get("/lib").want(w.t, 200)
	}
	eachWayOffline(t, fill, func(t *testing.T, w *world, base string) {
		w.wantVersions(base+"/lib", base, "2.0.0+b.1", "2.0.0+b.1")
		r := w.get(base+"/lib/-/lib-2.0.0%2Bb.1.tgz").want(t, 200)
		if !bytes.Equal(r.body, tarballOf("lib", "2.0.0+b.1")) {
			t.Error("other bytes")
		}
		r.wantHeader(t, "X-Larder-Cache", "hit")
		if text := w.get(base+"/lib/-/lib-1.0.0.tgz").wantError(t, 503); !strings.Contains(text, "lib-1.0.0.tgz") {
			t.Errorf("%q does not name the tarball", text)
		}
		w.get(base+"/nothing/-/nothing-1.0.0.tgz").wantError(t, 503)
	})
}

func TestNothingOnDisk(t *testing.T) {
	linux, wasm := map[string]any{"os": []string{"linux"}}, map[string]any{"cpu": []string{"wasm32"}, "os": []string{}}
	fill := func(w *world) {
		w.up.stock("plain", plain("1.0.0", "2.0.0")...)
		w.up.stock("@esbuild/linux-x64", release{"0.1.0", linux}, release{"0.2.0", wasm})
		w.up.stock("@esbuild/mixed", release{"0.1.0", nil}, release{"0.2.0", linux}, release{"0.3.0", nil})
		w.up.stock("unknown", plain("1.0.0")...)
		for _, name := range []string{"plain", "@esbuild/linux-x64", "@esbuild/mixed"} {
			w.get("/"+name).want(w.t, 200)
			w.get("/"+name, "Accept", corgi).want(w.t, 200)
		}
	}
	eachWayOffline(t, fill, func(t *testing.T, w *world, base string) {
		for _, accept := range []string{"application/json", corgi} {
			for _, name := range []string{"plain", "unknown"} {
				r := w.get(base+"/"+name, "Accept", accept)
				if text := r.wantError(t, 503); !strings.Contains(text, name) {
					t.Errorf("%q does not name %s", text, name)
				}
			}
		}
		w.wantVersions(base+"/@esbuild%2flinux-x64", base, "0.2.0", "0.1.0", "0.2.0")
		w.wantVersions(base+"/@esbuild%2fmixed", base, "0.2.0", "0.2.0")
		w.get(base+"/@esbuild/linux-x64/-/linux-x64-0.2.0.tgz").wantError(t, 503)
		w.get(base+"/-/package/plain/dist-tags").wantError(t, 503)
		w.get(base+"/plain/latest").wantError(t, 503)
	})
}

func TestOfflineSaysSo(t *testing.T) {
	w := newWorld(t)
	w.up.stock("plain", plain("1.0.0")...)
	w.get("/plain").want(t, 200)
	w.proxy.cfg.Upstreams[0].SetOffline(true)
	if got, want := w.get("/plain").wantError(t, 503), "Larder is offline and has no tarball of plain"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVersionsAndTagsOfTheView(t *testing.T) {
	fill := func(w *world) {
		w.up.stock("lib", plain("1.0.0", "1.1.0", "2.0.0")...)
		w.get("/lib").want(w.t, 200)
		w.get("/-/package/lib/dist-tags").want(w.t, 200)
		w.get("/lib/-/lib-1.0.0.tgz").want(w.t, 200)
		w.get("/lib/-/lib-1.1.0.tgz").want(w.t, 200)
		w.get("/lib/2.0.0").want(w.t, 200)
	}
	eachWayOffline(t, fill, func(t *testing.T, w *world, base string) {
		for selector, want := range map[string]string{"latest": "1.1.0", "1.0.0": "1.0.0", "%5E1.0.0": "1.1.0", "*": "1.1.0"} {
			r := w.get(base+"/lib/"+selector).want(t, 200)
			if !strings.Contains(string(r.body), `"version":"`+want+`"`) || !strings.Contains(string(r.body), base+"/lib/-/lib-"+want+".tgz") {
				t.Errorf("%s: %s, want version %s", selector, r.body, want)
			}
		}
		for _, selector := range []string{"2.0.0", "beta", "%5E2.0.0"} {
			if text := w.get(base+"/lib/"+selector).wantError(t, 503); !strings.Contains(text, "lib@") {
				t.Errorf("%s: %q", selector, text)
			}
		}
		if got, want := string(w.get(base+"/-/package/lib/dist-tags").want(t, 200).body), `{"latest":"1.1.0"}`; got != want {
			t.Errorf("dist-tags %s, want %s", got, want)
		}
	})
}

// TestTheAbbreviatedDocumentStandsInForTheFullOne: pnpm has filled the cache,
// and npm, which asks for full documents, installs from it.
func TestTheAbbreviatedDocumentStandsInForTheFullOne(t *testing.T) {
	fill := func(w *world) {
		w.up.stock("lib", plain("1.0.0", "2.0.0")...)
		w.get("/lib", "Accept", corgi).want(w.t, 200)
		w.get("/lib/-/lib-1.0.0.tgz").want(w.t, 200)
	}
	eachWayOffline(t, fill, func(t *testing.T, w *world, base string) {
		r := w.wantVersions(base+"/lib", base, "1.0.0", "1.0.0")
		r.wantHeader(t, "Content-Type", npm.FullType)
		if !strings.Contains(string(r.body), `"time":{`) {
			t.Errorf("it has no times: %s", r.body)
		}
		w.get(base+"/lib/latest").want(t, 200)
	})
}

// TestTheAbbreviatedDocumentStandsInDuringAnOutage, too, and lists all there is:
// what is not cached may be had again before it is asked for.
func TestTheAbbreviatedDocumentStandsInDuringAnOutage(t *testing.T) {
	w := newWorld(t)
	w.up.stock("lib", plain("1.0.0", "2.0.0")...)
	w.get("/lib", "Accept", corgi).want(t, 200)
	w.up.handle("/lib", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	r := w.wantVersions("/lib", "", "2.0.0", "1.0.0", "2.0.0")
	r.wantHeader(t, "Content-Type", npm.FullType)
	w.get("/other").wantError(t, 404)
	w.up.handle("/none", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	if status := w.get("/none").StatusCode; status != 502 && status != 503 {
		t.Errorf("status %d of what is not held", status)
	}
}

// TestTheSmallServicesOfTheView: what is held is answered, what is not is
// refused at once, and nothing of it goes upstream.
func TestTheSmallServicesOfTheView(t *testing.T) {
	fill := func(w *world) {
		w.up.stock("lib", plain("1.0.0")...)
		w.up.serve("/-/npm/v1/keys", `{"keys":[{"keyid":"SHA256:a","key":"k"}]}`)
		w.up.serve("/-/npm/v1/attestations/lib@1.0.0", `{"attestations":[]}`)
		w.up.serve("/-/v1/search", `{"objects":[{"package":{"name":"lib"}}],"total":1}`)
		w.up.serve(bulkAuditPath, `{}`)
		w.get("/-/npm/v1/keys").want(w.t, 200)
		w.get("/-/npm/v1/attestations/lib@1.0.0").want(w.t, 200)
		w.get("/-/v1/search?text=lib").want(w.t, 200)
	}
	eachWayOffline(t, fill, func(t *testing.T, w *world, base string) {
		w.get(base+"/-/npm/v1/keys").want(t, 200)
		w.get(base+"/-/npm/v1/attestations/lib@1.0.0").want(t, 200)
		w.get(base+"/-/npm/v1/attestations/lib@2.0.0").wantError(t, 503)
		if got := string(w.get(base+"/-/v1/search?text=lib").want(t, 200).body); !strings.Contains(got, `"objects":[]`) {
			t.Errorf("search found %s", got)
		}
		w.do("POST", base+bulkAuditPath, `{"lib":["1.0.0"]}`).wantError(t, 503)
		w.do("POST", base+quickAuditPath, `{"name":"x","dependencies":{"lib":{"version":"1.0.0"}}}`).wantError(t, 503)
		w.get(base+"/-/ping").want(t, 200)
		w.get(base+"/").want(t, 200)
	})
}

// TestTheViewFollowsTheDisk: what is fetched meanwhile through the registry
// itself is listed from then on, and neither of the two shows the other's
// document.
func TestTheViewFollowsTheDisk(t *testing.T) {
	w := newWorld(t)
	w.up.stock("lib", plain("1.0.0", "2.0.0", "3.0.0")...)
	both := func(latest string, versions ...string) {
		t.Helper()
		w.wantVersions(cachedPath+"/lib", cachedPath, latest, versions...)
		w.get("/lib").want(t, 200).wantHeader(t, "X-Larder-Cache", "hit")
		if got := len(w.get("/lib").document(t).Versions); got != 3 {
			t.Errorf("the registry lists %d versions", got)
		}
	}
	w.get("/lib").want(t, 200)
	w.get(cachedPath+"/lib").wantError(t, 503)
	w.get("/lib/-/lib-2.0.0.tgz").want(t, 200)
	both("2.0.0", "2.0.0")
	w.get("/lib/-/lib-1.0.0.tgz").want(t, 200)
	both("2.0.0", "1.0.0", "2.0.0")

	reg := w.proxy.cfg.Upstreams[0]
	reg.SetOffline(true)
	w.wantVersions("/lib", "", "2.0.0", "1.0.0", "2.0.0")
	reg.SetOffline(false)
	before := w.renders()
	both("2.0.0", "1.0.0", "2.0.0")
	reg.SetOffline(true)
	w.wantVersions("/lib", "", "2.0.0", "1.0.0", "2.0.0")
	if after := w.renders(); after != before {
		t.Errorf("%s documents were made before, %s after: one took another's place", before, after)
	}
}

// renders returns how many documents were made so far.
func (w *world) renders() string {
	w.t.Helper()
	for line := range strings.Lines(string(w.get("/-/metrics").body)) {
		if n, ok := strings.CutPrefix(line, "larder_render_duration_seconds_count "); ok {
			return strings.TrimSpace(n)
		}
	}
	w.t.Fatal("no metric of renders")
	return ""
}

func TestTheViewIsReadOnly(t *testing.T) {
	w, alice := published(t)
	for _, tt := range []struct{ method, path string }{
		{"PUT", "/@acme%2flib"}, {"PUT", "/@acme/lib/-rev/1-0"}, {"DELETE", "/@acme/lib/-rev/1-0"}, {"DELETE", "/lodash/-/lodash-1.0.0.tgz/-rev/1"},
		{"PUT", "/-/package/@acme%2flib/dist-tags/next"}, {"DELETE", "/-/package/@acme%2flib/dist-tags/next"},
		{"POST", "/-/package/@acme%2flib/access"}, {"POST", "/lib"}, {"PATCH", "/"},
	} {
		r := w.do(tt.method, cachedPath+tt.path, "{}", "Authorization", alice)
		if text := r.wantError(t, 405); !strings.Contains(text, "read only") {
			t.Errorf("%s %s: %q", tt.method, tt.path, text)
		}
		r.wantHeader(t, "Allow", "GET, HEAD, OPTIONS")
	}
	for _, path := range []string{"/-/health/ready", "/-/health/live", "/-/metrics", "/-/web/login/x", "/-/v1/login", "/-/npm/v1/user", "/-/npm/v1/tokens",
		"/-/user/org.couchdb.user:alice", "/-/view/cached/lib", "/-/nonsense", "/-/v1/done/x"} {
		w.get(cachedPath+path, "Authorization", alice).wantError(t, 404)
	}
	for _, path := range []string{"/../lib", "/%2e%2e/lib", "//lib", "/lib/..%2f..", "/a%00"} {
		if r, err := http.NewRequest(http.MethodGet, "http://larder.test"+cachedPath+path, nil); err != nil {
			t.Error(err)
		} else if status := w.serve(r); status != 400 && status != 404 {
			t.Errorf("%s: status %d", path, status)
		}
	}
}

// TestWhatIsPublishedHereIsShownAsAlways, to those who may read it.
func TestWhatIsPublishedHereIsShownAsAlways(t *testing.T) {
	rules := func(c *Config) {
		c.Auth = newAuth(t, auth.Config{Rules: []auth.Rule{{Match: "@acme/*", Read: []string{"alice"}, Publish: []string{"alice"}}}})
	}
	w := newWorld(t, rules)
	alice, bob := w.user("alice"), w.user("bob")
	w.publish(alice, "@acme/lib", "1.0.0").want(t, 201)
	asked := len(w.up.seen("")) // whether it has a package of that name
	for _, base := range []string{"", cachedPath} {
		doc := w.get(base+"/@acme%2flib", "Authorization", alice).want(t, 200)
		doc.wantHeader(t, "X-Larder-Cache", "hosted")
		want := w.URL + base + "/@acme/lib/-/lib-1.0.0.tgz"
		if got := doc.document(t).Versions["1.0.0"].Dist.Tarball; got != want {
			t.Errorf("tarball %s, want %s", got, want)
		}
		w.get(base+"/@acme/lib/-/lib-1.0.0.tgz", "Authorization", alice).want(t, 200)
		w.get(base+"/@acme%2flib", "Authorization", bob).wantError(t, 403)
		w.get(base+"/@acme%2flib").wantError(t, 401)
		w.get(base+"/@acme/lib/-/lib-1.0.0.tgz").wantError(t, 401)
		if got := string(w.get(base+"/-/whoami", "Authorization", alice).want(t, 200).body); !strings.Contains(got, "alice") {
			t.Errorf("whoami: %s", got)
		}
	}
	if n := len(w.up.seen("")) - asked; n != 0 {
		t.Errorf("upstream was asked %d times", n)
	}
}

func TestTheViewBelowAPrefix(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PublicURL = "https://acme.example/npm/" })
	w.up.stock("@types/node", plain("20.1.0", "21.0.0")...)
	w.get("/npm/@types%2fnode").want(t, 200)
	w.get("/npm/@types/node/-/node-20.1.0.tgz").want(t, 200)
	for _, path := range []string{"/npm" + cachedPath + "/@types%2fnode", cachedPath + "/@types/node"} {
		doc := w.get(path).want(t, 200).document(t)
		if got, want := doc.Versions["20.1.0"].Dist.Tarball, "https://acme.example/npm"+cachedPath+"/@types/node/-/node-20.1.0.tgz"; got != want {
			t.Errorf("tarball %q, want %q", got, want)
		}
		if len(doc.Versions) != 1 {
			t.Errorf("it lists %v", doc.Versions)
		}
	}
	w.get("/npm"+cachedPath).want(t, 200)
	w.get("/npm"+cachedPath+"ed/lib").wantError(t, 404)
}

func TestManyBasesOfTheViewAreNoMoreNames(t *testing.T) {
	b, err := newBases("", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxNamedBases {
		name := fmt.Sprintf("http://name%d.example", i)
		if b.volatile(base{url: name}) || b.volatile(base{url: name + cachedPath}) {
			t.Errorf("%s is volatile", name)
		}
	}
	if !b.volatile(base{url: "http://further.example" + cachedPath}) {
		t.Error("the view makes room for made-up names")
	}
}

// FuzzCachedPath asks for whatever path below the view: upstream never hears of
// it, and nothing goes wrong inside.
func FuzzCachedPath(f *testing.F) {
	for _, seed := range []string{
		"/lib", "/lib/-/lib-1.0.0.tgz", "/@acme%2flib/latest", "/-/package/lib/dist-tags", "/-/npm/v1/attestations/lib@1.0.0", "/-/npm/v1/keys",
		"/-/v1/search?text=lib", "/-/view/cached/lib", "/../lib", "//", "/%2e%2e", "", "/lib/%5E1", "/-/metrics", "/-/whoami",
	} {
		for method := range uint8(3) {
			f.Add(seed, method)
		}
	}
	w := newWorld(f)
	w.up.stock("lib", plain("1.0.0", "2.0.0")...)
	w.get("/lib").want(f, 200)
	w.get("/lib/-/lib-1.0.0.tgz").want(f, 200)
	before := len(w.up.seen(""))
	f.Fuzz(func(t *testing.T, path string, method uint8) {
		name := []string{http.MethodGet, http.MethodPost, http.MethodPut}[int(method)%3]
		r, err := http.NewRequest(name, "http://larder.test"+cachedPath+path, strings.NewReader("{}"))
		if err != nil || r.URL.Host != "larder.test" {
			return
		}
		status := (&world{Server: w.Server, t: t, proxy: w.proxy, up: w.up}).serve(r)
		if status == http.StatusInternalServerError || status == http.StatusBadGateway || name == http.MethodPut && status < 400 {
			t.Errorf("%s %q: status %d", name, path, status)
		}
		for _, r := range w.up.seen("")[before:] {
			t.Fatalf("%s %q: asked upstream %s %s", name, path, r.Method, r.URL)
		}
	})
}
