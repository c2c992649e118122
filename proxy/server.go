package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"larder/auth"
	"larder/cache"
	"larder/hosted"
	"larder/metrics"
	"larder/npm"
	"larder/upstream"
)

// Config configures the HTTP surface.
type Config struct {
	Hosted         *hosted.Packages     // asked first
	Reserved       []string             // patterns of names that are never asked for upstream
	AllowShadow    []string             // patterns of names that may be published although upstream has them
	Upstreams      []*upstream.Registry // asked in order: the first whose pattern matches
	Blobs          *cache.Blobs
	Documents      *cache.Documents
	Auth           *auth.Auth
	Journal        *auth.Journal  // of all writes; may be nil
	Web            http.Handler   // the pages below /-/web/; may be nil
	PublicURL      string         // "" : from each request; may carry a path prefix
	TrustedProxies []netip.Prefix // whose X-Forwarded-* are believed
	Version        string
	Via            string // see upstream.Config.Via
	Metrics        *metrics.Metrics
	Log            *slog.Logger
	Access         *slog.Logger // gets a line for each request that did not fail here; nil: Log
	Checks         []Check      // for /-/health/ready
	// SendSilence is how long a client may take for the next 256 KB of its
	// response until it is broken off [2m].
	SendSilence time.Duration
}

// Check is one condition of health. Run returns nil when it holds; its error
// text is shown at /-/health/ready, which then says "degraded".
type Check struct {
	Name string
	Run  func(context.Context) error
}

// Server answers npm clients.
type Server struct {
	cfg      Config
	bases    *bases
	forced   *buckets[netip.Prefix]           // revalidations, by client
	audits   *semaphore.Weighted              // bytes of audits' bodies that are held
	notices  *buckets[netip.Prefix]           // that an upstream is away, by client
	refused  *buckets[refusalKind]            // what the journal takes of refused writes
	uploads  *uploads                         // bodies of PUTs that are being read
	catchAll *upstream.Registry               // answers what has no package name; nil if there is none
	fixed    map[string]map[string]fixedRoute // by path and method
	routes   map[npm.RouteKind][]endpoint
	router   *echo.Echo
	draining atomic.Bool
}

// New returns a Server. Errors are about cfg.
func New(cfg Config) (*Server, error) {
	if cfg.Hosted == nil || cfg.Blobs == nil || cfg.Documents == nil || cfg.Auth == nil {
		return nil, errors.New("proxy: Config.Hosted, Blobs, Documents and Auth are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Access == nil {
		cfg.Access = cfg.Log
	}
	if cfg.SendSilence <= 0 {
		cfg.SendSilence = sendSilence
	}
	b, err := newBases(cfg.PublicURL, cfg.TrustedProxies)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:      cfg,
		bases:    b,
		forced:   newBuckets[netip.Prefix](forcedRate, forcedBurst),
		audits:   semaphore.NewWeighted(maxAuditMemory),
		notices:  newNotices(),
		refused:  newBuckets[refusalKind](rate.Every(refusalEvery), refusalBurst),
		uploads:  newUploads(),
		catchAll: catchAll(cfg.Upstreams),
	}
	s.fixed = s.fixedRoutes()
	s.routes = s.packageRoutes()
	s.router = s.newRouter()
	return s, nil
}

// Handler returns the handler of everything, access log and metrics included.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Drain turns readiness off; requests are still answered, the last on their
// connections.
func (s *Server) Drain() { s.draining.Store(true) }

// serve wraps what holds for every request around the router: identity,
// accounting, the prefix, the loop check. It stands outside echo because
// echo.Response has no ReadFrom, which costs sendfile: handlers write to the
// exchange instead.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	x := s.begin(w, r)
	defer s.end(x, r)
	defer s.recover(x, r)
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		drain(x, r) // net/http would wait for a body that never ends, and without a bound
	}
	inner, err := s.enter(x, r)
	if err != nil {
		s.writeError(x, r, err)
		return
	}
	x.caller = s.cfg.Auth.Caller(r.Context(), r.Header.Get("Authorization"), x.client)
	s.router.ServeHTTP(x, inner)
}

// enter refuses what must not be routed, and returns the request as the
// router must see it: without the public URL's path prefix and that of the view
// of the cache.
func (s *Server) enter(x *exchange, r *http.Request) (*http.Request, error) {
	if s.cfg.Via != "" && passedThrough(r.Header.Values("Via"), s.cfg.Via) {
		return nil, &npm.Error{Kind: npm.Loop, Op: "proxy.enter",
			Msg: "this request has already passed through this server: one of its upstreams leads back to it"}
	}
	inner, ok := s.bases.strip(r, x.trusted)
	if !ok {
		return nil, &npm.Error{Kind: npm.NotFound, Op: "proxy.enter",
			Msg: "packages are served below " + s.bases.public + "/"}
	}
	if err := checkPage(inner); err != nil {
		x.guarded = true // the page may not even read why
		return nil, err
	}
	return enterCached(x, inner)
}

// newRouter gives echo the fixed paths and one catch-all for every method, even
// those that nobody has heard of. Package paths stay out of its tree: it would
// match the decoded or the raw path depending on how a client spells it, and
// never unescapes parameters.
func (s *Server) newRouter() *echo.Echo {
	e := echo.New()
	e.Logger.SetOutput(io.Discard) // we have a log of our own
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		s.writeError(exchangeOf(c), c.Request(), err)
	}
	for path, methods := range s.fixed {
		for method, f := range methods {
			e.Add(method, path, func(c echo.Context) error {
				x := exchangeOf(c)
				x.route = f.label
				return f.handle(x, c.Request())
			})
		}
	}
	dispatch := func(c echo.Context) error { return s.dispatch(exchangeOf(c), c.Request()) }
	e.RouteNotFound("/*", dispatch)
	return e
}

// exchangeOf returns what serve gave to echo as the response writer.
func exchangeOf(c echo.Context) *exchange { return c.Response().Writer.(*exchange) }
