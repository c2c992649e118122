package proxy

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"larder/cache"
	"larder/upstream"
)

// release serves a package with several versions, whose tarballs are their
// names, and the times of versions that it removed.
func (f *fakeUpstream) release(name, modified string, listed []string, removed ...string) {
	f.t.Helper()
	versions, times := map[string]any{}, map[string]any{"modified": modified}
	for _, v := range listed {
		tarball := name + "@" + v
		sum := sha512.Sum512([]byte(tarball))
		path := fmt.Sprintf("/%s/-/%s-%s.tgz", name, name[strings.LastIndex(name, "/")+1:], v)
		versions[v] = map[string]any{"name": name, "version": v, "dist": map[string]any{
			"tarball": f.URL + path, "integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:]),
		}}
		times[v] = modified
		f.serve(path, tarball)
	}
	for _, v := range removed {
		times[v] = modified
		f.handle(fmt.Sprintf("/%s/-/%s-%s.tgz", name, name[strings.LastIndex(name, "/")+1:], v), nil)
		f.handle("/"+name+"/"+v, nil)
	}
	f.serve("/"+name, string(f.encode(map[string]any{
		"_id": name, "name": name, "dist-tags": map[string]any{"latest": listed[len(listed)-1]}, "versions": versions, "time": times,
	})))
}

const (
	january  = "2026-01-01T00:00:00.000Z"
	february = "2026-02-01T00:00:00.000Z"
)

// revalidated makes the server ask upstream for a package's document.
func (w *world) revalidated(name string) response {
	w.t.Helper()
	return w.get("/"+name, "Cache-Control", "no-cache").want(w.t, http.StatusOK)
}

// into reads the body as JSON.
func (r response) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("%v in %.300s", err, r.body)
	}
}

// TestTakenDownTarball: it is refused although it is cached, and at once.
func TestTakenDownTarball(t *testing.T) {
	w := newWorld(t)
	w.up.release("lodash", january, []string{"1.0.0", "1.1.0"})
	w.revalidated("lodash")
	const gone, stays = "/lodash/-/lodash-1.1.0.tgz", "/lodash/-/lodash-1.0.0.tgz"
	w.get(gone).want(t, http.StatusOK)
	w.get(stays).want(t, http.StatusOK)
	w.up.release("lodash", february, []string{"1.0.0"}, "1.1.0")
	w.get(gone).want(t, http.StatusOK) // nobody has noticed yet
	w.revalidated("lodash")
	for range 2 {
		res := w.get(gone)
		msg := res.wantError(t, http.StatusForbidden)
		for _, word := range []string{"lodash@1.1.0 was taken down", "upstream npm no longer lists it", "noticed on 20"} {
			if !strings.Contains(msg, word) {
				t.Errorf("%q lacks %q", msg, word)
			}
		}
		if !strings.Contains(string(res.body), `"code":"taken_down"`) {
			t.Errorf("no code: %s", res.body)
		}
	}
	w.get(stays).want(t, http.StatusOK).wantHeader(t, "X-Larder-Cache", "hit")
	w.up.release("lodash", february, []string{"1.0.0", "1.1.0"})
	w.revalidated("lodash")
	w.get(gone).want(t, http.StatusOK)
}

// newWorldOn returns a world on a store and an upstream that may be another
// one's, with pins.
func newWorldOn(t *testing.T, store cache.Store, up *fakeUpstream, pins ...string) *world {
	t.Helper()
	w := newWorld(t, func(cfg *Config) {
		cfg.Blobs = cache.NewBlobs(cache.BlobsConfig{Store: store})
		cfg.Documents = cache.NewDocuments(cache.DocumentsConfig{Store: store})
		cfg.Upstreams = []*upstream.Registry{newRegistryWith(t, store, up, func(c *upstream.Config) {
			c.Pins, c.Vault = pins, cfg.Blobs
		})}
	})
	w.up = up
	return w
}

// TestTakenDownVersionInDocuments: documents lack it, whichever of them tells.
func TestTakenDownVersionInDocuments(t *testing.T) {
	for _, tt := range []struct {
		name string
		pins []string
		want []string // versions that are listed
		tag  string   // latest
	}{
		{"nothing pinned", nil, []string{"1.0.0"}, "1.0.0"},
		{"pinned", []string{"lodash@1.2.0"}, []string{"1.0.0", "1.2.0"}, "1.0.0"},
		{"another package pinned", []string{"lodash.merge@1.2.0"}, []string{"1.0.0"}, "1.0.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorldOn(t, cache.NewMem(), newFakeUpstream(t), tt.pins...)
			three := []string{"1.0.0", "1.1.0", "1.2.0"}
			w.up.release("lodash", january, three)
			w.revalidated("lodash")
			for _, v := range three {
				w.get("/lodash/-/lodash-"+v+".tgz").want(t, http.StatusOK)
			}
			w.up.release("lodash", february, three[:1], three[1:]...)
			w.revalidated("lodash")
			for _, accept := range []string{corgi, "application/json"} {
				var doc document
				w.get("/lodash", "Accept", accept).want(t, http.StatusOK).into(t, &doc)
				if got := slices.Sorted(maps.Keys(doc.Versions)); !slices.Equal(got, tt.want) {
					t.Errorf("%s: versions %v, want %v", accept, got, tt.want)
				}
				if doc.Tags["latest"] != tt.tag {
					t.Errorf("%s: latest is %s", accept, doc.Tags["latest"])
				}
				for v, m := range doc.Versions {
					if want := w.URL + "/lodash/-/lodash-" + v + ".tgz"; m.Dist.Tarball != want {
						t.Errorf("%s: tarball %s, want %s", v, m.Dist.Tarball, want)
					}
				}
			}
			for _, v := range three {
				listed := slices.Contains(tt.want, v)
				tarball, manifest := w.get("/lodash/-/lodash-"+v+".tgz"), w.get("/lodash/"+v)
				if listed {
					if string(tarball.want(t, http.StatusOK).body) != "lodash@"+v {
						t.Errorf("%s: %q", v, tarball.body)
					}
					manifest.want(t, http.StatusOK)
					continue
				}
				tarball.wantError(t, http.StatusForbidden)
				if msg := manifest.wantError(t, http.StatusNotFound); !strings.Contains(msg, "lodash@"+v+" was taken down") {
					t.Errorf("manifest: %s", msg)
				}
			}
			if got := string(w.get("/-/package/lodash/dist-tags").want(t, http.StatusOK).body); got != `{"latest":"`+tt.tag+`"}` {
				t.Errorf("dist-tags %s", got)
			}
		})
	}
}

