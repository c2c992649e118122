package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"larder/cache"
	"larder/npm"
)

// What clients and caches between us may keep. There is always one of these:
// without, npm makes up a freshness of a tenth of a document's age.
const (
	cacheDocument = "public, max-age=300, stale-if-error=86400" // npm goes on with its copy where we answer 5xx
	cacheTarball  = "public, immutable, max-age=31557600"
	revalidate    = "no-cache" // npm dist-tag reads through npm's own disk cache; a job that publishes and installs must see it
	noStore       = "no-store"
)

// guard returns what a cache that others share may keep of something that is
// not for everybody: nothing.
func guard(cacheControl string) string {
	if rest, ok := strings.CutPrefix(cacheControl, "public, "); ok {
		return "private, " + rest
	}
	if cacheControl == revalidate {
		return "private, " + revalidate
	}
	return cacheControl
}

// common sets the headers of every response.
func (x *exchange) common(cacheControl string) {
	h := x.Header()
	if x.guarded {
		cacheControl = guard(cacheControl)
	} else {
		set(h, "Access-Control-Allow-Origin", allOrigins)
	}
	set(h, "Cache-Control", cacheControl)
	if x.result != "" {
		set(h, "X-Larder-Cache", x.result)
	}
	x.labels()
}

// sendPreflight answers a browser that asks whether it may read.
func (x *exchange) sendPreflight() {
	x.common("public, max-age=86400")
	h := x.Header()
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Accept, Cache-Control, Content-Type, If-None-Match, Range")
	h.Set("Access-Control-Max-Age", "86400")
	x.WriteHeader(http.StatusNoContent)
}

// sendDocument sends a finished packument in the encoding that r asks for.
func (x *exchange) sendDocument(r *http.Request, doc *cache.Document, form npm.Form, cacheControl string) error {
	h := x.Header()
	if etag := doc.ETag(); notModified(r.Header, etag) {
		x.describe(etag, cacheControl)
		x.WriteHeader(http.StatusNotModified)
		return nil
	}
	encoding := encodingOf(r.Header, true)
	body, length, err := doc.Open(encoding)
	if errors.Is(err, cache.ErrBusy) {
		encoding = encodingOf(r.Header, false)
		body, length, err = doc.Open(encoding)
	}
	if err != nil {
		return err
	}
	defer body.Close()
	x.describe(doc.ETag(), cacheControl)
	x.notify(r)
	set(h, "Content-Type", form.MediaType())
	if encoding != identity {
		set(h, "Content-Encoding", encoding)
	}
	if length >= 0 {
		set(h, "Content-Length", strconv.FormatInt(length, 10))
	}
	x.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	if err := x.sendBody(body); err != nil {
		x.abort(err)
	}
	return nil
}

// describe sets the headers that a packument and a 304 for it share.
func (x *exchange) describe(etag, cacheControl string) {
	x.common(cacheControl)
	set(x.Header(), "Etag", etag)
	set(x.Header(), "Vary", varyDocument)
}

