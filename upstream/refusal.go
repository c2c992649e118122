package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// How long a version stays hidden whose tarball upstream refused, before it is
// asked for again.
const (
	laggingPause = time.Minute      // the first 404: what serves tarballs may lag behind the registry
	missingPause = 10 * time.Minute // 404 again
	refusedPause = 24 * time.Hour   // 410, 451: that is meant
)

// refusedTarball is the cause of the error where upstream answered that it has
// no such tarball, or may not give it. No other failure says anything about the
// version.
type refusedTarball struct{ status int }

func (e *refusedTarball) Error() string {
	return fmt.Sprintf("upstream answered %d for the tarball", e.status)
}

// refusedWith returns the cause for a status, nil for one that refuses nothing.
func refusedWith(status int) error {
	switch status {
	case http.StatusNotFound, http.StatusGone, http.StatusUnavailableForLegalReasons:
		return &refusedTarball{status}
	}
	return nil
}

// asRefused returns the refusal in err's chain.
func asRefused(err error) (*refusedTarball, bool) {
	var refused *refusedTarball
	ok := errors.As(err, &refused)
	return refused, ok
}

// Refused is told what getting a tarball failed with, and returns the error for
// the client. Where upstream lists the version and refuses its tarball, the
// version is hidden for a while, so that clients choose another one.
func (r *Registry) Refused(ctx context.Context, name, file string, err error) error {
	refused, ok := asRefused(err)
	if !ok {
		return err
	}
	dist, unlisted := (&tarball{r, name, file}).dist(ctx)
	if unlisted != nil {
		return err
	}
	now := r.now()
	m := removal{Since: now, Evidence: byTarball, Status: refused.status, Until: now.Add(refusedPause)}
	known, ok := r.entry(name).removals().versions()[dist.Version]
	switch {
	case r.preferred.get() > 0: // what stands in for the first URL need not have, or give, all that it does
		m.Until = now.Add(laggingPause)
	case refused.status != http.StatusNotFound:
	case ok && known.Status == refused.status:
		m.Until = now.Add(missingPause)
	default:
		m.Until = now.Add(laggingPause)
	}
	g := &guard{Registry: r, name: name}
	if !ok || !known.hides(now) {
		g.take(ctx, []string{dist.Version}, m)
	}
	if withheld := r.Withheld(name, file); withheld != nil {
		return withheld
	}
	return err // it is pinned, and cannot be had
}
