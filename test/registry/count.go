package registry

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Count is what a server knows about the requests for one path.
type Count struct {
	Requests  int
	Started   int         // answers whose body began
	Completed int         // answers whose body was written to its end
	Header    http.Header // of the last request
}

// counters are guarded by the server's mutex.
type counters struct {
	paths      map[string]*Count
	headers    map[string]int // requests that carried a header, by its canonical name
	total      int
	concurrent int
	peak       int
}

func (c *counters) path(p string) *Count {
	n := c.paths[p]
	if n == nil {
		n = new(Count)
		c.paths[p] = n
	}
	return n
}

func (s *Server) countRequest(path string, h http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.counters
	c.total++
	c.concurrent++
	c.peak = max(c.peak, c.concurrent)
	n := c.path(path)
	n.Requests++
	n.Header = h.Clone()
	for name := range h {
		c.headers[name]++
	}
}

func (s *Server) countEnd(path string, started, completed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counters.concurrent--
	n := s.counters.path(path)
	if started {
		n.Started++
	}
	if completed {
		n.Completed++
	}
}

// Count returns what is known about one path. A path is meant as decoded and
// below the prefix: "/@types/ms" counts however the slash was spelt, queries
// aside.
func (s *Server) Count(path string) Count {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.counters.paths[path]; n != nil {
		return *n
	}
	return Count{}
}

// Requests is the number of requests for the paths that match a pattern, in
// which '*' stands for anything, slashes included.
func (s *Server) Requests(pattern string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := 0
	for path, n := range s.counters.paths {
		if match(pattern, path) {
			sum += n.Requests
		}
	}
	return sum
}

// Paths are the paths that were asked for, sorted.
func (s *Server) Paths() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.counters.paths))
}

// Total is the number of requests for any path.
func (s *Server) Total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counters.total
}

// Carried is the number of requests that carried a header.
func (s *Server) Carried(header string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counters.headers[http.CanonicalHeaderKey(header)]
}

// MaxConcurrent is the largest number of requests that were served at once.
func (s *Server) MaxConcurrent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counters.peak
}

// ResetCounts forgets all counts but that of the requests being served.
func (s *Server) ResetCounts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.counters.concurrent
	s.counters = counters{paths: map[string]*Count{}, headers: map[string]int{}, concurrent: now, peak: now}
}

// Packuments is the number of requests for packuments of any package.
func (s *Server) Packuments() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := 0
	for path, n := range s.counters.paths {
		if path == "/" || strings.Contains(path, "/-/") {
			continue
		}
		if _, version := splitName(path[1:]); version == "" {
			sum += n.Requests
		}
	}
	return sum
}
