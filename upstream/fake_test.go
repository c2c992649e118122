package upstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/cache"
	"larder/npm"
)

// fake is a small real registry. Paths are matched as they are escaped.
type fake struct {
	*httptest.Server
	mu       sync.Mutex // guards what follows
	handlers map[string]http.HandlerFunc
	requests []*http.Request
	conns    int // that were ever opened
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := unstartedFake()
	f.Start()
	t.Cleanup(f.Close)
	return f
}

func unstartedFake() *fake {
	f := &fake{handlers: make(map[string]http.HandlerFunc)}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	f.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			f.mu.Lock()
			f.conns++
			f.mu.Unlock()
		}
	}
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r)
	h := f.handlers[r.URL.EscapedPath()]
	f.mu.Unlock()
	if h == nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":"Not found"}`)
		return
	}
	h(w, r)
}

func (f *fake) handle(path string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handlers[path] = h
}

// asked returns the requests for path, in order; "" for all.
func (f *fake) asked(path string) []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	var rs []*http.Request
	for _, r := range f.requests {
		if path == "" || r.URL.EscapedPath() == path {
			rs = append(rs, r)
		}
	}
	return rs
}

func (f *fake) opened() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns
}

// last returns the last request for path.
func (f *fake) last(t *testing.T, path string) *http.Request {
	t.Helper()
	rs := f.asked(path)
	if len(rs) == 0 {
		t.Fatalf("%s was never asked for", path)
	}
	return rs[len(rs)-1]
}

// answer is a handler that gives one answer.
func answerWith(status int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// docServer serves a document with an ETag, 304 and gzip, as a good registry.
func docServer(contentType string, body func() string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		plain := body()
		sum := sha512.Sum512([]byte(plain))
		tag := fmt.Sprintf(`"%x"`, sum[:8])
		w.Header().Set("Etag", tag)
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Vary", "Accept, Accept-Encoding")
		w.Header().Set("Cache-Control", "public, max-age=300")
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(zipped(plain))
			return
		}
		io.WriteString(w, plain)
	}
}

// both serves the two forms of a package, told apart by Accept.
func both(full, abbreviated func() string) http.HandlerFunc {
	f, a := docServer(npm.FullType, full), docServer(npm.AbbreviatedType, abbreviated)
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), npm.AbbreviatedType) {
			a(w, r)
			return
		}
		f(w, r)
	}
}

func always(s string) func() string { return func() string { return s } }

func zipped(s string) []byte {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	io.WriteString(zw, s)
	zw.Close()
	return b.Bytes()
}

// fullDoc is a full packument with the given versions; integrity is that of
// the bytes that tarballOf gives.
func fullDoc(name, modified string, versions ...string) string {
	return fmt.Sprintf(`{"_id":%q,"name":%q,"dist-tags":{"latest":%q},"versions":{%s},"time":{"modified":%q}}`,
		name, name, versions[len(versions)-1], manifests(name, versions), modified)
}

func abbreviatedDoc(name, modified string, versions ...string) string {
	return fmt.Sprintf(`{"name":%q,"dist-tags":{"latest":%q},"versions":{%s},"modified":%q}`,
		name, versions[len(versions)-1], manifests(name, versions), modified)
}

func manifests(name string, versions []string) string {
	var all []string
	for _, v := range versions {
		all = append(all, fmt.Sprintf(`%q:%s`, v, manifest(name, v, "http://registry.example/"+npm.TarballPath(name, v))))
	}
	return strings.Join(all, ",")
}

func manifest(name, version, tarball string) string {
	return fmt.Sprintf(`{"name":%q,"version":%q,"dist":{"tarball":%q,"integrity":%q}}`,
		name, version, tarball, sri(tarballOf(name, version)))
}

func tarballOf(name, version string) string { return "the bytes of " + name + "@" + version }

func sri(body string) string {
	sum := sha512.Sum512([]byte(body))
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rig is a Registry over a fake upstream and a store in memory.
type rig struct {
	*Registry
	fake      *fake
	clock     *clock
	responses *cache.Responses
	cfg       Config
}

const (
	testFresh = 5 * time.Minute
	testSWR   = 10 * time.Minute
)

// newRig returns a rig that does not try again unless edit gives it a
// RetryBudget.
func newRig(t *testing.T, edit ...func(*Config)) *rig {
	t.Helper()
	f := newFake(t)
	store := cache.NewMem()
	responses := cache.NewResponses(store, nil, slog.New(slog.DiscardHandler))
	cfg := Config{
		Name:                 "npm",
		URLs:                 []*url.URL{parseURL(t, f.URL)},
		FreshFor:             testFresh,
		StaleWhileRevalidate: testSWR,
		RetryBudget:          1, // ns: no second try fits
		Responses:            responses,
		Notes:                cache.NewNotes(store, nil, nil),
		Via:                  "larder-test",
		UserAgent:            "larder/test",
	}
	for _, e := range edit {
		e(&cfg)
	}
	g := &rig{fake: f, responses: responses, cfg: cfg, clock: &clock{now: time.Now()}}
	g.cfg.now = g.clock.Now
	g.restart(t)
	return g
}

// restart replaces the Registry by a new one over the same store.
func (g *rig) restart(t *testing.T) {
	t.Helper()
	r, err := New(g.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	g.Registry = r
}

func parseURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// get is Packument, which must succeed with the given outcome.
func (g *rig) get(t *testing.T, name string, form npm.Form, force bool, want Outcome) *Packument {
	t.Helper()
	p, err := g.Packument(t.Context(), name, form, force)
	if err != nil {
		t.Fatalf("Packument(%s, %s): %v", name, form, err)
	}
	if p.Outcome != want {
		t.Fatalf("Packument(%s, %s): outcome %s, want %s", name, form, p.Outcome, want)
	}
	return p
}

// body is Body, which must succeed.
func body(t *testing.T, p *Packument) string {
	t.Helper()
	doc, release, err := p.Body(t.Context())
	if err != nil {
		t.Fatalf("Body of %s: %v", p.Name, err)
	}
	defer release()
	return string(doc)
}

// land waits for the flight that fetches a package's full document. If it has
// landed already, the one that this starts has nothing to do.
func (g *rig) land(t *testing.T, name string) {
	t.Helper()
	<-g.refresh(t.Context(), name, npm.Full, false)
}

// wantError checks an error's kind and that its message has a word in it.
func wantError(t *testing.T, err error, kind npm.Kind, word string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one of kind %q", kind)
	}
	if npm.KindOf(err) != kind {
		t.Fatalf("error of kind %q, want %q: %v", npm.KindOf(err), kind, err)
	}
	if !strings.Contains(npm.Message(err), word) {
		t.Fatalf("message %q lacks %q", npm.Message(err), word)
	}
}
