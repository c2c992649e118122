package upstream

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// probes asks an upstream that is in trouble whether it is back, so that no
// client's request has to find out. It runs while the breaker is not closed or
// a further URL stands in for the first, and ends with the Registry.
type probes struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex // guards what follows
	running bool
	closed  bool
	loop    sync.WaitGroup // added to under mu while not closed
}

func newProbes() *probes {
	ctx, cancel := context.WithCancel(context.Background())
	return &probes{ctx: ctx, cancel: cancel}
}

func (p *probes) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.loop.Wait()
}

// probe starts the probing, if it does not run. What there is to find out
// must have been noted before.
func (r *Registry) probe() {
	p := r.probes
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running || p.closed {
		return
	}
	p.running = true
	p.loop.Go(r.probeLoop)
}

func (r *Registry) probeLoop() {
	const margin = 10 * time.Millisecond // the breaker counts for itself
	for sleep(r.probes.ctx, r.cfg.BreakerPause+margin) {
		r.probeOnce(r.probes.ctx)
		if r.recovered() {
			return
		}
	}
}

// recovered reports whether there is nothing left to find out, and then ends
// the probing: whoever notes new trouble starts it again.
func (r *Registry) recovered() bool {
	r.probes.mu.Lock()
	defer r.probes.mu.Unlock()
	down, _ := r.breaker.down()
	r.probes.running = down || r.preferred.get() > 0
	return !r.probes.running
}

// probeOnce asks the URLs before the one that is in use, and where the breaker
// is open that one and those behind it as well, until one answers.
func (r *Registry) probeOnce(ctx context.Context) {
	if r.Offline() {
		return
	}
	current := r.preferred.get()
	for i, base := range r.remote.bases[:current] {
		if r.answers(ctx, base) == nil {
			r.prefer(i)
			break
		}
	}
	r.breaker.trial(func() *failure {
		current := r.preferred.get()
		var f *failure
		for i := range r.remote.bases {
			k := (current + i) % len(r.remote.bases)
			if f = r.answers(ctx, r.remote.bases[k]); f == nil {
				r.prefer(k)
				return nil
			}
		}
		return f
	})
}

// answers finds out whether a registry answers at all: any answer that does not
// speak of an error of its own will do.
func (r *Registry) answers(ctx context.Context, base *url.URL) *failure {
	f := r.ping(ctx, base, "/-/ping")
	if f != nil && f.outcome == "error" { // it may have no such endpoint, and say so in its own way
		f = r.ping(ctx, base, "/")
	}
	return f
}

func (r *Registry) ping(ctx context.Context, base *url.URL, path string) (f *failure) {
	start := time.Now()
	defer func() {
		outcome := "ok"
		if f != nil {
			outcome = f.outcome
		}
		r.metrics.Request("probe", outcome, time.Since(start))
	}()
	u, err := joinPath(base, path, "")
	if err != nil {
		return r.remote.badFailure("cannot be asked that", err)
	}
	resp, f := r.remote.send(ctx, http.MethodGet, u, nil, nil, start.Add(r.cfg.HeaderTimeout))
	if f != nil {
		return f
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		return r.remote.statusFailure(resp, "")
	}
	drain(resp.Body)
	return nil
}

// prefer makes the k-th URL the one that is asked first, and says so if it was
// not.
func (r *Registry) prefer(k int) {
	if !r.preferred.set(k) {
		return
	}
	r.metrics.URL(k)
	host := r.remote.bases[k].Host
	if k == 0 {
		r.log.Info("the first URL of upstream answers again and is used", "host", host)
		return
	}
	r.log.Warn("the first URL of upstream is down: another stands in", "host", host)
	r.probe()
}

// trial lets probe decide whether an open breaker closes, if it is time.
func (b *breaker) trial(probe func() *failure) {
	if down, _ := b.down(); !down {
		return
	}
	settle, err := b.circuit.Allow()
	if err != nil {
		return // somebody else is trying
	}
	settle(b.judge("", probe()))
	b.announce()
}
