package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/sync/singleflight"

	"larder/npm"
)

// Packument is one revision of a package's document, as upstream sent it. It
// is used by one goroutine at a time.
type Packument struct {
	Name string
	Form npm.Form // of the document that is held; Full also where abbreviated was asked for and the full one is fresh, or is all that upstream has
	Rev  string   // a hash of the identity bytes
	Size int64    // of the identity bytes
	Provenance

	registry *Registry
	heldOnly bool      // it may not be fetched again
	fetched  *document // parked in the budget by the flight that fetched it; nil else
}

func (r *Registry) packument(name string, v revision, from Provenance) *Packument {
	from.Checked = v.checked
	return &Packument{
		Name:       name,
		Form:       v.form,
		Rev:        v.rev,
		Size:       v.size,
		Provenance: from,
		registry:   r,
	}
}

// Packument returns the current revision of name in a form that can be
// rendered to form (see Packument.Form). force revalidates even what is
// fresh. Where upstream fails, refuses or says 404, a held copy, however old,
// comes before any error; NotFound is returned only where upstream said so and
// nothing is held.
func (r *Registry) Packument(ctx context.Context, name string, form npm.Form, force bool) (*Packument, error) {
	p, err := r.current(ctx, name, form, force)
	if p != nil {
		p.heldOnly = heldOnly(ctx)
	}
	return p, err
}

// current is Packument but for what is noted of the caller.
func (r *Registry) current(ctx context.Context, name string, form npm.Form, force bool) (*Packument, error) {
	offline := r.Held(ctx)
	force = force && !offline
	e := r.entry(name)
	now := r.now()
	held, ok := e.best(form, r.cfg.FreshFor, now)
	switch {
	case ok && !force && held.within(r.cfg.FreshFor, now):
		return r.packument(name, held, Provenance{Outcome: Hit}), nil
	case offline && !ok:
		return nil, r.recall(name, notFound(name), r.NotHeld(ctx, name))
	case offline:
		return r.packument(name, held, Provenance{Outcome: Stale}), nil
	case !ok:
		return r.fetch(ctx, name, form, force)
	}
	stale := Provenance{Outcome: Stale}
	if away, hushed := e.hushed(now); hushed && !force {
		r.metrics.StaleServed()
		stale.Away = away
		return r.packument(name, held, stale), nil
	}
	flight := r.refresh(ctx, name, r.formToAsk(form, held), force)
	if !force && held.within(r.cfg.FreshFor+r.cfg.StaleWhileRevalidate, now) {
		return r.packument(name, held, stale), nil
	}
	timer := time.NewTimer(r.cfg.StaleWait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, r.gaveUp(ctx, name)
	case landed := <-flight:
		if landed.Err == nil {
			return landed.Val.(*answer).packument(r, name), nil
		}
		stale.Away = isAway(landed.Err)
	case <-timer.C:
		stale.Away = true
		e.hush(now.Add(retryPause), true) // the others need not wait as long; the flight lifts this when it lands
	}
	r.metrics.StaleServed()
	return r.packument(name, held, stale), nil
}

// fetch is Packument where nothing is held that form can be rendered from.
func (r *Registry) fetch(ctx context.Context, name string, form npm.Form, force bool) (*Packument, error) {
	if !force && !r.entry(name).holdsAny() {
		if err := r.absent.get(name, r.now()); err != nil {
			return nil, err
		}
	}
	select {
	case <-ctx.Done():
		return nil, r.gaveUp(ctx, name)
	case landed := <-r.refresh(ctx, name, r.formToAsk(form, revision{form: form}), force):
		if landed.Err != nil {
			return nil, r.recall(name, notFound(name), landed.Err)
		}
		return landed.Val.(*answer).packument(r, name), nil
	}
}

// gaveUp is the error of a caller who stopped waiting. The flight goes on.
func (r *Registry) gaveUp(ctx context.Context, name string) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &npm.Error{Kind: npm.Timeout, Op: "upstream " + r.cfg.Name, Name: name, Msg: fmt.Sprintf("upstream %s sent no answer in time", r.cfg.Name)}
	}
	return fmt.Errorf("upstream %s: %s: %w", r.cfg.Name, name, context.Cause(ctx))
}

