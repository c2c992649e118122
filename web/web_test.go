package web

import (
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"larder/auth"
)

const (
	password = "correct horse battery staple"
	asker    = "192.0.2.7"     // where the tests' logins are begun
	browser  = "198.51.100.23" // where the tests' browser is
)

// fixture is the pages over real accounts: there is alice. Time stands still
// until a test moves it.
type fixture struct {
	t       testing.TB
	handler http.Handler
	auth    *auth.Auth
	now     time.Time
	log     strings.Builder
}

func newFixture(t testing.TB, opts ...func(*auth.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	clock := func() time.Time { return f.now }
	cfg := auth.Config{Dir: t.TempDir(), Registration: true, Now: clock, BcryptCost: bcrypt.MinCost}
	for _, opt := range opts {
		opt(&cfg)
	}
	var err error
	if f.auth, err = auth.Open(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.auth.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := f.auth.AddUser(t.Context(), "alice", password, "alice@example.com"); err != nil {
		t.Fatal(err)
	}
	if f.handler, err = New(Config{Auth: f.auth, Log: slog.New(slog.NewTextHandler(&f.log, nil)), Now: clock}); err != nil {
		t.Fatal(err)
	}
	return f
}

// begin begins a login, as npm does through the registry's endpoint.
func (f *fixture) begin(userAgent string) auth.Login {
	f.t.Helper()
	login, err := f.auth.BeginLogin(netip.MustParseAddr(asker), userAgent)
	if err != nil {
		f.t.Fatal(err)
	}
	return login
}

func closed(cfg *auth.Config) { cfg.Registration = false }

// do sends a request from the tests' browser; header is pairs of name and
// value.
func (f *fixture) do(method, target, body string, header ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RemoteAddr = browser + ":50000"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w
}

func (f *fixture) get(target string) *httptest.ResponseRecorder {
	f.t.Helper()
	return f.do(http.MethodGet, target, "")
}

const formType = "application/x-www-form-urlencoded"

// post submits a form, given as pairs of name and value.
func (f *fixture) post(target string, fields ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	return f.do(http.MethodPost, target, form(fields...), "Content-Type", formType)
}

func form(fields ...string) string {
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return values.Encode()
}

// want checks an answer's status and that its page has all texts.
func want(t testing.TB, w *httptest.ResponseRecorder, status int, texts ...string) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d; page:\n%s", w.Code, status, w.Body)
	}
	for _, text := range texts {
		if !strings.Contains(w.Body.String(), text) {
			t.Errorf("the page lacks %q:\n%s", text, w.Body)
		}
	}
}

func wantNot(t testing.TB, w *httptest.ResponseRecorder, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(w.Body.String(), text) {
			t.Errorf("the page has %q:\n%s", text, w.Body)
		}
	}
}

func TestNewWantsAccounts(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("New made pages without accounts")
	}
}

func TestRoutes(t *testing.T) {
	f := newFixture(t)
	page := loginPath + f.begin("npm/11").ID
	tests := []struct {
		name, method, target string
		status               int
		allow                string
	}{
		{"page", http.MethodGet, page, http.StatusOK, ""},
		{"head", http.MethodHead, page, http.StatusOK, ""},
		{"another method", http.MethodDelete, page, http.StatusMethodNotAllowed, "GET, HEAD, POST"},
		{"no id", http.MethodGet, "/-/web/login/", http.StatusNotFound, ""},
		{"no slash", http.MethodGet, "/-/web/login", http.StatusNotFound, ""},
		{"below the page", http.MethodGet, page + "/more", http.StatusNotFound, ""},
		{"unknown id", http.MethodGet, loginPath + "unknown", http.StatusNotFound, ""},
		{"post to an unknown id", http.MethodPost, loginPath + "unknown", http.StatusNotFound, ""},
		{"index", http.MethodGet, "/-/web/", http.StatusNotFound, ""},
		{"elsewhere", http.MethodGet, "/lodash", http.StatusNotFound, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := f.do(tt.method, tt.target, "")
			if w.Code != tt.status || w.Header().Get("Allow") != tt.allow {
				t.Errorf("status %d, Allow %q; want %d, %q", w.Code, w.Header().Get("Allow"), tt.status, tt.allow)
			}
			if got := w.Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
				t.Errorf("Content-Type %q", got)
			}
			if empty := w.Body.Len() == 0; empty != (tt.method == http.MethodHead) {
				t.Errorf("a body of %d bytes for %s", w.Body.Len(), tt.method)
			}
		})
	}
}

// TestHeaders holds what keeps a page from being kept, framed, or made to load
// anything, on a good answer as on a bad one.
func TestHeaders(t *testing.T) {
	f := newFixture(t)
	for _, target := range []string{loginPath + f.begin("npm/11").ID, loginPath + "unknown", "/-/web/"} {
		w := f.get(target)
		_, style, _ := strings.Cut(w.Body.String(), "<style>")
		style, _, _ = strings.Cut(style, "</style>")
		sum := sha256.Sum256([]byte(style))
		for name, want := range map[string]string{
			"Cache-Control": "no-store",
			"Content-Security-Policy": "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
				"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"Referrer-Policy":             "same-origin",
			"X-Content-Type-Options":      "nosniff",
			"X-Frame-Options":             "DENY",
			"Access-Control-Allow-Origin": "",
			"Set-Cookie":                  "",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", target, name, got, want)
			}
		}
		wantNot(t, w, "<script", "://", "style=", `href="/`, `action=`)
	}
}

func TestAsSentence(t *testing.T) {
	for msg, want := range map[string]string{
		"":                      "",
		"bad password":          "Bad password.",
		"Try again!":            "Try again!",
		"Über uns":              "Über uns.",
		"that is so. Try again": "That is so. Try again.",
	} {
		if got := asSentence(msg); got != want {
			t.Errorf("asSentence(%q) = %q, want %q", msg, got, want)
		}
	}
}

func TestClient(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:80":          "192.0.2.1",
		"192.0.2.1":             "192.0.2.1",
		"[2001:db8::1]:80":      "2001:db8::1",
		"2001:db8::1":           "2001:db8::1",
		"[::ffff:192.0.2.1]:80": "192.0.2.1",
		"":                      "invalid IP",
		"@":                     "invalid IP",
	} {
		if got := client(&http.Request{RemoteAddr: remote}).String(); got != want {
			t.Errorf("client of %q is %q, want %q", remote, got, want)
		}
	}
}
