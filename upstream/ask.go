package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gregjones/httpcache"
	"github.com/tidwall/gjson"

	"larder/npm"
)

// fullOnlyFor is how long an upstream that answered the full document where the
// abbreviated one was asked for is not asked for the latter again.
const fullOnlyFor = time.Hour

// revalidate makes httpcache ask upstream whatever the age of its copy. It takes
// one that is dated ahead of the clock for younger than max-age=0, which is why
// min-fresh adds a hundred years to its age.
const revalidate = "max-age=0, min-fresh=3155760000"

// get sends an exchange through httpcache and reads the response to its end,
// without which nothing is stored. directives are request directives for
// httpcache; an old copy always beats an error. The stored body is returned
// where ex.wantCopy says so and upstream sent none.
func (r *Registry) get(ctx context.Context, u *url.URL, ex *exchange, directives string) (http.Header, []byte, error) {
	ctx = context.WithValue(ctx, exchangeKey{}, ex)
	header := http.Header{"Cache-Control": {strings.Trim(directives+", stale-if-error", ", ")}}
	req := (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: header}).WithContext(ctx)
	documents := http.Client{Transport: &httpcache.Transport{Cache: exchangeCache{r.cfg.Responses, ex}, Transport: &edge{r}}}
	resp, err := documents.Do(req)
	if err != nil {
		var typed *npm.Error
		if errors.As(err, &typed) {
			return nil, nil, typed
		}
		return nil, nil, fmt.Errorf("upstream %s: %w", r.cfg.Name, err)
	}
	defer resp.Body.Close()
	var packed []byte
	if ex.wantCopy && ex.fetched == nil {
		packed, err = readAll(resp.Body, resp.ContentLength, maxPacked)
	} else {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("upstream %s: read the stored response: %w", r.cfg.Name, err)
	}
	return resp.Header, packed, nil
}

// askPackument asks upstream for one form of a package's document, sparing the
// body where the held one is still right. The caller owns answer.fetched.
//
// Where the abbreviated document lacks versions without a proof that they were
// removed, the full one, which has "time", is asked instead.
func (r *Registry) askPackument(ctx context.Context, name string, form npm.Form) (*answer, *npm.Error) {
	a, err := r.askForm(ctx, name, form, false)
	if err == nil || !errors.Is(err, errUnproven) {
		return a, err
	}
	a, err = r.askForm(ctx, name, npm.Full, true)
	if err == nil || errors.Is(err, errHeldBack) {
		return a, err
	}
	return r.askForm(ctx, name, form, true) // it must be judged by itself
}

// askForm is askPackument for this one form; last says that no other is going
// to be asked for a proof.
func (r *Registry) askForm(ctx context.Context, name string, form npm.Form, last bool) (*answer, *npm.Error) {
	ex := &exchange{
		kind:    "document",
		subject: name,
		missing: notFound(name),
		accept:  acceptOf(form),
		limit:   maxUnpacked,
		tries:   maxTries,
		check: func(doc []byte, contentType string) (inspection, error) {
			return inspect(doc, name, form, contentType)
		},
		guard: &guard{Registry: r, name: name, form: form, last: last},
	}
	before, held := r.entry(name).get(form)
	u := r.packumentURL(name, form)
	// Whether upstream is to be asked was decided by the entry.
	header, _, err := r.get(ctx, u, ex, revalidate)
	if err == nil {
		err = ex.err // then the response is the old copy
	}
	if err != nil {
		ex.fetched.release()
		return nil, asError(err)
	}
	v, ok := revisionOf(header, form)
	if !ok {
		ex.fetched.release()
		return nil, &npm.Error{Kind: npm.Internal, Op: "upstream " + r.cfg.Name, Name: name, Err: errors.New("the stored response lacks Larder's own headers")}
	}
	a := &answer{revision: v, outcome: Miss, fetched: ex.fetched}
	if ex.notModified || held && before.rev == v.rev {
		a.outcome = Revalidated
	}
	r.learn(name, form, a, header)
	r.told(ctx, name, a.revision)
	return a, nil
}

// learn files a new answer.
func (r *Registry) learn(name string, asked npm.Form, a *answer, header http.Header) {
	e := r.entry(name)
	a.checked = r.now()
	if asked == npm.Abbreviated {
		if header.Get(headerForm) == npm.Full.String() {
			// Upstream ignores Accept: one copy serves both forms.
			r.cfg.Responses.Move(r.packumentURL(name, asked).String(), r.packumentURL(name, npm.Full).String())
			a.form = npm.Full
			e.forget(asked)
			if !r.abbrevs.Load() {
				r.fullOnly.Store(r.now().Add(fullOnlyFor).Unix())
			}
		} else {
			r.abbrevs.Store(true)
		}
	}
	e.confirm(a.revision)
	r.judgeHeld(name, nil)
	r.absent.clear(name)
}

// notFound is what there is to say of a package that does not exist.
func notFound(name string) string { return "Not found: " + name }

// acceptOf returns the Accept header that asks for a form. npm's own client
// falls back the same way.
func acceptOf(form npm.Form) string {
	if form == npm.Abbreviated {
		return npm.AbbreviatedType + "; q=1.0, " + npm.FullType + "; q=0.8, */*"
	}
	return npm.FullType
}

// inspect is the check of a packument: it is one, of the right name, and in
// which form.
func inspect(doc []byte, name string, asked npm.Form, contentType string) (inspection, error) {
	summary, err := npm.Inspect(doc, name)
	if err != nil {
		return inspection{}, err
	}
	found := inspection{form: npm.Full, unpublished: summary.Unpublished != "", dists: summary.Dists(doc, name)}
	found.modified, _ = time.Parse(time.RFC3339Nano, summary.Modified) // zero where it is no time
	// The stub of an unpublished package is the same in both forms.
	if asked == npm.Abbreviated && (summary.Versions == 0 || isAbbreviated(doc, contentType)) {
		found.form = npm.Abbreviated
	}
	return found, nil
}

// isAbbreviated tells by the Content-Type, and where that is JSON like any
// other by what only abbreviated documents have: "modified" at the top, and no
// "_id".
func isAbbreviated(doc []byte, contentType string) bool {
	if strings.Contains(contentType, npm.AbbreviatedType) {
		return true
	}
	return gjson.GetBytes(doc, "modified").Exists() && !gjson.GetBytes(doc, "_id").Exists()
}

// asError returns the *npm.Error in err's chain, or one that hides err.
func asError(err error) *npm.Error {
	var typed *npm.Error
	if errors.As(err, &typed) {
		return typed
	}
	return &npm.Error{Kind: npm.KindOf(err), Op: "upstream", Err: err}
}
