package proxy

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/auth"
	"larder/web"
)

const (
	alicePassword = "correct horse battery staple"
	bobPassword   = "incorrect cow capacitor tack"
)

// accountsWorld is a server with real accounts: alice, an administrator, and
// bob.
type accountsWorld struct {
	*world
	auth    *auth.Auth
	journal string // its path
}

func newAccounts(t testing.TB, opts ...func(*auth.Config)) *accountsWorld {
	t.Helper()
	a := &accountsWorld{journal: filepath.Join(t.TempDir(), "audit.log")}
	cfg := auth.Config{
		Dir: t.TempDir(), Registration: true, BcryptCost: 4, // bcrypt's least
		Groups: map[string][]string{"admins": {"alice"}},
	}
	for _, opt := range opts {
		opt(&cfg)
	}
	journal, err := auth.OpenJournal(auth.JournalConfig{Path: a.journal, MaxSize: 1 << 20, Keep: 1})
	if err != nil {
		t.Fatal(err)
	}
	if a.auth, err = auth.Open(cfg); err != nil {
		t.Fatal(err)
	}
	for user, password := range map[string]string{"alice": alicePassword, "bob": bobPassword} {
		if err := a.auth.AddUser(t.Context(), user, password, user+"@example.com"); err != nil {
			t.Fatal(err)
		}
	}
	pages, err := web.New(web.Config{Auth: a.auth})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(a.auth.Close(), journal.Close()); err != nil {
			t.Error(err)
		}
	})
	a.world = newWorld(t, func(c *Config) { c.Auth, c.Journal, c.Web = a.auth, journal, pages })
	return a
}

func registrationClosed(c *auth.Config) { c.Registration = false }

// token makes a token of alice's, or as change says.
func (a *accountsWorld) token(change ...func(*auth.TokenRequest)) string {
	a.t.Helper()
	r := auth.TokenRequest{Name: "test", User: "alice"}
	for _, c := range change {
		c(&r)
	}
	secret, _, err := a.auth.CreateToken(a.t.Context(), r)
	if err != nil {
		a.t.Fatal(err)
	}
	return secret
}

func ofBob(r *auth.TokenRequest)     { r.User = "bob" }
func readOnly(r *auth.TokenRequest)  { r.ReadOnly = true }
func ofService(r *auth.TokenRequest) { r.User, r.Service = "", "ci" }

// as sends a request with a token, none for "".
func (a *accountsWorld) as(token, method, path, body string, header ...string) response {
	a.t.Helper()
	if token != "" {
		header = append(header, "Authorization", "Bearer "+token)
	}
	return a.do(method, path, body, header...)
}

// wantAnswer checks a status and that nobody may keep or read the answer, and
// decodes it.
func wantAnswer[T any](t testing.TB, r response, status int) (answer T) {
	t.Helper()
	r.want(t, status)
	r.wantHeader(t, "Cache-Control", "no-store")
	r.wantHeader(t, "Content-Type", "application/json")
	r.wantHeader(t, "Access-Control-Allow-Origin", "")
	r.wantHeader(t, "ETag", "")
	if err := json.Unmarshal(r.body, &answer); err != nil {
		t.Fatalf("body %s: %v", r.body, err)
	}
	return answer
}

// wantWhoami checks whom the server takes a token's bearer for, "" for nobody.
func (a *accountsWorld) wantWhoami(token, user string) {
	a.t.Helper()
	r := a.as(token, http.MethodGet, "/-/whoami", "")
	if user == "" {
		r.wantError(a.t, http.StatusUnauthorized)
		return
	}
	if got := wantAnswer[map[string]string](a.t, r, http.StatusOK); got["username"] != user {
		a.t.Errorf("whoami: %v, want %s", got, user)
	}
}

// events returns the journal's events, each as ACTOR ACTION SUBJECT RESULT.
func (a *accountsWorld) events() []string {
	a.t.Helper()
	f, err := os.Open(a.journal)
	if err != nil {
		a.t.Fatal(err)
	}
	defer f.Close()
	var events []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e auth.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			a.t.Fatal(err)
		}
		if e.Time.IsZero() || e.Client == "" || e.RequestID == "" || (e.Result == resultOK) != (e.Reason == "") {
			a.t.Errorf("event %s", lines.Bytes())
		}
		events = append(events, strings.Join([]string{e.Actor, e.Action, e.Subject, e.Result}, " "))
	}
	return events
}

