package upstream

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"larder/npm"
)

// Post sends a small JSON body and returns upstream's answer; it is tried
// once, within PostTimeout.
func (r *Registry) Post(ctx context.Context, path string, body []byte) ([]byte, error) {
	if r.Held(ctx) {
		return nil, r.NotHeld(ctx, path)
	}
	if err := r.posts.get(r.now()); err != nil {
		return nil, named(err, path)
	}
	if down, last := r.breaker.down(); down {
		return nil, &npm.Error{Kind: npm.Unavailable, Op: "upstream.Post", Name: path, Msg: last, RetryAfter: r.cfg.BreakerPause}
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.PostTimeout)
	defer cancel()
	if err := r.docSlots.Acquire(ctx, 1); err != nil {
		return nil, named(r.remote.transportFailure(ctx, err).err, path)
	}
	defer r.docSlots.Release(1)
	start := time.Now()
	answer, f := r.post(ctx, path, body)
	outcome := "ok"
	if f != nil {
		outcome = f.outcome
	}
	r.metrics.Request("other", outcome, time.Since(start))
	if f != nil {
		if f.outcome == "timeout" || npm.KindOf(f.err) == npm.Timeout {
			r.posts.set(f.err, r.now().Add(retryPause))
		}
		return nil, named(f.err, path)
	}
	return answer, nil
}

// patience remembers that upstream let a Post wait in vain. npm, which asks for
// an audit in two ways one after the other while an install waits, then waits
// once.
type patience struct {
	mu    sync.Mutex // guards what follows
	err   *npm.Error
	until time.Time
}

func (p *patience) get(now time.Time) *npm.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.until) {
		return p.err
	}
	return nil
}

func (p *patience) set(err *npm.Error, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err, p.until = err, until
}

func (r *Registry) post(ctx context.Context, path string, body []byte) ([]byte, *failure) {
	base := r.remote.bases[r.preferred.get()]
	u, err := joinPath(base, path, "")
	if err != nil {
		return nil, r.remote.badFailure("cannot be asked that", err)
	}
	header := http.Header{
		"Content-Type":    {npm.FullType},
		"Accept":          {npm.FullType},
		"Accept-Encoding": {"identity"},
	}
	resp, f := r.remote.send(ctx, http.MethodPost, u, header, body, time.Time{})
	if f != nil {
		return nil, f
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusMethodNotAllowed, http.StatusNotImplemented: // it lacks the endpoint
		resp.StatusCode = http.StatusNotFound
		fallthrough
	default:
		return nil, r.remote.statusFailure(resp, "not found: "+path)
	}
	plain, err := decoded(resp, false)
	if err != nil {
		return nil, r.remote.badFailure("sent an answer that cannot be read", err)
	}
	answer, err := readAll(plain, -1, maxSmall)
	r.metrics.Received(int64(len(answer)))
	var late *failure
	switch {
	case errors.As(err, &late), err != nil && ctx.Err() != nil && !errors.Is(err, errTooLarge):
		return nil, r.remote.transportFailure(ctx, err)
	case err != nil:
		return nil, r.remote.badFailure("sent an answer that cannot be read", err)
	}
	if err := checkJSON(answer); err != nil {
		return nil, r.remote.oddFailure("sent something that is not JSON", err)
	}
	return answer, nil
}
