package proxy

import (
	"net/http"
	"slices"
	"strings"

	"larder/npm"
)

// handler answers one request. It writes to x, which stands for the response
// and for what the access log will say, and it returns errors instead of
// writing them.
type handler func(x *exchange, r *http.Request) error

// fixedRoute is a path below /-/ without a package name in it.
type fixedRoute struct {
	methods []string
	label   string // one of metrics.Routes
	handle  handler
}

// The paths that are asked of upstream as they are asked of us.
const (
	keysPath       = "/-/npm/v1/keys"
	bulkAuditPath  = "/-/npm/v1/security/advisories/bulk"
	quickAuditPath = "/-/npm/v1/security/audits/quick"
	fullAuditPath  = "/-/npm/v1/security/audits"
)

// fixedRoutes returns the paths that echo matches literally. Everything else,
// packages among it, goes through dispatch.
func (s *Server) fixedRoutes() map[string]fixedRoute {
	read, post := readMethods(), []string{http.MethodPost}
	return map[string]fixedRoute{
		"/-/ping":         {read, "ping", s.ping},
		"/-/whoami":       {read, "other", s.whoami},
		"/-/health/live":  {read, "health", s.live},
		"/-/health/ready": {read, "health", s.ready},
		"/-/metrics":      {read, "metrics", s.metrics},
		"/-/v1/search":    {read, "search", s.search},
		keysPath:          {read, "keys", s.keys},
		bulkAuditPath:     {post, "audit", s.auditBulk},
		quickAuditPath:    {post, "audit", s.auditTree(quickAuditPath)},
		fullAuditPath:     {post, "audit", s.auditTree(fullAuditPath)},
	}
}

func readMethods() []string { return []string{http.MethodGet, http.MethodHead} }

// dispatch sends a request to its handler by npm's own grammar of paths.
func (s *Server) dispatch(x *exchange, r *http.Request) error {
	route, err := npm.ParseRoute(r.URL.EscapedPath())
	if err != nil {
		return err
	}
	x.name = route.Name
	if r.Method == http.MethodOptions {
		x.sendPreflight()
		return nil
	}
	handle, allowed := s.find(x, route)
	switch {
	case allowed == nil:
		return &npm.Error{Kind: npm.NotFound, Op: "proxy.dispatch", Msg: "this registry has no such endpoint"}
	case !slices.Contains(allowed, r.Method):
		return x.methodNotAllowed(r.Method, allowed)
	}
	return handle(x, r, route)
}

// routeHandler is a handler of paths that carry a package name.
type routeHandler func(x *exchange, r *http.Request, route npm.Route) error

// find returns a path's handler and the methods that it answers, none where
// it is not a path of ours. The two routes that only take writes answer none
// but are known, because a client had better hear "not allowed" than "not
// found".
func (s *Server) find(x *exchange, route npm.Route) (routeHandler, []string) {
	read := readMethods()
	switch route.Kind {
	case npm.RouteRoot:
		x.route = "root"
		return s.root, read
	case npm.RoutePackument:
		x.route = "packument"
		return s.packument, read
	case npm.RouteVersion:
		x.route = "version"
		return s.version, read
	case npm.RouteTarball:
		x.route = "tarball"
		return s.tarball, read
	case npm.RouteAttestations:
		x.route = "attestations"
		return s.attestations, read
	case npm.RouteDistTags:
		x.route = "dist-tags"
		return s.distTags, read
	case npm.RouteDistTag:
		x.route = "dist-tags"
		return nil, []string{}
	case npm.RouteRevision:
		return nil, []string{}
	case npm.RouteFixed: // spelled in a way that echo does not match, or with another method
		if f, ok := s.fixed[strings.TrimSuffix(route.Rest, "/")]; ok {
			x.route = f.label
			return func(x *exchange, r *http.Request, _ npm.Route) error { return f.handle(x, r) }, f.methods
		}
	}
	return nil, nil
}

// methodNotAllowed names the methods that are in Allow, as a 405 must.
func (x *exchange) methodNotAllowed(method string, allowed []string) error {
	list := strings.Join(append(slices.Clone(allowed), http.MethodOptions), ", ")
	x.Header().Set("Allow", list)
	return &npm.Error{Kind: npm.MethodNotAllowed, Op: "proxy.dispatch", Name: x.name,
		Msg: method + " is not allowed here, only " + list + ": this server does not take writes"}
}
