package proxy

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeUpstream is a small registry: what it serves is set path by path, and
// it keeps the requests.
type fakeUpstream struct {
	*httptest.Server
	t testing.TB

	mu       sync.Mutex // guards the fields below
	handlers map[string]http.HandlerFunc
	requests []*http.Request
	bodies   map[string]string // of POSTs, by path

	published int // calls of publish
}

func newFakeUpstream(t testing.TB) *fakeUpstream {
	t.Helper()
	f := &fakeUpstream{t: t, handlers: map[string]http.HandlerFunc{}, bodies: map[string]string{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.requests = append(f.requests, r)
		f.bodies[r.URL.Path] = string(body)
		h := f.handlers[r.URL.Path]
		f.mu.Unlock()
		if h == nil {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":"Not found"}`)
			return
		}
		h(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// handle sets the handler of a path, decoded: "/@types/node".
func (f *fakeUpstream) handle(path string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handlers[path] = h
}

// serve sets the body of a path.
func (f *fakeUpstream) serve(path, body string) {
	f.handle(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, body)
	})
}

// seen returns the requests for a path, or all of them for "".
func (f *fakeUpstream) seen(path string) []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.requests), func(r *http.Request) bool {
		return path != "" && r.URL.Path != path
	})
}

func (f *fakeUpstream) posted(path string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bodies[path]
}

// publish serves a package with one version, in both forms and by itself, and
// its tarball.
func (f *fakeUpstream) publish(name, version string, tarball []byte) {
	f.t.Helper()
	sum := sha512.Sum512(tarball)
	base := name[strings.LastIndex(name, "/")+1:]
	path := fmt.Sprintf("/%s/-/%s-%s.tgz", name, base, version)
	manifest := map[string]any{
		"name": name, "version": version,
		"dist": map[string]any{
			"tarball":      f.URL + path,
			"integrity":    "sha512-" + base64.StdEncoding.EncodeToString(sum[:]),
			"attestations": map[string]any{"url": f.URL + "/-/npm/v1/attestations/" + name + "@" + version},
		},
	}
	tags, versions := map[string]any{"latest": version}, map[string]any{version: manifest}
	f.mu.Lock()
	f.published++ // a later document has a later date
	modified := time.Date(2026, 1, 2, 3, 4, f.published, 678e6, time.UTC).Format(time.RFC3339Nano)
	f.mu.Unlock()
	full := f.encode(map[string]any{
		"_id": name, "_rev": "1-abc", "name": name, "readme": "much to read", "dist-tags": tags, "versions": versions,
		"time": map[string]any{"created": modified, "modified": modified, version: modified},
	})
	abbreviated := f.encode(map[string]any{"name": name, "modified": modified, "dist-tags": tags, "versions": versions})
	f.handle("/"+name, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "tracker=1")
		w.Header().Set("ETag", `"`+version+`"`)
		if r.Header.Get("If-None-Match") == `"`+version+`"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if strings.Contains(r.Header.Get("Accept"), "install-v1") {
			w.Header().Set("Content-Type", "application/vnd.npm.install-v1+json")
			_, _ = w.Write(abbreviated)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(full)
	})
	f.serve("/"+name+"/"+version, string(f.encode(manifest)))
	f.serve("/"+name+"/latest", string(f.encode(manifest)))
	f.handle(path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "tracker=1")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(tarball))
	})
}

func (f *fakeUpstream) encode(v any) []byte {
	f.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}
