package proxy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/auth"
)

func TestChecklist81_Ping(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/-/ping", "/-/ping?write=true", "/-/ping/", "/%2d/ping"} {
		if got := string(w.get(path).want(t, 200).body); got != "{}" {
			t.Errorf("%s: body %s, want {}", path, got)
		}
	}
	w.do(http.MethodHead, "/-/ping", "").want(t, 200).wantHeader(t, "Content-Length", "2")
}

func TestRoot(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PublicURL = "https://acme.example/npm/" })
	for _, path := range []string{"/", "/npm", "/npm/"} {
		if got, want := string(w.get(path).want(t, 200).body), `{"db_name":"registry","name":"larder","version":"1.2.3"}`; got != want {
			t.Errorf("%s: body %s, want %s", path, got, want)
		}
	}
}

func TestChecklist84_UnknownEndpoints(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/-/all", "/-/whatever/it/is", "/-/npm/v1/hooks", "/-/package/lodash/trust", "/-/", "/-/v1/logout"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			w.do(method, path, "").wantError(t, 404)
		}
	}
	if n := len(w.up.seen("")); n != 0 {
		t.Errorf("%d requests reached upstream", n)
	}
}

func TestChecklist85_MethodNotAllowed(t *testing.T) {
	w := newWorld(t)
	const read = "GET, HEAD, OPTIONS"
	tests := []struct{ method, path, allow string }{
		{http.MethodDelete, "/lodash", "GET, HEAD, PUT, OPTIONS"},
		{http.MethodDelete, "/@s%2fn", "GET, HEAD, PUT, OPTIONS"},
		{http.MethodDelete, "/lodash/-/lodash-1.0.0.tgz", read},
		{http.MethodPost, "/lodash/1.0.0", "GET, HEAD, PUT, OPTIONS"},
		{http.MethodPut, "/-/package/lodash/dist-tags", "GET, HEAD, POST, OPTIONS"},
		{http.MethodPatch, "/lodash", "GET, HEAD, PUT, OPTIONS"},
		{http.MethodGet, "/-/package/lodash/dist-tags/next", "PUT, POST, DELETE, OPTIONS"},
		{http.MethodGet, "/lodash/-rev/1-a", "PUT, DELETE, OPTIONS"},
		{http.MethodPost, "/-/ping", read},
		{http.MethodPut, "/-/whoami", read},
		{http.MethodPost, "/", read},
		{http.MethodGet, bulkAuditPath, "POST, OPTIONS"},
		{"PROPFIND", "/lodash", "GET, HEAD, PUT, OPTIONS"},
		{http.MethodTrace, "/lodash", "GET, HEAD, PUT, OPTIONS"},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			r := w.do(tt.method, tt.path, `{"name":"lodash"}`)
			r.wantError(t, 405)
			if r.Header.Get("Allow") != tt.allow {
				t.Errorf("Allow %q, want %q", r.Header.Get("Allow"), tt.allow)
			}
		})
	}
}

// TestRefusedUploadGetsItsAnswer sends all of a body that is refused before it
// listens, as npm does: it must be able to, and then see the 405 and not a
// reset connection.
func TestRefusedUploadGetsItsAnswer(t *testing.T) {
	w := newWorld(t)
	conn, err := net.Dial("tcp", w.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	body := make([]byte, 32<<20)
	for range 2 { // the connection stays good
		fmt.Fprintf(conn, "DELETE /lodash HTTP/1.1\r\nHost: larder\r\nContent-Length: %d\r\n\r\n", len(body))
		if n, err := conn.Write(body); err != nil {
			t.Fatalf("after %d bytes: %v", n, err)
		}
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("status %d, error %v", res.StatusCode, err)
		}
	}
}

