package proxy

import (
	"context"
	"net/http"
	"time"
)

// checkTime bounds all checks of one request together: whoever asks for
// health does not wait long.
const checkTime = 2 * time.Second

// The values of "status" in a health report.
const (
	statusOK       = "ok"
	statusDegraded = "degraded" // ready, but something that should work does not
	statusUnready  = "unready"
)

// health is the body of both health endpoints.
type health struct {
	Status string        `json:"status"`
	Checks []checkResult `json:"checks"`
}

type checkResult struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// live answers GET /-/health/live: that it answers is the answer.
func (s *Server) live(x *exchange, _ *http.Request) error {
	return x.sendHealth(health{Status: statusOK, Checks: []checkResult{}})
}

// ready answers GET /-/health/ready. An upstream that is down, or a check that
// fails, is shown but does not make the server unready: it still serves what
// it has, and passes through what it cannot keep. Only shutting down does.
func (s *Server) ready(x *exchange, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), checkTime)
	defer cancel()
	h := health{Status: statusOK}
	for _, reg := range s.cfg.Upstreams {
		state, reason := reg.State()
		ok := state == "ok" || state == "offline"
		if !ok {
			h.Status = statusDegraded
		}
		if state == "offline" { // which is what the administrator wants
			reason = state
		}
		h.Checks = append(h.Checks, checkResult{"upstream " + reg.Name(), ok, reason})
	}
	for _, check := range s.cfg.Checks {
		result := checkResult{Name: check.Name, OK: true}
		if err := check.Run(ctx); err != nil {
			h.Status = statusDegraded
			result.OK, result.Reason = false, err.Error()
		}
		h.Checks = append(h.Checks, result)
	}
	accepting := checkResult{Name: "accepting", OK: !s.draining.Load()}
	if !accepting.OK {
		h.Status, accepting.Reason = statusUnready, "the server is shutting down"
	}
	h.Checks = append(h.Checks, accepting)
	return x.sendHealth(h)
}
