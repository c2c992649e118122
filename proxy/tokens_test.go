package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/auth"
	"larder/npm"
)

const tokensPath = "/-/npm/v1/tokens"

func TestTokens(t *testing.T) {
	a := newAccounts(t)
	a.token(ofBob)
	plain := a.token()
	bound := a.token(func(r *auth.TokenRequest) {
		r.Name, r.ReadOnly, r.Packages = "bound", true, []string{"@acme/*"}
		r.CIDR = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		r.Expires = time.Now().Add(time.Hour)
	})
	r := a.as(plain, http.MethodGet, tokensPath, "")
	got := wantAnswer[struct {
		Objects []map[string]any
		URLs    map[string]any
		Total   int
	}](t, r, http.StatusOK)
	if len(got.Objects) != 2 || got.Total != 2 {
		t.Fatalf("answer %s, want two tokens", r.body)
	}
	if next, there := got.URLs["next"]; !there || next != nil {
		t.Errorf("urls %v, want next null", got.URLs)
	}
	for i, secret := range []string{plain, bound} {
		o := got.Objects[i]
		if prefix, _ := o["token"].(string); prefix == "" || len(prefix) > 12 || !strings.HasPrefix(secret, prefix) {
			t.Errorf("token %v, want a short prefix of the secret", o["token"])
		}
		known, err := a.auth.TokenOf(t.Context(), secret)
		if err != nil || o["key"] != known.Key || o["created"] != timestamp(known.Created) || o["updated"] == nil {
			t.Errorf("object %v, want token %+v (%v)", o, known, err)
		}
	}
	want := map[string]any{"name": "bound", "readonly": true, "cidr_whitelist": []any{"10.0.0.0/8"}, "packages": []any{"@acme/*"}}
	for key, value := range want {
		if !cmp.Equal(got.Objects[1][key], value) {
			t.Errorf("%s is %v, want %v", key, got.Objects[1][key], value)
		}
	}
	if list, there := got.Objects[0]["cidr_whitelist"]; !there || list != nil {
		t.Errorf("cidr_whitelist of an unbound token is %v, want null", list)
	}
}

// TestTokenPages follows urls.next as npm does.
func TestTokenPages(t *testing.T) {
	a := newAccounts(t)
	var want, got []string
	for i := range 5 {
		want = append(want, fmt.Sprint(i))
		a.token(func(r *auth.TokenRequest) { r.Name = fmt.Sprint(i) })
	}
	pages := 0
	for next := tokensPath + "?perPage=2"; next != ""; pages++ {
		if !strings.HasPrefix(next, "/") {
			t.Fatalf("next is %q, want a path", next)
		}
		r := a.do(http.MethodGet, next, "", "Authorization", basic("alice", alicePassword))
		page := wantAnswer[struct {
			Objects []struct{ Name string }
			URLs    struct{ Next string }
		}](t, r, http.StatusOK)
		for _, o := range page.Objects {
			got = append(got, o.Name)
		}
		next = page.URLs.Next
	}
	slices.Sort(got) // those made within a tick of the clock have no order
	if pages != 3 || !slices.Equal(got, want) {
		t.Errorf("%d pages with %v, want 3 with %v", pages, got, want)
	}
}

func TestTokensOfOddPages(t *testing.T) {
	a := newAccounts(t)
	token := a.token()
	tests := []struct {
		query   string
		status  int
		objects int
	}{
		{"?page=1", http.StatusOK, 0},
		{"?page=9223372036854775807&perPage=9223372036854775807", http.StatusOK, 0},
		{"?perPage=0", http.StatusOK, 1},
		{"?page=-1", http.StatusBadRequest, 0},
		{"?page=99999999999999999999", http.StatusBadRequest, 0},
		{"?perPage=many", http.StatusBadRequest, 0},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			r := a.as(token, http.MethodGet, tokensPath+tt.query, "")
			if tt.status != http.StatusOK {
				r.wantError(t, tt.status)
				return
			}
			if got := wantAnswer[tokenList](t, r, tt.status); len(got.Objects) != tt.objects {
				t.Errorf("%d objects, want %d", len(got.Objects), tt.objects)
			}
		})
	}
}