// bodyDeadlines is a connection that keeps the deadlines set on it.
type bodyDeadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *bodyDeadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// TestBodiesHaveADeadline: a client that never sends the end of a body must
// not hold a connection for ever, and one that does gets no deadline on what
// it is sent.
func TestBodiesHaveADeadline(t *testing.T) {
	w := newWorld(t)
	w.up.serve(bulkAuditPath, `{}`)
	tests := []struct{ name, method, path, body string }{
		{"read", http.MethodPost, bulkAuditPath, `{"lodash":["1.0.0"]}`},
		{"refused", http.MethodPut, "/lodash", `{}`},
		{"not expected", http.MethodGet, "/-/ping", `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn := &bodyDeadlines{ResponseRecorder: httptest.NewRecorder()}
			w.proxy.Handler().ServeHTTP(conn, httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body)))
			if len(conn.set) < 2 || conn.set[0].IsZero() || !conn.set[len(conn.set)-1].IsZero() {
				t.Errorf("deadlines %v, want one and then none", conn.set)
			}
		})
	}
}

// TestSmallBodiesCannotTrickle: the deadline of a small body does not move with
// each byte of it.
func TestSmallBodiesCannotTrickle(t *testing.T) {
	w, alice := published(t, func(c *Config) {
		c.Auth = newAuth(t, auth.Config{Rules: []auth.Rule{{Match: "**", Read: []string{"anyone"}, Publish: []string{"alice"}}}})
	})
	bob := w.user("bob")
	tests := []struct{ name, who, method, path, body string }{
		{"login", "", http.MethodPut, "/-/user/org.couchdb.user:alice", `{"name":"alice","password":"wrong"}`},
		{"tag", alice, http.MethodPut, "/-/package/@acme%2flib/dist-tags/next", `"1.0.0"`},
		{"star of somebody who may not publish", bob, http.MethodPut, "/@acme%2flib", `{"_id":"@acme/lib","users":{"bob":true}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn := &bodyDeadlines{ResponseRecorder: httptest.NewRecorder()}
			r := httptest.NewRequest(tt.method, tt.path, iotest.OneByteReader(strings.NewReader(tt.body)))
			r.Header.Set("Authorization", tt.who)
			r.ContentLength = int64(len(tt.body))
			w.proxy.Handler().ServeHTTP(conn, r)
			if n := len(conn.set); n < 2 || n > 4 || conn.set[0].IsZero() || !conn.set[n-1].IsZero() { // an error drains
				t.Errorf("deadlines %v, want one and then none", conn.set)
			}
		})
	}
}

func TestPreflight(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/lodash", "/-/ping", "/-/v1/search", "/@s%2fn", "/lodash/-/lodash-1.0.0.tgz"} {
		r := w.do(http.MethodOptions, path, "", "Origin", "https://site.example", "Access-Control-Request-Method", "GET").want(t, 204)
		r.wantHeader(t, "Access-Control-Allow-Origin", "*")
		r.wantHeader(t, "Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	}
}

func TestWhoami(t *testing.T) {
	r := newWorld(t).get("/-/whoami")
	r.wantError(t, 401)
	r.wantHeader(t, "WWW-Authenticate", `Bearer, Basic realm="larder"`)
}

func TestLoop(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "1.0.0", []byte("x"))
	w.get("/lodash", "Via", "1.1 somebody-else").want(t, 200)
	w.get("/lodash", "Via", "1.1 somebody-else, 1.1 larder-test").wantError(t, 508)
}

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "1.0.0", []byte("x"))
	w.get("/lodash").want(t, 200)
	w.get("/lodash").want(t, 200)
	r := w.get("/-/metrics").want(t, 200)
	r.wantHeader(t, "Cache-Control", "no-store")
	for _, want := range []string{
		`larder_request_cache_results_total{result="hit",route="packument"} 1`,
		`larder_request_cache_results_total{result="miss",route="packument"} 1`,
		`larder_requests_total{class="2xx",route="packument"} 2`,
	} {
		if !strings.Contains(string(r.body), want) {
			t.Errorf("no line %s", want)
		}
	}
}

func TestHealth(t *testing.T) {
	broken := errors.New("the disk is gone")
	var diskErr error
	w := newWorld(t, func(c *Config) {
		c.Checks = []Check{{"data directory", func(context.Context) error { return diskErr }}}
	})
	ready := func(status int) (h health) {
		t.Helper()
		if err := json.Unmarshal(w.get("/-/health/ready").want(t, status).body, &h); err != nil {
			t.Fatal(err)
		}
		return h
	}
	want := health{"ok", []checkResult{{"upstream npm", true, ""}, {"data directory", true, ""}, {"accepting", true, ""}}}
	if d := cmp.Diff(want, ready(200)); d != "" {
		t.Error(d)
	}
	diskErr = broken
	if h := ready(200); h.Status != "degraded" || h.Checks[1] != (checkResult{"data directory", false, "the disk is gone"}) {
		t.Errorf("with a broken disk: %+v", h)
	}
	diskErr = nil
	w.proxy.Drain()
	if h := ready(503); h.Status != "unready" || h.Checks[2].OK {
		t.Errorf("while draining: %+v", h)
	}
	w.get("/-/health/live").want(t, 200)
	w.get("/").want(t, 200)
}

func TestUpstreamDownIsDegradedButReady(t *testing.T) {
	w := newWorld(t)
	w.up.Close()
	for i := range 20 { // until the breaker opens
		w.get("/package-" + string(rune('a'+i)))
	}
	var h health
	if err := json.Unmarshal(w.get("/-/health/ready").want(t, 200).body, &h); err != nil {
		t.Fatal(err)
	}
	if h.Status != "degraded" || h.Checks[0].OK || h.Checks[0].Reason == "" {
		t.Errorf("%+v, want a degraded upstream with a reason", h)
	}
}
