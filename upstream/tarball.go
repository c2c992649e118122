package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"larder/cache"
	"larder/npm"
)

// Open opens the tarball, at an offset where upstream can resume the download
// that validator names, else from its beginning.
func (t *tarball) Open(ctx context.Context, location string, offset int64, validator string) (*cache.Stream, error) {
	r := t.registry
	if r.Held(ctx) {
		return nil, r.NotHeld(ctx, t.file)
	}
	slot, err := r.tarballSlot(ctx)
	if err != nil {
		return nil, named(r.remote.transportFailure(ctx, err).err, t.name)
	}
	o := &opening{tarball: t, location: location, offset: offset, validator: validator}
	if validator == "" {
		o.offset = 0
	}
	var stream *cache.Stream
	err = r.persist(ctx, t.name, maxTries, func(ctx context.Context, base *url.URL) *failure {
		start := time.Now()
		var f *failure
		stream, f = o.once(ctx, base)
		outcome := "ok"
		if f != nil {
			outcome = f.outcome
		}
		r.metrics.Request("tarball", outcome, time.Since(start))
		return f
	})
	r.judgeCredentials(t.name, err)
	if err != nil {
		slot()
		return nil, err
	}
	r.entry(t.name).heard(r.now())
	stream.Body = &tarballBody{ReadCloser: stream.Body, registry: r, slot: slot}
	return stream, nil
}

// tarballSlot waits for one of the places for tarballs. It is given up by
// calling slot, or when ctx ends: a fill that drops its guess may wait for a
// second place before it closes the first.
func (r *Registry) tarballSlot(ctx context.Context) (slot func(), err error) {
	if err := r.tgzSlots.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	release := sync.OnceFunc(func() { r.tgzSlots.Release(1) })
	stop := context.AfterFunc(ctx, release)
	return func() {
		stop()
		release()
	}, nil
}

// opening is what is asked for while a tarball is being opened.
type opening struct {
	*tarball
	location  string
	offset    int64
	validator string
}

// once asks one URL once.
func (o *opening) once(ctx context.Context, base *url.URL) (*cache.Stream, *failure) {
	m := o.registry.remote
	u, err := o.url(base)
	if err != nil {
		return nil, m.badFailure("names a tarball URL that cannot be read", err)
	}
	header := http.Header{"Accept": {"*/*"}, "Accept-Encoding": {"identity"}}
	if o.offset > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", o.offset))
		header.Set("If-Range", o.validator)
	}
	resp, f := m.send(ctx, http.MethodGet, u, header, nil, time.Time{})
	if f != nil {
		return nil, f
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		return whole(m, resp)
	case resp.StatusCode == http.StatusPartialContent && o.offset > 0:
		return o.part(m, resp)
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && o.offset > 0:
		o.offset = 0 // it has changed: begin again
		f := m.statusFailure(resp, "")
		f.again = true
		return nil, f
	}
	f = m.statusFailure(resp, "tarball not found: "+o.file)
	f.err.Err = refusedWith(resp.StatusCode)
	if foreign := o.foreign(); foreign != nil && f.err.Kind == npm.NotFound {
		f.err = foreign // it exists, where Larder may not go
	}
	return nil, f
}

// url returns where to ask: the conventional place below base, or the location
// that the version's document names if Larder may go there.
func (o *opening) url(base *url.URL) (*url.URL, error) {
	conventional, err := joinPath(base, o.path(), "")
	if err != nil || o.location == "" {
		return conventional, err
	}
	u, err := url.Parse(o.location)
	if err != nil {
		return nil, err
	}
	if o.foreign() != nil && strings.HasSuffix(u.Path, "/"+o.name+"/-/"+o.file) {
		// A registry that does not know its own address, most of the time: the
		// path is the conventional one, and the hash tells.
		return conventional, nil
	}
	return u, nil
}

// foreign returns the error for a location on a host that Larder may not ask,
// nil for any other.
func (o *opening) foreign() *npm.Error {
	u, err := url.Parse(o.location)
	if err != nil || o.location == "" || o.registry.remote.permitted(u) {
		return nil
	}
	return o.registry.remote.foreign(u)
}

// whole is the stream of a 200.
func whole(m *remote, resp *http.Response) (*cache.Stream, *failure) {
	s := &cache.Stream{Body: resp.Body, Size: resp.ContentLength, Validator: validatorOf(resp.Header)}
	if resp.Header.Get("Content-Encoding") == "" {
		return s, nil
	}
	plain, err := decoded(resp, true)
	if err != nil {
		drain(resp.Body)
		return nil, m.badFailure("sent a tarball in an encoding that cannot be read", err)
	}
	// Offsets of the plain bytes mean nothing to upstream.
	s.Body, s.Size, s.Validator = readCloser{plain, resp.Body}, -1, ""
	return s, nil
}

// part is the stream of a 206.
func (o *opening) part(m *remote, resp *http.Response) (*cache.Stream, *failure) {
	start, size, ok := parseContentRange(resp.Header.Get("Content-Range"))
	if !ok || start != o.offset || resp.Header.Get("Content-Encoding") != "" {
		drain(resp.Body)
		o.offset = 0
		return nil, m.badFailure("resumed a tarball at another place than was asked for", nil)
	}
	return &cache.Stream{Body: resp.Body, Offset: start, Size: size, Validator: validatorOf(resp.Header)}, nil
}

// validatorOf returns what If-Range may carry: a strong ETag, else a date.
func validatorOf(h http.Header) string {
	if tag := h.Get("Etag"); tag != "" {
		if strings.HasPrefix(tag, `"`) {
			return tag
		}
		return ""
	}
	return h.Get("Last-Modified")
}

// parseContentRange parses "bytes 100-199/200"; size is -1 for "*".
func parseContentRange(value string) (start, size int64, ok bool) {
	value, ok = strings.CutPrefix(value, "bytes ")
	span, total, cut := strings.Cut(value, "/")
	first, last, dash := strings.Cut(span, "-")
	if !ok || !cut || !dash {
		return 0, 0, false
	}
	start, err := parseOffset(first)
	end, err2 := parseOffset(last)
	size = -1
	var err3 error
	if total != "*" {
		size, err3 = parseOffset(total)
	}
	if errors.Join(err, err2, err3) != nil || end < start || size >= 0 && end != size-1 {
		return 0, 0, false
	}
	return start, size, true
}

func parseOffset(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err
}

// tarballBody is the body of a tarball. It gives back its slot when it is
// closed, and turns its sender's trouble into words.
type tarballBody struct {
	io.ReadCloser
	registry *Registry
	slot     func()
}

func (b *tarballBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.registry.metrics.Received(int64(n))
	if err != nil && err != io.EOF {
		err = b.registry.remote.brokenOff(err)
	}
	return n, err
}

func (b *tarballBody) Close() error {
	defer b.slot()
	return b.ReadCloser.Close()
}
