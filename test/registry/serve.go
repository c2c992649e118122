package registry

import (
	"net"
	"net/http"
	"strings"
	"time"
)

// serve counts a request, lets its fault happen and hands what is left to
// route.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.server == nil { // Stop came first
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	handlers, stop := s.handlers, s.stopping
	handlers.Add(1)
	s.mu.Unlock()
	defer handlers.Done()

	path, inside := strings.CutPrefix(r.URL.Path, s.prefix)
	if !strings.HasPrefix(path, "/") { // the prefix itself, or one that only begins like it
		path, inside = "/"+path, inside && path == ""
	}
	s.countRequest(path, r.Header)
	a := &answer{ResponseWriter: w, request: r, stop: stop, fault: s.faultFor(path)}
	defer func() { s.countEnd(path, a.sent > 0, a.completed()) }()

	f := a.fault
	if f.Latency > 0 {
		a.wait(time.After(f.Latency))
	}
	switch {
	case f.Reset:
		reset(w)
	case f.Hang:
		a.wait(nil)
	case f.Redirect != "":
		http.Redirect(a, r, strings.TrimSuffix(f.Redirect, "/")+strings.TrimPrefix(r.URL.RequestURI(), s.prefix), http.StatusFound)
	case f.Body != "":
		a.json(max(f.Status, http.StatusOK), f.Body)
	case f.Status != 0:
		a.json(f.Status, `{"error":`+quote(http.StatusText(f.Status))+`}`)
	case !inside:
		a.json(http.StatusNotFound, notFound)
	default:
		s.route(a, r, path)
	}
}

// reset closes the connection so that the client sees a reset, not an end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the client sees an EOF, which is close enough
	}
	_ = conn.Close() // nobody is left to tell
}

const notFound = `{"error":"Not found"}`

// route answers a request for a path, decoded and below the prefix. Decoding
// first is crude; it suffices for names that tests make up.
func (s *Server) route(a *answer, r *http.Request, path string) {
	switch {
	case strings.HasPrefix(path, "/-/npm/v1/security/"):
		s.audit(a, r, path)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		a.Header().Set("Allow", "GET, HEAD")
		a.json(http.StatusMethodNotAllowed, `{"code":"MethodNotAllowedError","message":"`+r.Method+` is not allowed"}`)
		return
	case path == "/":
		a.Header().Set("Cache-Control", "public, immutable, max-age=31557600")
		a.json(http.StatusOK, `{"db_name":"registry","doc_count":12,"update_seq":12}`)
		return
	case path == "/-/ping":
		a.json(http.StatusOK, "{}")
		return
	case path == "/-/v1/search":
		s.search(a, r)
		return
	}

	s.mu.Lock()
	reply := s.resolve(path, wantsAbbreviated(r.Header))
	s.mu.Unlock()
	reply(a)
}

// resolve finds the answer to a GET. What it returns needs no lock. The caller
// holds s.mu.
func (s *Server) resolve(path string, short bool) func(*answer) {
	missing := func(a *answer) { a.json(http.StatusNotFound, notFound) }
	if s.mode.Thin {
		missing = func(a *answer) { a.WriteHeader(http.StatusNotFound) }
	}
	document := func(body string) func(*answer) {
		return func(a *answer) { a.json(http.StatusOK, body) }
	}

	switch {
	case path == "/-/npm/v1/keys" && !s.mode.Thin:
		return document(s.Keys())
	case strings.HasPrefix(path, "/-/npm/v1/attestations/"):
		spec := strings.TrimPrefix(path, "/-/npm/v1/attestations/")
		at := strings.LastIndexByte(spec, '@')
		if at > 0 {
			if r := s.lookup(spec[:at], spec[at+1:]); r != nil && r.Provenance {
				return document(attestations(r))
			}
		}
		return missing
	case strings.HasPrefix(path, "/-/package/") && strings.HasSuffix(path, "/dist-tags"):
		p := s.packages[strings.TrimSuffix(strings.TrimPrefix(path, "/-/package/"), "/dist-tags")]
		if p == nil {
			return missing
		}
		return document(tagsObject(s.visibleTags(p)))
	case strings.HasPrefix(path, "/-/files/") && s.mode.OddTarballs:
		name, file, _ := cutLast(strings.TrimPrefix(path, "/-/files/"), "/")
		return s.tarball(name, file, missing)
	case strings.HasPrefix(path, "/-/"):
		return missing
	}

	if name, file, ok := strings.Cut(path[1:], "/-/"); ok {
		if s.mode.OddTarballs {
			return missing
		}
		return s.tarball(name, file, missing)
	}
	name, version := splitName(path[1:])
	p := s.packages[name]
	switch {
	case p == nil:
		return missing
	case version == "" && short && !s.mode.Thin:
		d := s.render(p, abbreviated)
		return func(a *answer) { a.document(d, "application/vnd.npm.install-v1+json", false) }
	case version == "":
		d, thin := s.render(p, full), s.mode.Thin
		return func(a *answer) { a.document(d, "application/json", thin) }
	case s.mode.NoVersionDocuments:
		return missing
	}
	r := p.find(version)
	if r == nil {
		return func(a *answer) { a.json(http.StatusNotFound, quote("version not found: "+version)) }
	}
	return document(s.manifest(r))
}

func (s *Server) lookup(name, versionOrTag string) *release {
	if p := s.packages[name]; p != nil {
		return p.find(versionOrTag)
	}
	return nil
}

func (s *Server) tarball(name, file string, missing func(*answer)) func(*answer) {
	if p := s.packages[name]; p != nil && !p.gone {
		for _, r := range p.releases {
			if r.File == file {
				return func(a *answer) { a.tarball(r) }
			}
		}
	}
	return missing
}

// splitName cuts "@scope/name/1.0.0" after the name.
func splitName(path string) (name, rest string) {
	if strings.HasPrefix(path, "@") {
		scope, tail, _ := strings.Cut(path, "/")
		name, rest, _ = strings.Cut(tail, "/")
		return scope + "/" + name, rest
	}
	name, rest, _ = strings.Cut(path, "/")
	return name, rest
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
