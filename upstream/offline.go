package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"larder/npm"
)

// ErrOffline is the cause of every error of a request that upstream was not
// asked about, because Larder is offline or the request is HeldOnly.
var ErrOffline = errors.New("larder is offline")

// heldOnlyKey is the context key of HeldOnly.
type heldOnlyKey struct{}

// HeldOnly returns a context whose requests are answered from what is held, as
// if Larder were offline. They never cause a request to upstream, not even one
// in the background, and they wait for none.
func HeldOnly(ctx context.Context) context.Context {
	return context.WithValue(ctx, heldOnlyKey{}, true)
}

func heldOnly(ctx context.Context) bool { return ctx.Value(heldOnlyKey{}) != nil }

// SetOffline turns the asking of upstream off or on while requests run. What
// is on its way when it is turned off is not cut off.
func (r *Registry) SetOffline(on bool) {
	if r.isOffline.Swap(on) == on {
		return
	}
	r.metrics.Offline(on)
	if on {
		r.log.Info("offline: upstream is not asked any more")
	} else {
		r.log.Info("online: upstream is asked again")
	}
}

// Offline reports whether upstream is not to be asked, by Config.Offline or by
// the last SetOffline.
func (r *Registry) Offline() bool { return r.isOffline.Load() }

// Held reports whether a request is answered from what is held alone.
func (r *Registry) Held(ctx context.Context) bool { return heldOnly(ctx) || r.Offline() }

// NotHeld is the error of what is asked for where Held and is not there. The
// subject is a package, a file or a path.
func (r *Registry) NotHeld(ctx context.Context, subject string) *npm.Error {
	msg := "Larder is offline and has no copy of " + subject
	if !r.Offline() {
		msg = "only what is cached is served here, and " + subject + " is not"
	}
	return &npm.Error{
		Kind: npm.Unavailable,
		Op:   "upstream " + r.cfg.Name,
		Name: subject,
		Msg:  msg,
		Err:  ErrOffline,
	}
}

// heldSmall returns the stored copy of a small document, of any age, without a
// word to upstream or to httpcache. ok is false where there is none that is
// whole; the error is ctx's.
func (r *Registry) heldSmall(ctx context.Context, u *url.URL) (a smallAnswer, ok bool, err error) {
	key := u.String()
	header, packed, ok := r.cfg.Responses.Body(key)
	if !ok {
		return smallAnswer{}, false, nil
	}
	d, err := r.budget.unpack(ctx, packed, maxSmall)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return smallAnswer{}, false, fmt.Errorf("upstream: wait for memory for %s: %w", u.Path, context.Cause(ctx))
	default:
		r.log.Warn("a stored document is corrupt", "path", u.Path, "error", err)
		r.cfg.Responses.Delete(key)
		return smallAnswer{}, false, nil
	}
	a = smallAnswer{d.bytes, Provenance{Outcome: Stale, Checked: checkedAt(header)}}
	d.release()
	if (revision{checked: a.from.Checked}).within(r.cfg.FreshFor, r.now()) {
		a.from.Outcome = Hit
	}
	return a, true, nil
}
