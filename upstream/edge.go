package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"larder/cache"
	"larder/npm"
)

// Headers that the edge adds to what httpcache stores, so that a later start
// knows a document from its header alone.
const (
	headerRev      = "X-Larder-Rev"
	headerSize     = "X-Larder-Size"     // of the identity bytes
	headerModified = "X-Larder-Modified" // RFC 3339, from the document
	headerForm     = "X-Larder-Form"     // npm.Form.String
)

// exchange is one pass of one document through httpcache and the edge. It
// travels in the request's context: httpcache has no other way to tell an old
// copy from a new answer, or to say why it gave the old one.
type exchange struct {
	kind     string // of metrics.Upstream.Request: "document" or "other"
	subject  string // the package, or the document's path: for errors and the breaker
	missing  string // the sentence for a 404
	accept   string
	limit    int64 // of the identity bytes
	tries    int
	optional bool // upstream may lack the endpoint: an odd answer is as good as a 404
	wantCopy bool // see Registry.get
	check    func(doc []byte, contentType string) (inspection, error)
	guard    *guard // of a packument

	// What the edge leaves behind.
	asked       bool      // upstream was asked
	notModified bool      // and confirmed the copy
	err         error     // or failed, with an *npm.Error
	fetched     *document // or sent this; the exchange's owner releases it
	packed      []byte    // which came like this, and which httpcache does not see
}

// inspection is what an exchange's check found in a document.
type inspection struct {
	modified    time.Time // zero where it does not say
	form        npm.Form
	unpublished bool // it is the stub of a package that was unpublished
	dists       *npm.Dists
}

type exchangeKey struct{}

// exchangeCache is httpcache's cache for one exchange. httpcache copies a body
// that it is to store five times, and each copy is memory that nobody has used
// yet: it is given an empty one, and the real one joins its header here.
type exchangeCache struct {
	*cache.Responses
	ex *exchange
}

func (c exchangeCache) Set(key string, dump []byte) {
	if c.ex.packed == nil { // a copy that upstream confirmed, with its body
		c.Responses.Set(key, dump)
		return
	}
	c.Responses.SetBody(key, dump, c.ex.packed)
}

// edge is the RoundTripper under httpcache. It stands between a cache that
// stores whatever it is shown and the network: a response that leaves it is a
// good 200 or a 304; all else is an error, because errors are what leaves
// httpcache's entries alone.
type edge struct{ *Registry }

// RoundTrip answers a request for a logical URL.
func (e *edge) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	ex, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, errors.New("upstream: request without an exchange")
	}
	ex.asked = true
	resp, err := e.ask(ctx, req, ex)
	ex.err = err
	return resp, err
}

func (e *edge) ask(ctx context.Context, req *http.Request, ex *exchange) (*http.Response, error) {
	if e.Held(ctx) {
		return nil, e.NotHeld(ctx, ex.subject)
	}
	deadline := time.Now().Add(e.cfg.DocumentTimeout)
	if err := e.documentSlot(ctx, deadline); err != nil {
		return nil, named(err, ex.subject)
	}
	defer e.docSlots.Release(1)
	var resp *http.Response
	err := e.persist(ctx, ex.subject, ex.tries, func(ctx context.Context, base *url.URL) *failure {
		start := time.Now()
		var f *failure
		resp, f = e.once(ctx, req, base, ex, deadline)
		if f != nil && ex.optional && f.odd {
			f = &failure{err: &npm.Error{Kind: npm.NotFound, Op: f.err.Op, Msg: ex.missing, Err: f.err}, outcome: "not_found"}
		}
		outcome := "ok"
		switch {
		case f != nil:
			outcome = f.outcome
		case ex.notModified:
			outcome = "not_modified"
		}
		e.metrics.Request(ex.kind, outcome, time.Since(start))
		return f
	})
	e.judgeCredentials(ex.subject, err)
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// documentSlot waits for one of the places for documents, not past deadline:
// where upstream hangs they are all taken.
func (e *edge) documentSlot(ctx context.Context, deadline time.Time) *npm.Error {
	waiting, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	switch err := e.docSlots.Acquire(waiting, 1); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return e.remote.transportFailure(ctx, err).err
	}
	return &npm.Error{Kind: npm.Timeout, Op: "upstream " + e.cfg.Name, Msg: fmt.Sprintf("upstream %s is too slow for all that is asked of it", e.cfg.Name)}
}

// once asks one base URL once.
func (e *edge) once(ctx context.Context, req *http.Request, base *url.URL, ex *exchange, deadline time.Time) (*http.Response, *failure) {
	u, err := joinPath(base, req.URL.EscapedPath(), req.URL.RawQuery)
	if err != nil {
		return nil, e.remote.badFailure("cannot be asked that", err)
	}
	header := http.Header{"Accept": {ex.accept}, "Accept-Encoding": {"gzip"}}
	conditional := false
	for _, k := range []string{"If-None-Match", "If-Modified-Since"} {
		if v := req.Header.Get(k); v != "" {
			header.Set(k, v)
			conditional = true
		}
	}
	resp, f := e.remote.send(ctx, http.MethodGet, u, header, nil, deadline)
	if f != nil {
		return nil, f
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusOK:
		return e.good(ctx, req, resp, ex)
	case resp.StatusCode == http.StatusNotModified && conditional:
		ex.notModified = true
		return e.response(req, resp), nil
	}
	return nil, e.remote.statusFailure(resp, ex.missing)
}

