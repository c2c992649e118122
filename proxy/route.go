package proxy

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"larder/auth"
	"larder/hosted"
	"larder/npm"
)

// handler answers one request. It writes to x, which stands for the response
// and for what the access log will say, and it returns errors instead of
// writing them.
type handler func(x *exchange, r *http.Request) error

// fixedRoute is what a path below /-/ without a name in it answers to one method.
type fixedRoute struct {
	label  string // one of metrics.Routes
	handle handler
}

// The paths that are asked of upstream as they are asked of us.
const (
	keysPath       = "/-/npm/v1/keys"
	bulkAuditPath  = "/-/npm/v1/security/advisories/bulk"
	quickAuditPath = "/-/npm/v1/security/audits/quick"
	fullAuditPath  = "/-/npm/v1/security/audits"
)

// fixedRoutes returns the paths that echo matches literally, by method.
// Everything else, packages among it, goes through dispatch.
func (s *Server) fixedRoutes() map[string]map[string]fixedRoute {
	type methods = map[string]fixedRoute
	get := func(label string, h handler) methods {
		return methods{http.MethodGet: {label, h}, http.MethodHead: {label, h}}
	}
	post := func(label string, h handler) methods { return methods{http.MethodPost: {label, h}} }
	both := func(a, b methods) methods {
		maps.Copy(a, b)
		return a
	}
	return map[string]methods{
		"/-/ping":                get("ping", s.ping),
		"/-/whoami":              get("account", s.whoami),
		"/-/health/live":         get("health", s.live),
		"/-/health/ready":        get("health", s.ready),
		"/-/metrics":             get("metrics", s.metrics),
		"/-/v1/search":           get("search", s.search),
		"/-/v1/login":            post("account", s.beginLogin),
		"/-/npm/v1/user":         both(get("account", s.profile), post("account", s.setProfile)),
		"/-/npm/v1/tokens":       both(get("account", s.tokens), post("account", s.createToken)),
		"/-/_view/starredByUser": get("star", s.starredBy),
		"/-/user/v1/star":        {http.MethodPut: {"star", s.star}, http.MethodDelete: {"star", s.star}},
		keysPath:                 get("keys", s.keys),
		bulkAuditPath:            post("audit", s.auditBulk),
		quickAuditPath:           post("audit", s.auditTree(quickAuditPath)),
		fullAuditPath:            post("audit", s.auditTree(fullAuditPath)),
	}
}

func readMethods() []string { return []string{http.MethodGet, http.MethodHead} }

// routeHandler is a handler of paths that carry a name.
type routeHandler func(x *exchange, r *http.Request, route npm.Route) error

// endpoint is what a path that carries a name answers to some methods.
type endpoint struct {
	methods []string
	label   string // one of metrics.Routes
	// needs is what the caller must be allowed to do with the path's package,
	// where it has one.
	needs auth.Action
	// event is the word in the journal for a write, "" for a read.
	event  string
	handle routeHandler
}

// packageRoutes returns what the paths answer of which npm.ParseRoute knows
// the grammar.
func (s *Server) packageRoutes() map[npm.RouteKind][]endpoint {
	read := func(label string, h routeHandler) endpoint {
		return endpoint{methods: readMethods(), label: label, needs: auth.Read, handle: h}
	}
	write := func(method, label string, needs auth.Action, event string, h routeHandler) endpoint {
		return endpoint{methods: []string{method}, label: label, needs: needs, event: event, handle: h}
	}
	account := func(method string, h routeHandler) endpoint {
		return endpoint{methods: []string{method}, label: "account", handle: h}
	}
	web := endpoint{methods: []string{http.MethodGet, http.MethodHead, http.MethodPost}, label: "web", handle: s.web}
	return map[npm.RouteKind][]endpoint{
		npm.RouteRoot: {read("root", s.root)},
		npm.RoutePackument: {
			read("packument", s.packument),
			write(http.MethodPut, "publish", auth.Read, "publish", s.put), // looks further itself: it may be a star
		},
		npm.RouteVersion: {
			read("version", s.version),
			write(http.MethodPut, "dist-tags", auth.Publish, "dist-tag.add", s.putTag),
		},
		npm.RouteTarball: {read("tarball", s.tarball)},
		npm.RouteRevision: {
			write(http.MethodPut, "publish", auth.Read, "unpublish", s.putRevision), // looks further itself: it may be owners
			write(http.MethodDelete, "publish", auth.Unpublish, "unpublish", s.deleteRevision),
		},
		npm.RouteDistTags: {
			read("dist-tags", s.distTags),
			write(http.MethodPost, "dist-tags", auth.Publish, "dist-tag.add", s.mergeTags),
		},
		npm.RouteDistTag: {
			write(http.MethodPut, "dist-tags", auth.Publish, "dist-tag.add", s.putTag),
			write(http.MethodPost, "dist-tags", auth.Publish, "dist-tag.add", s.putTag),
			write(http.MethodDelete, "dist-tags", auth.Publish, "dist-tag.rm", s.deleteTag),
		},
		npm.RouteAccess: {
			read("access", s.access),
			write(http.MethodPost, "access", auth.Publish, "access.set", s.setAccess),
		},
		npm.RouteOwners: {
			read("access", s.owners),
			write(http.MethodPut, "access", auth.Publish, "owner", s.addOwner),
			write(http.MethodDelete, "access", auth.Publish, "owner", s.removeOwner),
		},
		npm.RouteAttestations: {read("attestations", s.attestations)},
		npm.RouteUser:         {account(http.MethodGet, s.user), account(http.MethodPut, s.putUser)},
		npm.RouteUserStars:    {{methods: readMethods(), label: "star", handle: s.starsOf}},
		npm.RouteUserToken:    {account(http.MethodDelete, s.logout)},
		npm.RouteToken:        {account(http.MethodDelete, s.revokeToken)},
		npm.RouteLoginDone:    {account(http.MethodGet, s.pollLogin)},
		npm.RouteWeb:          {web},
	}
}

