package proxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"larder/upstream"
)

// noticeEvery is how often one client is told, where people read it, that it
// gets copies because an upstream is away. An install of a thousand packages
// prints one line.
const noticeEvery = time.Minute

// staleWarning is what RFC 7234 section 5.5.1 gave caches to say. RFC 9111
// dropped it for want of use, and it does no harm.
const staleWarning = `110 larder "Response is Stale"`

// newNotices returns what keeps notices rare.
func newNotices() *buckets[netip.Prefix] {
	return newBuckets[netip.Prefix](rate.Every(noticeEvery), 1)
}

// from notes where an upstream's document comes from, for the headers that say
// how old it may be. An answer out of several documents is as old as the
// oldest.
func (s *Server) from(x *exchange, reg *upstream.Registry, p upstream.Provenance) {
	x.answeredBy(p.Outcome.String())
	if p.Checked.IsZero() {
		return
	}
	x.checked, x.stale = p.Checked, p.Outcome == upstream.Stale
	age := time.Since(p.Checked)
	s.cfg.Metrics.DocumentAge(age)
	if p.Away {
		x.notices = s.notices
		x.notice = fmt.Sprintf("Larder cannot ask upstream %s just now, and goes on with its copies: this one was right %s.", reg.Name(), ago(age))
	}
}

// labels sets the headers that say how old a document may be. They are headers
// of a 304 as well: it vouches for the client's copy as of then.
func (x *exchange) labels() {
	if x.checked.IsZero() {
		return
	}
	h := x.Header()
	set(h, "Age", strconv.FormatInt(int64(max(0, time.Since(x.checked))/time.Second), 10))
	if x.stale {
		set(h, "Warning", staleWarning)
	}
}

// notify has npm print the notice, if it is this client's turn. npm prints it
// only with an answer that it does not put into its own cache, whose headers
// it would show again and again; nor may a cache between us do that. Neither a
// HEAD nor a 304 is ever printed.
func (x *exchange) notify(r *http.Request) {
	if x.notice == "" || r.Method == http.MethodHead || !x.notices.allow(site(x.client)) {
		return
	}
	x.Header().Set("Npm-Notice", x.notice)
	x.Header().Set("Cache-Control", noStore)
}

// unlabel is for an exchange that ends in an error after all.
func (x *exchange) unlabel() {
	x.result, x.checked, x.stale, x.notice = "", time.Time{}, false, ""
}

// ago says how long ago something was, as roughly as people do.
func ago(d time.Duration) string {
	for _, unit := range []struct {
		name string
		d    time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		switch n := int(d / unit.d); {
		case n == 1:
			return "1 " + unit.name + " ago"
		case n > 1:
			return fmt.Sprintf("%d %ss ago", n, unit.name)
		}
	}
	return "a moment ago"
}
