package proxy

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
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