// dispatch sends a request to its handler by npm's own grammar of paths. It is
// where access is decided, before anything can tell whether a package exists,
// and where every write of a package, and every refused one, is noted in the
// journal: no handler can forget either.
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
	e, allowed := s.find(route, r.Method)
	switch {
	case allowed == nil:
		return &npm.Error{Kind: npm.NotFound, Op: "proxy.dispatch", Msg: "this registry has no such endpoint"}
	case e.handle == nil:
		return x.methodNotAllowed(r.Method, allowed)
	}
	x.route = e.label
	if e.event == "" {
		return s.admitted(x, r, route, e)
	}
	x.event.Action, x.event.Package = e.event, route.Name
	err = untaken(s.admitted(x, r, route, e))
	s.recordWrite(x, err)
	return err
}

// untaken makes NoSpace of every error of our disk in a write: whether it could
// not be read or not be written, nothing came of it.
func untaken(err error) error {
	if err == nil || !errors.Is(err, hosted.ErrDisk) || npm.KindOf(err) == npm.NoSpace {
		return err
	}
	return &npm.Error{Kind: npm.NoSpace, Op: "proxy.dispatch", Msg: npm.Message(err) + ": nothing was changed", Err: err}
}

// admitted runs an endpoint for a caller who may have what it needs.
func (s *Server) admitted(x *exchange, r *http.Request, route npm.Route, e endpoint) error {
	if route.Name != "" {
		if err := s.cfg.Auth.Check(x.caller, e.needs, route.Name); err != nil {
			return err
		}
		x.guarded = !s.cfg.Auth.Public(route.Name)
	}
	return e.handle(x, r, route)
}

// find returns a path's endpoint for a method and the methods that it has, none
// where it is not a path of ours. The endpoint is empty where that is not one
// of them.
func (s *Server) find(route npm.Route, method string) (found endpoint, methods []string) {
	if route.Kind == npm.RouteFixed { // spelled in a way that echo does not match, or with another method
		fixed := s.fixed[strings.TrimSuffix(route.Rest, "/")]
		if f, ok := fixed[method]; ok {
			found = endpoint{label: f.label, handle: func(x *exchange, r *http.Request, _ npm.Route) error { return f.handle(x, r) }}
		}
		return found, slices.Sorted(maps.Keys(fixed))
	}
	for _, e := range s.routes[route.Kind] {
		if slices.Contains(e.methods, method) {
			return e, e.methods
		}
		methods = append(methods, e.methods...)
	}
	return endpoint{}, methods
}

// methodNotAllowed names the methods that are in Allow, as a 405 must.
func (x *exchange) methodNotAllowed(method string, allowed []string) error {
	list := strings.Join(append(slices.Clone(allowed), http.MethodOptions), ", ")
	x.Header().Set("Allow", list)
	return &npm.Error{Kind: npm.MethodNotAllowed, Op: "proxy.dispatch", Name: x.name,
		Msg: method + " is not allowed here, only " + list}
}
