package upstream

import (
	"context"
	"fmt"
	"time"

	"larder/npm"
)

const (
	// glanceAfter is how old the confirmation of a package's document may be
	// before a request for one of its tarballs has it confirmed anew.
	glanceAfter = time.Hour
	// glanceRetry is when that is tried again after it failed.
	glanceRetry = 5 * time.Minute
	// maxGlances bounds those that are under way.
	maxGlances = 8
)

// Glance is told of each tarball that is asked for. Where nothing was heard of
// the package for an hour its document is confirmed in the background: frozen
// installs ask for tarballs alone, and would never learn that one was taken
// down. It returns at once.
func (r *Registry) Glance(ctx context.Context, name, file string) {
	e, now := r.entry(name), r.now()
	if !e.unseen(now) || r.Held(ctx) {
		return
	}
	if _, hushed := e.hushed(now); hushed {
		return
	}
	select {
	case r.glances <- struct{}{}:
	default:
		return // a later tarball will do
	}
	if r.absent.get(name, now) != nil || !e.see(now) {
		<-r.glances
		return
	}
	flight, land, err := r.flights.board(ctx)
	if err != nil {
		e.seeAgain(now.Add(glanceRetry - glanceAfter))
		<-r.glances
		return
	}
	go func() { // for which Close waits, since it is a flight
		defer func() {
			land()
			<-r.glances
		}()
		// One more, within it, for the sake of its recover: there is never
		// another of that key.
		key := fmt.Sprintf("glance %s %d", name, now.UnixNano())
		landed := <-r.flights.start(flight, key, func(ctx context.Context) (any, error) {
			return r.glance(ctx, name, file), nil
		})
		seen := now
		if answered, _ := landed.Val.(bool); !answered {
			seen = now.Add(glanceRetry - glanceAfter)
		}
		r.entry(name).seeAgain(seen) // which may be another one: a failure forgets what is empty
	}()
}

// glance reports whether upstream had something to say.
func (r *Registry) glance(ctx context.Context, name, file string) bool {
	answered := r.confirm(ctx, name, file)
	if answered && r.Withheld(name, file) == nil {
		r.checkTarball(ctx, name, file)
	}
	return answered
}

// confirm is glance at the document.
func (r *Registry) confirm(ctx context.Context, name, file string) bool {
	form, held := r.entry(name).mainForm()
	if !held {
		// Nobody ever needed the document: the version's own is much smaller.
		if version, ok := npm.VersionOfFile(name, file); ok {
			if gone, answered := r.manifestGone(ctx, name, version); !gone {
				return answered
			}
		}
		form = npm.Full
	}
	landed := <-r.refresh(ctx, name, form, false)
	if landed.Err == nil {
		return true
	}
	if !held && npm.KindOf(landed.Err) == npm.NotFound {
		r.missing(ctx, name) // although a tarball of it is here
		return true
	}
	return false
}

// manifestGone asks for the document of one version, and reports whether
// upstream says that there is none.
func (r *Registry) manifestGone(ctx context.Context, name, version string) (gone, answered bool) {
	u, ex := r.manifestExchange(name, version)
	if h, held := r.cfg.Responses.Header(u.String()); held {
		if age := r.now().Sub(checkedAt(h)); age < glanceAfter && age > -clockSlack {
			return false, true
		}
	}
	ex.accept, ex.limit, ex.wantCopy, ex.tries = npm.FullType, maxSmall, true, 1
	_, err := r.askSmall(ctx, u, &ex, revalidate)
	if ex.err != nil {
		err = ex.err // then what came is the old copy
	}
	gone = npm.KindOf(err) == npm.NotFound
	return gone, gone || err == nil
}

// unseen reports whether upstream was not asked about the package for long
// enough to glance at it.
func (e *entry) unseen(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	last := e.seen
	for _, v := range e.held {
		if v != nil && v.checked.After(last) {
			last = v.checked
		}
	}
	return now.Sub(last) >= glanceAfter || now.Sub(last) < -clockSlack
}

// see notes that somebody glances at the package from now on, unless another
// one does.
func (e *entry) see(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if age := now.Sub(e.seen); age < glanceAfter && age > -clockSlack {
		return false
	}
	e.seen = now
	return true
}

// heard notes that upstream has just sent something of a package of which
// nothing was heard before, so that there is no need to glance at once.
func (e *entry) heard(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.seen.IsZero() {
		e.seen = now
	}
}

// seeAgain notes when somebody last glanced at the package; a time before that
// makes the next one come earlier.
func (e *entry) seeAgain(seen time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = seen
}

// mainForm returns the form of the held document that is best confirmed: the
// full one, which has "time", unless it would come whole each time.
func (e *entry) mainForm() (form npm.Form, held bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	full, abbreviated := e.held[npm.Full], e.held[npm.Abbreviated]
	switch {
	case full != nil && (full.validator || abbreviated == nil):
		return npm.Full, true
	case abbreviated != nil:
		return npm.Abbreviated, true
	}
	return npm.Full, false
}
