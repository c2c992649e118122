package upstream

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"larder/npm"
)

// retryPause is how long a copy counts as checked after upstream failed to
// confirm it, so that an upstream in trouble is not asked on every request.
const retryPause = 30 * time.Second

// clockSlack is how far a date may lie ahead of the clock, which may have been
// set back, before it counts for nothing.
const clockSlack = time.Minute

// revision is one stored document, as its header describes it.
type revision struct {
	rev       string
	form      npm.Form
	size      int64
	modified  time.Time // as the document says; zero where it does not
	checked   time.Time // when upstream last confirmed it
	outdated  bool      // the other form was seen with a later modified
	validator bool      // upstream can be asked whether it changed
}

// revisionOf reads a stored header. false: it is not a packument that this
// version of Larder stored.
func revisionOf(h http.Header, form npm.Form) (revision, bool) {
	size, err := strconv.ParseInt(h.Get(headerSize), 10, 64)
	if err != nil || h.Get(headerRev) == "" {
		return revision{}, false
	}
	v := revision{
		rev:       h.Get(headerRev),
		form:      form,
		size:      size,
		validator: h.Get("Etag") != "" || h.Get("Last-Modified") != "",
	}
	// What does not parse stays zero: unknown, and checked long ago.
	v.modified, _ = time.Parse(time.RFC3339Nano, h.Get(headerModified))
	v.checked = checkedAt(h)
	return v, true
}

// checkedAt returns when upstream last confirmed a stored response; zero, which
// is long ago, where it does not say.
func checkedAt(h http.Header) time.Time {
	at, _ := http.ParseTime(h.Get("Date"))
	return at
}

// within reports whether v was confirmed less than d ago.
func (v revision) within(d time.Duration, now time.Time) bool {
	age := now.Sub(v.checked)
	return !v.outdated && age < d && age > -clockSlack
}

// entry is what is known of one package without opening a file. Freshness
// lives here, for both forms of the document together.
type entry struct {
	writing sync.Mutex // see Registry.change

	mu    sync.Mutex   // guards what follows
	held  [2]*revision // by npm.Form; nil: not held
	quiet silence      // so long upstream is not asked again unless forced
	gone  *removals    // nil: nothing was removed
	seen  time.Time    // when a tarball last had the package looked at
}

// best returns the held document to render form from. The abbreviated form
// comes out of the full document where that is fresh, or is the later one, so
// that what a client sees of a package never goes backwards from one form to
// the other.
func (e *entry) best(form npm.Form, freshFor time.Duration, now time.Time) (revision, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	full, abbreviated := e.held[npm.Full], e.held[npm.Abbreviated]
	v := full
	if form == npm.Abbreviated && abbreviated != nil {
		if full == nil || !full.within(freshFor, now) && !abbreviated.modified.Before(full.modified) {
			v = abbreviated
		}
	}
	if v == nil {
		return revision{}, false
	}
	return *v, true
}

// get returns the held document of exactly that form.
func (e *entry) get(form npm.Form) (revision, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if v := e.held[form]; v != nil {
		return *v, true
	}
	return revision{}, false
}

// holdsAny reports whether either form is held.
func (e *entry) holdsAny() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.held[npm.Full] != nil || e.held[npm.Abbreviated] != nil
}

// confirm notes that upstream just sent or confirmed v.
func (e *entry) confirm(v revision) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.set(v)
}

// adopt is confirm for what was read from the store, which is no news where
// something is held of that form already.
func (e *entry) adopt(v revision) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.held[v.form] == nil {
		e.set(v)
	}
}

// set is called with mu held.
func (e *entry) set(v revision) {
	e.quiet = silence{}
	e.held[v.form] = &v
	if other := e.held[1-v.form]; other != nil && other.modified.Before(v.modified) {
		outdated := *other
		outdated.outdated = true
		e.held[other.form] = &outdated
	}
}

// forget notes that the document of that form is gone from the store.
func (e *entry) forget(form npm.Form) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held[form] = nil
}

// hush keeps upstream from being asked again before t; away says why.
func (e *entry) hush(t time.Time, away bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.quiet = silence{t, away}
}

func (e *entry) hushed(now time.Time) (away, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.quiet.away, now.Before(e.quiet.until)
}

// removals returns what is known to be removed; nil: nothing.
func (e *entry) removals() *removals {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.gone
}

// remember replaces what is known to be removed.
func (e *entry) remember(s *removals) {
	if s.empty() {
		s = nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone = s
}

// entry returns the entry of a package, from memory or from the stored headers.
//
// An entry that is empty is read once more when it is in its place: what a
// flight has stored since the first look may have been confirmed to an entry
// that is gone again, and what is stored from then on is confirmed to this one.
func (r *Registry) entry(name string) *entry {
	if e, ok := r.entries.Get(name); ok {
		return e
	}
	loaded := &entry{}
	r.load(name, loaded)
	if e, ok, _ := r.entries.PeekOrAdd(name, loaded); ok {
		return e
	}
	if !loaded.holdsAny() {
		r.load(name, loaded)
	}
	return loaded
}

// load fills an entry that is empty from the stored headers.
func (r *Registry) load(name string, loaded *entry) {
	if s := r.storedRemovals(name); s != nil {
		loaded.remember(s)
	}
	for _, form := range []npm.Form{npm.Full, npm.Abbreviated} {
		key := r.packumentURL(name, form).String()
		h, ok := r.cfg.Responses.Header(key)
		if !ok {
			continue
		}
		if form == npm.Abbreviated && h.Get(headerForm) == npm.Full.String() {
			// The process ended between storing it and moving it.
			r.cfg.Responses.Move(key, r.packumentURL(name, npm.Full).String())
			form = npm.Full
		}
		if v, ok := revisionOf(h, form); ok {
			loaded.adopt(v)
		}
	}
}
