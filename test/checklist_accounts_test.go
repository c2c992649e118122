package test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// whoami asks who a token is.
func (p *pair) whoami(t *testing.T, a account, headers ...string) reply {
	t.Helper()
	return p.get(t, "/-/whoami", append(headers, a.auth())...)
}

// wantKnown fails the test unless a's token is one.
func (p *pair) wantKnown(t *testing.T, a account, headers ...string) {
	t.Helper()
	r := p.whoami(t, a, headers...)
	if r.status != http.StatusOK || gjson.GetBytes(r.body, "username").String() != a.name {
		t.Errorf("whoami of %s: %d %s", a.name, r.status, r.body)
	}
}

// basicAuth is the header for a password.
func basicAuth(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestChecklist70_LoginWithAPassword(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	p.wantKnown(t, alice)
	again := p.loggedIn(t, p.couchLogin(t, "alice", passphrase, ""), "alice")
	if again.token == alice.token {
		t.Error("the same token twice")
	}
	p.wantKnown(t, again)
	p.wantKnown(t, alice) // of another machine, which goes on

	for name, answer := range map[string]reply{
		"wrong password":  p.couchLogin(t, "alice", "wrong"+passphrase, ""),
		"empty password":  p.couchLogin(t, "alice", "", ""),
		"adduser, wrong":  p.couchLogin(t, "alice", "something else", "evil@acme.example"),
		"another's token": p.json(t, http.MethodPut, "/-/user/org.couchdb.user:alice", `{"name":"alice","password":"wrong"}`, alice.auth()),
	} {
		if err := answer.refusal(http.StatusUnauthorized); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := answer.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Basic") {
			t.Errorf("%s: WWW-Authenticate %q does not let npm complain of the password", name, got)
		}
		if strings.Contains(string(answer.body), "one-time pass") || answer.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s", name, answer.body)
		}
	}
	p.loggedIn(t, p.couchLogin(t, "alice", passphrase, ""), "alice")

	// npm that knows a 409 from elsewhere puts to a revision, and yarn 1 may
	// escape the name.
	body := object{{"_id", "org.couchdb.user:alice"}, {"name", "alice"}, {"password", passphrase}}
	basic := basicAuth("alice", passphrase)
	p.loggedIn(t, p.json(t, http.MethodPut, "/-/user/org.couchdb.user:alice/-rev/1-0", body, basic), "alice")
	p.loggedIn(t, p.json(t, http.MethodPut, "/-/user/org.couchdb.user%3aalice", body), "alice")
	p.json(t, http.MethodPut, "/-/user/org.couchdb.user:bob", body).wantRefusal(t, http.StatusBadRequest)

	if r := p.get(t, "/-/whoami", basic); gjson.GetBytes(r.body, "username").String() != "alice" {
		t.Errorf("whoami by password: %d %s", r.status, r.body)
	}
	server := p.larder
	p.stop(t)
	p.start(t)
	p.wantKnown(t, alice)
	for _, secret := range []string{passphrase, alice.token, again.token} {
		if strings.Contains(server.Log(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

func TestChecklist70_RegistrationClosed(t *testing.T) {
	p := newPair(t, "LARDER_AUTH_REGISTRATION=closed")
	if r := p.couchLogin(t, "mallory", passphrase, "m@evil.example"); r.status/100 != 4 || gjson.GetBytes(r.body, "token").Exists() {
		t.Errorf("a stranger made an account: %d %s", r.status, r.body)
	}
	p.command(t, passphrase+"\n", "user", "add", "alice", "--email", "alice@acme.example")
	alice := p.loggedIn(t, p.couchLogin(t, "alice", passphrase, ""), "alice")
	p.publish(t, alice, lib("@acme/lib", "1.0.0"))
}

func TestChecklist71_WebLoginSwitchedOff(t *testing.T) {
	p := newPair(t, "LARDER_AUTH_WEB_LOGIN=false")
	p.post(t, "/-/v1/login", "{}", "npm-auth-type: web").wantRefusal(t, http.StatusNotFound)
	p.get(t, "/-/web/login/some-id").wantRefusal(t, http.StatusNotFound)
	p.loggedIn(t, p.couchLogin(t, "alice", passphrase, "alice@acme.example"), "alice") // what npm falls back to
}

func TestChecklist72_LoginInTheBrowser(t *testing.T) {
	p := newPair(t)
	p.adduser(t, "alice")

	// Of npm, and of yarn 4, which sends no body.
	for name, body := range map[string]string{"npm": "{}", "yarn 4": "", "adduser": `{"create":true}`} {
		t.Run(name, func(t *testing.T) {
			begun := p.json(t, http.MethodPost, "/-/v1/login", body, "npm-auth-type: web", "User-Agent: npm/11.19.1 <b>")
			page, done := p.link(t, begun, "loginUrl"), p.link(t, begun, "doneUrl")
			pending := func() {
				t.Helper()
				r := p.get(t, done)
				if r.status != http.StatusAccepted || r.header.Get("Retry-After") != "1" || r.header.Get("Cache-Control") != "no-store" {
					t.Errorf("pending: %d %v", r.status, r.header) // without Retry-After npm asks without a pause
				}
			}
			pending()
			shown := p.ok(t, page)
			if !strings.HasPrefix(shown.header.Get("Content-Type"), "text/html") || strings.Contains(string(shown.body), "<b>") {
				t.Errorf("the page is %s %s", shown.header.Get("Content-Type"), shown.body)
			}
			user := "alice"
			if name == "adduser" {
				user = "bob"
			}
			form := func(password string) reply {
				values := url.Values{"user": {user}, "password": {password}}
				if user == "bob" {
					values.Set("create", "1")
					values.Set("email", "bob@acme.example")
				}
				r, err := p.send(http.MethodPost, p.url()+page, strings.NewReader(values.Encode()), []string{"Content-Type: application/x-www-form-urlencoded"})
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			if r := form("wrong"); r.status/100 != 4 {
				t.Errorf("a wrong password: %d", r.status)
			}
			pending()
			if r := form(passphrase); r.status != http.StatusOK {
				t.Fatalf("the right password: %d %s", r.status, r.body)
			}
			token := gjson.GetBytes(p.ok(t, done).body, "token").String()
			p.wantKnown(t, account{user, token})
			p.get(t, done).wantRefusal(t, http.StatusNotFound) // the token is given once
			if r := form(passphrase); r.status != http.StatusNotFound {
				t.Errorf("the form a second time: %d", r.status)
			}
		})
	}
	p.get(t, "/-/v1/done/0123456789abcdef").wantRefusal(t, http.StatusNotFound)
	if r := p.get(t, "/-/web/login/0123456789abcdef"); r.status != http.StatusNotFound {
		t.Errorf("a login that nobody began: %d", r.status)
	}
}

// link is the path of an absolute URL in an answer, which npm insists on.
func (p *pair) link(t *testing.T, r reply, key string) string {
	t.Helper()
	path, here := strings.CutPrefix(gjson.GetBytes(r.body, key).String(), p.url())
	if r.status != http.StatusOK || !here {
		t.Fatalf("%s: %d %s", key, r.status, r.body)
	}
	return path
}

func TestChecklist72_PrefixInLoginURLs(t *testing.T) {
	p := newPair(t, "LARDER_PUBLIC_URL=https://npm.acme.example/npm/")
	begun := p.json(t, http.MethodPost, "/npm/-/v1/login", "{}")
	for _, key := range []string{"loginUrl", "doneUrl"} {
		got := gjson.GetBytes(begun.body, key).String()
		path, here := strings.CutPrefix(got, "https://npm.acme.example")
		if !here || !strings.HasPrefix(path, "/npm/-/") {
			t.Errorf("%s is %s", key, got)
		}
		if r := p.get(t, path); r.status/100 != 2 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

func TestChecklist73_LogoutRevokes(t *testing.T) {
	p := newIdlePair(t, "LARDER_LOG_LEVEL=debug")
	p.configure(t, rules)
	p.start(t)
	alice := p.appoint(t, "alice")
	other := p.loggedIn(t, p.couchLogin(t, "alice", passphrase, ""), "alice")
	p.publish(t, alice, lib("@acme/lib", "1.0.0"))
	p.ok(t, "/@acme%2flib", alice.auth())

	logout := func(a account, token string) reply {
		return p.do(t, http.MethodDelete, "/-/user/token/"+url.PathEscape(token), a.auth())
	}
	if r := logout(alice, alice.token); r.status/100 != 2 {
		t.Fatalf("logout: %d %s", r.status, r.body)
	}
	for _, try := range []struct{ method, path, body string }{
		{http.MethodGet, "/-/whoami", ""},
		{http.MethodGet, "/@acme%2flib", ""},
		{http.MethodGet, "/@acme/lib/-/lib-1.0.0.tgz", ""},
		{http.MethodGet, "/-/package/@acme%2flib/dist-tags", ""},
		{http.MethodPut, "/-/package/@acme%2flib/dist-tags/beta", `"1.0.0"`},
		{http.MethodPut, "/@acme%2flib", "{}"},
		{http.MethodGet, "/-/npm/v1/tokens", ""},
		{http.MethodGet, "/-/npm/v1/user", ""},
		{http.MethodPost, "/-/npm/v1/tokens", `{"password":"` + passphrase + `","readonly":false,"cidr_whitelist":[]}`},
	} {
		if err := p.json(t, try.method, try.path, try.body, alice.auth()).refusal(http.StatusUnauthorized); err != nil {
			t.Errorf("%s %s: %v", try.method, try.path, err)
		}
	}
	p.ok(t, "/is-odd", alice.auth()) // but what anyone may read is not broken by it
	p.wantKnown(t, other)
	if r := logout(alice, alice.token); r.status/100 != 2 { // npm must get rid of it
		t.Errorf("logout once more: %d %s", r.status, r.body)
	}

	// Nobody logs another out.
	bob := p.adduser(t, "bob")
	logout(bob, other.token).wantRefusal(t, http.StatusForbidden)
	p.wantKnown(t, other)
	p.do(t, http.MethodDelete, "/-/user/token/"+other.token+"x%2f..", other.auth())
	p.do(t, http.MethodDelete, "/-/npm/v1/tokens/token/"+bob.token, bob.auth())

	server := p.larder
	p.stop(t)
	for _, a := range []account{alice, other, bob} {
		if strings.Contains(server.Log(), a.token) {
			t.Errorf("a token of %s is in the log", a.name)
		}
	}
	if strings.Contains(server.Log(), passphrase) {
		t.Error("a password is in the log")
	}
}

func TestChecklist74_Whoami(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	r := p.whoami(t, alice)
	if r.status != http.StatusOK || string(r.body) != `{"username":"alice"}` || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s, Cache-Control %q", r.status, r.body, r.header.Get("Cache-Control"))
	}
	p.ok(t, "/-/whoami", alice.auth(), "Accept-Encoding: gzip/deflate") // bun pm whoami
	for name, headers := range map[string][]string{
		"nothing":   nil,
		"a token":   {"Authorization: Bearer nope"},
		"a scheme":  {"Authorization: Digest nope"},
		"rubbish":   {"Authorization: \x80"},
		"bad basic": {"Authorization: Basic !!!"},
	} {
		r := p.get(t, "/-/whoami", headers...)
		if err := r.refusal(http.StatusUnauthorized); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := r.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
			t.Errorf("%s: WWW-Authenticate %q", name, got)
		}
	}
	p.wantRequests(t, "*", 0)
}