func TestCreateToken(t *testing.T) {
	with := func(members string) string { return `{"password":"` + alicePassword + `"` + members + `}` }
	tests := []struct {
		name, body string
		want       auth.Token // of which name, read-only, networks and patterns are compared
		days       int
	}{
		{"npm 6", with(`,"readonly":false,"cidr_whitelist":[]`), auth.Token{Name: "npm token from 127.0.0.1"}, 0},
		{"npm 6, bound", with(`,"readonly":true,"cidr_whitelist":["10.1.2.3/8","192.0.2.7/32"]`), auth.Token{
			Name: "npm token from 127.0.0.1", ReadOnly: true,
			CIDR: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32")},
		}, 0},
		{"npm 11", with(`,"name":"ci"`), auth.Token{Name: "ci"}, 0},
		{"npm 11, no name", with(`,"name":null,"description":"for the build"`), auth.Token{Name: "for the build"}, 0},
		{"npm 11, everything", with(`,"name":"ci","description":"for the build","packages":["lib","@other/lib"],"scopes":["@acme","beta"],` +
			`"packages_and_scopes_permission":"read-only","orgs":["acme"],"orgs_permission":"read-write","expires":30,"bypass_2fa":true`), auth.Token{
			Name: "ci", ReadOnly: true, Packages: []string{"lib", "@other/lib", "@acme/*", "@beta/*"},
		}, 30},
		{"npm 11, all packages", with(`,"name":"ci","packages_all":true,"orgs":["acme"],"packages_and_scopes_permission":"read-write"`), auth.Token{Name: "ci"}, 0},
		{"read-only in one of two ways", with(`,"name":"ci","readonly":true,"packages_and_scopes_permission":"read-write"`), auth.Token{Name: "ci", ReadOnly: true}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAccounts(t)
			before := time.Now()
			r := a.as(a.token(), http.MethodPost, tokensPath, tt.body)
			got := wantAnswer[map[string]any](t, r, http.StatusOK)
			secret, _ := got["token"].(string)
			a.wantWhoamiUnlessBound(secret, tt.want)
			made, err := a.auth.TokenOf(t.Context(), secret)
			if err != nil {
				t.Fatal(err)
			}
			if got["key"] != made.Key || got["readonly"] != tt.want.ReadOnly || got["created"] == nil || got["updated"] == nil {
				t.Errorf("answer %s", r.body)
			}
			if made.Name != tt.want.Name || made.User != "alice" || made.ReadOnly != tt.want.ReadOnly ||
				!slices.Equal(made.Packages, tt.want.Packages) || !slices.Equal(made.CIDR, tt.want.CIDR) {
				t.Errorf("token %+v, want %+v", made, tt.want)
			}
			switch {
			case tt.days == 0:
				if !made.Expires.IsZero() || got["expires"] != nil {
					t.Errorf("the token expires %v", made.Expires)
				}
			case made.Expires.Before(before.AddDate(0, 0, tt.days)) || made.Expires.After(time.Now().AddDate(0, 0, tt.days)) || got["expires"] == nil:
				t.Errorf("the token expires %v (%v), want in %d days", made.Expires, got["expires"], tt.days)
			}
			a.wantEvents("alice token.create " + tt.want.Name + " ok")
		})
	}
}

// wantWhoamiUnlessBound checks that a token works, if it does from here.
func (a *accountsWorld) wantWhoamiUnlessBound(secret string, t auth.Token) {
	a.t.Helper()
	if len(t.CIDR) == 0 {
		a.wantWhoami(secret, "alice")
		return
	}
	a.as(secret, http.MethodGet, "/-/whoami", "").wantError(a.t, http.StatusForbidden)
}