// TestPinnedAfterwards: the version was removed, and its bytes put aside, before
// it was pinned.
func TestPinnedAfterwards(t *testing.T) {
	store := cache.NewMem()
	w := newWorldOn(t, store, newFakeUpstream(t))
	two := []string{"1.0.0", "1.1.0"}
	w.up.release("lodash", january, two)
	w.revalidated("lodash")
	const path = "/lodash/-/lodash-1.1.0.tgz"
	w.get(path).want(t, http.StatusOK)
	w.up.release("lodash", february, two[:1], two[1:]...)
	w.revalidated("lodash")
	w.get(path).wantError(t, http.StatusForbidden)

	later := newWorldOn(t, store, w.up, "lodash@1.1.0")
	if got := string(later.get(path).want(t, http.StatusOK).body); got != "lodash@1.1.0" {
		t.Errorf("%q", got)
	}
	var doc document
	later.get("/lodash").want(t, http.StatusOK).into(t, &doc)
	if len(doc.Versions) != 2 {
		t.Errorf("%d versions", len(doc.Versions))
	}
}

// TestPinnedVersionOfAnUnpublishedPackage: the document is upstream's stub, and
// has the pinned version all the same.
func TestPinnedVersionOfAnUnpublishedPackage(t *testing.T) {
	w := newWorldOn(t, cache.NewMem(), newFakeUpstream(t), "lodash@1.0.0")
	w.up.release("lodash", january, []string{"1.0.0", "1.1.0"})
	w.revalidated("lodash")
	w.get("/lodash/-/lodash-1.0.0.tgz").want(t, http.StatusOK)
	w.up.serve("/lodash", `{"_id":"lodash","name":"lodash","time":{"modified":"`+february+`","unpublished":{"time":"`+february+`"}}}`)
	var doc document
	w.revalidated("lodash").into(t, &doc)
	if got := slices.Sorted(maps.Keys(doc.Versions)); !slices.Equal(got, []string{"1.0.0"}) {
		t.Errorf("versions %v", got)
	}
	w.get("/lodash/-/lodash-1.0.0.tgz").want(t, http.StatusOK)
	w.get("/lodash/-/lodash-1.1.0.tgz").wantError(t, http.StatusForbidden)
}

// TestUnpublishedPackage: the document is 404 and the tarball 403, with the reason.
func TestUnpublishedPackage(t *testing.T) {
	w := newWorld(t)
	w.up.release("lodash", january, []string{"1.0.0"})
	w.revalidated("lodash")
	w.get("/lodash/-/lodash-1.0.0.tgz").want(t, http.StatusOK)
	w.up.serve("/lodash", `{"_id":"lodash","name":"lodash","time":{"modified":"`+february+`","unpublished":{"time":"`+february+`"}}}`)
	if msg := w.get("/lodash", "Cache-Control", "no-cache").wantError(t, http.StatusNotFound); !strings.Contains(msg, "lodash was unpublished on") {
		t.Error(msg)
	}
	if msg := w.get("/lodash/-/lodash-1.0.0.tgz").wantError(t, http.StatusForbidden); !strings.Contains(msg, "says that the package was unpublished") {
		t.Error(msg)
	}
}

// TestRefusedTarball: its version is hidden, so that clients choose another.
func TestRefusedTarball(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusGone, http.StatusUnavailableForLegalReasons} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			w := newWorld(t)
			w.up.release("lodash", january, []string{"1.0.0", "1.1.0"})
			w.revalidated("lodash")
			const path = "/lodash/-/lodash-1.1.0.tgz"
			w.up.handle(path, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(status) })
			for range 3 {
				msg := w.get(path).wantError(t, http.StatusForbidden)
				if !strings.Contains(msg, fmt.Sprintf("upstream npm answers %d for its tarball", status)) {
					t.Error(msg)
				}
			}
			if n := len(w.up.seen(path)); n != 1 {
				t.Errorf("upstream was asked %d times", n)
			}
			var doc document
			w.get("/lodash").want(t, http.StatusOK).into(t, &doc)
			if _, listed := doc.Versions["1.1.0"]; listed || doc.Tags["latest"] != "1.0.0" {
				t.Errorf("listed: %t, tags %v", listed, doc.Tags)
			}
			w.get("/lodash/1.1.0").wantError(t, http.StatusNotFound)
			if got := gjson.GetBytes(w.get("/lodash/latest").want(t, http.StatusOK).body, "version").Str; got != "1.0.0" {
				t.Errorf("latest is %s", got)
			}
		})
	}
}
