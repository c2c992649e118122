package proxy

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const loginEndpoint = "/-/v1/login"

// urls is what the beginning of a web login is answered with.
type urls struct{ LoginURL, DoneURL string }

// path returns the path of one of them, and checks that it is absolute.
func (a *accountsWorld) path(rawURL string) string {
	a.t.Helper()
	path, ok := strings.CutPrefix(rawURL, a.URL)
	if !ok {
		a.t.Fatalf("URL %q, want one below %s", rawURL, a.URL)
	}
	return path
}

func TestWebLogin(t *testing.T) {
	tests := []struct {
		name, body string
		header     []string
		create     bool
	}{
		{"npm login", "{}", []string{"npm-auth-type", "web", "User-Agent", "npm/11.19.1 node/v20.20.2"}, false},
		{"npm adduser", `{"create":true}`, []string{"npm-auth-type", "web", "User-Agent", "npm/11.19.1 node/v20.20.2"}, true},
		{"yarn 4", "", []string{"npm-auth-type", "web", "User-Agent", "got"}, false},
		{"somebody else", "{}", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAccounts(t)
			begun := wantAnswer[urls](t, a.do(http.MethodPost, loginEndpoint, tt.body, tt.header...), http.StatusOK)
			page, done := a.path(begun.LoginURL), a.path(begun.DoneURL)
			if create := strings.HasSuffix(page, "?create"); create != tt.create {
				t.Errorf("login URL %s: creates: %v, want %v", page, create, tt.create)
			}
			r := a.get(done)
			wantAnswer[map[string]any](t, r, http.StatusAccepted)
			r.wantHeader(t, "Retry-After", "1")
			a.do(http.MethodHead, done, "").want(t, http.StatusMethodNotAllowed)

			form := url.Values{"user": {"alice"}, "password": {alicePassword}}.Encode()
			a.get(page).want(t, http.StatusOK)
			a.do(http.MethodPost, page, form, "Content-Type", "application/x-www-form-urlencoded").want(t, http.StatusOK)
			a.do(http.MethodHead, done, "").want(t, http.StatusMethodNotAllowed) // and takes nothing
			answer := wantAnswer[struct{ Token string }](t, a.get(done), http.StatusOK)
			a.wantWhoami(answer.Token, "alice")
			a.get(done).wantError(t, http.StatusNotFound)
			for _, secret := range []string{answer.Token, strings.TrimPrefix(done, "/-/v1/done/"), strings.TrimPrefix(page, "/-/web/login/")} {
				if strings.Contains(a.log.String(), secret) {
					t.Errorf("the secret %s stands in the log", secret)
				}
			}
		})
	}
}

// TestWebLoginOnThePublicURL holds that the URLs are those of the server's own
// name, with its prefix.
func TestWebLoginOnThePublicURL(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.PublicURL = "https://npm.example.com/npm/"
		c.Web = http.NotFoundHandler()
	})
	begun := wantAnswer[urls](t, w.do(http.MethodPost, "/npm"+loginEndpoint, "{}"), http.StatusOK)
	if !strings.HasPrefix(begun.LoginURL, "https://npm.example.com/npm/-/web/login/") ||
		!strings.HasPrefix(begun.DoneURL, "https://npm.example.com/npm/-/v1/done/") {
		t.Errorf("URLs %+v", begun)
	}
}

// TestNoWebLogin holds that clients fall back to asking on the terminal, which
// they do on 4xx: where there is no page, and where they mean to.
func TestNoWebLogin(t *testing.T) {
	newWorld(t).do(http.MethodPost, loginEndpoint, "{}", "npm-auth-type", "web").wantError(t, http.StatusNotFound)
	for _, header := range [][]string{
		{"User-Agent", "npm/6.14.18 node/v20.20.2 linux x64"},
		{"User-Agent", "npm/8.19.4 node/v20.20.2 linux x64 workspaces/false", "npm-auth-type", "legacy"},
	} {
		newAccounts(t).do(http.MethodPost, loginEndpoint, `{"hostname":"laptop"}`, header...).wantError(t, http.StatusNotFound)
	}
}

// TestWebLoginOfWebPages holds that a page on another site cannot begin a login
// from the address of whoever looks at it.
func TestWebLoginOfWebPages(t *testing.T) {
	a := newAccounts(t)
	for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-origin"}} {
		r := a.do(http.MethodPost, loginEndpoint, "", append(header, "Content-Type", "text/plain")...)
		r.wantError(t, http.StatusForbidden)
		r.wantHeader(t, "Access-Control-Allow-Origin", "")
	}
}

func TestPollOfAnUnknownLogin(t *testing.T) {
	newAccounts(t).get("/-/v1/done/unknown").wantError(t, http.StatusNotFound)
}

// TestTooManyWebLogins holds that logins which nobody ends are bounded, and
// that npm then falls back.
func TestTooManyWebLogins(t *testing.T) {
	a := newAccounts(t)
	for range 100_000 {
		r := a.do(http.MethodPost, loginEndpoint, "{}")
		if r.StatusCode == http.StatusOK {
			continue
		}
		r.wantError(t, http.StatusTooManyRequests)
		return
	}
	t.Error("a hundred thousand logins were begun")
}
