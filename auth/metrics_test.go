package auth

import (
	"net/http/httptest"
	"strings"
	"testing"

	"larder/metrics"
)

func TestCounts(t *testing.T) {
	m := metrics.New("", "")
	a := open(t, Config{Metrics: m})
	addUser(t, a, "alice", "password")
	for _, header := range []string{"", basic("alice", "password"), basic("alice", "wrong"), "Bearer x"} {
		c := a.Caller(t.Context(), header, here)
		a.Check(c, Publish, "lib")
		a.May(c, Unpublish, "lib")
	}
	for range 20 {
		a.SignIn(t.Context(), "bob", "wrong", there)
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	for _, line := range []string{
		`larder_credentials_total{outcome="anonymous"} 1`,
		`larder_credentials_total{outcome="ok"} 1`,
		`larder_credentials_total{outcome="fault"} 2`,
		`larder_logins_total{outcome="ok"} 1`,
		`larder_logins_total{outcome="failed"} 11`,
		`larder_logins_total{outcome="throttled"} 10`,
		`larder_access_denied_total{action="publish"} 3`,
		`larder_access_denied_total{action="unpublish"} 0`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("there is no line %s", line)
		}
	}
}
