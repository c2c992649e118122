package cache

import (
	"cmp"
	"context"
)

// locate finds out what the bytes must be and opens them. The two go on at
// once: the source's guess at where the bytes are is nearly always right, and
// while it is being judged the first of them arrive in the connection's
// buffers. None are read before the expectation is known.
func (f *fill) locate(ctx context.Context) (*download, error) {
	g := openGuess(ctx, f.src)
	defer g.drop()
	expected, unknown := f.expect(ctx)
	expected, ok := f.remembered(ctx, expected, unknown)
	if !ok {
		return nil, unknown
	}
	f.expected = expected
	d := newDownload(f.src, expected, -1, f.resumed)
	var (
		s   *Stream
		err error
	)
	if expected.Location == "" {
		s, err = g.take(ctx)
	} else {
		g.cancel()
		s, err = open(ctx, f.src, expected.Location, 0, "")
	}
	if err == nil {
		err = d.attach(s)
	}
	if err != nil {
		d.close()
		return nil, cmp.Or(unknown, err)
	}
	return d, nil
}

// expect asks the source, once.
func (f *fill) expect(ctx context.Context) (Expectation, error) {
	if !f.asked {
		f.asked = true
		func() {
			defer recovered(&f.unknown)
			f.expectation, f.unknown = f.src.Expect(ctx)
		}()
	}
	return f.expectation, f.unknown
}

// remembered returns what the bytes must be where the source says e, or cannot
// say and fails with unknown: then what they were when they were here before
// tells, which lies in the sidecar. ok is false if nothing does.
func (f *fill) remembered(ctx context.Context, e Expectation, unknown error) (_ Expectation, ok bool) {
	if unknown == nil && e.NewCheck != nil {
		return e, true
	}
	meta, err := f.blobs.sidecars.get(ctx, f.key)
	switch {
	case err != nil:
		return e, unknown == nil
	case unknown != nil:
		return meta.expectation(), true
	}
	e.NewCheck = meta.expectation().NewCheck
	return e, true
}

// open is src.Open for any goroutine: a panic becomes an error.
func open(ctx context.Context, src Source, location string, offset int64, validator string) (s *Stream, err error) {
	defer recovered(&err)
	return src.Open(ctx, location, offset, validator)
}

// guess is the download from where the source thinks the bytes are.
type guess struct {
	cancel context.CancelFunc
	opened chan struct{} // closed when the next two are set
	stream *Stream
	err    error
}

// openGuess starts opening the guess; the caller calls drop, also after take.
func openGuess(ctx context.Context, src Source) *guess {
	ctx, cancel := context.WithCancel(ctx)
	g := &guess{cancel: cancel, opened: make(chan struct{})}
	go func() {
		defer close(g.opened)
		g.stream, g.err = open(ctx, src, "", 0, "")
	}()
	return g
}

// take returns the stream, which is the caller's from then on. Its context
// ends with the one that openGuess was given.
func (g *guess) take(ctx context.Context) (*Stream, error) {
	select {
	case <-g.opened:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	s := g.stream
	g.stream = nil
	if g.err == nil {
		g.cancel = func() {} // the stream is read under it
	}
	return s, g.err
}

// drop ends the guess unless it was taken, and waits for its goroutine.
func (g *guess) drop() {
	g.cancel()
	<-g.opened
	if g.stream != nil {
		g.stream.Body.Close() // nothing of it was wanted
	}
}
