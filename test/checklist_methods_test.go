package test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// everyMethod is what a client, or a scanner, may send.
var everyMethod = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"}

func TestChecklist84_UnknownEndpoints(t *testing.T) {
	p := newPair(t)
	for _, path := range []string{
		"/-/", "/-/all", "/-/org/acme/user", "/-/package/@types%2fms/trust", "/-/user/alice", "/-/stage", "/-/nope",
		"/-/npm/v1/security/other", "/-/ping/pong", "/-/health", "/-/v1", "/-/npm/v1/attestations", "/-/npm%2fv1/keys",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			r := p.do(t, method, path, "Authorization: Bearer SECRET")
			if err := r.refusal(http.StatusNotFound); err != nil {
				t.Errorf("%s %s: %v", method, path, err)
			}
		}
	}
	p.wantRequests(t, "*", 0)
}

func TestChecklist85_EveryRouteWithEveryMethod(t *testing.T) {
	read, post, options := []string{"GET", "HEAD", "OPTIONS"}, []string{"POST", "OPTIONS"}, []string{"OPTIONS"}
	tests := []struct {
		path    string
		allowed []string // to anyone
		writes  []string // to who has logged in
	}{
		{"/", read, nil},
		{"/is-odd", read, []string{"PUT"}},
		{"/@types%2fms", read, []string{"PUT"}},
		{"/@types/ms", read, []string{"PUT"}},
		{"/is-odd/latest", read, []string{"PUT"}},
		{"/@types%2fms/2.1.0", read, []string{"PUT"}},
		{"/is-odd/-/is-odd-3.0.1.tgz", read, nil},
		{"/@types/ms/-/ms-2.1.0.tgz", read, nil},
		{"/-/package/is-odd/dist-tags", read, []string{"POST"}},
		{"/-/npm/v1/attestations/@types%2fms@2.1.0", read, nil},
		{"/-/npm/v1/keys", read, nil},
		{"/-/v1/search?text=odd", read, nil},
		{"/-/ping", read, nil},
		{"/-/ping/", read, nil},
		{"/-/health/live", read, nil},
		{"/-/health/ready", read, nil},
		{"/-/metrics", read, nil},
		{bulkAudit, post, nil},
		{quickAudit, post, nil},
		{fullAudit, post, nil},
		{"/-/package/is-odd/dist-tags/latest", options, []string{"PUT", "POST", "DELETE"}},
		{"/is-odd/-rev/1-a", options, []string{"PUT", "DELETE"}},
		{"/is-odd/-/is-odd-3.0.1.tgz/-rev/1-a", options, []string{"PUT", "DELETE"}},
		{"/-/whoami", options, []string{"GET", "HEAD"}},
		{"/-/npm/v1/user", options, []string{"GET", "HEAD", "POST"}},
		{"/-/npm/v1/tokens", options, []string{"GET", "HEAD", "POST"}},
		{"/-/npm/v1/tokens/token/0123456789abcdef", options, []string{"DELETE"}},
		{"/-/user/token/0123456789abcdef", options, []string{"DELETE"}},
		{"/-/_view/starredByUser?key=%22alice%22", read, nil},
		{"/-/package/is-odd/visibility", read, []string{"POST"}},
	}
	p := newPair(t)
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			for _, method := range everyMethod {
				var r reply
				if method == "POST" && slices.Equal(tt.allowed, post) {
					r = p.post(t, tt.path, auditTreeOrMap(tt.path))
				} else {
					r = p.do(t, method, tt.path)
				}
				if r.header.Get("X-Request-Id") == "" {
					t.Errorf("%s: no X-Request-Id", method)
				}
				switch {
				case method == "PUT" && strings.Contains(tt.path, ".tgz/-rev/"): // npm 1 put tarballs by themselves
					if err := r.refusal(http.StatusBadRequest); err != nil {
						t.Errorf("PUT: %v", err)
					}
				case method == "OPTIONS":
					if r.status != http.StatusNoContent || r.header.Get("Access-Control-Allow-Origin") != "*" {
						t.Errorf("OPTIONS: %d %v", r.status, r.header)
					}
				case slices.Contains(tt.allowed, method):
					if r.status != http.StatusOK {
						t.Errorf("%s: %d %s", method, r.status, r.body)
					}
				case slices.Contains(tt.writes, method):
					if r.status != http.StatusUnauthorized {
						t.Errorf("%s: %d %s", method, r.status, r.body)
					}
				default:
					p.wantNotAllowed(t, method, r, slices.Concat(tt.allowed, tt.writes))
				}
			}
		})
	}
}

// wantNotAllowed fails the test unless r is a 405 that tells what is allowed.
func (p *pair) wantNotAllowed(t *testing.T, method string, r reply, allowed []string) {
	t.Helper()
	got := strings.Split(r.header.Get("Allow"), ", ")
	slices.Sort(got)
	want := slices.Sorted(slices.Values(allowed))
	if r.status != http.StatusMethodNotAllowed || !slices.Equal(got, want) {
		t.Errorf("%s: %d, Allow %q, want %q", method, r.status, got, want)
	}
	if method == "HEAD" {
		return // which has no body to look at
	}
	if err := r.refusal(http.StatusMethodNotAllowed); err != nil {
		t.Errorf("%s: %v", method, err)
	}
}

// auditTreeOrMap is a body that the audit at path takes.
func auditTreeOrMap(path string) string {
	if path == bulkAudit {
		return `{"is-odd":["3.0.1"]}`
	}
	return auditTree
}

func TestRequestIDs(t *testing.T) {
	p := newPair(t)
	seen := map[string]string{}
	for _, path := range []string{"/is-odd", "/is-odd", "/is-odd/-/is-odd-3.0.1.tgz", "/nobody-has-this", "/-/ping", "/__proto__", "/-/nope", "/"} {
		id := p.get(t, path, "X-Request-Id: mine").header.Get("X-Request-Id")
		if other, taken := seen[id]; id == "" || id == "mine" || taken {
			t.Errorf("%s has the id %q, as %q", path, id, other)
		}
		seen[id] = path
	}
	server := p.larder
	p.stop(t)
	for id, path := range seen {
		if !strings.Contains(server.Log(), "id="+id+" ") {
			t.Errorf("%s: the log does not know the id %s", path, id)
		}
	}
}
