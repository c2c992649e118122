package proxy

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// discard is a response writer that costs nothing.
type discard struct{ header http.Header }

func (w discard) Header() http.Header         { return w.header }
func (w discard) Write(p []byte) (int, error) { return len(p), nil }
func (w discard) WriteHeader(int)             {}

// BenchmarkWarm measures hits without the cost of a connection.
func BenchmarkWarm(b *testing.B) {
	w := newWorld(b)
	w.up.publish("lodash", "1.0.0", noise(10_000))
	for _, path := range []string{"/lodash", "/lodash/-/lodash-1.0.0.tgz", "/-/ping"} {
		w.get(path).want(b, http.StatusOK)
		b.Run(path, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = w.Listener.Addr().String()
			r.Header.Set("Accept", corgi)
			r.Header.Set("Accept-Encoding", "gzip,deflate")
			for b.Loop() {
				w.proxy.Handler().ServeHTTP(discard{http.Header{}}, r)
			}
		})
	}
}
