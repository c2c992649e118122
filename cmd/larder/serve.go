package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// errCutOff is how a server ends that was told twice to stop.
var errCutOff = errors.New("stopped at once by a second signal")

// serve runs a server until ctx is done or a signal arrives. The first signal
// lets running downloads finish, the second cuts them off, and the third is
// the operating system's to handle.
func serve(ctx context.Context, s *settings, info build, stderr io.Writer) error {
	log := newLogs(s.Log, stderr)
	defer log.Close() // an error could be said nowhere
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	if len(s.strays) > 0 {
		log.Warn("environment variables that are no settings", "names", s.strays)
	}
	for _, w := range s.warnings() {
		log.Warn(w.String())
	}
	starting, started := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	srv, err := newServer(starting, s, info, log)
	started()
	if err != nil {
		return err
	}
	listeners, err := listen(ctx, s.Listen)
	if err != nil {
		srv.delay = 0 // nobody has been served
		return errors.Join(err, srv.stop(ctx))
	}
	if err := srv.announce(stderr, info, s, listeners); err != nil {
		log.Warn("the banner could not be written", "err", err)
	}
	srv.memory.announce(log.Logger)
	srv.serve(listeners)

	var broken error
	select {
	case <-ctx.Done():
	case broken = <-srv.broken:
	case sig := <-signals:
		log.Info("stopping: waiting for running downloads", "signal", sig.String(),
			"accepting_for", srv.delay.String(), "at_most", (srv.delay + drainTimeout).String())
	}

	// What ended ctx asks for a graceful stop; only a second signal cuts it short.
	stopping, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stopped := make(chan error, 1)
	go func() { stopped <- srv.stop(stopping) }()
	select {
	case err := <-stopped:
		return errors.Join(broken, err)
	case <-signals:
		signal.Stop(signals)
		cut()
		return errors.Join(errCutOff, <-stopped)
	}
}

// listen opens all addresses, or none.
func listen(ctx context.Context, addrs []string) ([]net.Listener, error) {
	var listeners []net.Listener
	var config net.ListenConfig
	for _, addr := range addrs {
		l, err := config.Listen(ctx, "tcp", addr)
		if err != nil {
			for _, opened := range listeners {
				opened.Close()
			}
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// announce tells people, by a banner, and scripts, by a line "listening" in
// the log for each address, that connections are accepted.
func (srv *server) announce(stderr io.Writer, info build, s *settings, listeners []net.Listener) error {
	scheme, name := "http", ""
	if srv.cert != nil {
		scheme, name = "https", srv.cert.name()
	}
	var err error
	if s.Log.Format == "text" {
		base := baseURL(scheme, s.PublicURL, listeners[0].Addr())
		if tcp, ok := listeners[0].Addr().(*net.TCPAddr); ok && name != "" && s.PublicURL == "" {
			base = fmt.Sprintf("https://%s:%d/", name, tcp.Port) // the one that clients will believe
		}
		err = banner(stderr, info, s, srv.data.path, base)
	}
	log := srv.log
	if s.PublicURL != "" {
		log = log.With("public_url", s.PublicURL)
	}
	for _, l := range listeners {
		log.Info("listening", "url", baseURL(scheme, "", l.Addr()), "version", info.version, "data", srv.data.path, "upstreams", upstreamLine(s))
	}
	return err
}
