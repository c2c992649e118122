package proxy

import (
	"net/http"
	"strings"

	"larder/npm"
	"larder/upstream"
)

// cachedPath is the path of a second registry beside the first: it shows, of
// the same packages to the same people, what an install can have without
// upstream, whether or not upstream is there.
const cachedPath = "/-/view/cached"

// cutPath returns r without a prefix of its path, which has no byte that is
// ever escaped, and false where the path is not below it.
func cutPath(r *http.Request, prefix string) (*http.Request, bool) {
	rest, inside := strings.CutPrefix(r.URL.EscapedPath(), prefix)
	if !inside || rest != "" && rest[0] != '/' {
		return r, false
	}
	inner, u := *r, *r.URL
	u.Path = "/" + strings.TrimPrefix(strings.TrimPrefix(u.Path, prefix), "/")
	if u.RawPath != "" {
		u.RawPath = "/" + strings.TrimPrefix(rest, "/")
	}
	inner.URL = &u
	return &inner, true
}

// enterCached returns a request below cachedPath as the router must see it,
// other requests as they are. All that is done for such a request is done under
// upstream.HeldOnly. It refuses what is not part of that registry.
func enterCached(x *exchange, r *http.Request) (*http.Request, error) {
	inner, inside := cutPath(r, cachedPath)
	if !inside {
		return r, nil
	}
	x.cached = true
	route, err := npm.ParseRoute(inner.URL.EscapedPath())
	switch {
	case err != nil:
		return nil, err
	case !isCachedRoute(route):
		return nil, &npm.Error{Kind: npm.NotFound, Op: "proxy.enterCached", Name: route.Name, Msg: "the view of the cache has no such endpoint"}
	case !isCachedMethod(inner.Method, route):
		x.Header().Set("Allow", "GET, HEAD, OPTIONS")
		return nil, &npm.Error{Kind: npm.MethodNotAllowed, Op: "proxy.enterCached", Name: route.Name,
			Msg: "the view of the cache is read only: write to the registry that it is a view of"}
	}
	return inner.WithContext(upstream.HeldOnly(inner.Context())), nil
}

// isCachedRoute reports whether a path is part of the registry at cachedPath.
// Health and metrics are the server's, and accounts and pages the first
// registry's.
func isCachedRoute(route npm.Route) bool {
	switch route.Kind {
	case npm.RouteRoot, npm.RoutePackument, npm.RouteVersion, npm.RouteTarball, npm.RouteRevision,
		npm.RouteDistTags, npm.RouteDistTag, npm.RouteAttestations, npm.RouteAccess, npm.RouteOwners:
		return true
	case npm.RouteFixed:
		return isAudit(route) || route.Rest == "/-/ping" || route.Rest == "/-/whoami" || route.Rest == "/-/v1/search" || route.Rest == keysPath
	}
	return false
}

// isCachedMethod reports whether a request only reads. An audit is a POST,
// which the audit's own handlers answer.
func isCachedMethod(method string, route npm.Route) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return method == http.MethodPost && isAudit(route)
}

func isAudit(route npm.Route) bool {
	return route.Rest == bulkAuditPath || route.Rest == quickAuditPath || route.Rest == fullAuditPath
}

// base returns the URL of the registry that a request is for, as its client
// knows it.
func (s *Server) base(x *exchange, r *http.Request) (base, error) {
	b, err := s.serverBase(x, r)
	if err == nil && x.cached {
		b.url += cachedPath
	}
	return b, err
}

// serverBase is bases.of, and remembers what it was for the last request on the
// connection: in general all are for one host. Those of a proxy are not.
func (s *Server) serverBase(x *exchange, r *http.Request) (base, error) {
	if x.conn == nil || x.trusted {
		return s.bases.of(r, x.trusted)
	}
	if x.conn.base.url != "" && x.conn.host == r.Host {
		return x.conn.base, nil
	}
	b, err := s.bases.of(r, false)
	if err == nil {
		x.conn.host, x.conn.base = r.Host, b
	}
	return b, err
}