// wantOneRefusal checks that do, which is refused, leaves one event.
func (a *accountsWorld) wantOneRefusal(do func()) {
	a.t.Helper()
	before := len(a.events())
	do()
	if got := a.events()[before:]; len(got) != 1 || !strings.HasSuffix(got[0], " "+resultRefused) {
		a.t.Errorf("journal %q, want one refusal", got)
	}
}

func (a *accountsWorld) wantEvents(want ...string) {
	a.t.Helper()
	if diff := cmp.Diff(want, a.events()); diff != "" {
		a.t.Errorf("journal (-want +got):\n%s", diff)
	}
}

// TestFloodOfRefusalsIsCut: nobody needs an account to be refused, and what was
// done before must not be rotated away by it, nor other refusals be hidden.
func TestFloodOfRefusalsIsCut(t *testing.T) {
	a := newAccounts(t)
	before := len(a.events())
	for range refusalBurst + 50 {
		a.do(http.MethodPut, "/lodash/latest", `"1.0.0"`).want(t, 401)
	}
	if n := len(a.events()) - before; n < refusalBurst || n > refusalBurst+10 { // some seconds may have passed
		t.Errorf("%d events, want %d", n, refusalBurst)
	}
	a.wantOneRefusal(func() { a.do(http.MethodPut, userPath("alice"), userBody(t, "alice", "wrong", "")).want(t, 401) })
	a.wantOneRefusal(func() { a.as(a.token(readOnly), http.MethodPut, "/lodash/latest", `"1.0.0"`).want(t, 403) })
}

// userBody is what npm, yarn 1 and pnpm send to log in.
func userBody(t testing.TB, name, password, email string) string {
	t.Helper()
	user := map[string]any{
		"_id": "org.couchdb.user:" + name, "name": name, "password": password,
		"type": "user", "roles": []string{}, "date": "2026-03-04T05:06:07.890Z",
	}
	if email != "" {
		user["email"] = email
	}
	body, err := json.Marshal(user)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func userPath(name string) string { return "/-/user/org.couchdb.user:" + name }

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// loginAnswer is what a login is answered with.
type loginAnswer struct {
	OK             bool
	ID, Rev, Token string
}

func TestLogin(t *testing.T) {
	a := newAccounts(t)
	tests := []struct {
		name, path string
		header     []string
	}{
		{"npm", userPath("alice"), nil},
		{"again", userPath("alice"), nil},
		{"yarn 1, with Basic", userPath("alice"), []string{"Authorization", basic("alice", alicePassword)}},
		{"after a conflict", userPath("alice") + "/-rev/1-0", []string{"Authorization", basic("alice", alicePassword)}},
		{"with an old token", userPath("alice"), []string{"Authorization", "Bearer npm_gone"}},
		{"escaped", "/-/user/org.couchdb.user%3A%61lice", nil},
	}
	var tokens []string
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := a.do(http.MethodPut, tt.path, userBody(t, "alice", alicePassword, ""), tt.header...)
			got := wantAnswer[loginAnswer](t, r, http.StatusCreated)
			if !got.OK || got.ID != "org.couchdb.user:alice" || got.Rev == "" || got.Token == "" {
				t.Errorf("answer %s", r.body)
			}
			tokens = append(tokens, got.Token)
		})
	}
	for _, token := range tokens {
		a.wantWhoami(token, "alice")
	}
	list, err := a.auth.Tokens(t.Context(), "alice")
	if err != nil || len(list) != len(tests) {
		t.Fatalf("%d tokens, error %v, want %d", len(list), err, len(tests))
	}
	if got := list[0].Name; got != "npm login from 127.0.0.1" {
		t.Errorf("the token's name is %q", got)
	}
}

func TestRegister(t *testing.T) {
	a := newAccounts(t)
	r := a.do(http.MethodPut, userPath("carol"), userBody(t, "carol", "mind the gap please", "carol@example.com"))
	a.wantWhoami(wantAnswer[loginAnswer](t, r, http.StatusCreated).Token, "carol")
	if p, err := a.auth.Profile(t.Context(), "carol"); err != nil || p.Email != "carol@example.com" {
		t.Errorf("profile %+v, error %v", p, err)
	}
	a.wantEvents("carol user.register carol ok", "carol login carol ok")
}