// sendJSON sends a small document, or 304 where the client holds it. It
// returns nil, so that a handler can end with it.
func (x *exchange) sendJSON(r *http.Request, cacheControl string, body []byte) error {
	x.common(cacheControl)
	h := x.Header()
	if cacheControl != noStore {
		etag := weakETag(body)
		set(h, "Etag", etag)
		if notModified(r.Header, etag) {
			x.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	x.notify(r)
	x.writeJSON(http.StatusOK, body)
	return nil
}

// sendHealth sends a report that the status repeats, because most of those who
// ask look at nothing else.
func (x *exchange) sendHealth(h health) error {
	body, err := encode(h)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if h.Status == statusUnready {
		status = http.StatusServiceUnavailable
	}
	x.common(noStore)
	x.writeJSON(status, body)
	return nil
}

// writeJSON ends a response of which the other headers are set. A client that
// has gone away is not told.
func (x *exchange) writeJSON(status int, body []byte) {
	h := x.Header()
	set(h, "Content-Type", npm.FullType)
	set(h, "Content-Length", strconv.Itoa(len(body)))
	x.WriteHeader(status)
	_, _ = x.Write(body)
}

// weakETag is weak for the same reason as a finished document's: what packs
// the answer on its way would drop a strong one.
func weakETag(body []byte) string {
	sum := sha256.Sum256(body)
	return `W/"` + hex.EncodeToString(sum[:16]) + `"`
}

// sendBlob sends a tarball, as it lies in the store or as it arrives there.
// Tarballs are never packed: pnpm 10 would not unpack them. The header leaves
// with the first bytes, which a Blob that is not whole has ready.
func (x *exchange) sendBlob(r *http.Request, blob *cache.Blob) error {
	h := x.describeTarball()
	if content := blob.Content(); content != nil {
		meta := blob.Meta()
		x.sendWhole(r, content, meta.Size, meta.ETag, meta.ModTime)
		return nil
	}
	if size := blob.Size(); size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(size, 10))
	}
	x.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := io.Copy(x, blob); err != nil {
		x.abort(err)
	}
	return nil
}

// sendWhole sends a tarball that lies whole in a store, or the part of it that
// r asks for. What goes wrong on the way leaves it short of its Content-Length,
// so that net/http breaks the connection.
func (x *exchange) sendWhole(r *http.Request, content io.ReadSeeker, size int64, etag string, modified time.Time) {
	h := x.describeTarball()
	set(h, "Etag", etag)
	if asksForAll(r) {
		set(h, "Last-Modified", modified.UTC().Format(http.TimeFormat))
		set(h, "Content-Length", strconv.FormatInt(size, 10))
		x.WriteHeader(http.StatusOK)
		if r.Method != http.MethodHead {
			_ = x.sendBody(wholeOf(content, size))
		}
		return
	}
	if unit := r.Header.Get("Range"); unit != "" && !strings.HasPrefix(unit, "bytes=") {
		// http.ServeContent refuses units that it does not know; RFC 9110
		// section 14.2 says to ignore them.
		r = r.Clone(r.Context())
		r.Header.Del("Range")
	}
	http.ServeContent(&refusals{exchange: x}, r, "", modified, content)
}

// asksForAll reports whether r asks for all of a file, whatever it is. That is
// what package managers do, and what http.ServeContent finds out with two system
// calls and a few allocations.
func asksForAll(r *http.Request) bool {
	for _, header := range conditions() {
		if len(r.Header[header]) > 0 {
			return false
		}
	}
	return true
}

// conditions are the headers that make of a request one for a part, or for none,
// of what it asks for, as net/http spells them.
func conditions() [6]string {
	return [...]string{"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}
}

// wholeOf returns the size bytes of content in a form that io.Copy sends in the
// fewest steps: of a file by sendfile, of what is in memory at once.
func wholeOf(content io.Reader, size int64) io.Reader {
	if _, ok := content.(*os.File); ok {
		return &io.LimitedReader{R: content, N: size}
	}
	return content
}

func (x *exchange) describeTarball() http.Header {
	x.common(cacheTarball)
	h := x.Header()
	set(h, "Content-Type", octetStream)
	set(h, "Accept-Ranges", byteRanges)
	return h
}

// refusals gives http.ServeContent's refusals, which are plain text, the body
// that all errors have.
type refusals struct {
	*exchange
	refused bool
}

func (w *refusals) WriteHeader(status int) {
	switch status {
	case http.StatusRequestedRangeNotSatisfiable:
		w.refused = true
		w.writeErrorBody(status, npm.Error{Msg: "the range lies outside the file"})
	case http.StatusPreconditionFailed:
		w.refused = true
		w.writeErrorBody(status, npm.Error{Msg: "the precondition does not hold"})
	default:
		w.exchange.WriteHeader(status)
	}
}

// Write swallows the text that follows a refusal.
func (w *refusals) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	return w.exchange.Write(p)
}