// TestCreateTokenRefused holds that a token which cannot be as it was asked for
// is not made at all.
func TestCreateTokenRefused(t *testing.T) {
	with := func(members string) string { return `{"password":"` + alicePassword + `"` + members + `}` }
	tests := []struct {
		name, body string
		token      func(*auth.TokenRequest)
		status     int
		msg        string
	}{
		{name: "no password", body: `{"name":"ci"}`, status: http.StatusUnauthorized},
		{name: "wrong password", body: `{"name":"ci","password":"` + bobPassword + `"}`, status: http.StatusUnauthorized},
		{name: "read-only token", body: with(``), token: readOnly, status: http.StatusForbidden},
		{name: "service token", body: with(``), token: ofService, status: http.StatusForbidden},
		{name: "no body", body: ``, status: http.StatusUnauthorized},
		{name: "unknown restriction", body: with(`,"teams":["core"]`), status: http.StatusBadRequest, msg: "teams"},
		{name: "known one in another spelling", body: with(`,"ReadOnly":true`), status: http.StatusBadRequest, msg: "ReadOnly"},
		{name: "organisations alone", body: with(`,"orgs":["acme"]`), status: http.StatusBadRequest, msg: "organisations"},
		{name: "all and some", body: with(`,"packages_all":true,"scopes":["@acme"]`), status: http.StatusBadRequest, msg: "all packages"},
		{name: "no access", body: with(`,"packages_and_scopes_permission":"no-access"`), status: http.StatusBadRequest, msg: "without access"},
		{name: "permission of another kind", body: with(`,"packages_and_scopes_permission":"stage-only"`), status: http.StatusBadRequest, msg: "read-only or read-write"},
		{name: "bad network", body: with(`,"cidr_whitelist":["10.0.0.0"]`), status: http.StatusBadRequest, msg: "10.0.0.0"},
		{name: "network that is no list", body: with(`,"cidr_whitelist":"10.0.0.0/8"`), status: http.StatusBadRequest, msg: "cidr_whitelist"},
		{name: "bad pattern", body: with(`,"packages":["@acme"]`), status: http.StatusBadRequest, msg: "@acme"},
		{name: "bad scope", body: with(`,"scopes":["../x"]`), status: http.StatusBadRequest},
		{name: "expired", body: with(`,"expires":-1`), status: http.StatusBadRequest, msg: "days"},
		{name: "half a day", body: with(`,"expires":0.5`), status: http.StatusBadRequest, msg: "expires"},
		{name: "no day", body: with(`,"expires":0`), status: http.StatusBadRequest, msg: "days"},
		{name: "for ever and a day", body: with(`,"expires":9223372036854775807`), status: http.StatusBadRequest, msg: "days"},
		{name: "not JSON", body: `password`, status: http.StatusBadRequest},
	}
	a := newAccounts(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kind := tt.token
			if kind == nil {
				kind = func(*auth.TokenRequest) {}
			}
			secret := a.token(kind)
			before, err := a.auth.Tokens(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			var r response
			a.wantOneRefusal(func() { r = a.as(secret, http.MethodPost, tokensPath, tt.body) })
			msg := r.wantError(t, tt.status)
			if !strings.Contains(msg, tt.msg) || strings.Contains(msg, "horse") {
				t.Errorf("message %q, want %q in it and no password", msg, tt.msg)
			}
			if after, err := a.auth.Tokens(t.Context(), ""); err != nil || len(after) != len(before) {
				t.Errorf("%d tokens, error %v, want the %d that there were", len(after), err, len(before))
			}
		})
	}
	a.do(http.MethodPost, tokensPath, with(``)).wantError(t, http.StatusUnauthorized)
	a.do(http.MethodGet, tokensPath, "").wantError(t, http.StatusUnauthorized)
}

func tokenPath(keyOrSecret string) string { return tokensPath + "/token/" + keyOrSecret }

