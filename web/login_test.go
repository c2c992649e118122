package web

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"larder/auth"
	"larder/npm"
)

// token ends a login as npm does, by polling.
func (f *fixture) token(login auth.Login) string {
	f.t.Helper()
	secret, pending, err := f.auth.PollLogin(f.t.Context(), login.Poll)
	if err != nil || pending {
		f.t.Fatalf("the login is pending: %v, error %v", pending, err)
	}
	return secret
}

func (f *fixture) wantPending(login auth.Login) {
	f.t.Helper()
	if _, pending, err := f.auth.PollLogin(f.t.Context(), login.Poll); err != nil || !pending {
		f.t.Errorf("the login is pending: %v, error %v; want it to wait", pending, err)
	}
}

func (f *fixture) wantUser(secret, user string) {
	f.t.Helper()
	c := f.auth.Caller(f.t.Context(), "Bearer "+secret, netip.MustParseAddr(asker))
	if c.User != user || c.Fault != nil {
		f.t.Errorf("the token is of %q (fault %v), want %q", c.User, c.Fault, user)
	}
}

func TestLoginPage(t *testing.T) {
	f := newFixture(t)
	login := f.begin("npm/11.19.1 node/v24.1.0 linux x64")
	f.now = f.now.Add(42 * time.Second)
	w := f.get(loginPath + login.ID)
	want(t, w, http.StatusOK,
		`<html lang="en">`, "<title>Sign in", "npm/11.19.1 node/v24.1.0 linux x64", asker, "42 seconds ago", browser,
		"Only go on if you have just run <code>npm&nbsp;login</code> yourself",
		`<label for="user">`, `autocomplete="username"`, `<label for="password">`, `autocomplete="current-password"`,
		`<a href="?create">`)
	wantNot(t, w, `name="email"`, `name="create"`, login.Poll)
}

func TestLoginPageOfAClosedServer(t *testing.T) {
	f := newFixture(t, closed)
	w := f.get(loginPath + f.begin("npm/11").ID + "?create")
	want(t, w, http.StatusOK, "<title>Sign in")
	wantNot(t, w, `name="email"`, `name="create"`, "?create")
}

func TestCreatePage(t *testing.T) {
	f := newFixture(t)
	want(t, f.get(loginPath+f.begin("npm/11").ID+"?create"), http.StatusOK,
		"<title>Create an account", `<input type="hidden" name="create"`, `<label for="email">`, `autocomplete="email"`,
		`autocomplete="new-password"`, `<a href="?">`)
}

// TestPageQuotesClients has a client that calls itself something which the
// page must not take for a part of itself.
func TestPageQuotesClients(t *testing.T) {
	f := newFixture(t)
	w := f.get(loginPath + f.begin("<script>alert(1)</script>\u202e"+"\x1b\xff").ID)
	want(t, w, http.StatusOK, "&lt;script&gt;alert(1)&lt;/script&gt;?")
	wantNot(t, w, "<script>", "\u202e", "\x1b")
}

func TestSignIn(t *testing.T) {
	f := newFixture(t)
	login := f.begin("npm/11")
	page := loginPath + login.ID
	f.wantPending(login)
	want(t, f.post(page, "user", "alice", "password", password), http.StatusOK, "You are signed in", "<strong>alice</strong>", "go back to the terminal")
	f.wantUser(f.token(login), "alice")
	want(t, f.post(page, "user", "alice", "password", password), http.StatusNotFound, "run npm login again")
	want(t, f.get(page), http.StatusNotFound, "run npm login again")
}

func TestCreateAccount(t *testing.T) {
	f := newFixture(t)
	login := f.begin("npm/11")
	w := f.post(loginPath+login.ID+"?create", "create", "1", "user", "bob", "password", password, "email", "bob@example.com")
	want(t, w, http.StatusOK, "The account <strong>bob</strong> was made")
	f.wantUser(f.token(login), "bob")
	if p, err := f.auth.Profile(t.Context(), "bob"); err != nil || p.Email != "bob@example.com" {
		t.Errorf("bob's profile is %+v, error %v", p, err)
	}
}

func TestLoginRunsOut(t *testing.T) {
	f := newFixture(t)
	login := f.begin("npm/11")
	f.now = f.now.Add(time.Hour)
	want(t, f.get(loginPath+login.ID), http.StatusNotFound, "has run out")
	want(t, f.post(loginPath+login.ID, "user", "alice", "password", password), http.StatusNotFound, "has run out")
}

