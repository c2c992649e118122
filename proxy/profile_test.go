package proxy

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/auth"
)

const profilePath = "/-/npm/v1/user"

func TestProfile(t *testing.T) {
	a := newAccounts(t)
	a.get(profilePath).wantError(t, http.StatusUnauthorized)
	a.as(a.token(ofService), http.MethodGet, profilePath, "").wantError(t, http.StatusForbidden)
	for _, token := range []string{a.token(), a.token(readOnly)} {
		got := wantAnswer[map[string]any](t, a.as(token, http.MethodGet, profilePath, ""), http.StatusOK)
		if created, _ := got["created"].(string); !strings.HasSuffix(created, "Z") || got["updated"] == nil {
			t.Errorf("created %v, updated %v", got["created"], got["updated"])
		}
		delete(got, "created")
		delete(got, "updated")
		want := map[string]any{
			"tfa": nil, "name": "alice", "email": "alice@example.com", "email_verified": false, "cidr_whitelist": nil,
			"fullname": "", "homepage": "", "freenode": "", "twitter": "", "github": "",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("profile (-want +got):\n%s", diff)
		}
	}
}

// TestSetProfile sends what npm does: all that may be set, and null for what
// is empty.
func TestSetProfile(t *testing.T) {
	a := newAccounts(t)
	body := `{"email":"a@example.com","fullname":"Alice Liddell","homepage":null,"freenode":"al","twitter":"al_t","github":"al-g"}`
	r := a.as(a.token(), http.MethodPost, profilePath, body)
	got := wantAnswer[map[string]any](t, r, http.StatusOK)
	if got["fullname"] != "Alice Liddell" || got["email"] != "a@example.com" || got["homepage"] != "" {
		t.Errorf("answer %s", r.body)
	}
	r = a.as(a.token(), http.MethodPost, profilePath, `{"fullname":null}`)
	wantAnswer[map[string]any](t, r, http.StatusOK)
	p, err := a.auth.Profile(t.Context(), "alice")
	want := auth.Profile{
		Name: "alice", Email: "a@example.com", Freenode: "al", Twitter: "al_t", GitHub: "al-g",
		Created: p.Created, Updated: p.Updated,
	}
	if err != nil || p != want {
		t.Errorf("profile %+v, error %v, want %+v", p, err, want)
	}
	a.wantEvents("alice profile.set alice ok", "alice profile.set alice ok")
}

func TestSetProfileRefused(t *testing.T) {
	tests := []struct {
		name, body string
		kind       func(*auth.TokenRequest)
		status     int
		msg        string
	}{
		{name: "second factor", body: `{"tfa":{"mode":"auth-only","password":"` + alicePassword + `"}}`, status: http.StatusBadRequest, msg: "two-factor"},
		{name: "second factor's code", body: `{"tfa":["123456"]}`, status: http.StatusBadRequest, msg: "two-factor"},
		{name: "second factor beside others", body: `{"email":"x@example.com","tfa":{"mode":"disable"}}`, status: http.StatusBadRequest, msg: "two-factor"},
		{name: "name", body: `{"name":"bob","email":"x@example.com"}`, status: http.StatusBadRequest, msg: `"name"`},
		{name: "restriction", body: `{"email":"x@example.com","cidr_whitelist":["10.0.0.0/8"]}`, status: http.StatusBadRequest, msg: "cidr_whitelist"},
		{name: "number", body: `{"email":7}`, status: http.StatusBadRequest, msg: "email"},
		{name: "wrong old password", body: `{"email":"x@example.com","password":{"old":"` + bobPassword + `","new":"mind the gap please"}}`, status: http.StatusUnauthorized},
		{name: "no old password", body: `{"email":"x@example.com","password":{"new":"mind the gap please"}}`, status: http.StatusUnauthorized},
		{name: "short password", body: `{"email":"x@example.com","password":{"old":"` + alicePassword + `","new":"x"}}`, status: http.StatusBadRequest},
		{name: "password that is no pair", body: `{"email":"x@example.com","password":"mind the gap please"}`, status: http.StatusBadRequest, msg: "password"},
		{name: "read-only token", body: `{"email":"x@example.com"}`, kind: readOnly, status: http.StatusForbidden},
		{name: "service token", body: `{"email":"x@example.com"}`, kind: ofService, status: http.StatusForbidden},
	}
	a := newAccounts(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kind := tt.kind
			if kind == nil {
				kind = func(*auth.TokenRequest) {}
			}
			token := a.token(kind)
			var r response
			a.wantOneRefusal(func() { r = a.as(token, http.MethodPost, profilePath, tt.body) })
			msg := r.wantError(t, tt.status)
			if !strings.Contains(msg, tt.msg) || strings.Contains(msg, "one-time pass") || strings.Contains(msg, "mind the gap") {
				t.Errorf("message %q, want %q in it", msg, tt.msg)
			}
			if p, err := a.auth.Profile(t.Context(), "alice"); err != nil || p.Email != "alice@example.com" {
				t.Errorf("profile %+v, error %v, want it unchanged", p, err)
			}
			if _, err := a.auth.TokenOf(t.Context(), token); err != nil {
				t.Errorf("the token is gone: %v", err)
			}
		})
	}
	a.do(http.MethodPost, profilePath, `{}`).wantError(t, http.StatusUnauthorized)
}

// TestChangePassword sends what npm profile set password does, which is all of
// the profile.
func TestChangePassword(t *testing.T) {
	a := newAccounts(t)
	token, other, bobs := a.token(), a.token(readOnly), a.token(ofBob)
	const fresh = "mind the gap please"
	body := `{"email":"alice@example.com","password":{"old":"` + alicePassword + `","new":"` + fresh + `"},"fullname":null}`
	r := a.as(token, http.MethodPost, profilePath, body)
	got := wantAnswer[map[string]any](t, r, http.StatusOK)
	if _, there := got["password"]; there || got["name"] != "alice" {
		t.Errorf("answer %s: npm would print the password", r.body)
	}
	if notice := r.Header.Get("Npm-Notice"); !strings.Contains(notice, "log in again") {
		t.Errorf("notice %q", notice)
	}
	a.wantWhoami(token, "")
	a.wantWhoami(other, "")
	a.wantWhoami(bobs, "bob")
	a.do(http.MethodPut, userPath("alice"), userBody(t, "alice", alicePassword, "")).wantError(t, http.StatusUnauthorized)
	a.do(http.MethodPut, userPath("alice"), userBody(t, "alice", fresh, "")).want(t, http.StatusCreated)
	a.wantEvents("alice password.change alice ok", " login alice refused", "alice login alice ok")
}