func TestRevokeToken(t *testing.T) {
	key := func(a *accountsWorld, secret string) string {
		known, err := a.auth.TokenOf(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		return known.Key
	}
	tests := []struct {
		name    string
		by, of  func(*auth.TokenRequest)
		path    func(a *accountsWorld, secret string) string
		status  int
		revoked bool
	}{
		{name: "by key", path: key, status: http.StatusNoContent, revoked: true},
		{name: "by the token itself", path: func(_ *accountsWorld, secret string) string { return secret }, status: http.StatusNoContent, revoked: true},
		{name: "by a part of the key", path: func(a *accountsWorld, secret string) string { return key(a, secret)[:8] }, status: http.StatusNotFound},
		{name: "unknown", path: func(*accountsWorld, string) string { return "0123456789abcdef" }, status: http.StatusNotFound},
		{name: "somebody else's key", of: ofBob, path: key, status: http.StatusNotFound},
		{name: "somebody else's token", of: ofBob, path: func(_ *accountsWorld, secret string) string { return secret }, status: http.StatusNotFound},
		{name: "a service's", of: ofService, path: key, status: http.StatusNotFound},
		{name: "with a read-only token", by: readOnly, path: key, status: http.StatusForbidden},
		{name: "by a service", by: ofService, path: key, status: http.StatusForbidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAccounts(t)
			kind := func(f func(*auth.TokenRequest)) func(*auth.TokenRequest) {
				if f == nil {
					return func(*auth.TokenRequest) {}
				}
				return f
			}
			secret := a.token(kind(tt.of))
			r := a.as(a.token(kind(tt.by)), http.MethodDelete, tokenPath(tt.path(a, secret)), "")
			if tt.status == http.StatusNoContent {
				r.want(t, http.StatusNoContent).wantHeader(t, "Cache-Control", "no-store")
			} else {
				r.wantError(t, tt.status)
			}
			_, err := a.auth.TokenOf(t.Context(), secret)
			if revoked := errors.Is(err, fs.ErrNotExist); revoked != tt.revoked {
				t.Errorf("the token is revoked: %v (%v), want %v", revoked, err, tt.revoked)
			}
			if strings.Contains(a.log.String(), secret) {
				t.Error("the token stands in the log")
			}
			result := map[bool]string{true: "alice token.revoke test ok"}[tt.revoked]
			if got := a.events(); len(got) != 1 || tt.revoked && got[0] != result || !tt.revoked && !strings.HasSuffix(got[0], " refused") {
				t.Errorf("journal %q", got)
			}
		})
	}
}

// FuzzTokenRequest holds that what is accepted is within bounds, and that no
// member is passed over.
func FuzzTokenRequest(f *testing.F) {
	f.Add(`{"password":"x","readonly":true,"cidr_whitelist":["10.0.0.0/8"]}`)
	f.Add(`{"password":"x","name":"ci","packages":["a"],"scopes":["@acme"],"expires":7,"packages_and_scopes_permission":"read-only"}`)
	f.Add(`{"orgs":["acme"],"orgs_permission":"no-access","packages_all":true,"bypass_2fa":true,"description":"d"}`)
	known := []string{
		"password", "readonly", "cidr_whitelist", "name", "description", "packages", "packages_all", "scopes",
		"packages_and_scopes_permission", "expires", "orgs", "orgs_permission", "bypass_2fa",
	}
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	f.Fuzz(func(t *testing.T, raw string) {
		body, err := npm.ParseObject([]byte(raw))
		if err != nil {
			return
		}
		req, err := parseTokenRequest(body, now)
		if err != nil {
			if npm.KindOf(err) != npm.Invalid || npm.Message(err) == "" {
				t.Errorf("error %v", err)
			}
			return
		}
		for _, m := range body {
			if !slices.Contains(known, m.Key) {
				t.Errorf("%q was passed over", m.Key)
			}
		}
		var scopes, packages []string
		for key, list := range map[string]*[]string{"scopes": &scopes, "packages": &packages} {
			if value, there := body.Get(key); there && json.Unmarshal(value, list) != nil {
				t.Errorf("%s %s was accepted", key, value)
			}
		}
		if len(req.Packages) != len(scopes)+len(packages) {
			t.Errorf("patterns %q of %q and %q", req.Packages, packages, scopes)
		}
		if !req.Expires.IsZero() && (!req.Expires.After(now) || req.Expires.Year() > 2036) {
			t.Errorf("expires %v", req.Expires)
		}
	})
}
