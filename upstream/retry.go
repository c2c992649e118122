package upstream

import (
	"context"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxTries     = 3                      // of one request; a round over all URLs is one
	firstBackoff = 250 * time.Millisecond // doubled for each further try, with full jitter
)

// persist calls try with one base URL after another until one gives an answer,
// and does so up to tries times as long as another try may help. subject is
// the package in question, by which the breaker tells one bad package from a
// bad upstream. The error is an *npm.Error.
func (r *Registry) persist(ctx context.Context, subject string, tries int, try func(ctx context.Context, base *url.URL) *failure) error {
	done, err := r.breaker.allow(family(subject))
	if err != nil {
		return err
	}
	settled := false
	defer func() {
		if !settled { // try panicked: a half-open breaker must not wait for ever
			done(&failure{outcome: "canceled"})
		}
	}()
	f := r.rounds(ctx, tries, try)
	settled = true
	done(f)
	if f == nil {
		return nil
	}
	err = named(f.err, subject)
	return err
}

// family returns what stands for a subject before the breaker: a package's name
// for itself, and a service for all its documents, however many there are.
func family(subject string) string {
	const depth = 5 // "/-/npm/v1/attestations", cut at its slashes
	if !strings.HasPrefix(subject, "/-/") {
		return subject
	}
	segments := strings.SplitN(subject, "/", depth+1)
	return strings.Join(segments[:min(depth, len(segments))], "/")
}

func (r *Registry) rounds(ctx context.Context, tries int, try func(ctx context.Context, base *url.URL) *failure) *failure {
	start := time.Now()
	for n := 1; ; n++ {
		f := r.round(ctx, try)
		if f == nil || !f.again || n >= tries {
			return f
		}
		wait := max(backoff(n), f.err.RetryAfter)
		if time.Since(start)+wait > r.cfg.RetryBudget || !sleep(ctx, wait) {
			return f
		}
		r.metrics.Retry()
	}
}

// round tries the URLs in turn, going on to the next only where one is down.
func (r *Registry) round(ctx context.Context, try func(ctx context.Context, base *url.URL) *failure) *failure {
	bases := r.remote.bases
	first := r.preferred.get()
	var f *failure
	for i := range bases {
		k := (first + i) % len(bases)
		f = try(ctx, bases[k])
		if f == nil || !f.down {
			if i > 0 {
				r.prefer(k)
			}
			return f
		}
	}
	return f
}

// backoff returns a random wait before try n+1: full jitter keeps the many
// requests of an install from coming back as one wave.
func backoff(n int) time.Duration {
	return rand.N(firstBackoff << (n - 1))
}

// sleep waits for d and reports whether ctx lasted as long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// preference is which of the configured URLs is asked first: the first one,
// until another had to stand in, and again when a probe finds it back.
type preference struct{ index atomic.Int64 }

func (p *preference) get() int { return int(p.index.Load()) }

// set reports whether that is a change.
func (p *preference) set(index int) bool { return p.index.Swap(int64(index)) != int64(index) }
