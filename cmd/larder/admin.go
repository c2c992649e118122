package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"sync"
	"time"
)

// The admin listener shows what goes on inside a running server: profiles and
// all metrics. It takes no changes; those come by the control socket.

// adminTimeout is how long an answer may take to be written, a profile from
// its end on: pprof adds the time that it was asked to measure for.
const adminTimeout = 30 * time.Second

// While the admin listener is on, one of mutexShare contended locks is
// recorded, and waits of more than blockedFor: little enough to be left on.
const (
	mutexShare = 100
	blockedFor = time.Millisecond
)

const adminIndex = `/metrics               all metrics, those of the Go runtime included
/debug/pprof/          profiles: go tool pprof http://HOST/debug/pprof/profile
`

// admin is the admin listener of a running server.
type admin struct {
	server *http.Server
	cancel context.CancelFunc // ends the profiles that are being taken
	served sync.WaitGroup
}

// openAdmin listens at cfg.Listen and answers until Close.
func openAdmin(ctx context.Context, cfg AdminConfig, metrics http.Handler, log *slog.Logger) (*admin, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin.listen: %w", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a := &admin{cancel: cancel}
	a.server = &http.Server{
		Handler:           adminHandler(cfg, metrics),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       adminTimeout,
		WriteTimeout:      adminTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	runtime.SetMutexProfileFraction(mutexShare)
	runtime.SetBlockProfileRate(int(blockedFor.Nanoseconds()))
	a.served.Go(func() {
		if err := a.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the admin listener broke: there are no profiles and no metrics any more", "error", err)
		}
	})
	log.Info("admin listening", "url", baseURL("http", "", l.Addr()))
	return a, nil
}

// adminHandler mounts the profiles itself: importing the package registers them
// with http.DefaultServeMux, too, which no server of this program uses.
func adminHandler(cfg AdminConfig, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, adminIndex)
	})
	if cfg.Remote {
		return mux
	}
	// A page in a browser on this machine must not read it under a name of its
	// own that it has made point here (DNS rebinding).
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !isLoopback(host) {
			http.Error(w, "admin.remote is off: ask by a loopback address", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// Close ends the profiles that are being taken, which are good for the time that
// they have seen, and waits for their answers until ctx is done.
func (a *admin) Close(ctx context.Context) error {
	a.cancel()
	err := a.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, a.server.Close())
	}
	a.served.Wait()
	return err
}

// checkAdmin is part of check.
func (l *loader) checkAdmin() {
	if l.Admin.Listen == "" {
		return
	}
	host, ok := l.checkAddress("admin.listen", l.Admin.Listen)
	if ok && !l.Admin.Remote && !isLoopback(host) {
		l.bad("admin.listen", "must be a loopback address, like 127.0.0.1:4874, unless admin.remote is true: whoever reaches it can look into the server")
	}
}
