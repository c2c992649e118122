package proxy

import (
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"larder/npm"
)

// ping answers GET /-/ping. npm prints whatever is in the object.
func (s *Server) ping(x *exchange, r *http.Request) error {
	return x.sendJSON(r, noStore, []byte("{}"))
}

// metrics answers GET /-/metrics.
func (s *Server) metrics(x *exchange, r *http.Request) error {
	x.common(noStore)
	s.cfg.Metrics.Handler().ServeHTTP(x, r)
	return nil
}

// root answers GET /, which load balancers ask for, in the shape that CouchDB
// gave it.
func (s *Server) root(x *exchange, r *http.Request, _ npm.Route) error {
	body, err := encode(struct {
		DB      string `json:"db_name"`
		Name    string `json:"name"`
		Version string `json:"version"`
	}{"registry", "larder", s.cfg.Version})
	if err != nil {
		return err
	}
	return x.sendJSON(r, revalidate, body)
}

// web hands a page to the room of pages, which sees the client's own address,
// the host that the client knows, and no prefix.
func (s *Server) web(x *exchange, r *http.Request, _ npm.Route) error {
	if s.cfg.Web == nil {
		return &npm.Error{Kind: npm.NotFound, Op: "proxy.web", Msg: "this registry has no pages"}
	}
	inner := *r
	if x.client.IsValid() {
		inner.RemoteAddr = netip.AddrPortFrom(x.client, 0).String()
	}
	// A page compares a form's Origin with the host that the browser knows.
	if base, err := s.bases.of(r, x.trusted); err == nil {
		if u, err := url.Parse(base.url); err == nil {
			inner.Host = u.Host
		}
	}
	s.cfg.Web.ServeHTTP(x, &inner)
	return nil
}

// attestations answers GET /-/npm/v1/attestations/NAME@VERSION as the
// package's own source does.
func (s *Server) attestations(x *exchange, r *http.Request, route npm.Route) error {
	src, err := s.source(r.Context(), route.Name)
	if err != nil {
		return err
	}
	if src.hosted != nil {
		return x.hostedAttestations(r, src.hosted, route.Version)
	}
	started := time.Now()
	body, from, err := src.upstream.Small(r.Context(),
		"/-/npm/v1/attestations/"+npm.EscapeName(route.Name)+"@"+url.PathEscape(route.Version))
	x.waitedSince(started)
	if err != nil {
		return err
	}
	s.from(x, src.upstream, from)
	return x.sendJSON(r, cacheDocument, body)
}
