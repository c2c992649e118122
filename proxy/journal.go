package proxy

import (
	"time"

	"larder/auth"
	"larder/npm"
)

// The values of auth.Event.Result.
const (
	resultOK      = "ok"
	resultRefused = "refused" // the caller was told why not
	resultFailed  = "failed"  // it is not the caller's fault
)

// record notes a write in the journal, with who asked and how. That it cannot
// be noted is logged and does not undo the write. A flood of refusals is noted
// in part.
func (s *Server) record(x *exchange, e auth.Event) {
	if e.Result != resultOK && !s.refused.allow(refusalKind{x.caller.Name(), e.Action}) {
		return
	}
	e.Time, e.Actor, e.Token, e.RequestID = time.Now().UTC(), x.caller.Name(), x.caller.TokenName(), x.id
	if x.client.IsValid() {
		e.Client = x.client.String()
	}
	if err := s.cfg.Journal.Record(e); err != nil {
		s.cfg.Log.Error("the audit log cannot be written", "action", e.Action, "package", e.Package, "error", err)
	}
}

// recordWrite notes what became of the write that x.event describes.
func (s *Server) recordWrite(x *exchange, err error) {
	x.event.Result, x.event.Reason = outcomeOf(err)
	s.record(x, x.event)
}

// outcomeOf puts an error into a journal's words.
func outcomeOf(err error) (result, reason string) {
	if err == nil {
		return resultOK, ""
	}
	switch e := classify(err); e.Kind {
	case npm.Internal, npm.NoSpace, npm.Unavailable, npm.Timeout, npm.BadUpstream:
		return resultFailed, err.Error()
	default:
		return resultRefused, e.Msg
	}
}
