package metrics

import (
	"slices"
	"testing"
)

func TestAuthValues(t *testing.T) {
	m := New("", "")
	m.Login("throttled")
	m.Login("made-up")
	m.Credentials("fault")
	m.AccessDenied("publish")
	lines := expose(t, m)
	for _, want := range []string{
		`larder_logins_total{outcome="throttled"} 1`,
		`larder_logins_total{outcome="other"} 1`,
		`larder_logins_total{outcome="ok"} 0`,
		`larder_credentials_total{outcome="fault"} 1`,
		`larder_access_denied_total{action="publish"} 1`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %s", want)
		}
	}
	var none *Metrics
	none.Login("ok")
	none.Credentials("ok")
	none.AccessDenied("read")
}
