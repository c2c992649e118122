package upstream

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"larder/npm"
)

// Small returns a small JSON document below the registry's base ("/-/npm/v1/keys",
// "/-/npm/v1/attestations/…", "/-/v1/search?…") through the cache. Bodies over
// 16 MB are BadUpstream.
func (r *Registry) Small(ctx context.Context, pathAndQuery string) ([]byte, Outcome, error) {
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
	body    []byte
	outcome Outcome
	checked time.Time // when upstream last confirmed it
}

// small gets a document whose freshness is httpcache's affair. directives are
// request directives for it.
func (r *Registry) small(ctx context.Context, u *url.URL, ex exchange, directives string) ([]byte, Outcome, error) {
	key := u.String()
	held := func() bool {
		_, ok := r.cfg.Responses.Header(key)
		return ok
	}
	if err := r.absent.get(key, r.now()); err != nil && !held() {
		return nil, 0, err
	}
	if r.Held(ctx) {
		a, ok, err := r.heldSmall(ctx, u)
		if err == nil && !ok {
			err = r.NotHeld(ctx, ex.subject)
		}
		return a.body, a.outcome, err
	}
	ex.accept, ex.limit, ex.wantCopy = npm.FullType, maxSmall, true
	flight := r.flights.start(ctx, directives+" "+key, func(ctx context.Context) (any, error) {
		first, second := ex, ex
		a, err := r.askSmall(ctx, u, &first, directives)
		if npm.KindOf(err) == npm.NotFound && held() {
			// A flight with other directives has fetched it meanwhile.
			a, err = r.askSmall(ctx, u, &second, "max-stale")
		}
		if err != nil {
			typed := asError(err)
			r.absent.note(key, typed, r.now())
			return nil, typed
		}
		return a, nil
	})
	select {
	case <-ctx.Done():
		return nil, 0, fmt.Errorf("upstream %s: %s: %w", r.cfg.Name, ex.subject, context.Cause(ctx))
	case landed := <-flight:
		if landed.Err != nil {
			return nil, 0, landed.Err
		}
		a := landed.Val.(smallAnswer)
		return a.body, a.outcome, nil
	}
}

func (r *Registry) askSmall(ctx context.Context, u *url.URL, ex *exchange, directives string) (smallAnswer, error) {
	if directives == "" && r.datedAhead(u) {
		directives = revalidate
	}
	_, packed, err := r.get(ctx, u, ex, directives)
	d := ex.fetched
	if err == nil && d == nil {
		d, err = r.budget.unpack(ctx, packed, maxSmall)
	}
	if err != nil {
		ex.fetched.release()
		return smallAnswer{}, err
	}
	a := smallAnswer{body: d.bytes, outcome: Hit}
	// These bytes leave the budget with the caller: they are small, and there
	// are never more of them than requests.
	d.release()
	switch {
	case ex.err != nil:
		a.outcome = Stale
		r.metrics.StaleServed()
		r.log.Log(ctx, unconfirmedLevel(ex.err), "a copy could not be confirmed and is served on", "path", ex.subject, "error", ex.err)
	case ex.notModified:
		a.outcome = Revalidated
	case ex.asked:
		a.outcome = Miss
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