// good turns a 200 into what may be stored, or says why it may not.
func (e *edge) good(ctx context.Context, req *http.Request, resp *http.Response, ex *exchange) (*http.Response, *failure) {
	contentType := resp.Header.Get("Content-Type")
	if strings.HasPrefix(contentType, "text/html") {
		return nil, e.remote.oddFailure("sent a web page in place of JSON", nil)
	}
	packed, n, err := e.budget.gzips.readPacked(resp, ex.limit)
	e.metrics.Received(n)
	if err != nil {
		return nil, e.bodyFailure(ctx, err)
	}
	if err := ex.guard.look(ctx); err != nil {
		return nil, e.bodyFailure(ctx, err)
	}
	doc, found, f := e.unpack(ctx, packed, contentType, ex)
	if f != nil {
		return nil, f
	}
	if c := ex.guard.compare(doc.bytes, found); !c.none() {
		doc.release()
		if f := ex.guard.judge(ctx, c); f != nil {
			return nil, f
		}
		if doc, found, f = e.unpack(ctx, packed, contentType, ex); f != nil {
			return nil, f
		}
	}
	ex.fetched, ex.packed = doc, packed
	e.dists.add(ex.subject, found.dists)
	out := e.response(req, resp)
	sum := sha256.Sum256(doc.bytes)
	out.Header.Set(headerRev, hex.EncodeToString(sum[:16]))
	out.Header.Set(headerSize, strconv.Itoa(len(doc.bytes)))
	out.Header.Set(headerForm, found.form.String())
	if !found.modified.IsZero() {
		out.Header.Set(headerModified, found.modified.UTC().Format(time.RFC3339Nano))
	}
	return out, nil
}

// unpack unpacks and checks a document, which the caller releases.
func (e *edge) unpack(ctx context.Context, packed []byte, contentType string, ex *exchange) (*document, inspection, *failure) {
	doc, err := e.budget.unpack(ctx, packed, ex.limit)
	if err != nil {
		return nil, inspection{}, e.bodyFailure(ctx, err)
	}
	turn, err := e.budget.turns.Take(ctx, int64(len(doc.bytes)))
	if err != nil {
		doc.release()
		return nil, inspection{}, e.bodyFailure(ctx, err)
	}
	found, err := ex.check(doc.bytes, contentType)
	turn()
	if err != nil {
		doc.release()
		return nil, inspection{}, e.remote.oddFailure(strings.TrimPrefix(npm.Message(err), "upstream "), err)
	}
	return doc, found, nil
}

// response returns what httpcache gets to see: a header made from nothing, with
// upstream's validators as they were received. Upstream's own Date, Age,
// Cache-Control and Vary have no part in how long its documents are fresh
// here, and its cookies are nobody's. The body it does not get to see, see
// exchangeCache.
func (e *edge) response(req *http.Request, resp *http.Response) *http.Response {
	header := http.Header{
		"Date":          {time.Now().UTC().Format(http.TimeFormat)},
		"Cache-Control": {fmt.Sprintf("max-age=%d", int64(e.cfg.FreshFor/time.Second))},
	}
	kept := []string{"Etag", "Last-Modified"}
	if resp.StatusCode == http.StatusOK {
		kept = append(kept, "Content-Type")
		header.Set("Content-Encoding", "gzip")
	}
	for _, k := range kept {
		if v := resp.Header.Get(k); v != "" {
			header.Set(k, v)
		}
	}
	return &http.Response{
		Status:     resp.Status,
		StatusCode: resp.StatusCode,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     header,
		Body:       http.NoBody,
		Request:    req,
	}
}

// bodyFailure is for a 200 whose body could not be read or unpacked.
func (e *edge) bodyFailure(ctx context.Context, err error) *failure {
	var late *failure
	switch {
	case errors.As(err, &late):
		return late
	case ctx.Err() != nil:
		return e.remote.transportFailure(ctx, err)
	case errors.Is(err, errTooLarge):
		f := e.remote.badFailure("sent a document that is too large", err)
		f.again = false
		return f
	case errors.Is(err, errEncoding):
		return e.remote.badFailure("sent an encoding that was not asked for", err)
	}
	return e.remote.badFailure("sent a document that is cut or corrupt", err)
}

// named returns err with the package that it is about.
func named(err *npm.Error, subject string) *npm.Error {
	if err.Name != "" {
		return err
	}
	e := *err
	e.Name = subject
	return &e
}
