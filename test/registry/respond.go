package registry

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answer writes one response and does to it what the request's fault demands.
// It is the http.ResponseWriter of everything below serve.
type answer struct {
	http.ResponseWriter
	fault   Fault
	request *http.Request
	stop    <-chan struct{}

	wroteHeader bool
	bodiless    bool
	length      int64 // of the body as promised; -1 if it was not
	sent        int64 // bytes of the body that were written or, at a clean truncation, swallowed
}

func (a *answer) WriteHeader(status int) {
	if a.wroteHeader {
		return
	}
	a.wroteHeader = true
	h := a.Header()
	h.Add("Set-Cookie", "_cfuvid=0123456789abcdef; path=/; domain=registry.example; HttpOnly; Secure; SameSite=None")
	for name, values := range a.fault.Header {
		h[name] = values
		if values == nil {
			h.Del(name)
		}
	}
	a.bodiless = a.request.Method == http.MethodHead || status == http.StatusNotModified
	a.length = -1
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil {
		a.length = n
	}
	if a.fault.NoLength {
		h.Del("Content-Length")
	}
	a.ResponseWriter.WriteHeader(status)
	if a.fault.NoLength && !a.bodiless {
		a.flush()
	}
}

func (a *answer) flush() {
	_ = http.NewResponseController(a.ResponseWriter).Flush() // it fails when the client is gone, as the next Write will
}

// Write sends b in pieces that end where the fault wants to act.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.bodiless {
		return len(b), nil
	}
	written := 0
	for len(b) > 0 {
		piece := b[:a.pieceSize(len(b))]
		if len(piece) > 0 {
			n, err := a.ResponseWriter.Write(a.corrupted(piece))
			written += n
			a.sent += int64(n)
			if err != nil {
				return written, err
			}
			b = b[n:]
		}
		if a.reached(a.fault.HangAfter) {
			a.flush()
			a.wait(nil)
			panic(http.ErrAbortHandler)
		}
		if a.reached(a.fault.Truncate) {
			a.flush()
			if !a.fault.NoLength {
				panic(http.ErrAbortHandler)
			}
			return written + len(b), nil
		}
		if a.fault.Rate > 0 {
			a.flush()
			a.wait(time.After(time.Duration(len(piece)) * time.Second / time.Duration(a.fault.Rate)))
		}
	}
	return written, nil
}

func (a *answer) reached(limit int64) bool { return limit > 0 && a.sent >= limit }

// pieceSize is the number of bytes of n that may go at once.
func (a *answer) pieceSize(n int) int {
	for _, limit := range []int64{a.fault.HangAfter, a.fault.Truncate} {
		if limit > 0 {
			n = int(min(int64(n), max(0, limit-a.sent)))
		}
	}
	if a.fault.Rate > 0 {
		n = int(min(int64(n), max(1, a.fault.Rate/20))) // twenty pieces a second
	}
	return n
}

// corrupted returns piece, with a wrong byte if the middle of the body is in
// it.
func (a *answer) corrupted(piece []byte) []byte {
	middle := a.length/2 - a.sent
	if !a.fault.Corrupt || middle < 0 || middle >= int64(len(piece)) {
		return piece
	}
	piece = bytes.Clone(piece)
	piece[middle] ^= 0xff
	return piece
}

// wait passes time until tick, or until the client or the server leaves, which
// ends the request.
func (a *answer) wait(tick <-chan time.Time) {
	select {
	case <-tick:
		return
	case <-a.request.Context().Done():
	case <-a.stop:
	}
	panic(http.ErrAbortHandler)
}

// completed tells whether all that was promised went out.
func (a *answer) completed() bool {
	return a.wroteHeader && !a.bodiless && a.length >= 0 && a.sent == a.length
}

// json answers with a small document that is never compressed.
func (a *answer) json(status int, body string) {
	h := a.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	a.WriteHeader(status)
	_, _ = a.Write([]byte(body)) // an error means that the client is gone
}

// document answers with one form of a packument.
func (a *answer) document(d *document, contentType string, thin bool) {
	h := a.Header()
	h.Set("Content-Type", contentType)
	if thin {
		h.Set("Content-Length", strconv.Itoa(len(d.body)))
		_, _ = a.Write(d.body)
		return
	}
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Vary", "accept-encoding, accept")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("ETag", d.etag)
	body := d.body
	if acceptsGzip(a.request.Header) {
		body = d.gzip
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		h.Set("ETag", "W/"+d.etag)
	}
	http.ServeContent(a, a.request, "", d.modified, bytes.NewReader(body))
}

// tarball answers with a tarball, or a part of it.
func (a *answer) tarball(r *release) {
	if a.fault.NoRange {
		a.request.Header.Del("Range")
	} else {
		a.Header().Set("Accept-Ranges", "bytes")
	}
	h := a.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "public, immutable, max-age=31557600")
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", r.etag)
	http.ServeContent(a, a.request, "", r.Time, bytes.NewReader(r.bytes))
}

func acceptsGzip(h http.Header) bool {
	for _, coding := range strings.Split(h.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(coding, ";")
		if strings.TrimSpace(name) == "gzip" && strings.TrimSpace(params) != "q=0" {
			return true
		}
	}
	return false
}
