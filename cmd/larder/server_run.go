package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// The bounds of a graceful stop. Together they stay below the 30 s that
// Kubernetes waits before it kills.
const (
	drainTimeout = 25 * time.Second // for responses that are on their way
	closeTimeout = 4 * time.Second  // for fills and revalidations that nobody waits for
)

// serve accepts connections until stop.
func (srv *server) serve(listeners []net.Listener) {
	for _, l := range listeners {
		srv.running.Go(func() {
			serve := srv.http.Serve
			if srv.cert != nil {
				serve = func(l net.Listener) error { return srv.http.ServeTLS(l, "", "") }
			}
			if err := serve(srv.bounds.Listen(l)); !errors.Is(err, http.ErrServerClosed) {
				srv.broken <- err
			}
		})
	}
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// stop says for as long as is configured that it is about to stop, lets the
// responses and fills that are under way finish, each within its bound, and
// gives everything back. What a done ctx or a bound cuts off leaves
// nothing behind; it is not an error.
func (srv *server) stop(ctx context.Context) error {
	if srv.http != nil {
		srv.proxy.Drain()
		pause(ctx, srv.delay)
		draining, cancel := context.WithTimeout(ctx, drainTimeout)
		if err := srv.http.Shutdown(draining); err != nil {
			srv.log.Warn("downloads were cut off", "err", errors.Join(err, srv.http.Close()))
		}
		cancel()
	}
	srv.cancel()
	closing, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	if srv.control != nil {
		if err := srv.control.Close(closing); err != nil {
			srv.log.Warn("the control socket could not be closed", "error", err)
		}
	}
	if srv.admin != nil {
		if err := srv.admin.Close(closing); err != nil {
			srv.log.Info("profiles were cut off", "error", err)
		}
	}
	if srv.blobs != nil {
		if err := srv.blobs.Close(closing); err != nil {
			srv.log.Info("fills were given up", "err", err)
		}
	}
	for _, r := range srv.registries {
		if err := r.Close(closing); err != nil {
			srv.log.Info("revalidations were given up", "upstream", r.Name(), "err", err)
		}
	}
	srv.running.Wait()
	// From the top down: the journal takes what the accounts still say.
	var errs []error
	if srv.documents != nil {
		errs = append(errs, srv.documents.Close())
	}
	if srv.store != nil {
		errs = append(errs, srv.store.Close())
	}
	if srv.hosted != nil {
		errs = append(errs, srv.hosted.Close(), srv.private.Close())
	}
	if srv.accounts != nil {
		errs = append(errs, srv.accounts.Close())
	}
	if srv.journal != nil {
		errs = append(errs, srv.journal.Close())
	}
	return errors.Join(append(errs, srv.data.Close())...)
}
