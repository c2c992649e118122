package upstream

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"larder/npm"
)

// short are waits for tests; what must not matter is an hour.
func short(c *Config) {
	c.HeaderTimeout, c.DocumentTimeout, c.IdleTimeout = 100*time.Millisecond, 300*time.Millisecond, time.Hour
}

// hangs are the places where an answer can come to a halt.
func hangs(t *testing.T, done <-chan struct{}) map[string]http.HandlerFunc {
	hang := func(before string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if before != "" {
				w.Header().Set("Content-Length", "100000")
				io.WriteString(w, before)
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
			}
			select {
			case <-done:
			case <-r.Context().Done():
			}
		}
	}
	return map[string]http.HandlerFunc{
		"no header": hang(""),
		"some KB":   hang(`{"name":"` + string(make([]byte, 4096))),
		"a header alone": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(http.StatusOK)
			hang(" ")(w, r)
		},
	}
}

// TestHangingUpstreamIsAnError within the time that it has, wherever it hangs
// and whatever is asked, and never says that something does not exist.
func TestHangingUpstreamIsAnError(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	for name, handler := range hangs(t, done) {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, short)
			for _, path := range []string{"/a", "/a/1.0.0", keysPath} {
				g.fake.handle(path, handler)
			}
			for what, get := range map[string]func() error{
				"packument": func() error { _, err := g.Packument(t.Context(), "a", npm.Full, false); return err },
				"version":   func() error { _, _, err := g.Manifest(t.Context(), "a", "1.0.0"); return err },
				"keys":      func() error { _, _, err := g.Small(t.Context(), keysPath); return err },
				"hash":      func() error { _, err := g.Tarball("a", "a-1.0.0.tgz").Expect(t.Context()); return err },
			} {
				err := get() // an hour would end the test
				if npm.KindOf(err) != npm.Timeout {
					t.Errorf("%s: %v", what, err)
				}
				wantError(t, err, npm.Timeout, "upstream npm")
			}
		})
	}
}

// TestNoConnection: an address that swallows packets is given up like an answer
// that does not come.
func TestNoConnection(t *testing.T) {
	full := fullBacklog(t)
	g := newRig(t, short, func(c *Config) { c.URLs = []*url.URL{parseURL(t, "http://"+full)} })
	_, err := g.Packument(t.Context(), "a", npm.Full, false)
	if kind := npm.KindOf(err); kind != npm.Timeout && kind != npm.Unavailable {
		t.Errorf("%v", err)
	}
	_, err = g.Tarball("a", "a-1.0.0.tgz").Open(t.Context(), "", 0, "")
	if kind := npm.KindOf(err); kind != npm.Timeout && kind != npm.Unavailable {
		t.Errorf("%v", err)
	}
}

// fullBacklog returns the address of a listener that accepts nothing.
func fullBacklog(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// TestDocumentsWaitForAPlaceOnlySoLong: where hanging answers take them all.
func TestDocumentsWaitForAPlaceOnlySoLong(t *testing.T) {
	g := newRig(t, short, func(c *Config) { c.Concurrency = 1; c.HeaderTimeout = time.Hour })
	g.docSlots.Acquire(t.Context(), 1) // as an exchange that hangs does
	defer g.docSlots.Release(1)
	_, err := g.Packument(t.Context(), "a", npm.Full, false)
	wantError(t, err, npm.Timeout, "upstream npm is too slow")
}

// TestAuditWaitsOnce: npm asks for an audit in two ways, one after the other,
// and the install waits for both.
func TestAuditWaitsOnce(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	g := newRig(t, func(c *Config) { c.PostTimeout = time.Second }) // in which the last one is answered
	var asked sync.WaitGroup
	asked.Add(1)
	g.fake.handle("/-/npm/v1/security/advisories/bulk", func(_ http.ResponseWriter, r *http.Request) {
		asked.Done() // a second request would panic
		select {
		case <-done:
		case <-r.Context().Done():
		}
	})
	_, err := g.Post(t.Context(), "/-/npm/v1/security/advisories/bulk", []byte(`{}`))
	wantError(t, err, npm.Timeout, "upstream npm")
	asked.Wait()
	_, err = g.Post(t.Context(), "/-/npm/v1/security/audits/quick", []byte(`{}`))
	wantError(t, err, npm.Timeout, "upstream npm")
	if n := len(g.fake.asked("/-/npm/v1/security/audits/quick")); n != 0 {
		t.Error("it was waited for once more")
	}
	g.clock.advance(retryPause + 1)
	g.fake.handle("/-/npm/v1/security/audits/quick", answerWith(200, "application/json", `{}`))
	if _, err := g.Post(t.Context(), "/-/npm/v1/security/audits/quick", []byte(`{}`)); err != nil {
		t.Error(err)
	}
}