// TestLoginRefused holds that no refusal makes a token, and that npm takes
// none for a request for a second factor.
func TestLoginRefused(t *testing.T) {
	tests := []struct {
		name, user, body string
		header           []string
		closed           bool
		status           int
	}{
		{name: "wrong password", user: "alice", body: userBody(t, "alice", bobPassword, ""), status: http.StatusUnauthorized},
		{name: "no body", user: "alice", status: http.StatusUnauthorized},
		{name: "password that is no string", user: "alice", body: `{"name":"alice","password":["` + alicePassword + `"]}`,
			status: http.StatusUnauthorized},
		{name: "right password in the header alone", user: "alice", body: userBody(t, "alice", bobPassword, ""),
			header: []string{"Authorization", basic("alice", alicePassword)}, status: http.StatusUnauthorized},
		{name: "unknown user, registration closed", user: "carol", closed: true, body: userBody(t, "carol", "mind the gap please", "c@example.com"),
			status: http.StatusUnauthorized},
		{name: "somebody else in the body", user: "alice", body: userBody(t, "bob", bobPassword, ""), status: http.StatusBadRequest},
		{name: "name that cannot be one", user: "car%2Fol", body: userBody(t, "car/ol", "mind the gap please", "c@example.com"), status: http.StatusForbidden},
		{name: "not JSON", user: "alice", body: "password", status: http.StatusBadRequest},
		{name: "not an object", user: "alice", body: "[]", status: http.StatusBadRequest},
		{name: "too large", user: "alice", body: userBody(t, "alice", strings.Repeat("x", 64<<10), ""), status: http.StatusRequestEntityTooLarge},
	}
	worlds := map[bool]*accountsWorld{false: newAccounts(t), true: newAccounts(t, registrationClosed)}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := worlds[tt.closed]
			var r response
			a.wantOneRefusal(func() { r = a.do(http.MethodPut, userPath(tt.user), tt.body, tt.header...) })
			msg := r.wantError(t, tt.status)
			r.wantHeader(t, "WWW-Authenticate", map[bool]string{true: passwordChallenge}[tt.status == http.StatusUnauthorized])
			r.wantHeader(t, "Access-Control-Allow-Origin", "")
			if strings.Contains(string(r.body), "one-time pass") || strings.Contains(msg, "horse") {
				t.Errorf("message %q", msg)
			}
			if list, err := a.auth.Tokens(t.Context(), ""); err != nil || len(list) != 0 {
				t.Errorf("tokens %v, error %v", list, err)
			}
			if log := a.log.String(); strings.Contains(log, "horse") || strings.Contains(log, "cow") {
				t.Error("a password stands in the log")
			}
		})
	}
}

func TestWhoamiOfEveryKind(t *testing.T) {
	a := newAccounts(t)
	a.wantWhoami("", "")
	a.wantWhoami("npm_nothing", "")
	a.wantWhoami(a.token(), "alice")
	a.wantWhoami(a.token(readOnly), "alice")
	a.wantWhoami(a.token(ofService), "service:ci")
	r := a.get("/-/whoami", "Authorization", basic("bob", bobPassword))
	if got := wantAnswer[map[string]string](t, r, http.StatusOK); got["username"] != "bob" {
		t.Errorf("whoami with a password: %v", got)
	}
}

