package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"

	"larder/auth"
	"larder/cache"
	"larder/hosted"
	"larder/metrics"
	"larder/proxy"
	"larder/upstream"
	"larder/web"
)

// The bounds of a connection. There is none on the time to write a response:
// a tarball on a slow line takes as long as it takes.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 120 * time.Second // npm reuses sockets, and retries after 10 s when one has gone
	maxHeaderBytes    = 64 << 10
)

// tarballShare is the part of cache.memory that small tarballs have: one byte in
// so many.
const tarballShare = 4

// server is everything that a running Larder holds.
type server struct {
	log        *slog.Logger
	access     *slog.Logger // of requests
	data       *dataDir
	store      *cache.Dir
	blobs      *cache.Blobs
	documents  *cache.Documents
	registries []*upstream.Registry
	journal    *auth.Journal
	accounts   *auth.Auth
	private    *cache.Dir // the store of hosted
	hosted     *hosted.Packages
	proxy      *proxy.Server
	shares     shares
	memory     memory
	bounds     *proxy.Connections
	delay      time.Duration // from the first sign of stopping to the end of accepting
	metrics    *metrics.Metrics
	http       *http.Server
	cert       *certificate // nil where plain HTTP is spoken
	admin      *admin       // nil where none is wanted
	control    *control     // nil where no socket could be made
	broken     chan error   // gets the first error of a listener

	cancel  context.CancelFunc // ends requests and the sweep
	running sync.WaitGroup     // listeners and the sweep
}

// newServer opens the data directory and builds a server on it, which does not
// listen yet. ctx ends the wait for another server. The caller calls stop.
func newServer(ctx context.Context, s *settings, info build, log logs) (*server, error) {
	data, err := awaitData(ctx, s.Data, time.Duration(s.Limits.LockWait), log.Logger)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	srv := &server{log: log.Logger, access: log.access, data: data, cancel: cancel, shares: sharesFor(s, log.Logger), memory: memoryFor(s), delay: time.Duration(s.Limits.ShutdownDelay), broken: make(chan error, len(s.Listen))}
	if err := srv.build(ctx, s, info); err != nil {
		return nil, errors.Join(err, srv.stop(context.WithoutCancel(ctx)))
	}
	if s.Admin.Listen != "" {
		if srv.admin, err = openAdmin(ctx, s.Admin, srv.metrics.RuntimeHandler(), log.Logger); err != nil {
			srv.delay = 0 // nobody has been served
			return nil, errors.Join(err, srv.stop(context.WithoutCancel(ctx)))
		}
	}
	if srv.control, err = openControl(ctx, data.path, srv.controls(s, info).handler(), log.Logger); err != nil {
		log.Warn("the commands that change a running server, such as \"larder offline\", will not reach this one", "error", err)
	}
	if srv.memory.ballast > 0 {
		srv.running.Go(func() { paceCollector(ctx, srv.memory.ballast) })
	}
	srv.running.Go(func() {
		if err := data.sweepCaches(ctx); err != nil && ctx.Err() == nil {
			log.Warn("caches of older releases could not be removed", "err", err)
		}
	})
	return srv, nil
}