// formToAsk returns the form to ask upstream for, to get one that form can be
// rendered from. Where the full document stands in for the abbreviated one it
// is also the one to be confirmed, which costs a 304 most of the time; without
// a validator it would come whole, and the abbreviated one is then the smaller
// price.
func (r *Registry) formToAsk(form npm.Form, held revision) npm.Form {
	if form == npm.Full || held.form == npm.Full && held.validator {
		return npm.Full
	}
	if r.onlyFull(r.now()) {
		return npm.Full
	}
	return npm.Abbreviated
}

// onlyFull reports whether upstream is taken to have no abbreviated form. A
// clock that was set back makes that end, not last.
func (r *Registry) onlyFull(now time.Time) bool {
	left := time.Duration(r.fullOnly.Load()-now.Unix()) * time.Second
	return left > 0 && left <= fullOnlyFor
}

// packumentURL returns the logical URL of a package's document. The fragment
// tells the forms apart and never travels.
func (r *Registry) packumentURL(name string, form npm.Form) *url.URL {
	u := r.logicalURL("/"+npm.EscapeName(name), "")
	u.Fragment = form.String()
	return u
}

// logicalURL returns the URL under which httpcache knows a document: by the
// upstream's name in place of its address, which may change.
func (r *Registry) logicalURL(escapedPath, query string) *url.URL {
	u := &url.URL{Scheme: "http", Host: r.cfg.Name + ".upstream.invalid", RawPath: escapedPath, RawQuery: query}
	path, err := url.PathUnescape(escapedPath)
	if err != nil { // not escaped at all: taken as it is
		path, u.RawPath = escapedPath, ""
	}
	u.Path = path
	return u
}

// answer is what a flight brings back.
type answer struct {
	revision
	outcome Outcome
	fetched *document // parked; nil where upstream sent nothing new
}

func (a *answer) packument(r *Registry, name string) *Packument {
	p := r.packument(name, a.revision, Provenance{Outcome: a.outcome})
	p.fetched = a.fetched
	return p
}

// refresh starts or joins the flight that asks upstream for one form of a
// package's document. Its value is an *answer.
func (r *Registry) refresh(ctx context.Context, name string, form npm.Form, force bool) <-chan singleflight.Result {
	key := form.String() + " " + name
	if force {
		key = "forced " + key
	}
	return r.flights.start(ctx, key, func(ctx context.Context) (any, error) {
		e := r.entry(name)
		if v, ok := e.get(form); ok && !force && v.within(r.cfg.FreshFor, r.now()) {
			return &answer{revision: v}, nil // another flight landed just before this one took off
		}
		if err := r.absent.get(name, r.now()); err != nil && !force && !e.holdsAny() {
			return nil, err
		}
		a, err := r.askPackument(ctx, name, form)
		if err != nil {
			return nil, r.refused(ctx, name, e, err)
		}
		r.budget.park(a.fetched)
		return a, nil
	})
}

// refused decides what an error of upstream means for a package: where a copy
// is held it goes on being served.
func (r *Registry) refused(ctx context.Context, name string, e *entry, err *npm.Error) error {
	if !e.holdsAny() {
		r.absent.note(name, err, r.now())
		r.entries.Remove(name) // what could not be read for now may be held all the same
		return err
	}
	if errors.Is(err, ErrOffline) {
		return err // offline was turned on under way: that says nothing about upstream
	}
	if errors.Is(err, errHeldBack) { // which has been logged
		e.hush(r.now().Add(heldBackPause), false)
		return err
	}
	r.judgeHeld(name, err)
	if err.Kind == npm.NotFound {
		r.missing(ctx, name)
	}
	e.hush(r.now().Add(retryPause), isAway(err))
	r.log.Log(ctx, unconfirmedLevel(err), "a copy could not be confirmed and is served on", "package", name, "kind", err.Kind, "error", err)
	if err.Kind == npm.NotFound {
		// Only the other form is held, or the callers would have a copy.
		return &npm.Error{
			Kind: npm.Unavailable,
			Op:   err.Op,
			Name: name,
			Msg:  fmt.Sprintf("upstream %s says that %s does not exist, but a copy of it is held here", r.cfg.Name, name),
			Err:  err,
		}
	}
	return err
}
