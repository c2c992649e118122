package proxy

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/auth"
	"larder/cache"
	"larder/hosted"
	"larder/metrics"
	"larder/upstream"
)

// lockedBuffer is a log that a test reads while the server still runs.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// world is a server over one fake upstream, or several.
type world struct {
	*httptest.Server
	t      testing.TB
	proxy  *Server
	up     *fakeUpstream
	log    *lockedBuffer
	client *http.Client
}

// newWorld starts a server; opts change its configuration.
func newWorld(t testing.TB, opts ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, up: newFakeUpstream(t), log: &lockedBuffer{}}
	store := cache.NewMem()
	blobs := cache.NewBlobs(cache.BlobsConfig{Store: store})
	m := metrics.New("test", "")
	cfg := Config{
		Hosted:    newHosted(t),
		Auth:      newAuth(t, auth.Config{}),
		Upstreams: []*upstream.Registry{newRegistry(t, store, "npm", w.up, "**")},
		Blobs:     blobs,
		Documents: cache.NewDocuments(cache.DocumentsConfig{Store: store, Metrics: m}),
		Version:   "1.2.3",
		Via:       "larder-test",
		Metrics:   m,
		Log:       slog.New(slog.NewJSONHandler(w.log, nil)),
	}
	for _, opt := range opts {
		opt(&cfg)
	}
	server, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.proxy = server
	w.Server = httptest.NewServer(server.Handler())
	w.client = w.Server.Client()
	w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w.client.Transport.(*http.Transport).DisableCompression = true
	t.Cleanup(func() {
		w.Server.Close()
		if err := blobs.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return w
}

// newHosted returns packages in memory.
func newHosted(t testing.TB) *hosted.Packages {
	t.Helper()
	packages, err := hosted.New(hosted.Config{Store: cache.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := packages.Close(); err != nil {
			t.Error(err)
		}
	})
	return packages
}

// newAuth returns accounts of which cfg says the rest, with open registration
// and passwords that are cheap to check.
func newAuth(t testing.TB, cfg auth.Config) *auth.Auth {
	t.Helper()
	const cheap = 4 // bcrypt's least cost
	cfg.Dir, cfg.BcryptCost, cfg.Registration = t.TempDir(), cheap, true
	a, err := auth.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// newRegistry returns an upstream that is asked once, not again and again.
func newRegistry(t testing.TB, store cache.Store, name string, up *fakeUpstream, match ...string) *upstream.Registry {
	t.Helper()
	return newRegistryWith(t, store, up, func(c *upstream.Config) { c.Name, c.Match = name, match })
}

// newRegistryWith is newRegistry for a configuration that edit completes.
func newRegistryWith(t testing.TB, store cache.Store, up *fakeUpstream, edit func(*upstream.Config)) *upstream.Registry {
	t.Helper()
	u, err := url.Parse(up.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg := upstream.Config{
		Name: "npm", URLs: []*url.URL{u}, Via: "larder-test",
		RetryBudget: time.Millisecond,
		Responses:   cache.NewResponses(store, nil, slog.New(slog.DiscardHandler)),
		Notes:       cache.NewNotes(store, nil, nil),
		Vault:       cache.NewBlobs(cache.BlobsConfig{Store: store}),
		Log:         slog.New(slog.DiscardHandler),
	}
	edit(&cfg)
	reg, err := upstream.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		cancel() // nobody waits for what it still does
		_ = reg.Close(ended)
	})
	return reg
}

// response is an answer with its body read.
type response struct {
	*http.Response
	body []byte
}

// do sends a request; header is pairs of name and value.
func (w *world) do(method, path, body string, header ...string) response {
	w.t.Helper()
	res, err := w.send(method, path, body, header...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return res
}

// send is do for an answer that may break off.
func (w *world) send(method, path, body string, header ...string) (response, error) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Add(header[i], header[i+1])
	}
	res, err := w.client.Do(r)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	return response{res, got}, err
}

func (w *world) get(path string, header ...string) response {
	w.t.Helper()
	return w.do(http.MethodGet, path, "", header...)
}

// want checks a status and returns the response for more.
func (r response) want(t testing.TB, status int) response {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d; body %.300s", r.Request.Method, r.Request.URL, r.StatusCode, status, r.body)
	}
	return r
}

// wantError checks that the body is an error that names both fields, and
// returns its text.
func (r response) wantError(t testing.TB, status int) string {
	t.Helper()
	r.want(t, status)
	var e struct{ Error, Message string }
	if err := json.Unmarshal(r.body, &e); err != nil || e.Error == "" || e.Error != e.Message {
		t.Errorf("body %.300s: want error and message with the same text (%v)", r.body, err)
	}
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q, want application/json", got)
	}
	if got := r.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q, want no-store", got)
	}
	if r.Header.Get("X-Request-Id") == "" {
		t.Error("no X-Request-Id")
	}
	return e.Error
}

func (r response) wantHeader(t testing.TB, name, want string) {
	t.Helper()
	if got := r.Header.Get(name); got != want {
		t.Errorf("%s %s: %s %q, want %q", r.Request.Method, r.Request.URL, name, got, want)
	}
}

// corgi is the Accept header of npm's older versions, yarn 1, pnpm and bun.
const corgi = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"

func gunzip(t testing.TB, packed []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func gzipped(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, s); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