// TestRefusals holds that a form which is not good is answered with its
// reason, never with the password, and that the login goes on waiting.
func TestRefusals(t *testing.T) {
	good := form("user", "alice", "password", password)
	tests := []struct {
		name   string
		body   string
		header []string
		opts   []func(*auth.Config)
		status int
		form   bool // the form is shown again
	}{
		{name: "wrong password", body: form("user", "alice", "password", "hunter2hunter2"), status: http.StatusUnauthorized, form: true},
		{name: "unknown user", body: form("user", "mallory", "password", "hunter2hunter2"), status: http.StatusUnauthorized, form: true},
		{name: "nothing filled in", body: "", status: http.StatusUnauthorized, form: true},
		{name: "credentials in the query", body: "", header: []string{"Query", good}, status: http.StatusUnauthorized, form: true},
		{name: "new account, closed", body: form("create", "1", "user", "bob", "password", password, "email", "b@example.com"),
			opts: []func(*auth.Config){closed}, status: http.StatusForbidden, form: true},
		{name: "new account, name taken", body: form("create", "1", "user", "alice", "password", "hunter2hunter2", "email", "a@example.com"),
			status: http.StatusConflict, form: true},
		{name: "new account, bad name", body: form("create", "1", "user", "../bob", "password", password, "email", "b@example.com"),
			status: http.StatusBadRequest, form: true},
		{name: "new account, short password", body: form("create", "1", "user", "bob", "password", "hunter2", "email", "b@example.com"),
			status: http.StatusBadRequest, form: true},
		{name: "form of another site", body: good, header: []string{"Sec-Fetch-Site", "cross-site"}, status: http.StatusForbidden},
		{name: "form of a sibling site", body: good, header: []string{"Sec-Fetch-Site", "same-site"}, status: http.StatusForbidden},
		{name: "another origin", body: good, header: []string{"Origin", "https://evil.example"}, status: http.StatusForbidden},
		{name: "hidden origin", body: good, header: []string{"Origin", "null"}, status: http.StatusForbidden},
		{name: "JSON", body: `{"user":"alice"}`, header: []string{"Content-Type", "application/json"}, status: http.StatusBadRequest},
		{name: "plain text", body: good, header: []string{"Content-Type", "text/plain"}, status: http.StatusBadRequest},
		{name: "bad escape", body: "user=%zz", status: http.StatusBadRequest},
		{name: "too large", body: form("user", "alice", "password", strings.Repeat("x", maxForm)), status: http.StatusRequestEntityTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, tt.opts...)
			login := f.begin("npm/11")
			target := loginPath + login.ID
			if len(tt.header) > 0 && tt.header[0] == "Query" {
				target, tt.header = target+"?"+tt.header[1], nil
			}
			w := f.do(http.MethodPost, target, tt.body, append([]string{"Content-Type", formType}, tt.header...)...)
			want(t, w, tt.status)
			if shown := strings.Contains(w.Body.String(), "<form"); shown != tt.form {
				t.Errorf("the form is shown: %v, want %v", shown, tt.form)
			}
			if tt.form {
				want(t, w, tt.status, `role="alert"`, `aria-describedby="problem"`)
			}
			wantNot(t, w, "hunter2", password)
			if got := w.Header().Get("WWW-Authenticate"); got != "" {
				t.Errorf("WWW-Authenticate %q would open the browser's own password window", got)
			}
			f.wantPending(login)
		})
	}
}

// TestOwnForms holds that the check for other sites' forms lets our own pass,
// however much the browser says of it.
func TestOwnForms(t *testing.T) {
	tests := []struct {
		name   string
		header []string
	}{
		{"same origin", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://example.com"}},
		{"sent again by the person", []string{"Sec-Fetch-Site", "none"}},
		{"old browser, or plain HTTP", []string{"Origin", "http://example.com"}},
		{"very old browser", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			login := f.begin("npm/11")
			w := f.do(http.MethodPost, "http://example.com"+loginPath+login.ID, form("user", "alice", "password", password),
				append([]string{"Content-Type", formType}, tt.header...)...)
			want(t, w, http.StatusOK, "You are signed in")
		})
	}
}

func TestFormKeepsWhatWasTyped(t *testing.T) {
	f := newFixture(t)
	w := f.post(loginPath+f.begin("npm/11").ID, "create", "1", "user", `"><b>bob`, "password", password, "email", "bob@example.com")
	want(t, w, http.StatusBadRequest, `value="&#34;&gt;&lt;b&gt;bob"`, `value="bob@example.com"`, `name="create"`)
}

func TestTooManyFailures(t *testing.T) {
	f := newFixture(t)
	page := loginPath + f.begin("npm/11").ID
	for range 1000 {
		w := f.post(page, "user", "alice", "password", "hunter2hunter2")
		if w.Code == http.StatusUnauthorized {
			continue
		}
		want(t, w, http.StatusTooManyRequests, `role="alert"`, "<form")
		if w.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		return
	}
	t.Error("a thousand wrong passwords were let through")
}

// TestBrokenDisk holds that what is wrong inside is told to the log alone.
func TestBrokenDisk(t *testing.T) {
	f := newFixture(t)
	s := f.handler.(*site)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	status, sentence := s.refuse(httptest.NewRecorder(), r, &npm.Error{Kind: npm.Internal, Msg: "open /secret/path"})
	if status != http.StatusInternalServerError || strings.Contains(sentence, "/secret/path") {
		t.Errorf("status %d, sentence %q", status, sentence)
	}
	if !strings.Contains(f.log.String(), "/secret/path") {
		t.Errorf("the log does not say what is wrong: %q", f.log.String())
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:      "just now",
		time.Second:       "just now",
		2 * time.Second:   "2 seconds ago",
		59 * time.Second:  "59 seconds ago",
		time.Minute:       "1 minute ago",
		119 * time.Second: "1 minute ago",
		9 * time.Minute:   "9 minutes ago",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%v) = %q, want %q", d, got, want)
		}
	}
}
