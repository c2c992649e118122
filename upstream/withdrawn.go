package upstream

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// checkTarball asks whether upstream has withdrawn a cached tarball, whose version it
// may list on: 410 or 451. A 404 counts for nothing here, as the copy is good,
// and what serves tarballs may lag behind the registry or lose some of them. Nor
// does what a further URL says that stands in for the first.
func (r *Registry) checkTarball(ctx context.Context, name, file string) {
	if r.preferred.get() > 0 {
		return
	}
	t := &tarball{r, name, file}
	dist, ok := t.anyHeldDist(ctx)
	location := ""
	if ok {
		location = t.location(dist.Tarball)
	}
	if !withdrawn(t.head(ctx, location)) {
		return
	}
	// There are servers that answer a HEAD otherwise than a GET.
	stream, err := t.Open(ctx, location, 0, "")
	if err == nil {
		stream.Body.Close() // nothing of it is wanted
		return
	}
	if refused, ok := asRefused(err); !ok || !withdrawn(refused.status) {
		return
	}
	if storm, _ := r.distrust.lose(name, r.now()); storm {
		r.log.Warn("a tarball is refused, as too many others: it is served on", "package", name, "file", file, "error", err)
		return
	}
	_ = r.Refused(ctx, name, file, err) // which is for a client, and there is none
}

// withdrawn reports whether a status says that somebody took the tarball away.
func withdrawn(status int) bool {
	return status == http.StatusGone || status == http.StatusUnavailableForLegalReasons
}

// head returns the status that upstream answers a HEAD for the tarball with, 0
// where it does not answer.
func (t *tarball) head(ctx context.Context, location string) (status int) {
	r := t.registry
	o := &opening{tarball: t, location: location}
	err := r.persist(ctx, t.name, 1, func(ctx context.Context, base *url.URL) *failure {
		u, err := o.url(base)
		if err != nil {
			return r.remote.badFailure("names a tarball URL that cannot be read", err)
		}
		start, outcome := time.Now(), "ok"
		resp, f := r.remote.send(ctx, http.MethodHead, u, http.Header{"Accept": {"*/*"}}, nil, time.Time{})
		if f != nil {
			outcome = f.outcome
		} else {
			drain(resp.Body)
			if status = resp.StatusCode; status >= http.StatusBadRequest {
				outcome = "refused"
			}
		}
		r.metrics.Request("tarball", outcome, time.Since(start))
		return f
	})
	if err != nil {
		return 0
	}
	return status
}
