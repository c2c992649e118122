package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"larder/auth"
	"larder/cache"
)

// serveOnce runs one request through a server whose handler of /-/ping is h,
// and returns the response, the access line, and what the handler panicked
// with.
func serveOnce(t *testing.T, r *http.Request, h handler) (w *httptest.ResponseRecorder, line map[string]any, panicked any) {
	t.Helper()
	var log bytes.Buffer
	store := cache.NewMem()
	s, err := New(Config{
		Hosted:         newHosted(t),
		Auth:           newAuth(t, auth.Config{}),
		Blobs:          cache.NewBlobs(cache.BlobsConfig{Store: store}),
		Documents:      cache.NewDocuments(cache.DocumentsConfig{Store: store}),
		TrustedProxies: trustedNet(),
		Log:            slog.New(slog.NewJSONHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if h != nil {
		s.fixed["/-/ping"] = map[string]fixedRoute{r.Method: {"ping", h}}
		s.router = s.newRouter()
	}
	w = httptest.NewRecorder()
	func() {
		defer func() { panicked = recover() }()
		s.Handler().ServeHTTP(w, r)
	}()
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, log.Bytes())
	}
	return w, line, panicked
}

func TestAccessLine(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "1.0.0", []byte("x"))
	body := w.get("/lodash?token=secret", "User-Agent", "npm/11").want(t, 200).body
	w.get("/lodash", "User-Agent", "npm/11").want(t, 200)
	w.Server.Close() // waits for the lines
	var first, second map[string]any
	dec := json.NewDecoder(strings.NewReader(w.log.String()))
	if err := errors.Join(dec.Decode(&first), dec.Decode(&second)); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"msg": "request", "level": "INFO", "client": "127.0.0.1", "method": "GET", "path": "/lodash", "route": "packument",
		"package": "lodash", "status": 200.0, "bytes": float64(len(body)), "cache": "miss", "user_agent": "npm/11",
	} {
		if first[key] != want {
			t.Errorf("%s is %v, want %v", key, first[key], want)
		}
	}
	if first["upstream_ms"] == nil || first["duration_ms"] == nil || first["id"] == nil {
		t.Errorf("a miss without upstream, duration or id: %v", first)
	}
	if second["cache"] != "hit" || second["upstream"] != nil {
		t.Errorf("a hit waits for no upstream: %v", second)
	}
	if strings.Contains(w.log.String(), "secret") {
		t.Error("the query is in the log")
	}
}

func TestScrub(t *testing.T) {
	for path, want := range map[string]string{
		"/-/user/token/npm_abc":              "/-/user/token/***",
		"/npm/-/user/token/npm_abc":          "/npm/-/user/token/***",
		"/-/npm/v1/tokens/token/npm_abc":     "/-/npm/v1/tokens/token/***",
		"/-/user/toke%6e/npm_abc":            "/-/user/token/***",
		"/-/user/token%2fnpm_abc":            "/-/user/token/***",
		"/%2d/npm/v1/tokens/token/npm_abc":   "/-/npm/v1/tokens/token/***",
		"/-/user/token/npm_abc%":             "/-/user/token/***",
		"/-/npm/v1/tokens":                   "/-/npm/v1/tokens",
		"/@types%2fnode":                     "/@types%2fnode",
		"/" + strings.Repeat("a", maxLogged): "/" + strings.Repeat("a", maxLogged-1) + "…",
	} {
		if got := scrub(path); got != want {
			t.Errorf("scrub(%.60q) = %.60q, want %.60q", path, got, want)
		}
	}
}

// TestTokensStayOutOfTheLog asks with a token whose slashes make its path a
// malformed one, so that the line has an error as well.
func TestTokensStayOutOfTheLog(t *testing.T) {
	w, line, _ := serveOnce(t, httptest.NewRequest(http.MethodDelete, "/-/user/token/c2Vjc//mV0", nil), nil)
	if logged := fmt.Sprint(line); w.Code != 400 || strings.Contains(logged, "c2Vjc") || strings.Contains(logged, "mV0") {
		t.Errorf("status %d, log %s", w.Code, logged)
	}
}

func TestRequestID(t *testing.T) {
	tests := []struct {
		name, peer, sent string
		kept             bool
	}{
		{"from a trusted proxy", "10.0.0.1:5000", "abc-123", true},
		{"from anybody", "192.0.2.1:5000", "abc-123", false},
		{"malformed", "10.0.0.1:5000", "abc\"123", false},
		{"too long", "10.0.0.1:5000", strings.Repeat("a", maxRequestID+1), false},
		{"none", "10.0.0.1:5000", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/-/ping", nil)
			r.RemoteAddr = tt.peer
			r.Header.Set("X-Request-Id", tt.sent)
			w, line, _ := serveOnce(t, r, nil)
			id := w.Header().Get("X-Request-Id")
			if (id == tt.sent) != tt.kept || id == "" || line["id"] != id {
				t.Errorf("id %q, in the log %v; sent %q", id, line["id"], tt.sent)
			}
		})
	}
}

func TestPanicIsA500(t *testing.T) {
	w, line, panicked := serveOnce(t, httptest.NewRequest(http.MethodGet, "/-/ping", nil), func(*exchange, *http.Request) error {
		panic("secret detail")
	})
	if panicked != nil || w.Code != 500 || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("panicked with %v, status %d, body %s", panicked, w.Code, w.Body)
	}
	if !strings.Contains(w.Body.String(), w.Header().Get("X-Request-Id")) {
		t.Errorf("body %s lacks the request id", w.Body)
	}
	stack, _ := line["stack"].(string)
	if line["level"] != "ERROR" || line["error"] != "panic: secret detail" || !strings.Contains(stack, "TestPanicIsA500") {
		t.Errorf("log %v lacks what is needed to find the cause", line)
	}
}

func TestPanicAfterTheHeaderBreaksTheConnection(t *testing.T) {
	_, line, panicked := serveOnce(t, httptest.NewRequest(http.MethodGet, "/-/ping", nil), func(x *exchange, _ *http.Request) error {
		x.WriteHeader(http.StatusOK)
		panic("late")
	})
	if panicked != http.ErrAbortHandler || line["error"] != "panic: late" || line["level"] != "ERROR" {
		t.Errorf("panicked with %v, log %v", panicked, line)
	}
}

func TestAbortPasses(t *testing.T) {
	_, line, panicked := serveOnce(t, httptest.NewRequest(http.MethodGet, "/-/ping", nil), func(x *exchange, _ *http.Request) error {
		x.WriteHeader(http.StatusOK)
		x.abort(errors.New("upstream broke off"))
		return nil
	})
	if panicked != http.ErrAbortHandler || line["error"] != "upstream broke off" || line["stack"] != nil {
		t.Errorf("panicked with %v, log %v", panicked, line)
	}
}

func TestCanceledIs499InTheLog(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequest(http.MethodGet, "/-/ping", nil).WithContext(ctx)
	_, line, _ := serveOnce(t, r, func(_ *exchange, r *http.Request) error {
		cancel()
		return r.Context().Err()
	})
	if line["status"] != 499.0 || line["level"] != "INFO" {
		t.Errorf("log %v, want status 499", line)
	}
}
