package metrics

import "github.com/prometheus/client_golang/prometheus"

// access are the metrics of who asks and of what they are refused.
type access struct {
	logins, credentials, denied map[string]prometheus.Counter
}

func newAccess(f factory) access {
	return access{
		logins:      bind(f.counterVec("logins_total", "Passwords that were checked, by outcome.", "outcome"), loginOutcomes()),
		credentials: bind(f.counterVec("credentials_total", "Requests by what came of their credentials.", "outcome"), credentialOutcomes()),
		denied:      bind(f.counterVec("access_denied_total", "Requests that access rules refused, by what they wanted to do.", "action"), accessActions()),
	}
}

func loginOutcomes() []string { return []string{"ok", "failed", "throttled", Other} }

func credentialOutcomes() []string { return []string{"anonymous", "ok", "fault", Other} }

func accessActions() []string { return []string{"read", "publish", "unpublish", Other} }

// Login counts a password that was looked at: "ok", "failed", or "throttled"
// (not even looked at, after too many failures).
func (m *Metrics) Login(outcome string) {
	if m != nil {
		pick(m.access.logins, outcome).Inc()
	}
}

// Credentials counts a request: "anonymous" (it brought none), "ok", or
// "fault" (they do not count).
func (m *Metrics) Credentials(outcome string) {
	if m != nil {
		pick(m.access.credentials, outcome).Inc()
	}
}

// AccessDenied counts a refusal: action is "read", "publish" or "unpublish".
func (m *Metrics) AccessDenied(action string) {
	if m != nil {
		pick(m.access.denied, action).Inc()
	}
}
