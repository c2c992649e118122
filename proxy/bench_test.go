package proxy

import (
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"larder/cache"
)

// discard is a response writer that costs nothing.
type discard struct {
	header    http.Header
	status    int
	deadlines int // that were set
}

func (w *discard) Header() http.Header         { return w.header }
func (w *discard) Write(p []byte) (int, error) { return len(p), nil }
func (w *discard) WriteHeader(status int)      { w.status = status }

func (w *discard) SetWriteDeadline(time.Time) error {
	w.deadlines++
	return nil
}

// warmHits are what a mirror does all day. Allocations are those of the handler,
// the access log included; without the race detector some are one less.
func warmHits() []warmHit {
	return []warmHit{
		{"packument", "/lodash", nil, http.StatusOK, 22},
		{"304", "/lodash", http.Header{"If-None-Match": {"*"}}, http.StatusNotModified, 19},
		{"tarball", "/lodash/-/lodash-1.0.0.tgz", nil, http.StatusOK, 22},
		{"ping", "/-/ping", nil, http.StatusOK, 8},
	}
}

type warmHit struct {
	name, path  string
	header      http.Header
	status      int
	allocations float64
}

// warmWorld is a server on a disk that has the answers to warmHits, in memory
// where it keeps such.
func warmWorld(t testing.TB) *world {
	dir, err := cache.OpenDir(cache.DirConfig{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	})
	w := newWorld(t, func(c *Config) {
		c.Blobs = cache.NewBlobs(cache.BlobsConfig{Store: dir})
		c.Access = slog.New(slog.NewTextHandler(io.Discard, nil))
		c.SendSilence = time.Minute
	})
	w.up.publish("lodash", "1.0.0", noise(10_000))
	for _, hit := range warmHits() {
		for range 20 {
			w.get(hit.path).want(t, http.StatusOK)
		}
	}
	return w
}

// request returns the request that a package manager makes for a hit.
func (h warmHit) request(w *world) *http.Request {
	r := httptest.NewRequest(http.MethodGet, h.path, nil)
	r.Host = w.Listener.Addr().String()
	r.Header.Set("Accept", corgi)
	r.Header.Set("Accept-Encoding", "gzip,deflate")
	for name, values := range h.header {
		r.Header[name] = values
	}
	return r
}

// BenchmarkWarm measures hits without the cost of a connection.
func BenchmarkWarm(b *testing.B) {
	w := warmWorld(b)
	handler := w.proxy.Handler()
	for _, hit := range warmHits() {
		b.Run(hit.name, func(b *testing.B) {
			r := hit.request(w)
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(&discard{header: make(http.Header, 16)}, r)
			}
		})
	}
}

// TestCostOfWarmHits holds what a hit may cost that can be counted. Whoever needs
// more has to say so here.
func TestCostOfWarmHits(t *testing.T) {
	w := warmWorld(t)
	handler := w.proxy.Handler()
	for _, hit := range warmHits() {
		r := hit.request(w)
		out := &discard{header: make(http.Header, 16)}
		serve := func() {
			clear(out.header)
			out.deadlines = 0
			handler.ServeHTTP(out, r)
		}
		// The least of many: others may allocate meanwhile, and under the race
		// detector a sync.Pool forgets at random.
		least := math.Inf(1)
		for range 200 {
			least = min(least, testing.AllocsPerRun(1, serve))
		}
		if out.status != hit.status {
			t.Errorf("%s: status %d, want %d", hit.name, out.status, hit.status)
		}
		if least > hit.allocations {
			t.Errorf("%s: %v allocations, at most %v are allowed", hit.name, least, hit.allocations)
		}
		if out.deadlines != 1 {
			t.Errorf("%s: %d deadlines were set, want 1", hit.name, out.deadlines)
		}
		t.Logf("%s: %v allocations", hit.name, least)
	}
}