func TestUser(t *testing.T) {
	a := newAccounts(t)
	a.get(userPath("bob")).wantError(t, http.StatusUnauthorized)
	a.get(userPath("nobody")+"?write=true").wantError(t, http.StatusUnauthorized)
	got := wantAnswer[map[string]any](t, a.as(a.token(), http.MethodGet, userPath("bob"), ""), http.StatusOK)
	want := map[string]any{"_id": "org.couchdb.user:bob", "name": "bob", "email": "bob@example.com", "type": "user", "roles": []any{}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	msg := a.as(a.token(), http.MethodGet, userPath("nobody"), "").wantError(t, http.StatusNotFound)
	if !strings.Contains(msg, "nobody") {
		t.Errorf("message %q", msg)
	}
}

func logoutPath(token string) string { return "/-/user/token/" + token }

func TestLogout(t *testing.T) {
	tests := []struct {
		name    string
		request func(a *accountsWorld, token string) response // token is alice's
		status  int
		revoked bool
	}{
		{"npm", func(a *accountsWorld, token string) response {
			return a.as(token, http.MethodDelete, logoutPath(token), "")
		}, http.StatusOK, true},
		{"twice", func(a *accountsWorld, token string) response {
			a.as(token, http.MethodDelete, logoutPath(token), "").want(a.t, http.StatusOK)
			return a.as(token, http.MethodDelete, logoutPath(token), "")
		}, http.StatusOK, true},
		{"by another one of the user's", func(a *accountsWorld, token string) response {
			return a.as(a.token(), http.MethodDelete, logoutPath(token), "")
		}, http.StatusOK, true},
		{"by password", func(a *accountsWorld, token string) response {
			return a.do(http.MethodDelete, logoutPath(token), "", "Authorization", basic("alice", alicePassword))
		}, http.StatusOK, true},
		{"unknown", func(a *accountsWorld, token string) response {
			return a.as(token, http.MethodDelete, logoutPath("npm_unknown"), "")
		}, http.StatusOK, false},
		{"unknown, and sent as credentials", func(a *accountsWorld, token string) response {
			return a.as("npm_unknown", http.MethodDelete, logoutPath("npm_unknown"), "")
		}, http.StatusOK, false},
		{"unknown, by nobody", func(a *accountsWorld, token string) response {
			return a.as("", http.MethodDelete, logoutPath("npm_unknown"), "")
		}, http.StatusUnauthorized, false},
		{"somebody else's", func(a *accountsWorld, token string) response {
			return a.as(a.token(ofBob), http.MethodDelete, logoutPath(token), "")
		}, http.StatusForbidden, false},
		{"somebody else's, by a service", func(a *accountsWorld, token string) response {
			return a.as(a.token(ofService), http.MethodDelete, logoutPath(token), "")
		}, http.StatusForbidden, false},
		{"by nobody", func(a *accountsWorld, token string) response {
			return a.as("", http.MethodDelete, logoutPath(token), "")
		}, http.StatusUnauthorized, false},
		{"by a bad token", func(a *accountsWorld, token string) response {
			return a.as("npm_unknown", http.MethodDelete, logoutPath(token), "")
		}, http.StatusUnauthorized, false},
	}
	a := newAccounts(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token := a.token()
			r := tt.request(a, token)
			if tt.status == http.StatusOK {
				if got := wantAnswer[map[string]bool](t, r, http.StatusOK); !got["ok"] {
					t.Errorf("answer %s", r.body)
				}
			} else {
				r.wantError(t, tt.status)
			}
			_, err := a.auth.TokenOf(t.Context(), token)
			if revoked := errors.Is(err, fs.ErrNotExist); revoked != tt.revoked {
				t.Errorf("the token is revoked: %v (%v), want %v", revoked, err, tt.revoked)
			}
			if strings.Contains(a.log.String(), token) {
				t.Error("the token stands in the log")
			}
		})
	}
}

// TestLogoutOfOthers holds that tokens that may do little may still end
// themselves.
func TestLogoutOfOthers(t *testing.T) {
	a := newAccounts(t)
	for _, kind := range []func(*auth.TokenRequest){readOnly, ofService} {
		token := a.token(kind)
		a.as(token, http.MethodDelete, logoutPath(token), "").want(t, http.StatusOK)
		a.wantWhoami(token, "")
	}
	a.wantEvents("alice logout test ok", "service:ci logout test ok")
}

// TestLogoutOfATokenThatDoesNotCount holds that npm can get rid of one that has
// expired, and that whoever took one away to another network cannot end it.
func TestLogoutOfATokenThatDoesNotCount(t *testing.T) {
	var late atomic.Int64 // by how much the clock is ahead
	a := newAccounts(t, func(c *auth.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	})
	elsewhere := a.token(func(r *auth.TokenRequest) { r.CIDR = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	a.as(elsewhere, http.MethodDelete, logoutPath(elsewhere), "").wantError(t, http.StatusForbidden)
	if _, err := a.auth.TokenOf(t.Context(), elsewhere); err != nil {
		t.Errorf("the token is gone: %v", err)
	}
	expired := a.token(func(r *auth.TokenRequest) { r.Expires = time.Now().Add(time.Hour) })
	late.Store(int64(2 * time.Hour))
	a.wantWhoami(expired, "")
	a.as(expired, http.MethodDelete, logoutPath(expired), "").want(t, http.StatusOK)
	if _, err := a.auth.TokenOf(t.Context(), expired); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the expired token is still there: %v", err)
	}
}
