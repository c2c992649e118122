package upstream

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"larder/npm"
)

// Small returns a small JSON document below the registry's base ("/-/npm/v1/keys",
// "/-/npm/v1/attestations/…", "/-/v1/search?…") through the cache. Bodies over
// 16 MB are BadUpstream. As with packuments an old copy comes before any error,
// and after StaleWait before any answer.
func (r *Registry) Small(ctx context.Context, pathAndQuery string) ([]byte, Provenance, error) {
	path, query, _ := strings.Cut(pathAndQuery, "?")
	ex := exchange{
		kind:    "other",
		subject: path,
		missing: "not found: " + path,
		tries:   maxTries,
		check: func(doc []byte, _ string) (inspection, error) {
			return inspection{}, checkJSON(doc)
		},
	}
	return r.small(ctx, r.logicalURL(path, query), ex, "")
}

func checkJSON(doc []byte) error {
	if !npm.ValidJSON(doc) {
		return &npm.Error{Kind: npm.BadUpstream, Msg: "upstream sent something that is not JSON"}
	}
	return nil
}

// smallAnswer is what a flight for a small document brings back.
type smallAnswer struct {
	body []byte
	from Provenance
}

// small gets a document whose freshness is httpcache's affair. directives are
// request directives for it.
func (r *Registry) small(ctx context.Context, u *url.URL, ex exchange, directives string) ([]byte, Provenance, error) {
	key := u.String()
	if err := r.absent.get(key, r.now()); err != nil && !r.holdsSmall(key) {
		return nil, Provenance{}, err
	}
	if r.Held(ctx) {
		a, ok, err := r.heldSmall(ctx, u)
		if err == nil && !ok {
			err = r.recall(key, ex.missing, r.NotHeld(ctx, ex.subject))
		}
		return a.body, a.from, err
	}
	if away, hushed := r.quiet.hushed(key, r.now()); hushed {
		if a, ok, err := r.staleSmall(ctx, u, away); ok || err != nil {
			return a.body, a.from, err
		}
	}
	flight := r.refreshSmall(ctx, u, ex, directives)
	patience := time.NewTimer(r.cfg.StaleWait)
	defer patience.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, Provenance{}, r.gaveUp(ctx, ex.subject)
		case landed := <-flight:
			if landed.Err != nil {
				return nil, Provenance{}, r.recall(key, ex.missing, landed.Err)
			}
			a := landed.Val.(smallAnswer)
			return a.body, a.from, nil
		case <-patience.C: // which comes once
			if a, ok, err := r.staleSmall(ctx, u, true); ok || err != nil {
				r.quiet.hushWaiting(key, r.now().Add(retryPause)) // the flight lifts this when it lands
				return a.body, a.from, err
			}
		}
	}
}

// holdsSmall reports whether there is a copy of the document under key.
func (r *Registry) holdsSmall(key string) bool {
	_, ok := r.cfg.Responses.Header(key)
	return ok
}

// staleSmall is heldSmall for a copy that upstream failed to confirm.
func (r *Registry) staleSmall(ctx context.Context, u *url.URL, away bool) (a smallAnswer, ok bool, err error) {
	if a, ok, err = r.heldSmall(ctx, u); ok {
		a.from.Outcome, a.from.Away = Stale, away
		r.metrics.StaleServed()
	}
	return a, ok, err
}

// refreshSmall starts or joins the flight that gets a small document through
// httpcache. Its value is a smallAnswer.
func (r *Registry) refreshSmall(ctx context.Context, u *url.URL, ex exchange, directives string) <-chan singleflight.Result {
	key := u.String()
	ex.accept, ex.limit, ex.wantCopy = npm.FullType, maxSmall, true
	return r.flights.start(ctx, directives+" "+key, func(ctx context.Context) (any, error) {
		r.quiet.begin(key)
		confirmed := false
		defer func() { r.quiet.end(key, confirmed) }()
		first, second := ex, ex
		a, err := r.askSmall(ctx, u, &first, directives)
		if npm.KindOf(err) == npm.NotFound && r.holdsSmall(key) {
			// A flight with other directives has fetched it meanwhile.
			a, err = r.askSmall(ctx, u, &second, "max-stale")
		}
		if err != nil {
			typed := asError(err)
			r.absent.note(key, typed, r.now())
			return nil, typed
		}
		if a.from.Outcome == Stale {
			r.quiet.hush(key, r.now().Add(retryPause), a.from.Away)
		} else {
			confirmed = true
			r.absent.clear(key)
		}
		return a, nil
	})
}

func (r *Registry) askSmall(ctx context.Context, u *url.URL, ex *exchange, directives string) (smallAnswer, error) {
	if directives == "" && r.datedAhead(u) {
		directives = revalidate
	}
	header, packed, err := r.get(ctx, u, ex, directives)
	d := ex.fetched
	if err == nil && d == nil {
		d, err = r.budget.unpack(ctx, packed, maxSmall)
	}
	if err != nil {
		ex.fetched.release()
		return smallAnswer{}, err
	}
	a := smallAnswer{d.bytes, Provenance{Outcome: Hit, Checked: checkedAt(header)}}
	// These bytes leave the budget with the caller: they are small, and there
	// are never more of them than requests.
	d.release()
	switch {
	case ex.err != nil:
		a.from.Outcome, a.from.Away = Stale, isAway(ex.err)
		r.metrics.StaleServed()
		r.log.Log(ctx, unconfirmedLevel(ex.err), "a copy could not be confirmed and is served on", "path", ex.subject, "error", ex.err)
	case ex.notModified:
		a.from.Outcome = Revalidated
	case ex.asked:
		a.from.Outcome = Miss
	}
	return a, nil
}

// datedAhead reports whether the copy of u bears a date that, since the clock
// was set back, is yet to come: until then httpcache would take it for fresh.
func (r *Registry) datedAhead(u *url.URL) bool {
	header, ok := r.cfg.Responses.Header(u.String())
	if !ok {
		return false
	}
	date, err := http.ParseTime(header.Get("Date"))
	return err == nil && time.Until(date) > clockSlack
}