// build makes the rooms from the bottom up. What it made before an error is
// left in srv for stop.
func (srv *server) build(ctx context.Context, s *settings, info build) (err error) {
	counters := metrics.New(info.version, info.commit)
	srv.metrics = counters
	srv.bounds = proxy.NewConnections(srv.connections(s))
	if s.TLS.Cert != "" {
		if srv.cert, err = newCertificate(s.TLS, counters, srv.log); err != nil {
			return err
		}
	}
	if err := srv.buildPrivate(ctx, s, info, counters); err != nil {
		return err
	}
	srv.store, err = cache.OpenDir(cache.DirConfig{
		Path:    srv.data.cachePath(),
		Within:  srv.data.path,
		MaxSize: int64(s.Cache.MaxSize),
		MinFree: int64(s.Cache.MinFree),
		MaxAge:  time.Duration(s.Cache.MaxAge),
		Keep:    cache.KeepBlobs(pinnedBlobs(s)),
		Metrics: counters,
		Log:     srv.log,
	})
	if err != nil {
		return err
	}
	via := "larder-" + strings.ToLower(rand.Text()[:12]) // not the host's name: it goes to other companies
	responses := cache.NewResponses(srv.store, counters, srv.log)
	turns := cache.NewTurns(runtime.GOMAXPROCS(0) - 1) // one processor is left for all else
	notes := cache.NewNotes(srv.store, counters, srv.log)
	tarballs := srv.memory.documents / tarballShare
	srv.blobs = cache.NewBlobs(cache.BlobsConfig{
		Store: srv.store, Memory: tarballs, Metrics: counters, Log: srv.log, MaxFills: srv.shares.fills,
	})
	for i, u := range s.Upstreams {
		cfg := upstreamConfig(s, u)
		cfg.Auth = s.auths[i]
		cfg.Concurrency = min(cfg.Concurrency, srv.shares.upstream)
		cfg.Memory = srv.memory.unpacked
		cfg.Via = via
		cfg.UserAgent = "larder/" + info.version
		cfg.Turns = turns
		cfg.Responses = responses
		cfg.Notes = notes
		cfg.Vault = srv.blobs
		cfg.Metrics = counters
		cfg.Log = srv.log
		registry, err := upstream.New(cfg)
		if err != nil {
			return err
		}
		srv.registries = append(srv.registries, registry)
	}
	srv.documents = cache.NewDocuments(cache.DocumentsConfig{
		Store: srv.store, Memory: srv.memory.documents - tarballs, Turns: turns, Metrics: counters, Log: srv.log,
	})
	var pages http.Handler
	if s.Auth.WebLogin {
		if pages, err = web.New(web.Config{Auth: srv.accounts, Log: srv.log}); err != nil {
			return err
		}
	}
	srv.proxy, err = proxy.New(proxy.Config{
		Hosted:         srv.hosted,
		Reserved:       s.Hosted.Reserved,
		AllowShadow:    s.Hosted.AllowShadow,
		Auth:           srv.accounts,
		Journal:        srv.journal,
		Web:            pages,
		Upstreams:      srv.registries,
		Blobs:          srv.blobs,
		Documents:      srv.documents,
		PublicURL:      s.PublicURL,
		TrustedProxies: prefixes(s.TrustedProxies),
		Version:        info.version,
		Via:            via,
		Metrics:        counters,
		Log:            srv.log,
		Access:         srv.access,
		Checks:         srv.checks(),
	})
	if err != nil {
		return err
	}
	srv.scrub(ctx, s, counters)
	if srv.cert != nil {
		srv.running.Go(func() { srv.cert.watch(ctx) })
	}
	srv.http = &http.Server{
		Handler:           srv.proxy.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         srv.bounds.State,
		ConnContext:       srv.bounds.Context,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(srv.log.Handler(), slog.LevelDebug),
	}
	if srv.cert != nil {
		srv.http.Handler = srv.bounds.Requests(srv.http.Handler)
		srv.http.TLSConfig = srv.cert.config()
		srv.http.HTTP2 = srv.bounds.HTTP2()
	}
	return nil
}

// controls is what the control socket works on.
func (srv *server) controls(s *settings, info build) *controls {
	return &controls{info: info, settings: s, registries: srv.registries, packages: srv.hosted, journal: srv.journal, log: srv.log}
}

// buildPrivate opens what is kept of accounts and of packages published here.
func (srv *server) buildPrivate(ctx context.Context, s *settings, info build, counters *metrics.Metrics) (err error) {
	srv.journal, err = openJournal(srv.data.path, s.Audit)
	if err != nil {
		return err
	}
	srv.accounts, err = openAuth(srv.data.path, s, info, srv.journal, counters, srv.log)
	if err != nil {
		return err
	}
	if err := bootstrap(ctx, srv.accounts, srv.journal, s.Bootstrap, srv.log); err != nil {
		return err
	}
	if names := unclaimed(s, srv.accounts); len(names) > 0 {
		srv.log.Warn("groups or access rules name users who have no account: nobody can make it for themselves, larder user add can", "names", names)
	}
	srv.hosted, srv.private, err = openHosted(srv.data.path, hosted.Config{
		MaxPublish: int64(s.Hosted.MaxPublish),
		Sign:       srv.accounts.Sign,
		Metrics:    counters,
		Log:        srv.log,
	}, info, false)
	if err == nil {
		srv.hosted.Learn()
	}
	return err
}

// upstreamConfig translates what the configuration says about an upstream.
func upstreamConfig(s *settings, u UpstreamConfig) upstream.Config {
	cfg := upstream.Config{
		Name:                 u.Name,
		Match:                u.Match,
		Headers:              make(http.Header, len(u.Headers)),
		CAFile:               u.CA,
		TarballHosts:         u.TarballHosts,
		Concurrency:          u.Concurrency,
		FreshFor:             time.Duration(s.Cache.FreshFor),
		StaleWhileRevalidate: time.Duration(s.Cache.StaleWhileRevalidate),
		Pins:                 s.Cache.Pins,
		Offline:              s.Offline,
	}
	for _, raw := range u.URLs {
		if parsed, err := url.Parse(raw); err == nil { // checked by load
			cfg.URLs = append(cfg.URLs, parsed)
		}
	}
	for name, value := range u.Headers {
		cfg.Headers.Set(name, value)
	}
	return cfg
}

// prefixes translates trusted_proxies, which load has checked.
func prefixes(texts []string) []netip.Prefix {
	var ps []netip.Prefix
	for _, text := range texts {
		if p, err := parsePrefix(text); err == nil {
			ps = append(ps, p)
		}
	}
	return ps
}
