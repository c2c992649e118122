package registry

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Fault is a way for a registry, or the network before it, to misbehave. Its
// parts combine. They are tried in the order of the fields.
type Fault struct {
	Times   int           // requests that it befalls; 0 means all
	Latency time.Duration // passes before anything else
	Reset   bool          // the connection is reset without an answer
	Hang    bool          // no answer, until the client leaves

	Redirect string      // 302 to the same path below this base
	Status   int         // this status with an error body, unless Body says otherwise
	Body     string      // this body, with status 200 unless Status says otherwise
	Header   http.Header // added to the answer, Content-Type included; a nil value removes one

	NoRange   bool  // Range is ignored
	NoLength  bool  // no Content-Length; the body comes in chunks
	Corrupt   bool  // the byte in the middle of what is sent is wrong
	Truncate  int64 // bytes of the body that are sent; with NoLength the end looks like a proper one
	HangAfter int64 // bytes of the body after which no more come
	Rate      int64 // bytes of the body per second
}

// HTML is the answer of a captive portal.
func HTML() Fault {
	return Fault{
		Body:   "<!DOCTYPE html><html><head><title>Guest network</title></head><body>Please sign in.</body></html>",
		Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
	}
}

// BadJSON is an answer that calls itself JSON and is none.
func BadJSON() Fault {
	return Fault{Body: `{"name":"oops","versions":{"1.0.0":{`, Header: http.Header{"Content-Type": {"application/json"}}}
}

// Chance is the probability of a Fault on the paths that match Pattern.
type Chance struct {
	P       float64 // of 1
	Pattern string
	Fault   Fault
}

type patternFault struct {
	pattern string
	fault   Fault
}

type chaos struct {
	dice    *rand.Rand
	chances []Chance
}

// SetFault makes the paths that match pattern misbehave, in place of an
// earlier fault with the same pattern. Of several that match, the one set last
// applies. In a pattern '*' stands for anything, slashes included; paths are
// meant as in [Server.Count].
func (s *Server) SetFault(pattern string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearFault(pattern)
	s.faults = append(s.faults, patternFault{pattern, f})
}

// SetChaos makes requests misbehave at random, those apart for which SetFault
// decided. A request suffers at most one of the chances, whose probabilities
// add up. The same seed throws the same dice.
func (s *Server) SetChaos(seed uint64, chances ...Chance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chaos = &chaos{rand.New(rand.NewPCG(seed, 0)), chances}
}

// ClearFaults makes the registry behave.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.chaos = nil, nil
}

func (s *Server) clearFault(pattern string) {
	for i, f := range s.faults {
		if f.pattern == pattern {
			s.faults = append(s.faults[:i], s.faults[i+1:]...)
			return
		}
	}
}

// faultFor decides what befalls a request.
func (s *Server) faultFor(path string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.faults) - 1; i >= 0; i-- {
		pf := &s.faults[i]
		if !match(pf.pattern, path) {
			continue
		}
		f := pf.fault
		if pf.fault.Times == 1 {
			s.clearFault(pf.pattern)
		} else if pf.fault.Times > 1 {
			pf.fault.Times--
		}
		return f
	}
	if s.chaos == nil {
		return Fault{}
	}
	throw := s.chaos.dice.Float64()
	for _, c := range s.chaos.chances {
		if !match(c.Pattern, path) {
			continue
		}
		if throw < c.P {
			return c.Fault
		}
		throw -= c.P
	}
	return Fault{}
}

// match is a glob whose only wildcard is '*', any run of any characters.
func match(pattern, s string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	if !wild {
		return s == ""
	}
	for i := range len(s) + 1 {
		if match(rest, s[i:]) {
			return true
		}
	}
	return false
}
